"""The command, its options, its prompt and the folder it writes."""

from __future__ import annotations

__all__: list[str] = []
