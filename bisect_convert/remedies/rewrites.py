"""Rewrites of the op by a recipe (see `recipes`): put in its place in the witness, and converted with it."""

from __future__ import annotations

from collections.abc import Sequence

from bisect_convert.explain.case import Case
from bisect_convert.explain.why import unsupported
from bisect_convert.model.cuts import whole
from bisect_convert.model.graph import Op
from bisect_convert.model.names import BRANCHES, LOOPS
from bisect_convert.model.outcome import Outcome
from bisect_convert.probe.prober import Prober
from bisect_convert.recipes import UNFIT, Recipe, recipes_of
from bisect_convert.remedies.lines_to_write import shown_code
from bisect_convert.report.findings import Culprit, Remedy
from bisect_convert.report.questions import Kind
from bisect_convert.report.values import UNCOMPARED

__all__ = ["rewrite_remedies"]

_MOST = 3
_BRIDGE = "y = tf.squeeze(tf.expand_dims(y, 0), 0)  # y: the result of tf.while_loop or tf.cond; read only this one\n"
_FOLD = """\
function = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph_def, name=""), [])
function = function.prune(["input:0", ...], ["output:0", ...])  # of all inputs and outputs
model = ct.convert([function], source="tensorflow")  # TensorFlow folds constants when this is frozen
"""
_OPENED = 'graph_def = tf.compat.v1.GraphDef.FromString(open(MODEL, "rb").read())\n'
_OUTSIDE = """\
value = ...  # what {op} makes here: with numpy, or in the model before the loop or conditional, where TensorFlow folds it
"""


def rewrite_remedies(case: Case, prober: Prober) -> list[Remedy]:
    """Return the rewrite with which the witness converted; for ops without a conversion also an unprobed one."""
    if not case.found.culprits:
        return []
    if case.found.interaction:
        return _bridge(case, prober)
    graph, name = case.found.culprits[0]
    culprit = case.culprits[0]
    if prober.model.graphs[graph].ops[name].foldable:
        return _folded(case, prober)
    unprobed: list[Remedy] = []
    recipes = _fitting(culprit, case.message)[:_MOST] if _last_of(case, prober) else []
    for recipe in recipes:
        outcome = prober.trial(
            case.found.witness, Kind.REMEDY.asks(f"{recipe.op} rewritten"), op=name, recipe=recipe.name
        )
        if outcome.converted:
            return [_by_recipe(recipe, case, outcome)]
        unprobed_here = outcome.unresolved is not None and not outcome.unresolved.startswith(UNFIT)
        if unprobed_here and unsupported(case.message):
            unprobed.append(Remedy("rewrite", recipe.summary, False, recipe.code))
    return unprobed[:1] or _with_one_batch(case, recipes, prober)


def _by_recipe(recipe: Recipe, case: Case, outcome: Outcome, note: str = "") -> Remedy:
    """The recipe, with which a probe converted: verified where its values were compared, too."""
    seen = not (outcome.compared or "").startswith(UNCOMPARED)
    code = shown_code(recipe, case.culprits, outcome.call)
    return Remedy("rewrite", recipe.summary + note, seen, code, compared=outcome.compared)


def _with_one_batch(case: Case, recipes: Sequence[Recipe], prober: Prober) -> list[Remedy]:
    """The recipe that fits once the batch is fixed, with the inputs to fix."""
    graph, culprit = prober.model.main, case.culprits[0]
    inputs = [op for op in graph.ops.values() if op.type == "Placeholder" and op.outputs[0].shape]
    fixed = [f"--input {op.name}:{'x'.join('1..' if s is None else str(s) for s in _first_fixed(op))}" for op in inputs]
    if not any(op.outputs[0].shape and op.outputs[0].shape[0] is None for op in inputs):
        return []
    for recipe in recipes:
        asked = Kind.REMEDY.asks(f"{recipe.op} rewritten, with a fixed batch")
        outcome = prober.trial(case.found.witness, asked, op=culprit.name, recipe=recipe.name, one_batch=True)
        if outcome.converted:
            note = f"; fits with a fixed batch: {' '.join(fixed[:_MOST])} (in Keras, Input(..., batch_size=1))"
            return [_by_recipe(recipe, case, outcome, note)]
    return []


def _first_fixed(op: Op) -> Sequence[int | None]:
    """The shape of the input with a batch of 1."""
    first, *rest = op.outputs[0].shape or ()
    return [1 if first is None else first, *rest]


def _folded(case: Case, prober: Prober) -> list[Remedy]:
    """Constants folded, tried on the whole model; what freezing cannot fold, on the witness too."""
    handed = prober.loaded.handed
    bare = handed.argument in ("graph", "model") and not handed.keras and not case.found.culprits[0][0]
    summary = "freeze the model with its constants folded, so that the values stand in their place"
    code = (_OPENED if handed.argument == "graph" else "graph_def = model\n") + _FOLD
    if not bare:
        summary, code = "put the value itself in its place", _OUTSIDE.format(op=case.culprits[0].op)
    asked, name = Kind.REMEDY.asks("constants folded"), case.found.culprits[0][1]
    if prober.trial(whole(prober.model), asked, op=name, recipe="folded").converted:
        return [Remedy("rewrite", f"{summary}: the whole model converts then", True, code)]
    done = not bare and prober.trial(case.found.witness, asked, op=name, recipe="folded").converted
    return [Remedy("rewrite", summary, done, code)]


def _fitting(culprit: Culprit, message: str) -> list[Recipe]:
    """The recipes for the op: those with words only where one is a dtype at the op (made by a Cast) or in the error."""
    tensors = culprit.outputs if culprit.op == "Cast" else (*culprit.inputs, *culprit.outputs)
    words = {t.dtype for t in tensors} | set(message.replace("'", " ").split())
    return [r for r in recipes_of(culprit.op) if not r.words or words & set(r.words)]


def _last_of(case: Case, prober: Prober) -> bool:
    """True where nothing else in the witness reads the op: a rewrite replaces it with all that comes after it."""
    witness = case.found.witness
    graph = prober.model.graphs[witness.graph]
    home, name = case.found.culprits[0]
    return home == graph.name and name in witness.ops and not set(graph.dag.successors(name)) & witness.ops


def _bridge(case: Case, prober: Prober) -> list[Remedy]:
    """A bridge between a loop or conditional and those that read it."""
    graph = prober.model.graphs[case.found.witness.graph]
    calls = [n for g, n in case.found.culprits if g == graph.name and graph.ops[n].type in LOOPS | BRANCHES]
    for call in calls[:1]:
        outcome = prober.trial(case.found.witness, Kind.REMEDY.asks(f"{call} read once only"), op=call, recipe="bridge")
        if outcome.converted:
            return [
                Remedy("rewrite", f"put two ops that change nothing between `{call}` and its readers", True, _BRIDGE)
            ]
    return []
