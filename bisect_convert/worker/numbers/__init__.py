"""Original and converted model on the same inputs: how far they are apart, which ops make it so, what would help."""

from __future__ import annotations

__all__: list[str] = []
