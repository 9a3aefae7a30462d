"""Rewrites of the op by a recipe (see `recipes`): put in its place in the witness, and converted with it."""

from __future__ import annotations

from bisect_convert.explain.control_flow import BRANCHES, LOOPS
from bisect_convert.explain.why import unsupported
from bisect_convert.probe.prober import Prober
from bisect_convert.recipes import UNFIT, Recipe, recipes_of
from bisect_convert.report.findings import Culprit, Finding, Remedy
from bisect_convert.report.questions import Kind
from bisect_convert.search.hunt import Found

__all__ = ["rewrite_remedies"]

_MOST = 3
_BRIDGE = "y = tf.squeeze(tf.expand_dims(y, 0), 0)  # y: the result of tf.while_loop or tf.cond; read only this one\n"


def rewrite_remedies(found: Found, finding: Finding, prober: Prober) -> list[Remedy]:
    """Return the rewrite with which the witness converted; for ops without a conversion also an unprobed one."""
    if not found.culprits:
        return []
    if found.interaction:
        return _bridge(found, prober)
    graph, name = found.culprits[0]
    culprit = finding.culprits[0]
    unprobed: list[Remedy] = []
    for recipe in _fitting(culprit, finding.error_message)[:_MOST]:
        if not _last_of(found, prober):
            continue
        outcome = prober.trial(found.witness, Kind.REMEDY.asks(f"{recipe.op} rewritten"), op=name, recipe=recipe.name)
        if outcome.converted:
            return [Remedy("rewrite", recipe.summary, True, recipe.code)]
        unprobed_here = outcome.unresolved is not None and not outcome.unresolved.startswith(UNFIT)
        if unprobed_here and unsupported(finding.error_message):
            unprobed.append(Remedy("rewrite", recipe.summary, False, recipe.code))
    return unprobed[:1]


def _fitting(culprit: Culprit, message: str) -> list[Recipe]:
    """The recipes for the op: those with words only where one is a dtype at the op (made by a Cast) or in the error."""
    tensors = culprit.outputs if culprit.op == "Cast" else (*culprit.inputs, *culprit.outputs)
    words = {t.dtype for t in tensors} | set(message.replace("'", " ").split())
    return [r for r in recipes_of(culprit.op) if not r.words or words & set(r.words)]


def _last_of(found: Found, prober: Prober) -> bool:
    """True where nothing else in the witness reads the op: a rewrite replaces it with all that comes after it."""
    graph = prober.model.graphs[found.witness.graph]
    home, name = found.culprits[0]
    return home == graph.name and name in found.witness.ops and not set(graph.dag.successors(name)) & found.witness.ops


def _bridge(found: Found, prober: Prober) -> list[Remedy]:
    """A bridge between a loop or conditional and those that read it."""
    graph = prober.model.graphs[found.witness.graph]
    calls = [n for g, n in found.culprits if g == graph.name and graph.ops[n].type in LOOPS | BRANCHES]
    for call in calls[:1]:
        outcome = prober.trial(found.witness, Kind.REMEDY.asks(f"{call} read once only"), op=call, recipe="bridge")
        if outcome.converted:
            return [
                Remedy("rewrite", f"put two ops that change nothing between `{call}` and its readers", True, _BRIDGE)
            ]
    return []
