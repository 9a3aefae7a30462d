"""What would make it convert: options of the converter and rewrites of the op, probed where that is cheap."""

from __future__ import annotations

from bisect_convert.probe.prober import Prober
from bisect_convert.remedies.advice import advice
from bisect_convert.remedies.corrected_calls import argument_remedies
from bisect_convert.remedies.options import option_remedies
from bisect_convert.remedies.pipeline import pipeline_remedies
from bisect_convert.remedies.rewrites import rewrite_remedies
from bisect_convert.remedies.weights import weight_remedies
from bisect_convert.report.findings import Finding, Remedy
from bisect_convert.search.hunt import Found

__all__ = ["remedies"]


def remedies(found: Found, finding: Finding, prober: Prober) -> tuple[Remedy, ...]:
    """Return options and rewrites, those that a probe converted with marked as verified, and those first."""
    if finding.slow:
        return ()
    if found.argument is not None:
        return argument_remedies(found, prober)
    probed = [
        *option_remedies(found, finding, prober),
        *pipeline_remedies(found, finding, prober),
        *weight_remedies(found, prober),
        *rewrite_remedies(found, finding, prober),
    ]
    given = advice(found, finding, prober, solved=any(r.verified for r in probed))
    return tuple(sorted([*probed, *given], key=lambda r: not r.verified))
