"""What hangs on a culprit: ops that can only go with it, that fail for want of it, and the block that it fails in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bisect_convert.model.cuts import Section
from bisect_convert.model.graph import Graph
from bisect_convert.model.names import HANDLES, LOOPS, op_of
from bisect_convert.model.origins import computed_inputs
from bisect_convert.model.outcome import Failure, Stage, Verdict
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind
from bisect_convert.search.locate import Cause

__all__ = [
    "behind_others",
    "fed_by_none",
    "fed_otherwise",
    "handle_readers",
    "island",
    "loops_that_fill",
    "missing_value",
    "only_inside",
    "string_company",
]

#: Dtypes that the converter has no type for.
_NO_TYPE = frozenset(
    {"bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3b11fnuz", "int4", "uint4", "qint8", "quint8"}
    | {"int16", "uint16"}
)
#: Dtypes that the converter casts nothing to: where they are computed, int32 stands in their place in a section.
_WIDENED = frozenset({"int8", "uint8"})


def island(graph: Graph, ops: Iterable[str]) -> frozenset[str]:
    """Return all ops joined to these by tensors of a dtype that the converter has no type for: they only go together."""
    found: set[str] = set()
    todo = [op for op in ops if any(graph.tensors[t].dtype in _NO_TYPE for t in _tensors(graph, op))]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            near = [*graph.dag.successors(name), *graph.dag.predecessors(name)]
            todo += [n for n in near if _joined(graph, name, n)]
    return frozenset(found)


def _tensors(graph: Graph, op: str) -> set[str]:
    return {t for t in (*graph.ops[op].inputs, *(o.name for o in graph.ops[op].outputs)) if t in graph.tensors}


def _joined(graph: Graph, one: str, other: str) -> bool:
    return any(graph.tensors[t].dtype in _NO_TYPE for t in _tensors(graph, one) & _tensors(graph, other))


def missing_value(graph: Graph, op: str, blamed: set[tuple[str, str]]) -> str | None:
    """Return what is to be said of an op that needs, at conversion time, a value that one of these was to make; or None."""
    if op not in graph.order:
        return None
    for computed in computed_inputs(graph, graph.ops[op]):
        made = next((name for name in computed.path if (graph.name, name) in blamed), None)
        if made is not None:
            return (
                f"{op} needs the value of its input {computed.name} at conversion time, which the culprit {made} makes: "
                "what becomes of it shows once that converts"
            )
    return None


def fed_otherwise(graph: Graph, op: str, message: str, blamed: set[tuple[str, str]]) -> str | None:
    """Return what is to be said of an op that fails since it is given int32 for what one of these would make; or None."""
    if op not in graph.order or not re.search(r"data type|dtype", message):
        return None
    todo, seen = [t for t in graph.ops[op].inputs if t in graph.tensors and graph.tensors[t].dtype in _WIDENED], set()
    while todo:
        tensor = todo.pop()
        made = op_of(tensor)
        if (graph.name, made) in blamed:
            return (
                f"{op} reads {graph.tensors[tensor].dtype} of the culprit {made}, for which int32 stands without it: "
                "what becomes of it shows once that converts"
            )
        seen.add(made)
        todo += [t for t in graph.ops[made].inputs if graph.tensors[t].dtype in _WIDENED and op_of(t) not in seen]
    return None


def loops_that_fill(graph: Graph, ops: Iterable[str], cut: frozenset[str]) -> frozenset[str]:
    """Return the loops among the ops that cannot stay since nothing reads the lists that they fill, but for these cut ops.

    They are lowered before what reads the lists, so that one which fails is met before.
    """
    return frozenset(
        name
        for name in ops
        if graph.ops[name].type in LOOPS
        and any(t.dtype == "variant" for t in graph.ops[name].outputs)
        and not any(op_of(t) in cut and not graph.tensors[t].replaceable for t in graph.ops[name].inputs)
    )


def fed_by_none(body: Graph, ops: frozenset[str]) -> frozenset[str]:
    """Return those of the ops that read what comes from outside the body and can be no input."""
    return frozenset(
        op for op in ops if any(not t.replaceable for t in body.entering(frozenset({op})) if t.op not in body.atoms)
    )


def behind_others(prober: Prober, graph: Graph, ops: Iterable[str]) -> list[list[tuple[str, Failure]]]:
    """Return the ops without a conversion that read strings or handles, by type, each with how it was seen to fail.

    What they read is made by ops that fail before them, since it can be no input.
    """
    seen: dict[str, list[tuple[str, Failure]]] = {}
    for name in graph.sorted(n for n in ops if graph.ops[n].type not in prober.loaded.convertible):
        if any(graph.tensors[t].dtype in HANDLES for t in graph.ops[name].inputs):
            if (failure := _behind_others(prober, graph, name)) is not None:
                seen.setdefault(graph.ops[name].type, []).append((name, failure))
    return list(seen.values())


def _behind_others(prober: Prober, graph: Graph, op: str) -> Failure | None:
    section = Section(graph.name, frozenset({op}), handed=True)
    outcome = prober.outcome(section, Kind.HANDED.asks(op), survey=True)
    failures = [f for f in (outcome.failure, *outcome.further) if f is not None and f.hint]
    return next((f for f in failures if f.hint[-1].name == op), None)


def handle_readers(graph: Graph, ops: tuple[str, ...]) -> tuple[list[str], list[str]] | None:
    """Return what reads a captured table or variable, and the Identities on the way there, where that is what fails.

    None for other ops: the input that a table becomes is no op of the user's.
    """
    if len(ops) != 1:
        return None
    first = ops[0]
    if graph.ops[first].type != "Placeholder" or graph.ops[first].outputs[0].dtype != "resource":
        return None
    passed, readers, todo = set[str](), set[str](), list(graph.dag.successors(first))
    while todo:
        name = todo.pop()
        if graph.ops[name].type == "Identity":
            passed.add(name)
            todo += graph.dag.successors(name)
        else:
            readers.add(name)
    return (graph.sorted(readers), graph.sorted(passed)) if readers else None


def string_company(graph: Graph, lost: frozenset[str]) -> frozenset[str]:
    """Return those of the ops that only go with strings: they read or make some, or read lists of them."""
    found: set[str] = set()
    for name in graph.sorted(lost):
        reads = [graph.tensors[t] for t in graph.ops[name].inputs if t in graph.tensors]
        makes = any(t.dtype == "string" for t in graph.ops[name].outputs)
        if makes or any(t.dtype == "string" or (t.op in found and not t.replaceable) for t in reads):
            found.add(name)
    return frozenset(found)


def only_inside(prober: Prober, cause: Cause) -> tuple[str, str] | None:
    """Return the call without which the op converts, where a finished program is refused for the block that the op is in."""
    body = prober.model.graphs[cause.graph]
    inside = cause.graph != cause.witness.graph and body.caller is not None and len(cause.ops) == 1
    if not inside or body.caller is None or cause.failure.signature.stage <= Stage.LOWERING:
        return None
    alone = Section(body.name, body.close(frozenset(cause.ops)))
    if prober.verdict(alone, cause.failure.signature, Kind.ALONE.asks(cause.ops[0])) is not Verdict.PASS:
        return None
    return body.caller[:2]
