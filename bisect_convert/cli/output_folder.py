"""The folder of --out, or of another option: checked before the work starts, and filled with all files or none."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bisect_convert.cli.whole_files import write_all
from bisect_convert.errors import UsageError

if TYPE_CHECKING:
    from bisect_convert.report.report import Report

__all__ = ["fill", "made", "place"]

_REPORTS = {"report.json": "json", "report.html": "html", "report.md": "markdown"}
_OF_A_FINDING = frozenset({"section.pb", "repro.py", "finding.json", "issue.md"})


@contextlib.contextmanager
def made(path: str, option: str = "--out") -> Iterator[Path]:
    """Make the folder, raising UsageError where nothing can be written there; take it away again if it stays empty."""
    missing = _missing(path)
    try:
        try:
            os.makedirs(path, exist_ok=True)
            tempfile.TemporaryFile(dir=path).close()
        except OSError as error:
            reason = "it is a file" if os.path.isfile(path) else error.strerror or error
            raise UsageError(f"{option} {path or repr(path)} cannot be written: {reason}") from error
        yield Path(path)
    finally:
        _remove_empty(missing)


def fill(out: Path, report: Report, staged: Path | None = None) -> Report:
    """Write the report and what stands in `staged`, the findings' folders; returns the report as it is written.

    All of them or, where OSError is raised, none.
    """
    from bisect_convert.render import render

    report, files = _moved(out, report, staged)
    files |= {name: render(report, kind).encode("utf-8", "backslashreplace") for name, kind in _REPORTS.items()}
    place(out, files, len(report.findings))
    return report


def place(out: Path, files: Mapping[str, bytes], findings: int) -> None:
    """Write the files of a report with so many findings, by their names, and remove those that an earlier run had more.

    Each is complete beside its place before the first takes it; raises OSError, and then nothing has changed.
    """
    write_all({out / name: data for name, data in files.items()})
    _remove_old(out, findings)


def _moved(out: Path, report: Report, staged: Path | None) -> tuple[Report, dict[str, bytes]]:
    """The report with its repros where they will be, and the files of its findings."""
    files: dict[str, bytes] = {}
    whole = {Path(f.repro).parent.name for f in report.findings if f.repro is not None}
    for path in sorted(staged.glob("finding-*/*")) if staged is not None else ():
        if path.parent.name not in whole:
            continue
        data = path.read_bytes()
        name = f"{path.parent.name}/{path.name}"
        if path.name == "finding.json":
            facts = {**json.loads(data), "repro": str(out / path.parent.name / "repro.py")}
            data = (json.dumps(facts, indent=2) + "\n").encode()
        files[name] = data
    findings = [
        f if f.repro is None else replace(f, repro=str(out / Path(f.repro).parent.name / "repro.py"))
        for f in report.findings
    ]  # fmt: skip
    return replace(report, findings=tuple(findings)), files


def _remove_old(out: Path, findings: int) -> None:
    for folder in out.glob("finding-*"):
        number = re.fullmatch(r"finding-(\d+)", folder.name)
        if number is None or int(number[1]) <= findings:
            continue
        with contextlib.suppress(OSError):
            for name in _OF_A_FINDING & set(os.listdir(folder)):
                (folder / name).unlink()
            folder.rmdir()


def _remove_empty(folders: list[str]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _missing(path: str) -> list[str]:
    """The folders that `os.makedirs` will make, innermost first."""
    path = os.path.abspath(path)
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing
