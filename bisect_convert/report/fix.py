"""What came of editing a model until it converts, as it stands in a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Agreement", "Edit", "Fix", "State"]


@dataclass(frozen=True)
class Agreement:
    """How far two sets of results lie apart on `samples` sets of inputs: at most, and in parts of a tensor's scale.

    None: infinitely far, where one has NaN or infinity and the other numbers.
    """

    max_abs: float | None
    max_rel: float | None
    samples: int


@dataclass(frozen=True)
class Edit:
    """One change of the model: `at` names the ops it was made at, `finding` counts from 1, None: it has none.

    equal: how far what it makes is from what was there; None where that could not be seen.
    """

    finding: int | None
    kind: str
    at: tuple[str, ...]
    recipe: str
    summary: str
    equal: Agreement | None = None
    caution: str | None = None


@dataclass(frozen=True)
class State:
    """What the app keeps from call to call: it is given in as `input`, and `output` is what is given in the next time.

    variable: the model's own name of it; first: what is given in at first, one number where all are the same, else nested
    lists; None where the model does not say, or where it is too much: then it is what the variable holds.
    """

    input: str
    output: str
    variable: str
    dtype: str
    shape: tuple[int, ...]
    first: Any = None


@dataclass(frozen=True)
class Fix:
    """The edits with which the model converts, or with which it got furthest.

    model, script: paths of what was written; remaining: the findings, counted from 1, that no edit mends; reasons: why not;
    agreement: of the outputs of the original and of what was written, evaluated, or else of the edited graph; edited: of the
    edited graph in TensorFlow, where both are known; verified: the script made the same program by itself; state: what the
    app hands on from call to call.
    """

    converted: bool
    model: str | None = None
    script: str | None = None
    edits: tuple[Edit, ...] = ()
    remaining: tuple[int, ...] = ()
    agreement: Agreement | None = None
    edited: Agreement | None = None
    verified: bool = False
    reasons: tuple[str, ...] = ()
    state: tuple[State, ...] = ()

    @property
    def moved(self) -> tuple[Edit, ...]:
        """The edits that leave something to the app."""
        return tuple(edit for edit in self.edits if edit.kind == "boundary")

    def __str__(self) -> str:
        from bisect_convert.render.fix_words import fix_text

        return fix_text(self)
