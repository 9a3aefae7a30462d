"""Rewrites of loops, conditionals, splits and high ranks: tried as edits of the witness, told as changes of the source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import networkx as nx

from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import Rule, Why
from bisect_convert.model.cuts import Section, feedable, whole
from bisect_convert.model.graph import Graph, Model, Op
from bisect_convert.model.names import BRANCHES, LOOPS, op_of
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import Remedy
from bisect_convert.report.questions import Kind
from bisect_convert.report.values import UNCOMPARED

__all__ = ["UNROLL", "structure_remedies"]

UNROLL = """\
# where the layer is written: {layer}(units, ..., unroll=True); of a model that has its weights already:
def unrolled(layer):
    config = layer.get_config()
    for part in (config, *(config[name]["config"] for name in ("layer", "backward_layer") if config.get(name))):
        if "unroll" in part:
            part["unroll"] = True
    return type(layer).from_config(config)


again = keras.models.clone_model(model, clone_function=unrolled)
again.set_weights(model.get_weights())
"""
_FIX = "bisect-convert MODEL --fix OUT.mlpackage  # in Python: bisect_convert.convert(model)\n"
_COUNTED = """\
# without maximum_iterations: count in the loop's own condition
tf.while_loop(lambda i, *state: i < n, body, [tf.constant(0), *state])
"""
_TURNS = """\
for i in range(n):  # in place of tf.while_loop: n is a number of Python's, so that each turn is traced
    state = body(*state)
"""
_WHERE = "y = tf.where(condition, one_branch(x), other_branch(x))  # both are computed, no conditional is left\n"
_TAKEN = "y = one_branch(x)  # in place of tf.cond: the branch that is always taken, chosen with a number of Python's\n"
_STEPS = """\
import math


def transposed(x, sizes, order):
    axes = list(range(len(sizes)))
    for place, wanted in enumerate(order):  # one axis at a time is brought forward, in 4 dimensions
        at = axes.index(wanted)
        parts = [axes[:place], axes[place:at], axes[at : at + 1], axes[at + 1 :]]
        if at != place:
            x = tf.reshape(x, [math.prod(sizes[axis] for axis in part) for part in parts])
            x = tf.transpose(x, (0, 2, 1, 3))
            axes = [axis for part in (parts[0], parts[2], parts[1], parts[3]) for axis in part]
    return x


# in place of tf.transpose(tf.reshape(x, sizes), order), where a tf.reshape of the result follows
"""


class _Wanted(NamedTuple):
    """An edit to try, and what it comes to in the model's source."""

    recipe: str
    summary: str
    code: str | None


def structure_remedies(case: Case, why: Why, prober: Prober) -> list[Remedy]:
    """Return the first change that the witness, or the whole model, converts with; else the likeliest, as not tried."""
    wanted = next((found for rule in _RULES if (found := rule(case, why))), [])
    uncompared: list[Remedy] = []
    for recipe, summary, code in wanted:
        for section in _sections(case, prober):
            outcome = prober.trial(section, Kind.REMEDY.asks(summary), op=case.culprits[0].name, recipe=recipe)
            if outcome.converted:
                seen = not (outcome.compared or "").startswith(UNCOMPARED)
                remedy = Remedy("rewrite", summary, seen, code, compared=outcome.compared)
                if seen:
                    return [remedy]
                uncompared.append(remedy)
    return uncompared[:1] or [Remedy("rewrite", summary, code=code) for _, summary, code in wanted[:1]]


def _sections(case: Case, prober: Prober) -> Iterator[Section]:
    """What an edit is tried on: the witness, also with its bodies whole, the model, and that without what never converts."""
    witness = case.found.witness
    yield replace(witness, removed=witness.removed - _counting(prober.model, witness))
    if witness.removed:
        yield replace(witness, removed=frozenset())
    yield whole(prober.model)
    main, unknown = prober.model.main, prober.loaded.unknown
    if unknown:
        yield Section("", feedable(main, main.atoms - unknown, main.atoms)[0])


def _counting(model: Model, section: Section) -> frozenset[tuple[str, str]]:
    """What the loops of the section hang on to come to an end, (graph, op): an edit is run beside what it stands for."""
    graphs = [(model.graphs[section.graph], section.ops)]
    graphs += [(body, body.atoms) for op in section.ops for body in model.below(section.graph, op)]
    loops = [dict(model.bodies(g.name, op)) for g, ops in graphs for op in ops if g.ops[op].type in LOOPS]
    return frozenset(place for loop in loops if len(loop) == 2 for place in _ends(loop["cond"], loop["body"]))


def _ends(cond: Graph, body: Graph) -> Iterator[tuple[str, str]]:
    """The ops of a loop's condition, and those of its body that make what it reads, the turn before included."""
    tested, given = ([n for n, op in g.ops.items() if op.type == "Placeholder"] for g in (cond, body))
    decides = {n for r in cond.results for n in _upstream(cond, op_of(r))}
    yield from ((cond.name, n) for n in decides if n not in tested)
    todo = [tested.index(n) for n in decides if n in tested]
    seen: set[int] = set()
    while todo:
        number = todo.pop()
        if number in seen or number >= len(body.results):
            continue
        seen.add(number)
        made = _upstream(body, op_of(body.results[number]))
        yield from ((body.name, n) for n in made if n not in given)
        todo += [given.index(n) for n in made if n in given]


def _upstream(graph: Graph, op: str) -> set[str]:
    return {op, *nx.ancestors(graph.dag, op)} if op in graph.dag else set()


def _loop(case: Case, why: Why) -> list[_Wanted]:
    calls = case.context.enclosing
    if not calls or calls[-1].kind != "loop_cond" or "list index out of range" not in case.message:
        return []
    layer = _recurrent(case, calls[-1].name)
    without = "leave the test against `maximum_iterations` out of the loop"
    if layer is None:
        return [
            _Wanted("without_limit", f"{without}: give no `maximum_iterations`", _COUNTED),
            _Wanted("unrolled", "write the turns of the loop out", _TURNS),
        ]
    return [
        _Wanted("unrolled", "unroll the layer, so that there is no loop (its length must be known)",
                UNROLL.format(layer=layer)),
        _Wanted("without_limit", f"{without}, which --fix does", _FIX),
    ]  # fmt: skip


def _recurrent(case: Case, name: str) -> str | None:
    """The class of the recurrent layer that the loop is of, by its name or by what its body does; None where it is none."""
    said = name.lower()
    for word in ("ConvLSTM", "LSTM", "GRU", "SimpleRNN"):
        if re.search(word.lower().replace("conv", "conv_?").replace("simplernn", "simple_?rnn"), said):
            return None if word == "ConvLSTM" else f"keras.layers.{word}"
    for graph in case.model.graphs.values():
        if name in graph.ops:
            types = {op.type for _, body in case.model.bodies(graph.name, name) for op in body.ops.values()}
            if {"TensorListGetItem", "TensorListSetItem"} <= types and types & {"MatMul", "BatchMatMulV2"}:
                return "keras.layers.LSTM, GRU or SimpleRNN"
    return None


def _nested(case: Case, why: Why) -> list[_Wanted]:
    kinds = {c.op for c in case.culprits}
    if case.stage != "graph_pass" or case.interaction or not kinds & BRANCHES or kinds & LOOPS:
        return []
    return [_Wanted("both_branches", "compute both branches and choose with tf.where", _WHERE)]


def _rank(case: Case, why: Why) -> list[_Wanted]:
    if "rank <= 5" not in case.message:
        return []
    summary = (
        "merge dimensions that stay side by side, and transpose one axis at a time, so that no tensor has more than 5"
    )
    return [_Wanted("low_ranks", summary, _STEPS)]


def _split(case: Case, why: Why) -> list[_Wanted]:
    if why.rule is not Rule.SPLIT_REST:
        return []
    code = next((_sizes(op) for _, op in case.ops if op.type == "SplitV"), None)
    code = code or "tf.split(x, [a, b, n - a - b], axis)\n"
    return [_Wanted("known_sizes", "write all sizes of the split out, with no -1 among them", code)]


def _sizes(op: Op) -> str | None:
    """The split with the sizes that its results have, where these are known."""
    shapes = [t.shape for t in op.outputs]
    for axis in range(len(shapes[0] or ())):
        sizes = [None if shape is None else shape[axis] for shape in shapes]
        if None not in sizes and len(set(sizes)) > 1:
            return f"tf.split(x, {sizes}, {axis})\n"
    return None


def _constant(case: Case, why: Why) -> list[_Wanted]:
    if "cannot have no value" not in case.message or not {c.op for c in case.culprits} & BRANCHES:
        return []
    return [_Wanted("known_branch", "leave the conditional out: its condition never changes", _TAKEN)]


_RULES: tuple[Callable[[Case, Why], list[_Wanted]], ...] = (_loop, _nested, _constant, _rank, _split)
