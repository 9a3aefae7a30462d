"""A check that the model makes of its values, left out: tried on the whole model."""

from __future__ import annotations

from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import Rule, Why
from bisect_convert.model.cuts import Section, feedable
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import Remedy
from bisect_convert.report.questions import Kind

__all__ = ["check_remedies"]

_CODE = "# leave out tf.debugging.assert_..., tf.Assert and tf.debugging.check_numerics where the model is exported\n"


def check_remedies(case: Case, why: Why, prober: Prober) -> list[Remedy]:
    """Return that the check be left out, where the case is one; verified where all else of the model converts without it."""
    if why.rule is not Rule.CHECK:
        return []
    summary = "leave the check out of the model: it is for training and debugging"
    graph = prober.model.main
    checks = frozenset(op for name, op in case.found.culprits if name == graph.name)
    rest, lost = feedable(graph, graph.atoms - checks, graph.atoms)
    done = False
    if checks and rest and not lost:
        done = prober.trial(Section("", rest), Kind.REMEDY.asks("the check left out")).converted
    return [Remedy("rewrite", summary + "; the rest of the model converts without it" * done, done, _CODE)]
