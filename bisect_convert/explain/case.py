"""A cause with what the graph tells of it: what explanations and remedies are judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bisect_convert.model.graph import Graph, Model, Op, Tensor
from bisect_convert.report.findings import SLOW, Context, Culprit, Passes, TensorFact, Witness
from bisect_convert.search.found import Found

__all__ = ["Case", "culprit_of", "fact_of"]


@dataclass(frozen=True)
class Case:
    """One cause, its culprits and witness as reports show them, and the arguments of `ct.convert`, packed."""

    found: Found
    model: Model
    culprits: tuple[Culprit, ...] = ()
    witness: Witness = Witness()
    context: Context = Context()
    passes: Passes | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        """The stage at which it fails, as reports name it."""
        return self.found.failure.signature.stage.word

    @property
    def pass_name(self) -> str | None:
        """The pass in which it fails."""
        return self.found.failure.signature.pass_name

    @property
    def error_type(self) -> str:
        """The class of the converter's error."""
        return self.found.failure.type

    @property
    def message(self) -> str:
        """The converter's own words, unshortened."""
        return self.found.failure.message

    @property
    def interaction(self) -> bool:
        """True where the culprits fail only together."""
        return self.found.interaction

    @property
    def slow(self) -> bool:
        """True where it is no failure, but where the time goes."""
        return self.error_type == SLOW

    @property
    def ops(self) -> list[tuple[Graph, Op]]:
        """The culprits as the graph has them."""
        return [(self.model.graphs[g], self.model.graphs[g].ops[n]) for g, n in self.found.culprits]


def culprit_of(graph: Graph, name: str) -> Culprit:
    """Return the op as reports show it."""
    op = graph.ops[name]
    return Culprit(
        name,
        op.type,
        graph.name or None,
        op.layer,
        op.source,
        tuple(fact_of(graph.tensors[t]) for t in op.inputs if t in graph.tensors),
        tuple(fact_of(t) for t in op.outputs),
    )


def fact_of(tensor: Tensor) -> TensorFact:
    """Return the tensor as reports show it."""
    return TensorFact(tensor.name, tensor.dtype, tensor.shape)
