"""A question about a section, and who may look on while it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bisect_convert.model.cuts import Section
from bisect_convert.model.outcome import Signature
from bisect_convert.report.questions import Question

__all__ = ["Observer", "Query"]

T = TypeVar("T")


@dataclass(frozen=True)
class Query:
    """A question about a section; without a `target` it is how the section fails, if it does."""

    question: Question
    section: Section
    target: Signature | None = None
    manner: str = ""
    """How the section is converted, where that is not the usual way; a "trial" is that of a remedy."""

    @property
    def key(self) -> tuple[Section, Signature | None, str]:
        """What makes two queries the same, however they are worded."""
        return self.section, self.target, self.manner


class Observer(Protocol):
    """Who looks on while a prober asks, and may answer in the converter's place."""

    def put(self, query: Query, ask: Callable[[], T]) -> T:
        """Return `ask()`, or another answer to the query."""

    def due(self) -> None:
        """Hear that a worker is about to be asked for the query at hand; what is raised here ends `ask`."""
