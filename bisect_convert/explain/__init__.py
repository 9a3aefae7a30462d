"""Why an op fails and where in the model it sits, from facts that were seen; no probe is asked here."""

from __future__ import annotations

__all__: list[str] = []
