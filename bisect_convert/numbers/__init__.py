"""Original and converted model compared: which inputs, what is asked of a worker, and what is found."""

from __future__ import annotations

__all__: list[str] = []
