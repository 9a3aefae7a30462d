"""Models that never freeze: which ops of the graph as it was loaded keep it from being frozen."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bisect_convert.context import context_of
from bisect_convert.graph import Graph, Op
from bisect_convert.model import Loaded
from bisect_convert.report import Culprit, Finding, Remedy, TensorFact, Witness
from bisect_convert.verdict import Failure

__all__ = ["load_causes"]

#: What freezing cannot follow: it turns each variable into a constant, and these write to a variable, or read from its handle.
_STATEFUL = re.compile(r"^(Assign\w*VariableOp|Resource\w+|Rng\w+|StatefulUniform\w*|StatefulStandardNormal\w*)$")
_NODE = re.compile(r"(?:node|Node:|op:?) '?\{*(?:\{?node )?([\w./\-]+)")


def load_causes(loaded: Loaded) -> list[Finding]:
    """Return the finding for a failure of the stage "load".

    To blame is the op that TensorFlow names, and those of its type; where it names none, the ops that keep state. They are
    found by reading, not by probes: there is no frozen graph to cut, so nothing is called confirmed or minimal.
    """
    outcome = loaded.failure
    assert outcome is not None and outcome.failure is not None
    failure = outcome.failure
    places = list(_named(loaded, failure)) or list(_stateful(loaded))
    culprits = tuple(_culprit(graph, op) for graph, op in places)
    context = context_of(loaded.model, places[0][0].name, places[0][1].name) if places else None
    finding = Finding(
        failure.signature.stage.word, failure.signature.pass_name, failure.type, failure.message, culprits,
        witness=Witness(tuple(c.name for c in culprits), types=tuple(c.op for c in culprits)),
        explanation=_explanation(culprits), remedies=_remedies(culprits),
    )  # fmt: skip
    if context is None:
        return [finding]
    from dataclasses import replace

    return [replace(finding, context=context)]


def _ops(loaded: Loaded) -> Iterator[tuple[Graph, Op]]:
    for graph in loaded.model.graphs.values():
        for op in graph.ops.values():
            yield graph, op


def _named(loaded: Loaded, failure: Failure) -> Iterator[tuple[Graph, Op]]:
    """The op that the message names by a path that ends like its own, with all stateful ops of its type."""
    paths = _NODE.findall(failure.message)
    kinds = {
        op.type
        for _, op in _ops(loaded)
        if _STATEFUL.match(op.type) and any(p == op.name or p.endswith("/" + op.name) for p in paths)
    }
    yield from ((graph, op) for graph, op in _ops(loaded) if op.type in kinds)


def _stateful(loaded: Loaded) -> Iterator[tuple[Graph, Op]]:
    yield from ((graph, op) for graph, op in _ops(loaded) if _STATEFUL.match(op.type))


def _culprit(graph: Graph, op: Op) -> Culprit:
    def facts(names: list[str]) -> tuple[TensorFact, ...]:
        found = [graph.tensors[n] for n in names if n in graph.tensors]
        return tuple(TensorFact(t.name, t.dtype, t.shape) for t in found)

    return Culprit(
        op.name, op.type, graph.name or None, op.layer, op.source,
        facts(list(op.inputs)), facts([t.name for t in op.outputs]),
    )  # fmt: skip


def _explanation(culprits: tuple[Culprit, ...]) -> str:
    if not culprits:
        return (
            "TensorFlow could not freeze the model, so there is no graph to convert; no op of it could be singled out."
        )
    kinds = ", ".join(sorted({f"`{c.op}`" for c in culprits}))
    return (
        f"Freezing turns every variable into a constant, but {kinds} needs the variable itself: it writes to it, or reads "
        "from its handle. So the model cannot be frozen, and coremltools never gets to convert an op."
    )


def _remedies(culprits: tuple[Culprit, ...]) -> tuple[Remedy, ...]:
    kinds = {c.op for c in culprits}
    found = []
    if any(k.startswith("Assign") for k in kinds):
        summary = "call the model with training=False, or return the new state as an output instead of assigning it"
        found.append(Remedy("rewrite", summary, code="tf.function(lambda x: model(x, training=False))"))
    if any(k.startswith("ResourceGather") for k in kinds):
        summary = "read the variable before the loop and gather from the tensor"
        found.append(Remedy("rewrite", summary, code="table = tf.identity(variable)  # outside the loop"))
    if any(k.startswith(("Rng", "Stateful")) for k in kinds):
        summary = "draw the random numbers outside the model and pass them in, or use tf.random.stateless_normal"
        found.append(Remedy("rewrite", summary, code=None))
    return tuple(found)
