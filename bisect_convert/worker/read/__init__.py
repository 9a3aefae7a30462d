"""A model as it is given, opened, frozen and written down as facts that need no TensorFlow to be read."""

from __future__ import annotations

__all__: list[str] = []
