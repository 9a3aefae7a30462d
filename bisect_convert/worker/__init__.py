"""The program that reads, cuts, rewrites and converts, in processes of its own, whose death harms no caller."""

from __future__ import annotations

__all__: list[str] = []
