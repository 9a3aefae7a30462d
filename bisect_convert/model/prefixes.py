"""The chain of prefixes that bisection walks, held in linear room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Prefixes"]


class Prefixes(Sequence[frozenset[str]]):
    """The prefixes of a sequence of ops: as many sets as there are ops would take quadratic room."""

    def __init__(self, order: tuple[str, ...]) -> None:
        self._order = order

    def __len__(self) -> int:
        return len(self._order) + 1

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return frozenset(self._order[: range(len(self))[index]])
