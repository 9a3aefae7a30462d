"""From a failing model to its causes: minimal sections, each confirmed by a probe; `bisection` is pure."""

from __future__ import annotations

__all__: list[str] = []
