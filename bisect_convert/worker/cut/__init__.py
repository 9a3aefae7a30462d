"""Sections of a frozen graph as graphs of their own, which TensorFlow and the converter take as whole models."""

from __future__ import annotations

__all__: list[str] = []
