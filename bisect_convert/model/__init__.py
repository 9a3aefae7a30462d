"""A model as pure data and judgement: its graph and bodies, the cuts of it, and what a conversion of a cut shows."""

from __future__ import annotations

__all__: list[str] = []
