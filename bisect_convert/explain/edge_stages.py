"""Stages of strings, tables or decoders before and behind a model: one cause, whatever number of their ops does not convert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bisect_convert.explain.rules import listed
from bisect_convert.model.facts import Variant
from bisect_convert.model.graph import Graph, Model, Tensor
from bisect_convert.report.findings import Finding, Remedy

__all__ = ["at_the_edges", "stage_finding"]

_LISTED = 6
_END = ":end"


def at_the_edges(findings: Sequence[Finding], variant: Variant, model: Model) -> list[int]:
    """Return which of the findings (from 0) blame nothing but ops of the variant's stages, or of bodies called there."""
    return [
        n
        for n, f in enumerate(findings)
        if f.culprits and all(_within(c.function, c.name, variant, model) for c in f.culprits)
    ]


def _within(function: str | None, name: str, variant: Variant, model: Model) -> bool:
    while function:
        caller = model.graphs[function].caller
        if caller is None:
            return False
        function, name = caller[0], caller[1]
    return name in variant.blamed


def stage_finding(ours: Sequence[Finding], variant: Variant, graph: Graph, *, converts: bool) -> Finding:
    """Return the findings of the stages as one; graph: the model's main graph, converts: without the stages it does."""
    head = next((f for f in ours if f.culprits[0].op != "Placeholder"), ours[0])
    ours = sorted(ours, key=lambda f: f is not head)
    culprits = tuple(c for f in ours for c in f.culprits)
    kinds = list(dict.fromkeys(c.op for c in culprits if c.op != "Placeholder")) or ["strings"]
    what = f"{', '.join(kinds[:_LISTED])}{', ...' * (len(kinds) > _LISTED)}"
    images = any(k.startswith("Decode") for k in kinds)
    starts = [_spelt(graph, name) for name in variant.about if not name.endswith(_END)]
    ends = [_spelt_read(graph, name.removesuffix(_END), variant) for name in variant.about if name.endswith(_END)]
    of = "decodes images" if images else "works with strings and tables"
    stands = " and ".join(["in front of"] * bool(starts) + ["behind"] * bool(ends))
    edges = " and ".join(filter(None, (_where("starts at", starts), _where("ends at", ends))))
    cause = f"a stage that {of} ({what}) stands {stands} the model, which {edges}"
    why = (
        f"Core ML has no strings, no lookup tables and no decoders of images: a stage of {len(variant.blamed)} ops that "
        f"{of} has to be the app's."
    )
    to_do = " and ".join(filter(None, (_where("start the model at", starts), _where("end it at", ends))))
    summary = f"{to_do}, and leave the stage to the app; --fix OUT.mlpackage makes it so, with the stage in its script"
    remedies = (
        Remedy("rewrite", summary, converts, past=not converts),
        *(r for f in ours for r in f.remedies if r.verified),
    )
    return replace(
        head, culprits=culprits, explanation=why, remedies=remedies[:3], interaction=False, cause=cause,
        places=tuple(p for f in ours for p in (f.places or (tuple(c.name for c in f.culprits),))),
    )  # fmt: skip


def _where(words: str, names: list[str]) -> str:
    return f"{words} {listed(names[:_LISTED])}" if names else ""


def _spelt(graph: Graph, name: str) -> str:
    return f"{name} ({_kind(graph.ops[name].outputs[0])})" if name in graph.ops and graph.ops[name].outputs else name


def _spelt_read(graph: Graph, name: str, variant: Variant) -> str:
    """What the first op of a stage at the end reads of the model."""
    read = [graph.tensors[t] for t in graph.ops[name].inputs if t in graph.tensors] if name in graph.ops else []
    kept = [t for t in read if t.op not in variant.blamed and not graph.ops[t.op].constant]
    return f"{kept[0].op} ({_kind(kept[0])})" if kept else name


def _kind(tensor: Tensor) -> str:
    shape = "x".join("?" if s is None else str(s) for s in tensor.shape or ())
    return f"{tensor.dtype} {shape}".strip()
