"""Rewrites of the op by a recipe (see `recipes`): put in its place in the witness, and converted with it."""

from __future__ import annotations

from bisect_convert.explain.case import Case
from bisect_convert.explain.why import unsupported
from bisect_convert.model.cuts import whole
from bisect_convert.model.names import BRANCHES, LOOPS
from bisect_convert.probe.prober import Prober
from bisect_convert.recipes import UNFIT, Recipe, recipes_of
from bisect_convert.report.findings import Culprit, Remedy
from bisect_convert.report.questions import Kind

__all__ = ["rewrite_remedies"]

_MOST = 3
_BRIDGE = "y = tf.squeeze(tf.expand_dims(y, 0), 0)  # y: the result of tf.while_loop or tf.cond; read only this one\n"
_FOLD = """\
graph_def = tf.compat.v1.GraphDef.FromString(open(MODEL, "rb").read())
function = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph_def, name=""), [])
function = function.prune(["input:0", ...], ["output:0", ...])  # of all inputs and outputs
model = ct.convert([function], source="tensorflow")  # TensorFlow folds constants when this is frozen
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
        return _folded(name, prober)
    unprobed: list[Remedy] = []
    for recipe in _fitting(culprit, case.message)[:_MOST]:
        if not _last_of(case, prober):
            continue
        outcome = prober.trial(
            case.found.witness, Kind.REMEDY.asks(f"{recipe.op} rewritten"), op=name, recipe=recipe.name
        )
        if outcome.converted:
            return [Remedy("rewrite", recipe.summary, True, recipe.code)]
        unprobed_here = outcome.unresolved is not None and not outcome.unresolved.startswith(UNFIT)
        if unprobed_here and unsupported(case.message):
            unprobed.append(Remedy("rewrite", recipe.summary, False, recipe.code))
    return unprobed[:1]


def _folded(name: str, prober: Prober) -> list[Remedy]:
    """Constants folded, tried on the whole model."""
    summary = "freeze the model with its constants folded, so that the values stand in their place"
    asked = Kind.REMEDY.asks("constants folded")
    done = prober.trial(whole(prober.model), asked, op=name, recipe="folded").converted
    return [Remedy("rewrite", summary + ": the whole model converts then" * done, done, _FOLD)]


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
