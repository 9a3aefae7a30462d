"""Ask for a comparison of original and converted model, and make findings of what comes back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bisect_convert.explain.case import culprit_of, fact_of
from bisect_convert.explain.surroundings import surrounded
from bisect_convert.explain.training import drawn_in_training
from bisect_convert.model.cuts import Section
from bisect_convert.model.graph import Model
from bisect_convert.model.names import in_core_ml
from bisect_convert.numbers.words import advice, why
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import NUMBERS, Context, Culprit, Finding, Remedy, Witness
from bisect_convert.report.numbers import Compression, Headroom, Numbers, OutputDistance
from bisect_convert.report.plain import restored

__all__ = ["Compared", "compared"]

_BY_PRECISION = frozenset({"overflow", "underflow", "precision"})
#: Of so many ops that must be kept in float32 one can say that they are at fault together.
_TOGETHER = 8


@dataclass(frozen=True)
class Compared:
    """What came of it; failed: the model does not convert with its true weights, so that nothing is known."""

    numbers: Numbers | None
    findings: tuple[Finding, ...] = ()
    failed: str | None = None


def compared(
    prober: Prober,
    samples: str,
    said: str,
    tolerance: float | None = None,
    against: str | None = None,
    *,
    section: Section | None = None,
) -> Compared:
    """Return how far the converted model is from its original, with a finding for each kind of op at fault.

    section: compare only this part of the model. samples: as `numbers.samples.chosen` gives them;
    said: the same in words, for the report.
    """
    answer = prober.errands.numbers(section, samples, dict(prober.options), tolerance, against)
    if "failed" in answer:
        return Compared(None, failed=str(answer["failed"]))
    if "not_compared" in answer:
        none = Numbers(
            "evaluator", "", said, 0, tolerance or 0.0, not_compared=(str(answer["not_compared"]),), against=against
        )
        return Compared(none)
    room = answer["headroom"]
    numbers = Numbers(
        answer.get("by", "evaluator"), answer["precision"], said, answer["samples"], answer["tolerance"],
        tuple(OutputDistance(**o) for o in answer["outputs"]), None if room is None else _headroom(prober.model, room),
        against=against, device=answer.get("device", ""),
        not_compared=(str(answer["ties"]),) if "ties" in answer else (),
        compression=None if answer.get("compression") is None else restored(Compression, answer["compression"]),
    )  # fmt: skip
    if answer["agrees"]:
        return Compared(numbers)
    return Compared(numbers, tuple(_findings(prober.model, answer)))


def _headroom(model: Model, room: Mapping[str, Any]) -> Headroom:
    """The same with the model's op that the value of the program is named after, where there is one."""
    plain = re.sub(r"(_to_fp16|_cast_fp16)$", "", room["op"])
    name = next((op for op in model.main.ops if in_core_ml(op) == plain), plain)
    return Headroom(name, room["reached"], room["limit"])


def _findings(model: Model, answer: Mapping[str, Any]) -> Iterable[Finding]:
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for cause in answer["causes"]:
        groups.setdefault((cause["type"], cause["kind"]), []).append(cause)
    for (op, kind), causes in groups.items():
        found = _finding(model, kind, causes, _remedies(answer, op, kind, {c["op"] for c in causes}))
        if kind == "random":
            cause, remedy = drawn_in_training(found.culprits[0].layer or "", op)
            found = replace(found, cause=cause, remedies=(remedy,))
        elif kind == "overflow" and " reads the constant " in found.error_message:
            found = replace(found, cause=found.error_message)  # what is to be changed stands in it, and in no op's name
        yield found
    if not groups:
        kept = [t.rpartition(":")[0].rpartition(" ") for r in answer["remedies"] for t in r["kept"]]
        together = (
            [{"function": f, "op": op, "type": "", "confirmed": False} for f, _, op in kept]
            if len(kept) <= _TOGETHER
            else []
        )
        kind = answer.get("kind") or ("precision" if answer["precision"] == "float16" else "converter")
        message = answer.get("message", "no op by itself makes the outputs differ, together they do")
        tried = [_remedy(r) for r in answer["remedies"]]
        yield _finding(model, kind, [{**c, "message": message} for c in together], tried, message)


def _remedies(answer: Mapping[str, Any], op: str, kind: str, at: set[str]) -> list[Remedy]:
    """What was tried for these ops, or for all; and what is known to help, where no rewrite was."""
    tried = [_remedy(r) for r in answer["remedies"] if kind in _BY_PRECISION and r.get("op") in (None, *at)]
    known = [] if any(r.kind == "rewrite" for r in tried) else advice(op, kind)
    return [*tried, *known]


def _remedy(tried: Mapping[str, Any]) -> Remedy:
    return Remedy(tried["kind"], tried["summary"], tried["verified"], tried["code"])


def _finding(
    model: Model, kind: str, causes: list[Any], remedies: Iterable[Remedy], message: str | None = None
) -> Finding:
    names = [c["op"] for c in causes]
    at = [(c["function"], c["op"]) for c in causes]
    first = next((one for one in at if one[0] in model.graphs and one[1] in model.graphs[one[0]].order), None)
    return Finding(
        stage=NUMBERS, pass_name=None, error_type=kind, error_message=message or causes[0]["message"],
        culprits=tuple(_culprit(model, c) for c in causes),
        context=Context() if first is None else surrounded(model, *first),
        witness=Witness() if first is None or message else _witness(model, first, bool(causes[0]["confirmed"])),
        explanation=why(kind), remedies=tuple(remedies), interaction=bool(message) and len(names) > 1, passes=None,
        repro=None, places=(tuple(names),) if message else tuple((name,) for name in names),
        cause="the package is no conversion of this model" if kind == "package" else "",
    )  # fmt: skip


def _culprit(model: Model, cause: Mapping[str, Any]) -> Culprit:
    """The op as reports show it; one that reads constants alone is none of the graph's, which has it with its readers."""
    name, graph = cause["op"], model.graphs.get(cause["function"])
    return culprit_of(graph, name) if graph is not None and name in graph.ops else Culprit(name, cause["type"])


def _witness(model: Model, at: tuple[str, str], confirmed: bool) -> Witness:
    """The op by itself, converted alone and evaluated on the original's own inputs."""
    graph, name = model.graphs[at[0]], at[1]
    ops = frozenset({name})
    return Witness(
        ops=(name,), inputs=tuple(fact_of(t) for t in graph.entering(ops)),
        outputs=tuple(fact_of(t) for t in graph.leaving(ops)), minimal=True, confirmed=confirmed,
        types=(graph.ops[name].type,),
    )  # fmt: skip
