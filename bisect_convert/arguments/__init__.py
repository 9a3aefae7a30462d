"""The arguments of `ct.convert` as plain data: packed, shown, corrected, written as code; nothing is converted here."""

from __future__ import annotations

__all__: list[str] = []
