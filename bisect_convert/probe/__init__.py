"""The one door to the converter: sections in, outcomes out, each asked once, within limits, flaky or not."""

from __future__ import annotations

__all__: list[str] = []
