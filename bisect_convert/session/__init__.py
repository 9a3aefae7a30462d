"""A model in a person's hand: sections cut, probed and compared at will, the search walked step by step."""

from __future__ import annotations

__all__: list[str] = []
