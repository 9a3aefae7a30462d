"""Findings and reports as plain data in the schema "bisect-convert/1", and back."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from bisect_convert.report.findings import Context, Culprit, Finding, Passes, Remedy, Witness
from bisect_convert.report.fix import Fix
from bisect_convert.report.numbers import Numbers
from bisect_convert.report.questions import Probe
from bisect_convert.report.times import Times

__all__ = ["SCHEMA", "finding_to_dict", "report_from_dict", "report_to_dict", "restored"]

SCHEMA = "bisect-convert/1"
T = TypeVar("T")
_MODEL = ("path", "name", "signature", "ops", "functions", "digest")
_CONVERTER = ("coremltools", "tensorflow", "options", "call")


def report_to_dict(report: Any) -> dict[str, Any]:
    """Return the report as plain data."""
    return {
        "schema": SCHEMA,
        "model": {name: getattr(report, name) for name in _MODEL},
        "converter": {**{name: getattr(report, name) for name in _CONVERTER}, "options": dict(report.options)},
        "verdict": report.verdict,
        "complete": report.complete,
        "findings": [finding_to_dict(f) for f in report.findings],
        "fix": None if report.fix is None else asdict(report.fix),
        "numbers": None if report.numbers is None else asdict(report.numbers),
        "times": None if report.times is None else asdict(report.times),
        "probes": {"asked": report.asked, "cached": report.cached},
        "seconds": dict(report.seconds),
        "notes": list(report.notes),
        "journal": [{k: v for k, v in asdict(p).items() if k not in ("phase", "ahead")} for p in report.journal],
    }


def report_from_dict(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a report from `report_to_dict`."""
    return {
        **{name: data["model"][name] for name in _MODEL if name in data["model"]},
        **{name: data["converter"][name] for name in _CONVERTER if name in data["converter"]},
        "verdict": data["verdict"],
        "complete": data["complete"],
        "findings": tuple(_finding(f) for f in data["findings"]),
        "fix": None if data.get("fix") is None else restored(Fix, data["fix"]),
        "numbers": None if data.get("numbers") is None else restored(Numbers, data["numbers"]),
        "times": None if data.get("times") is None else restored(Times, data["times"]),
        "asked": data["probes"]["asked"],
        "cached": data["probes"]["cached"],
        "seconds": data["seconds"],
        "notes": tuple(data.get("notes", ())),
        "journal": tuple(restored(Probe, p) for p in data.get("journal", ())),
    }


def finding_to_dict(finding: Finding) -> dict[str, Any]:
    """Return one finding as plain data, as it stands in a report."""
    return {
        "stage": finding.stage,
        "pass": finding.pass_name,
        "error": {"type": finding.error_type, "message": finding.error_message},
        "culprits": [asdict(c) for c in finding.culprits],
        "places": [list(place) for place in finding.places],
        "interaction": finding.interaction,
        "context": asdict(finding.context),
        "witness": asdict(finding.witness),
        "cause": finding.cause,
        "explanation": finding.explanation,
        "remedies": [{k: v for k, v in asdict(r).items() if k != "changes"} for r in finding.remedies],
        "repro": finding.repro,
        "passes": None if finding.passes is None else asdict(finding.passes),
    }


def _finding(data: Mapping[str, Any]) -> Finding:
    passes = data.get("passes")
    return Finding(
        data["stage"], data["pass"], data["error"]["type"], data["error"]["message"],
        tuple(restored(Culprit, c) for c in data["culprits"]), restored(Context, data["context"]),
        restored(Witness, data["witness"]), data["explanation"], tuple(restored(Remedy, r) for r in data["remedies"]),
        data["repro"], bool(data.get("interaction", False)), None if passes is None else restored(Passes, passes),
        tuple(tuple(place) for place in data.get("places", ())), data.get("cause", ""),
    )  # fmt: skip


def restored(kind: type[T], data: Mapping[str, Any]) -> T:
    """Return the dataclass that `dataclasses.asdict` made plain, its tuples and dataclasses within as well.

    What the class does not have is left out, so that later versions may add to the data.

    >>> from bisect_convert.report.findings import TensorFact
    >>> restored(TensorFact, {"tensor": "x:0", "dtype": "float32", "shape": [1, None]})
    TensorFact(tensor='x:0', dtype='float32', shape=(1, None))
    """
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind) if f.name in data]  # type: ignore[arg-type]
    return kind(**{name: _value(hints[name], data[name]) for name in known})


def _value(hint: Any, value: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        hint = next((a for a in get_args(hint) if a is not type(None)), hint)
        return value if value is None else _value(hint, value)
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], item) for item in value)
    if get_origin(hint) is Mapping:
        return {key: _value(get_args(hint)[1], item) for key, item in value.items()}
    return restored(hint, value) if is_dataclass(hint) and isinstance(hint, type) else value
