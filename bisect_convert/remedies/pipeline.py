"""Passes that may be left out of the pipeline, probed on the witness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bisect_convert.explain.case import Case
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import Remedy
from bisect_convert.report.questions import Kind
from bisect_convert.search.pass_bisection import pipeline_of

__all__ = ["pipeline_remedies"]


def pipeline_remedies(case: Case, prober: Prober) -> list[Remedy]:
    """Return the pass without which the witness was seen to convert: the one that fails, else one that it needs.

    None where Core ML itself has no such tensors: without a pass that meets them nobody looks, and they are still there.
    """
    if case.passes is None or "rank <= 5" in case.message:
        return []
    given = prober.errands.passes(prober.options)
    for name in dict.fromkeys([case.pass_name or "", *case.passes.needed]):
        if name not in given["passes"]:
            continue
        pipeline = pipeline_of(given, (p for p in given["passes"] if p != name))
        outcome = prober.trial(
            case.found.witness,
            Kind.REMEDY.asks(f"without the pass {name}"),
            options={**prober.options, "pass_pipeline": pipeline},
        )
        if outcome.converted:
            summary = f"leave the pass `{name}` out: the failing section converts then"
            return [
                Remedy(
                    "option",
                    summary,
                    True,
                    _code(name, prober.options),
                    {"pass_pipeline": pipeline | {"without": [name]}},
                )
            ]
    return []


def _code(name: str, options: Mapping[str, Any]) -> str:
    removed = f"pipeline.remove_passes({{{name!r}}})"
    if "pass_pipeline" in options:
        return f"{removed}  # pipeline: the one that you give as pass_pipeline\n"
    return f"pipeline = ct.PassPipeline.DEFAULT\n{removed}\nmodel = ct.convert(..., pass_pipeline=pipeline)\n"
