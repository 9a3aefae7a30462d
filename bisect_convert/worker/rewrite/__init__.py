"""Frozen graphs with some ops replaced by others that compute the same."""

from __future__ import annotations

__all__: list[str] = []
