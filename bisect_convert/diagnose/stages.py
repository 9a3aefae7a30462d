"""Findings in a stage of strings, tables or decoders taken for one, and the search of what is between such stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bisect_convert.diagnose.findings import compose
from bisect_convert.explain.edge_stages import at_the_edges, stage_finding, without_edges
from bisect_convert.explain.keras_layers import in_keras_terms
from bisect_convert.model.cuts import whole
from bisect_convert.model.facts import EDGES
from bisect_convert.model.loaded import read_facts
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind
from bisect_convert.search.hunt import Hunt

if TYPE_CHECKING:
    from bisect_convert.diagnose.diagnosis import Diagnosis

__all__ = ["join_stages"]


def join_stages(run: Diagnosis, prober: Prober, hunt: Hunt) -> None:
    """Take the findings in a stage before or behind the model for one, and go on without the stage."""
    variant = next((v for v in run.loaded.variants if v.kind == EDGES), None)
    ours = [] if variant is None else at_the_edges(run.findings, variant, run.loaded.model)
    if variant is None or not ours:
        return
    given = prober.options
    prober.turn_to(without := read_facts(run.loaded.folder / variant.folder))
    prober.instead(without_edges(given, without))
    tried = prober.outcome(whole(prober.model), Kind.WITHOUT_CAUSE.asks(variant.kind))
    stage = [run.findings[n] for n in ours]
    one = stage_finding(stage, variant, run.loaded.model.main, converts=tried.converted)
    kept = [pair for n, pair in enumerate(zip(run.findings, run.found, strict=True)) if n not in ours]
    kept.insert(ours[0], (in_keras_terms(one, run.loaded), None))
    run.findings, run.found = [f for f, _ in kept], [found for _, found in kept]
    if not run.complete:
        _between(run, prober, hunt)
    prober.instead(given)
    prober.turn_to(run.searched)


def _between(run: Diagnosis, prober: Prober, before: Hunt) -> None:
    """Search what stands between the stages by itself: with them, not all of it could be probed."""
    hunt = Hunt(prober)
    blamed = {c.name for f in run.findings for c in f.culprits}
    for found in hunt.causes():
        if not {op for _, op in found.culprits} <= blamed and not run.known(found, prober):
            run.keep([compose(found, prober)], found)
    if hunt.complete:
        run.complete, before.notes = True, hunt.notes
