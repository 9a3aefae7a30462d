"""The report: the data that every rendering reads, and its JSON form ("bisect-convert/1") both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

__all__ = [
    "SCHEMA", "SLOW", "Context", "Culprit", "Enclosing", "Finding", "Passes", "Probe", "Remedy", "Report", "TensorFact",
    "Witness", "finding_to_json",
]  # fmt: skip

SCHEMA = "bisect-convert/1"
#: The error type of a finding that is no failure.
SLOW = "Slow"


@dataclass(frozen=True)
class TensorFact:
    """A tensor as reports show it; `shape` has None for an unknown dimension and is None for an unknown rank."""

    tensor: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Culprit:
    """One op to blame: where it is and what it reads and makes."""

    name: str
    op: str
    function: str | None = None
    layer: str | None = None
    source: str | None = None
    inputs: tuple[TensorFact, ...] = ()
    outputs: tuple[TensorFact, ...] = ()


@dataclass(frozen=True)
class Enclosing:
    """A call that a culprit sits in; `kind` is one of loop_body, loop_cond, then, else, branch, call."""

    op: str
    name: str
    function: str
    kind: str


@dataclass(frozen=True)
class Context:
    """Where in the graph a culprit sits: its role, the fork and join around it, the arms between them."""

    role: str = "trunk"
    fork: str | None = None
    join: str | None = None
    arms: tuple[tuple[str, ...], ...] = ()
    enclosing: tuple[Enclosing, ...] = ()


@dataclass(frozen=True)
class Witness:
    """The smallest failing section found; `minimal`: each removal was probed; `confirmed`: probed afresh, true weights.

    `edges` joins its ops as (from, to), so that it can be drawn.
    """

    ops: tuple[str, ...] = ()
    inputs: tuple[TensorFact, ...] = ()
    outputs: tuple[TensorFact, ...] = ()
    minimal: bool = False
    confirmed: bool = False
    edges: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remedy:
    """What would make it convert; `verified` only where a probe converted with it."""

    kind: str
    summary: str
    verified: bool = False
    code: str | None = None


@dataclass(frozen=True)
class Passes:
    """Whether a failure needs no other pass than the one that fails, else a 1-minimal set of earlier ones, in order."""

    alone: bool
    needed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One failure and what is to blame for it. No culprits: the call or the model as a whole is at fault, no op.

    >>> finding = s.hunt().findings[0]
    >>> finding.stage, finding.error_type, finding.culprits[0].op, finding.witness.ops, finding.context.role
    ('lowering', 'NotImplementedError', 'Erfc', ('act/Erfc',), 'main_arm')
    >>> [remedy.verified for remedy in finding.remedies]
    [True, False]
    """

    stage: str
    pass_name: str | None
    error_type: str
    error_message: str
    culprits: tuple[Culprit, ...]
    context: Context = Context()
    witness: Witness = Witness()
    explanation: str = ""
    remedies: tuple[Remedy, ...] = ()
    repro: str | None = None
    interaction: bool = False
    """True where the culprits fail only together; else each of them fails alone, in the same way."""
    passes: Passes | None = None
    """For a failure in a pass of the pipeline or behind it, where that was asked."""

    @property
    def slow(self) -> bool:
        """True where it is no failure, but where the time of a conversion goes.

        >>> s.hunt().findings[0].slow
        False
        """
        return self.error_type == SLOW

    def _repr_html_(self) -> str:
        from bisect_convert.render.notebook import card

        return card(self)

    def _repr_svg_(self) -> str | None:
        from bisect_convert.render.notebook import picture

        return picture(self) or None


@dataclass(frozen=True)
class Probe:
    """One line of the journal: which question was asked, of how many ops, and what came back."""

    question: str
    ops: int
    verdict: str
    detail: str
    cached: bool
    seconds: float


@dataclass(frozen=True)
class Report:
    """All that one run found out about a model; printed it is the text of the command.

    >>> report = s.hunt()
    >>> report.verdict, report.complete, report.ops, len(report.findings)
    ('fails', True, 7, 1)
    >>> print(str(report).splitlines()[0].rpartition("/")[2])
    model.pb does not convert: 1 finding, and that is all
    """

    path: str
    signature: str | None
    ops: int
    functions: int
    digest: str
    coremltools: str
    tensorflow: str
    options: Mapping[str, Any]
    verdict: str
    complete: bool
    findings: tuple[Finding, ...] = ()
    asked: int = 0
    cached: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    journal: tuple[Probe, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 converts, 1 fails with findings, 3 inconclusive.

        >>> s.hunt().exit_code
        1
        """
        return {"converts": 0, "fails": 1}.get(self.verdict, 3)

    def __str__(self) -> str:
        from bisect_convert.render.text import text

        return text(self).rstrip("\n")

    def _repr_html_(self) -> str:
        from bisect_convert.render.notebook import frame

        return frame(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data in the schema "bisect-convert/1".

        >>> s.hunt().to_json()["findings"][0]["culprits"][0]["name"]
        'act/Erfc'
        """
        return {
            "schema": SCHEMA,
            "model": {
                "path": self.path, "signature": self.signature, "ops": self.ops, "functions": self.functions,
                "digest": self.digest,
            },
            "converter": {
                "coremltools": self.coremltools, "tensorflow": self.tensorflow, "options": dict(self.options),
            },
            "verdict": self.verdict,
            "complete": self.complete,
            "findings": [finding_to_json(f) for f in self.findings],
            "probes": {"asked": self.asked, "cached": self.cached},
            "seconds": dict(self.seconds),
            "notes": list(self.notes),
            "journal": [asdict(p) for p in self.journal],
        }  # fmt: skip

    def dumps(self) -> str:
        """Return the report as JSON text.

        >>> Report.from_json(json.loads(report.dumps())) == report
        True
        """
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """Restore a report from `to_json`; raises ValueError for another schema.

        >>> Report.from_json(report.to_json()) == report
        True
        """
        if data.get("schema") != SCHEMA:
            raise ValueError(f"no report of schema {SCHEMA}: {data.get('schema')!r}")
        model, converter = data["model"], data["converter"]
        return cls(
            path=model["path"], signature=model["signature"], ops=model["ops"], functions=model["functions"],
            digest=model["digest"], coremltools=converter["coremltools"], tensorflow=converter["tensorflow"],
            options=converter["options"], verdict=data["verdict"], complete=data["complete"],
            findings=tuple(_finding_from_json(f) for f in data["findings"]),
            asked=data["probes"]["asked"], cached=data["probes"]["cached"], seconds=data["seconds"],
            notes=tuple(data.get("notes", ())), journal=tuple(Probe(**p) for p in data.get("journal", ())),
        )  # fmt: skip


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return one finding as plain data, as it stands in a report."""
    return {
        "stage": finding.stage,
        "pass": finding.pass_name,
        "error": {"type": finding.error_type, "message": finding.error_message},
        "culprits": [asdict(c) for c in finding.culprits],
        "interaction": finding.interaction,
        "context": asdict(finding.context),
        "witness": asdict(finding.witness),
        "explanation": finding.explanation,
        "remedies": [asdict(r) for r in finding.remedies],
        "repro": finding.repro,
        "passes": None if finding.passes is None else asdict(finding.passes),
    }


def _facts(rows: Any) -> tuple[TensorFact, ...]:
    return tuple(
        TensorFact(r["tensor"], r["dtype"], None if r["shape"] is None else tuple(r["shape"])) for r in rows
    )  # fmt: skip


def _finding_from_json(data: Mapping[str, Any]) -> Finding:
    def culprit(c: Mapping[str, Any]) -> Culprit:
        return Culprit(**{**c, "inputs": _facts(c["inputs"]), "outputs": _facts(c["outputs"])})

    context = data["context"]
    witness = data["witness"]
    passes = data.get("passes")
    return Finding(
        data["stage"], data["pass"], data["error"]["type"], data["error"]["message"],
        tuple(culprit(c) for c in data["culprits"]),
        Context(
            context["role"], context["fork"], context["join"], tuple(tuple(a) for a in context["arms"]),
            tuple(Enclosing(**e) for e in context["enclosing"]),
        ),
        Witness(
            tuple(witness["ops"]), _facts(witness["inputs"]), _facts(witness["outputs"]), witness["minimal"],
            witness["confirmed"], tuple((a, b) for a, b in witness.get("edges", ())), tuple(witness.get("types", ())),
        ),
        data["explanation"],
        tuple(Remedy(**{f.name: r[f.name] for f in fields(Remedy)}) for r in data["remedies"]),
        data["repro"],
        bool(data.get("interaction", False)),
        None if passes is None else Passes(bool(passes["alone"]), tuple(passes["needed"])),
    )  # fmt: skip
