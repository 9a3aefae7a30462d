"""The report: the data that every rendering reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bisect_convert.report.findings import NUMBERS, Finding
from bisect_convert.report.fix import Fix
from bisect_convert.report.marked_graphs import MarkedGraph
from bisect_convert.report.model_map import Region
from bisect_convert.report.numbers import Numbers
from bisect_convert.report.plain import SCHEMA, report_from_dict, report_to_dict
from bisect_convert.report.questions import Probe
from bisect_convert.report.times import Times

__all__ = ["Report"]


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
    name: str = ""
    """What a model in memory calls itself, where it does."""
    call: str = ""
    """The lines that hand the model to `ct.convert`, as it was handed over here."""
    journal: tuple[Probe, ...] = ()
    fix: Fix | None = None
    """What came of editing the model until it converts, where that was asked for."""
    numbers: Numbers | None = None
    """How far the converted model is from the original, where that was asked for."""
    times: Times | None = None
    """Where the time of the conversion goes, where that was asked for."""
    map: Callable[[], Region] | None = field(default=None, compare=False, repr=False)
    """Makes the whole model as a page draws it; no part of the report's data."""
    graphs: Callable[[], tuple[MarkedGraph, ...]] | None = field(default=None, compare=False, repr=False)
    """Makes the graphs of the model, the main one first, as other programs draw them; no part of the report's data."""

    @property
    def exit_code(self) -> int:
        """0 converts, or what was written computes the same; 1 findings: it fails, or its numbers differ; 3 inconclusive.

        >>> s.hunt().exit_code
        1
        """
        if self.fix is not None:
            return 0 if self.fix.converted and not any(f.stage == NUMBERS for f in self.findings) else 1
        return {"converts": 0, "fails": 1, "differs": 1}.get(self.verdict, 3)

    def __str__(self) -> str:
        from bisect_convert.render.text import text

        return text(self).rstrip("\n")

    def _repr_html_(self) -> str:
        from bisect_convert.render.notebook import frame

        return frame(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data in the schema "bisect-convert/1".

        >>> s.hunt().to_dict()["findings"][0]["culprits"][0]["name"]
        'act/Erfc'
        """
        return report_to_dict(self)

    def to_json(self) -> str:
        """Return the report as JSON text.

        >>> Report.from_json(report.to_json()) == report
        True
        """
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, data: str | bytes | Mapping[str, Any]) -> Report:
        """Restore a report from `to_json`'s text or `to_dict`'s data; raises ValueError for what is neither.

        >>> Report.from_json(report.to_dict()) == report
        True
        """
        plain = json.loads(data) if isinstance(data, (str, bytes)) else data
        if not isinstance(plain, Mapping) or plain.get("schema") != SCHEMA:
            raise ValueError(f"no report of schema {SCHEMA}")
        return cls(**report_from_dict(plain))
