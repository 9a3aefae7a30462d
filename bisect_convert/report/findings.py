"""What one finding says: culprits, their place, the witness, why, and what would help. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bisect_convert.report.values import UNCOMPARED

__all__ = [
    "NUMBERS",
    "SLOW",
    "Body",
    "Context",
    "Culprit",
    "Enclosing",
    "Finding",
    "Neighbour",
    "Passes",
    "Remedy",
    "TensorFact",
    "Witness",
]

#: The error type of a finding that is no failure.
SLOW = "Slow"
#: The stage of a finding about a model that converts, and computes something else.
NUMBERS = "numbers"


@dataclass(frozen=True)
class TensorFact:
    """A tensor as reports show it; `shape` has None for an unknown dimension and is None for an unknown rank."""

    tensor: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Culprit:
    """One op to blame: where it is and what it reads and makes."""

    name: str
    op: str
    """Its type, such as "Conv2D"."""
    function: str | None = None
    """The function body that it stands in; None for the main graph."""
    layer: str | None = None
    """The Keras layer or name scope that it belongs to."""
    source: str | None = None
    """The line of the model's code that made it, where the model tells."""
    inputs: tuple[TensorFact, ...] = ()
    outputs: tuple[TensorFact, ...] = ()
    keras_layer: str | None = None
    """The innermost layer that it is in, below the model itself, as the Keras model calls it; None where that is not known."""
    keras_class: str | None = None
    """The class of that layer."""
    keras_arguments: str | None = None
    """Those arguments of a layer of Keras's own that are not its defaults, as code."""
    source_text: str | None = None
    """The text of that line of the model's code, where it is there to be read."""


@dataclass(frozen=True)
class Enclosing:
    """A call that a culprit sits in; `kind` is one of loop_body, loop_cond, then, else, branch, call."""

    op: str
    name: str
    function: str
    kind: str


@dataclass(frozen=True)
class Neighbour:
    """An op near a culprit: its type, the first tensor that it makes, and which of the others near read from it."""

    name: str
    op: str
    makes: TensorFact | None = None
    feeds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Context:
    """Where in the graph a culprit sits: its role, the fork and join around it, the arms between them."""

    role: str = "trunk"
    """One of trunk, branch, skip, main_arm, join, fork."""
    fork: str | None = None
    join: str | None = None
    arms: tuple[tuple[str, ...], ...] = ()
    """The ops of each arm in topological order; () is an edge from the fork to the join."""
    enclosing: tuple[Enclosing, ...] = ()
    """From the main graph inwards."""
    near: tuple[Neighbour, ...] = field(default=(), repr=False)
    """The ops around it that a picture shows, itself among them, in topological order."""


@dataclass(frozen=True)
class Body:
    """What is left of one body in a witness: the call that it is of, its `kind` as in `Enclosing`, its ops and edges."""

    call: str
    kind: str
    ops: tuple[str, ...]
    edges: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Witness:
    """The smallest failing section found; `minimal`: each removal was probed; `confirmed`: probed afresh, true weights.

    `edges` joins its ops as (from, to), so that it can be drawn.
    """

    ops: tuple[str, ...] = ()
    inputs: tuple[TensorFact, ...] = ()
    outputs: tuple[TensorFact, ...] = ()
    minimal: bool = False
    confirmed: bool = False
    edges: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()
    """The type of each of `ops`."""
    bodies: tuple[Body, ...] = ()
    """What is left of the bodies below its calls."""


@dataclass(frozen=True)
class Remedy:
    """What would make it convert; `verified` only where a probe converted with it.

    >>> Remedy("option", "target iOS17", past=True).tried
    'gets past this failure'
    """

    kind: str
    """An "option", an argument of `ct.convert`, or a "rewrite", a change of the model."""
    summary: str
    verified: bool = False
    code: str | None = None
    changes: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """Of an option: the packed arguments to change; not in report.json."""
    past: bool = False
    """True where a probe got past this failure with it, and something else was found to be wrong."""
    compared: str | None = None
    """Of a rewrite: on which values it was compared with the op in TensorFlow, and how far they lie apart."""

    @property
    def tried(self) -> str:
        """What came of trying it: "verified", "gets past this failure", "converts, values not compared" or "not tried"."""
        if self.verified or self.past:
            return "verified" if self.verified else "gets past this failure"
        return "not tried" if self.compared is None else f"converts, {UNCOMPARED}"


@dataclass(frozen=True)
class Passes:
    """Whether a failure needs no other pass than the one that fails, else a 1-minimal set of earlier ones, in order."""

    alone: bool
    needed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One failure and what is to blame for it. No culprits: the call or the model as a whole is at fault, no op.

    >>> finding = s.hunt().findings[0]
    >>> finding.stage, finding.error_type, finding.culprits[0].op, finding.witness.ops, finding.context.role
    ('lowering', 'NotImplementedError', 'Erfc', ('act/Erfc',), 'main_arm')
    >>> [remedy.verified for remedy in finding.remedies]
    [True, False]
    """

    stage: str
    """How far the conversion got: load, graph_pass, lowering, mil_pass, backend or optimize."""
    pass_name: str | None
    """The pass that failed; None where none was running."""
    error_type: str
    """The class of the converter's error, or how its process ended."""
    error_message: str
    """The converter's own words, unshortened."""
    culprits: tuple[Culprit, ...]
    context: Context = Context()
    witness: Witness = Witness()
    explanation: str = ""
    remedies: tuple[Remedy, ...] = ()
    repro: str | None = None
    """The path of the script that shows the failure, where one was asked for."""
    interaction: bool = False
    """True where the culprits fail only together; else each of them fails alone, in the same way."""
    passes: Passes | None = None
    """For a failure in a pass of the pipeline or behind it, where that was asked."""

    places: tuple[tuple[str, ...], ...] = ()
    """For each place of the cause, the names of its culprits that belong together."""
    cause: str = ""
    """The cause in a line where it is not that an op does not convert: what was handed over, a state that the model is in."""

    @property
    def slow(self) -> bool:
        """True where it is no failure, but where the time of a conversion goes.

        >>> s.hunt().findings[0].slow
        False
        """
        return self.error_type == SLOW

    def _repr_html_(self) -> str:
        from bisect_convert.render.notebook import card

        return card(self)

    def _repr_svg_(self) -> str | None:
        from bisect_convert.render.notebook import picture

        return picture(self) or None
