"""The table at the top of a page: what of a finding was mended, and how equal the numbers were seen to be."""

from __future__ import annotations

from bisect_convert.report.findings import Finding
from bisect_convert.report.report import Report

__all__ = ["columns", "compared", "fixed"]


def columns(report: Report) -> tuple[str, ...]:
    """Return the columns that the findings of this report need beside those of every report: "Numbers", "Fix"."""
    numbers = any(compared(finding) for finding in report.findings)
    return (*["Numbers"] * numbers, *["Fix"] * (report.fix is not None))


def compared(finding: Finding) -> str:
    """Return how far the values of a verified remedy are from the op's own, or an empty string."""
    seen = (r.compared for r in finding.remedies if r.verified and r.compared)
    return next(seen, "").partition(" (")[0]


def fixed(report: Report, number: int) -> str:
    """Return what became of the finding with that number, counted from 1: "edited", "left to the app", "not fixed" or "-"."""
    if report.fix is None:
        return "-"
    if number in report.fix.remaining:
        return "not fixed"
    kinds = {edit.kind for edit in report.fix.edits if edit.finding == number}
    return "left to the app" if kinds == {"boundary"} else "edited" if kinds else "-"
