"""From a diagnosis to a converted model: edits found in a worker, written down as a script, run, and put in their place."""

from __future__ import annotations

__all__: list[str] = []
