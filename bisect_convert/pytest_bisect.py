"""What the parts of the pytest plugin share: one set of workers a run, and where reports go.

What bisecting needs is imported when there is something to bisect: most runs have nothing.
"""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bisect_convert.errors import BisectConvertError, Stopped
from bisect_convert.pytest_plugin import BISECTING

if TYPE_CHECKING:
    from bisect_convert.report import Report
    from bisect_convert.workers import Workers

__all__ = ["Bisecting", "bisecting", "culprits", "short"]

_FILES = {"report.txt": "text", "report.json": "json", "report.md": "markdown", "report.html": "html"}


def bisecting(config: pytest.Config) -> Bisecting:
    """Return the one of this pytest run."""
    if BISECTING not in config.stash:
        config.stash[BISECTING] = Bisecting(config)
    return config.stash[BISECTING]


def short(report: Report) -> str:
    """Return the report as a failure's message, without what concerns the command alone."""
    from bisect_convert.render.text import text

    width = min(max(shutil.get_terminal_size((100, 24)).columns, 80), 120)
    return text(report, width, outlook=False).rstrip("\n")


def culprits(report: Report) -> tuple[str, ...]:
    """Return the culprits as `Op name`, or as `Op name in function`; for a failure without any, its stage and error."""
    found: dict[str, None] = {}
    for finding in report.findings:
        if not finding.culprits:
            found[f"{finding.stage} {finding.error_type}"] = None
        for culprit in finding.culprits:
            where = f" in {re.sub(r'_[0-9]+', '', culprit.function)}" if culprit.function else ""
            found[f"{culprit.op} {culprit.name}{where}"] = None
    return tuple(found)


class Bisecting:
    """Bisects for the tests of one pytest process; its workers start with the first model."""

    def __init__(self, config: pytest.Config) -> None:
        self._out = config.getoption("bisect_convert_out")
        self._root = config.invocation_params.dir
        self._workers: Workers | None = None
        self._written: set[Path] = set()

    @property
    def workers(self) -> Workers:
        """The workers, started when they are first asked for."""
        if self._workers is None:
            from bisect_convert.workers import Workers

            self._workers = Workers()
        return self._workers

    def close(self) -> None:
        """End the workers."""
        if self._workers is not None:
            self._workers.close()

    def find(self, model: Any, convert_kwargs: Mapping[str, Any]) -> Report:
        """Return the report on the model; an interrupt stays one."""
        from bisect_convert.finder import find

        return self.interruptible(lambda: find(model, workers=self.workers, **convert_kwargs))

    def interruptible(self, work: Callable[[], Report]) -> Report:
        """Do the work; where Ctrl-C stops it, pytest is to hear of that."""
        try:
            return work()
        except Stopped:
            raise KeyboardInterrupt from None

    def check(self, node: pytest.Item, model: Any, convert_kwargs: Mapping[str, Any]) -> Report:
        """Return the report of a model that converts; fail the test with it where it does not."""
        __tracebackhide__ = True
        try:
            report, fault = self.find(model, convert_kwargs), ""
        except BisectConvertError as error:
            report, fault = None, str(error)
        if report is None:  # not where the error is handled: pytest would show it as the failure's context
            pytest.fail(fault, pytrace=False)
        node.user_properties += self.kept(node.nodeid, report)
        if report.verdict != "converts":
            pytest.fail(short(report), pytrace=False)
        return report

    def kept(self, nodeid: str, report: Report) -> list[tuple[str, str]]:
        """Write the report's files, if that is asked for, and return the test's properties (which JUnit XML takes)."""
        from bisect_convert.render import render

        made = [("bisect_convert_verdict", report.verdict), ("bisect_convert_culprits", "; ".join(culprits(report)))]
        if report.verdict != "converts":
            made.append(("bisect_convert_report", render(report, "text")))
        if self._out is not None:
            made.append(("bisect_convert_files", str(self._write(nodeid, report))))
        return made

    def _write(self, nodeid: str, report: Report) -> Path:
        folder = self._unused(Path(self._root, self._out), re.sub(r"[^\w.=-]+", "-", nodeid).strip("-.")[-150:])
        from bisect_convert.render import render

        for name, format in _FILES.items():
            (folder / name).write_text(render(report, format), encoding="utf-8", errors="backslashreplace")
        return folder

    def _unused(self, parent: Path, name: str) -> Path:
        """Make a folder of that name, or with a number behind it where another report of this run has taken it."""
        for number in itertools.count(1):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            if folder not in self._written:
                break
        self._written.add(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
