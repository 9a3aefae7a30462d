"""What would make it convert: options of the converter and rewrites of the op, probed where that is cheap."""

from __future__ import annotations

from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import Why
from bisect_convert.probe.prober import Prober
from bisect_convert.remedies.advice import advice
from bisect_convert.remedies.checks import check_remedies
from bisect_convert.remedies.corrected_calls import argument_remedies
from bisect_convert.remedies.options import option_remedies
from bisect_convert.remedies.pipeline import pipeline_remedies
from bisect_convert.remedies.rewrites import rewrite_remedies
from bisect_convert.remedies.structures import structure_remedies
from bisect_convert.remedies.weights import weight_remedies
from bisect_convert.report.findings import Remedy

__all__ = ["remedies"]


def remedies(case: Case, why: Why, prober: Prober) -> tuple[Remedy, ...]:
    """Return options and rewrites, those that a probe converted with marked as verified, and those first."""
    if case.slow:
        return ()
    if case.found.argument is not None:
        return argument_remedies(case, prober)
    probed = [
        *option_remedies(case, prober),
        *pipeline_remedies(case, prober),
        *weight_remedies(case, prober),
        *check_remedies(case, why, prober),
        *rewrite_remedies(case, prober),
        *structure_remedies(case, why, prober),
    ]
    given = advice(case, why, solved=any(r.verified for r in probed))
    return tuple(sorted([*probed, *given], key=lambda r: not r.verified))
