"""Imported once by the fork server, so that each worker starts with tensorflow and coremltools ready, and made for them."""

from __future__ import annotations

from bisect_convert.worker import process

__all__: list[str] = []

process.prepare()
