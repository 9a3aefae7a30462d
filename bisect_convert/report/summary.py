"""What came of many models in one run: a row each, and the causes that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bisect_convert.report.report import Report

__all__ = ["CauseRow", "ModelRow", "Summary", "row_of", "rows_of"]

#: The schema of summary.json.
_SCHEMA = "bisect-convert-summary/1"


@dataclass(frozen=True)
class ModelRow:
    """One model: its verdict ("converts", "fails", "differs", "inconclusive", or "unread" with why), and the causes found.

    causes: by their words, at how many places; helped: those with a remedy that was verified. seconds: of the whole run.
    """

    model: str
    verdict: str
    causes: Mapping[str, int]
    helped: tuple[str, ...] = ()
    complete: bool = False
    folder: str | None = None
    seconds: float = 0.0
    why: str | None = None
    key: str = ""
    """Of the model's files, the command's words and what is installed: the row holds for as long as none of them changes."""


@dataclass(frozen=True)
class CauseRow:
    """One cause: in how many models and at how many places, and in how many of them a remedy was verified."""

    cause: str
    models: tuple[str, ...]
    places: int
    helped: int


@dataclass(frozen=True)
class Summary:
    """All models of a run, in the order in which they were given."""

    rows: tuple[ModelRow, ...]

    @property
    def causes(self) -> tuple[CauseRow, ...]:
        """The causes, those of most models first."""
        found: dict[str, list[ModelRow]] = {}
        for row in self.rows:
            for cause in row.causes:
                found.setdefault(cause, []).append(row)
        made = [
            CauseRow(
                cause, tuple(r.model for r in rows), sum(r.causes[cause] for r in rows), sum(cause in r.helped for r in rows)
            )
            for cause, rows in found.items()
        ]  # fmt: skip
        return tuple(sorted(made, key=lambda c: (-len(c.models), -c.places, c.cause)))

    @property
    def exit_code(self) -> int:
        """0 where all convert and compute the same, 1 where one has findings, else 3: one could not be judged."""
        verdicts = {row.verdict for row in self.rows}
        return 1 if verdicts & {"fails", "differs"} else 0 if verdicts <= {"converts"} else 3

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, the causes included."""
        return {
            "schema": _SCHEMA,
            "models": [asdict(row) for row in self.rows],
            "causes": [asdict(row) for row in self.causes],
        }


def row_of(model: str, report: Report, folder: str | None, seconds: float) -> ModelRow:
    """Return the row of a model with this report."""
    causes: dict[str, int] = {}
    helped = []
    for finding in report.findings:
        ops = " + ".join(dict.fromkeys(c.op for c in finding.culprits))
        cause = finding.cause or f"{finding.stage}: {ops or finding.error_type}"
        causes[cause] = causes.get(cause, 0) + max(1, len(finding.places))
        helped += [cause] if any(remedy.verified for remedy in finding.remedies) else []
    why = report.notes[0] if report.verdict == "inconclusive" and report.notes else None
    return ModelRow(model, report.verdict, causes, tuple(dict.fromkeys(helped)), report.complete, folder, seconds, why)


def rows_of(data: Mapping[str, Any]) -> list[ModelRow]:
    """Return the rows of a summary's plain data; raises KeyError, TypeError or ValueError for what is none."""
    if data["schema"] != _SCHEMA:
        raise ValueError(data["schema"])
    return [ModelRow(**{**row, "helped": tuple(row["helped"])}) for row in data["models"]]
