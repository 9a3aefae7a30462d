"""Failures of loops and conditionals put into words: what the graph passes of the converter cannot do with them."""

from __future__ import annotations

from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import Rule, Said, listed
from bisect_convert.model.names import BRANCHES, LOOPS, op_of
from bisect_convert.report.findings import Culprit

__all__ = ["FLOW_RULES"]


def _counted_loop(case: Case) -> str | None:
    calls = case.context.enclosing
    less = [c for c in case.culprits if c.op in ("Less", "LogicalAnd", "LessEqual")]
    if "list index out of range" not in case.message or not less or not calls or calls[-1].kind != "loop_cond":
        return None
    return (
        f"`{less[0].name}` tests the loop counter of `{calls[-1].name}` against its `maximum_iterations`, as a "
        "Keras RNN, `tf.map_fn` and `tf.scan` make such loops. A graph pass of coremltools takes the counter and "
        "the maximum out of the loop's condition, and the test is left without inputs."
    )


def _old_loop(case: Case) -> str | None:
    if not any(op.type == "LoopCond" for _, op in case.ops):
        return None
    return (
        "This is a loop as TensorFlow 1 writes it, a cycle of Enter, Merge, Switch, NextIteration and Exit. With "
        "TensorFlow 2 coremltools follows only loops that are one op with functions (`While`): freeze the model again "
        "with `tf.compat.v1.enable_control_flow_v2()`."
    )


def _nested(case: Case) -> str | None:
    calls = [e for e in case.context.enclosing if e.kind != "call"]
    inner = [c for c in case.culprits if c.op in BRANCHES | LOOPS]
    if case.stage != "graph_pass" or len(case.culprits) != 1 or not inner or not calls:
        return None
    words = {"loop_body": "the body of the loop", "loop_cond": "the condition of the loop"}
    outer = f"{words.get(calls[-1].kind, 'a branch of the conditional')} `{calls[-1].name}`"
    return (
        f"The {_construct(inner[0])} `{inner[0].name}` stands in {outer}. The graph pass that rewrites control "
        "flow does not find the results of the inner one there."
    )


def _construct(culprit: Culprit) -> str:
    return "loop" if culprit.op in LOOPS else "conditional"


def _names(case: Case) -> str | None:
    """Two names of which one starts with the other, at a loop or conditional and a reader of it."""
    if case.stage != "graph_pass" or not case.interaction:
        return None
    for graph, op in case.ops:
        if op.type not in LOOPS | BRANCHES:
            continue
        for _, reader in case.ops:
            near = [n for n in [reader.name, *(op_of(t) for t in reader.inputs)] if n != op.name]
            clash = next((n for n in near if n.startswith(op.name) and n in graph.ops), None)
            if reader is not op and clash is not None:
                return (
                    f"The name `{op.name}` is how the name `{clash}` starts. The graph pass that rewrites control "
                    "flow looks for the results of a loop or conditional by the start of their names, and takes "
                    "one for the other."
                )
    return None


def _two_readers(case: Case) -> str | None:
    calls = [(g, op) for g, op in case.ops if op.type in LOOPS | BRANCHES]
    known = "Graph is not a DAG" in case.message or "is not in list" in case.message
    if not known or not case.interaction or not calls:
        return None
    graph, call = calls[0]
    read = {
        t: [n for n in graph.dag.successors(call.name) if t in graph.ops[n].inputs]
        for o in call.outputs
        for t in [o.name]
    }
    tensor, readers = max(read.items(), key=lambda item: len(item[1]))
    if len(readers) < 2:
        return None
    return (
        f"The result `{tensor}` is read {len(readers)} times, by {listed(readers)}. The graph pass that rewrites "
        f"control flow keeps one reader of a {'loop' if call.type in LOOPS else 'conditional'}'s result: the "
        "second one's entry overwrites the first's."
    )


def _shared_bodies(case: Case) -> str | None:
    """Several calls of one function, which the graph pass takes for several."""
    calls = [op for _, op in case.ops if op.type in LOOPS | BRANCHES]
    if case.stage != "graph_pass" or len(calls) < 2:
        return None
    shared = set.intersection(*({name for _, name in op.functions} for op in calls))
    if not shared:
        return None
    return (
        f"{listed([op.name for op in calls])} call the same function, `{min(shared)}`, as code does that TensorFlow "
        "traces once and calls several times. The graph pass that rewrites control flow rewrites the function once "
        "for each of them, and finds it rewritten the second time."
    )


def _two_results(case: Case) -> str | None:
    """An op that reads two results of one loop or conditional."""
    calls = [op for _, op in case.ops if op.type in LOOPS | BRANCHES]
    for call in calls if case.interaction else ():
        results = {t.name for t in call.outputs}
        reader = next((op for _, op in case.ops if len(results & set(op.inputs)) > 1), None)
        if reader is not None:
            return (
                f"`{reader.name}` reads two results of the {'loop' if call.type in LOOPS else 'conditional'} "
                f"`{call.name}`. The graph pass that rewrites control flow puts an op of its own before the first, and "
                "takes that for the reader when it comes to the second. Read by two ops they convert."
            )
    return None


def _loop_into_cond(case: Case) -> str | None:
    kinds = {op.type for _, op in case.ops}
    if case.stage != "graph_pass" or not (kinds & LOOPS and kinds & BRANCHES):
        return None
    loop = next(op.name for _, op in case.ops if op.type in LOOPS)
    cond = next(op.name for _, op in case.ops if op.type in BRANCHES)
    return (
        f"The loop `{loop}` and the conditional `{cond}` fail only together: the graph pass that rewrites control "
        "flow does not cope with the one reading the other's results."
    )


def _captures_nothing(case: Case) -> str | None:
    conds = [c for c in case.culprits if c.op in BRANCHES]
    if "Length of `input_shapes` must match" not in case.message or not conds:
        return None
    return (
        f"The branches of the conditional `{conds[0].name}` take no tensors: they give constants only. When "
        "coremltools loads them, it counts the predicate as an input of theirs."
    )


FLOW_RULES: dict[Rule, Said] = {
    Rule.OLD_LOOP: _old_loop,
    Rule.COUNTED_LOOP: _counted_loop,
    Rule.SHARED_BODIES: _shared_bodies,
    Rule.TWO_RESULTS: _two_results,
    Rule.NAMES: _names,
    Rule.TWO_READERS: _two_readers,
    Rule.NESTED: _nested,
    Rule.LOOP_INTO_COND: _loop_into_cond,
    Rule.CAPTURES_NOTHING: _captures_nothing,
}
