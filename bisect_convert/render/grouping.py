"""Many places said briefly: layers that differ in numbers only as one, `stack[1-4]/block[1-5]`."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["grouped"]

_NUMBER = re.compile(r"\d+")


def grouped(names: Iterable[str]) -> list[str]:
    """Return the names, those that differ in numbers only as one with their ranges, in the order of the first of each.

    >>> grouped(["stack_1/block_1", "stack_1/block_2", "stack_2/block_1", "head"])
    ['stack_[1-2]/block_[1-2]', 'head']
    """
    groups: dict[str, list[list[int]]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(_NUMBER.sub("#", name), []).append([int(n) for n in _NUMBER.findall(name)])
    return [_spelt(pattern, numbers) for pattern, numbers in groups.items()]


def _spelt(pattern: str, numbers: list[list[int]]) -> str:
    spelt, parts = "", pattern.split("#")
    for index, part in enumerate(parts):
        spelt += part
        if index < len(parts) - 1:
            values = {row[index] for row in numbers}
            spelt += str(min(values)) if len(values) == 1 else f"[{min(values)}-{max(values)}]"
    return spelt
