"""Stages of strings, tables or decoders before and behind a model: one cause, whatever number of their ops does not convert."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bisect_convert.explain.rules import listed
from bisect_convert.explain.stored_types import placeholder_code
from bisect_convert.model.facts import Variant
from bisect_convert.model.graph import Graph, Model, Tensor
from bisect_convert.model.loaded import Loaded
from bisect_convert.render.names import unwrapped
from bisect_convert.report.findings import Culprit, Finding, Remedy

__all__ = ["at_the_edges", "stage_finding", "without_edges"]

_LISTED = 6
#: What a stage does that stands where a graph was trained, and the ops that do it.
_DATA, _FEEDS = "reads the data of its training", re.compile("Iterator|OneShotIterator")
#: What follows the op's name where the model ends before it, and where it passes by the model.
_END, _BY = ":end", ":by"
_DECODER = re.compile(r"(Decode|Encode)(And\w+)?(Jpeg|Png|Bmp|Gif|Image|WebP)")


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


def without_edges(options: Mapping[str, Any], without: Loaded) -> dict[str, Any]:
    """Return the changes of packed arguments that the model without its stages needs: inputs it has, no named outputs."""
    there = {i["name"] for i in without.inputs}
    given = [v for v in options.get("inputs") or () if v.get("name") in there]
    return {"inputs": given or None, "outputs": None}


def stage_finding(ours: Sequence[Finding], variant: Variant, graph: Graph, *, converts: bool) -> Finding:
    """Return the findings of the stages as one; graph: the model's main graph, converts: without the stages it does."""
    head = next((f for f in ours if f.culprits[0].op != "Placeholder"), ours[0])
    ours = sorted(ours, key=lambda f: f is not head)
    culprits = tuple(c for f in ours for c in f.culprits)
    of, cause, to_do = _told(culprits, variant, graph)
    data = of == _DATA
    lacks = "no datasets" if data else "no strings, no lookup tables and no decoders of images"
    why = f"Core ML has {lacks}: a stage of {len(variant.blamed)} ops that {of} has to be the app's."
    if data:
        summary, code = f"{to_do}, with an input in its place, before you freeze or convert", _instead(culprits)
    else:
        summary = (
            f"{to_do}, and leave the stage to the app; --fix OUT.mlpackage makes it so, with the stage in its script"
        )
        code = None
    remedies = (Remedy("rewrite", summary, converts, code, past=not converts),)
    return replace(
        head, culprits=culprits, explanation=why, remedies=remedies, interaction=False, cause=cause,
        places=tuple(p for f in ours for p in (f.places or (tuple(c.name for c in f.culprits),))),
    )  # fmt: skip


def _instead(culprits: Sequence[Culprit]) -> str:
    """The lines that put an input in the place of what hands the data on."""
    name = next((c.name for c in culprits if c.op.startswith("IteratorGetNext")), culprits[0].name)
    return placeholder_code(name)


def _told(culprits: Sequence[Culprit], variant: Variant, graph: Graph) -> tuple[str, str, str]:
    """What the stage does, the cause, and what to do."""
    kinds = list(dict.fromkeys(c.op for c in culprits if c.op != "Placeholder")) or ["strings"]
    what = f"{', '.join(kinds[:_LISTED])}{', ...' * (len(kinds) > _LISTED)}"
    images = any(_DECODER.match(k) for k in kinds)
    starts = [_spelt(graph, name) for name in variant.about if not name.endswith((_END, _BY))]
    past = [unwrapped(name.removesuffix(_BY)) for name in variant.about if name.endswith(_BY)]
    ends = [_spelt_read(graph, name.removesuffix(_END), variant) for name in variant.about if name.endswith(_END)]
    of = "decodes images" if images else _DATA if any(map(_FEEDS.match, kinds)) else "works with strings and tables"
    stands = " and ".join(["in front of"] * bool(starts) + ["behind"] * bool(ends))
    edges = " and ".join(filter(None, (_where("starts at", starts), _where("ends at", ends))))
    cause = f"a stage that {of} ({what}) stands {stands} the model, which {edges}" if edges else ""
    passing = (
        f"what {listed(past[:_LISTED])} hands on passes by the model, which computes nothing with it" if past else ""
    )
    cause = "; ".join(filter(None, (cause, passing)))
    kept = f"leave {listed(past[:_LISTED])} out of it, which the app has already" if past else ""
    to_do = " and ".join(filter(None, (_where("start the model at", starts), _where("end it at", ends), kept)))
    return of, cause, to_do


def _where(words: str, names: list[str]) -> str:
    return f"{words} {listed(names[:_LISTED])}" if names else ""


def _spelt(graph: Graph, name: str) -> str:
    """The result of an op at which the model starts, that of the number behind its name or the first."""
    op, _, number = name.rpartition(":") if name not in graph.ops else (name, "", "0")
    made = graph.ops[op].outputs if op in graph.ops else ()
    behind = f":{number}" if number != "0" else ""
    return f"{unwrapped(op)}{behind} ({_kind(made[int(number)])})" if int(number) < len(made) else name


def _spelt_read(graph: Graph, name: str, variant: Variant) -> str:
    """What the first op of a stage at the end reads of the model."""
    read = [graph.tensors[t] for t in graph.ops[name].inputs if t in graph.tensors] if name in graph.ops else []
    kept = [t for t in read if t.op not in variant.blamed and not graph.ops[t.op].constant and t.dtype != "resource"]
    return f"{unwrapped(kept[0].op)} ({_kind(kept[0])})" if kept else name


def _kind(tensor: Tensor) -> str:
    shape = "x".join("?" if s is None else str(s) for s in tensor.shape or ())
    return f"{tensor.dtype} {shape}".strip()
