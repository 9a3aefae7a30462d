"""Options of the converter that may make the witness convert, probed on it: target, precision, format, shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bisect_convert.arguments.as_code import argument_code, input_code
from bisect_convert.explain.case import Case
from bisect_convert.explain.why import unsupported
from bisect_convert.model.cuts import Section, whole
from bisect_convert.model.graph import Graph
from bisect_convert.model.origins import open_axes, size_source, unknown_sizes
from bisect_convert.model.outcome import Stage
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import Remedy
from bisect_convert.report.questions import Kind

__all__ = ["option_remedies"]

_TARGETS = ("iOS15", "iOS16", "iOS17", "iOS18")
#: What no option changes: control flow, ranks, dtypes that Core ML does not have.
_FIXED = re.compile(
    r"Cast: Provided|rank <= 5|not a DAG|list index out of range|Rank-0|type_str|Unable to determine|no value"
)
_ODD = frozenset({"string", "resource", "complex64", "complex128"})
_SIZE = 64


def option_remedies(case: Case, prober: Prober) -> list[Remedy]:
    """Return the options with which the witness was seen to convert; at most 3 probes of options and 1 of sizes."""
    failure = case.found.failure
    if (
        not failure.traceback
        or unsupported(failure.message)
        or not case.found.culprits
        or failure.signature.stage in (Stage.LOAD, Stage.GRAPH_PASS)
    ):
        return []
    if "Rank-0" in failure.message:
        return _one_element(case, prober)
    sized = _fixed_sizes(case, prober)
    if _FIXED.search(failure.message) or _odd(case):
        return sized
    return [*_targets(case, prober), *sized]


def _one_element(case: Case, prober: Prober) -> list[Remedy]:
    """A shape of one element for the inputs that are scalars, where the whole model converts with it."""
    names = [c.name for c in case.culprits if c.op == "Placeholder" and c.outputs[0].shape == ()]
    if not names:
        return []
    kept = [i for i in prober.options.get("inputs", ()) if i.get("name") not in names]
    inputs = [*kept, *({"kind": "TensorType", "name": n, "shape": [1], "static": [1]} for n in names)]
    outcome = prober.trial(
        whole(prober.model), Kind.REMEDY.asks("scalars of shape (1,)"), options={**prober.options, "inputs": inputs}
    )
    if not outcome.converted:
        return []
    summary = "give each scalar the shape (1,) in the call, without a change to the model: it converts then"
    return [Remedy("option", summary, True, f"inputs=[{', '.join(map(input_code, inputs))}]", {"inputs": inputs})]


def _odd(case: Case) -> bool:
    return any(t.dtype in _ODD for c in case.culprits for t in (*c.inputs, *c.outputs))


def _targets(case: Case, prober: Prober) -> list[Remedy]:
    given = prober.options
    if given.get("convert_to") == "neuralnetwork":
        target = given.get("minimum_deployment_target")
        changes: dict[str, Any] = {"convert_to": "mlprogram"}
        if target in ("iOS13", "iOS14"):
            changes["minimum_deployment_target"] = "iOS15"
        return _if_converts(case, prober, "convert to an mlprogram", changes)
    if case.found.failure.signature.stage > Stage.LOWERING:
        precise = _if_converts(case, prober, "compute in float32", {"compute_precision": "FLOAT32"})
        if case.found.failure.signature.stage is Stage.OPTIMIZE:
            return _higher(case, prober) or precise
        if precise:
            return precise
    return _higher(case, prober) or _lower(case, prober)


def _higher(case: Case, prober: Prober) -> list[Remedy]:
    """The lowest target above the given one that the witness converts for, if it does for the highest."""
    target = prober.options.get("minimum_deployment_target", _TARGETS[0])
    above = [t for t in _TARGETS if t > target] if target in _TARGETS else []
    if not above or not _converts(case, prober, above[-1]):
        return []
    lowest = next((t for t in above[:-1] if _converts(case, prober, t)), above[-1])
    return [_remedy(f"raise the target to {lowest}", {"minimum_deployment_target": lowest})]


def _lower(case: Case, prober: Prober) -> list[Remedy]:
    target = prober.options.get("minimum_deployment_target")
    if target not in _TARGETS[1:]:
        return []
    below = _TARGETS[_TARGETS.index(target) - 1]
    return (
        [_remedy(f"lower the target to {below}", {"minimum_deployment_target": below})]
        if _converts(case, prober, below)
        else []
    )


def _converts(case: Case, prober: Prober, target: str) -> bool:
    return bool(_if_converts(case, prober, f"target {target}", {"minimum_deployment_target": target}))


def _if_converts(case: Case, prober: Prober, summary: str, changes: Mapping[str, Any]) -> list[Remedy]:
    options = {k: v for k, v in {**prober.options, **changes}.items() if v is not None}
    outcome = prober.trial(case.found.witness, Kind.REMEDY.asks(summary), options=options)
    return [_remedy(summary, changes)] if outcome.converted else []


def _remedy(summary: str, changes: Mapping[str, Any]) -> Remedy:
    code = ", ".join(f"{k}={argument_code(k, v)}" for k, v in changes.items() if v is not None) or None
    return Remedy("option", f"{summary}: the failing section converts then", True, code, changes)


def _fixed_sizes(case: Case, prober: Prober) -> list[Remedy]:
    """Fixed shapes for the inputs that unknown sizes come from, where all that leads to the culprit then converts."""
    graph = prober.model.main
    if any(g for g, _ in case.found.culprits) or case.found.interaction:
        return []
    ops = frozenset({case.found.culprits[0][1]})
    if not _open_inputs(graph, ops) or any(graph.ops[n].type.startswith("Placeholder") for n in ops):
        return []
    upstream = graph.close(graph.upstream(ops, len(graph.order)))
    inputs = [_fixed(graph, n) for n in graph.sorted(upstream) if graph.ops[n].type == "Placeholder"]
    if not inputs or None in inputs:
        return []
    kept = [i for i in prober.options.get("inputs", ()) if i.get("name") not in {j["name"] for j in inputs if j}]
    options = {**prober.options, "inputs": [*kept, *inputs]}
    question = Kind.REMEDY.asks("fixed input shapes, with all that is upstream of it")
    if not prober.trial(Section("", upstream), question, options=options).converted:
        return []
    code = f"inputs=[{', '.join(input_code(i) for i in inputs if i)}]"
    return [Remedy("option", "fix the input shapes: all up to this op converts with these", True, code)]


def _open_inputs(graph: Graph, ops: frozenset[str]) -> bool:
    sources = [size_source(graph, t).op for n in ops for t in unknown_sizes(graph, graph.ops[n])]
    return any(graph.ops[source].type == "Placeholder" for source in sources)


def _fixed(graph: Graph, name: str) -> dict[str, Any] | None:
    (tensor, *_) = graph.ops[name].outputs
    if not tensor.shape:
        return None
    unknown = set(open_axes(tensor))
    shape = [
        s if i not in unknown and s is not None else 1 if i == 0 and len(tensor.shape) > 1 else _SIZE
        for i, s in enumerate(tensor.shape)
    ]
    return {"kind": "TensorType", "name": name, "shape": shape, "static": shape}
