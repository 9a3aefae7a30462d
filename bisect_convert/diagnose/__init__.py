"""A model and arguments in, a report out: all that is below, joined."""

from __future__ import annotations

__all__: list[str] = []
