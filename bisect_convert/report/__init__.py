"""What was found, as data: findings, the report and their JSON. Nothing here asks, judges or draws."""

from __future__ import annotations

__all__: list[str] = []
