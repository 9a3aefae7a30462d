"""What a search found: one cause, with all its places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bisect_convert.model.cuts import Section
from bisect_convert.model.outcome import Failure

__all__ = ["Found"]


@dataclass(frozen=True)
class Found:
    """One cause: its culprits as (graph, op), the witness that shows it, and what must go for the rest to be probed."""

    failure: Failure
    culprits: tuple[tuple[str, str], ...]
    witness: Section
    minimal: bool
    confirmed: bool
    interaction: bool = False
    cut: frozenset[tuple[str, str]] = frozenset()
    argument: str | None = None
    changes: Mapping[str, Any] | None = None
    """What to change in the call to get past the failure, where an argument is at fault."""
    places: tuple[tuple[tuple[str, str], ...], ...] = ()
    """The culprits by place: those that belong together, where the same cause is in several; else all of them at one."""

    @property
    def gone(self) -> frozenset[tuple[str, str]]:
        """The ops to cut out with this cause."""
        return self.cut or frozenset(self.culprits)
