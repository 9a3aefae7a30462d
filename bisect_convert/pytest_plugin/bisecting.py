"""What the parts of the pytest plugin share: one set of workers a run, and where reports go.

What bisecting needs is imported when there is something to bisect: most runs have nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bisect_convert.errors import BisectConvertError, Stopped, UsageError
from bisect_convert.pytest_plugin import BISECTING
from bisect_convert.render.names import harmless

if TYPE_CHECKING:
    from bisect_convert.probe.client import Workers
    from bisect_convert.report.report import Report

__all__ = ["Bisecting", "Properties", "bisecting", "culprit_in_short", "culprits", "short"]

Properties = list[tuple[str, str]]


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


def culprit_in_short(report: Report) -> str:
    """Return the first cause, or culprit with its layer, as a summary of tests has room for; "" where nothing is to blame."""
    if report.findings and report.findings[0].cause:
        return harmless(report.findings[0].cause) + _more(report)
    culprit = next((c for f in report.findings for c in f.culprits), None)
    if culprit is None:
        return ""
    at = f"layer {culprit.layer}" if culprit.layer else culprit.name
    return harmless(f"{culprit.op} at {at}") + _more(report)


def _more(report: Report) -> str:
    more = len(report.findings) - 1
    return f" and {more} more finding{'s' * (more != 1)}" if more else ""


class Bisecting:
    """Bisects for the tests of one pytest process; its workers start with the first model."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._out = config.getoption("bisect_convert_out")
        self._root = config.invocation_params.dir
        self._workers: Workers | None = None
        self._written: set[Path] = set()
        self._note = ""

    @property
    def workers(self) -> Workers:
        """The workers, started when they are first asked for."""
        if self._workers is None:
            from bisect_convert.probe.client import Workers

            self._workers = Workers()
        return self._workers

    @cached_property
    def cache(self) -> Path | None:
        """Where outcomes are kept for later runs: the user's own folder, or nowhere."""
        if self._config.getoption("bisect_convert_no_cache"):
            return None
        from bisect_convert.probe.cache import Cache, user_folder

        folder = user_folder()
        try:
            Cache(folder)
        except UsageError:  # a home that cannot be written, as on some build machines, must fail no test
            self._note = f"outcomes are not kept for later runs: {folder} cannot be written"
            return None
        return folder

    def close(self) -> None:
        """End the workers."""
        if self._workers is not None:
            self._workers.close()

    def find(self, nodeid: str, model: Any, arguments: Mapping[str, Any]) -> tuple[Report, Properties]:
        """Return what `find` reports with these arguments, and the test's properties; an interrupt stays one."""
        from bisect_convert.diagnose.find import find

        ours: dict[str, Any] = {"cache": self.cache or False}
        if not arguments.keys() & {"workers", "executor"}:
            ours["workers"] = self.workers
        return self.bisected(nodeid, lambda out: find(model, **{**ours, "out": out, **arguments}))

    def bisected(self, nodeid: str, search: Callable[[Path | None], Report]) -> tuple[Report, Properties]:
        """Return what the search reports, its files written if that is asked for, and the test's properties.

        search: gets the folder where each finding is to have one. JUnit XML takes the properties.
        """
        with tempfile.TemporaryDirectory(prefix="bisect-convert-") if self._out else contextlib.nullcontext() as folder:
            staged = None if folder is None else Path(folder)
            try:
                with self._quiet():
                    report = search(staged)
            except Stopped as stop:
                if isinstance(stop.__context__, KeyboardInterrupt) or stop.report is None:
                    raise KeyboardInterrupt from None  # pytest is to hear of Ctrl-C
                report = stop.report
            if self._note:
                report = replace(report, notes=(*report.notes, self._note))
            files: Properties = []
            if staged is not None:
                try:
                    report, written = self._write(nodeid, report, staged)
                    files = [("bisect_convert_files", str(written))]
                except (OSError, UsageError) as error:
                    report = replace(report, notes=(*report.notes, f"its files could not be written: {error}"))
        return report, [*_properties(report), *files]

    def fixed(self, node: pytest.Item, model: Any, arguments: Mapping[str, Any]) -> Any:
        """Return the MLModel that the model converts to, with edits where it needs them; fail the test where none helps."""
        __tracebackhide__ = True
        from bisect_convert.fix.convert import NotConverted, convert

        try:
            with self._quiet():
                return convert(model, **arguments)
        except NotConverted as error:
            node.user_properties += _properties(error.report)
            fault = _failing(error.report)
        except BisectConvertError as error:
            fault = str(error)
        pytest.fail(fault, pytrace=False)

    def check(self, node: pytest.Item, model: Any, arguments: Mapping[str, Any]) -> Report:
        """Return the report of a model that converts; fail the test with it where it does not."""
        __tracebackhide__ = True
        try:
            found, fault = self.find(node.nodeid, model, arguments), ""
        except BisectConvertError as error:
            found, fault = None, str(error)
        if found is None:  # not where the error is handled: pytest would show it as the failure's context
            pytest.fail(fault, pytrace=False)
        report, properties = found
        node.user_properties += properties
        if report.verdict != "converts":
            pytest.fail(_failing(report), pytrace=False)
        return report

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """Keep what TensorFlow prints while it reads a model out of the test's results, unless all is to be shown (-s)."""
        if self._config.getoption("capture") == "no":
            yield
            return
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(ValueError, AttributeError, OSError):
                stream.flush()  # type: ignore[union-attr]
        with contextlib.ExitStack() as undone, open(os.devnull, "w") as nowhere:
            for number in (1, 2):
                with contextlib.suppress(OSError):  # it may be closed
                    kept = os.dup(number)
                    undone.callback(os.close, kept)
                    undone.callback(os.dup2, kept, number)
                    os.dup2(nowhere.fileno(), number)
            with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
                yield

    def _write(self, nodeid: str, report: Report, staged: Path) -> tuple[Report, Path]:
        from bisect_convert.cli import output_folder
        from bisect_convert.render import render

        name = re.sub(r"[^\w.=-]+", "-", nodeid).strip("-.")[-150:]
        folder = self._unused(Path(os.path.abspath(self._root / self._out)), name)
        report = output_folder.fill(folder, report, staged)
        (folder / "report.txt").write_text(render(report, "text"), encoding="utf-8", errors="backslashreplace")
        return report, folder

    def _unused(self, parent: Path, name: str) -> Path:
        """Make a folder of that name, or with a number behind it where another report of this run has taken it."""
        for number in itertools.count(1):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            if folder not in self._written:
                break
        self._written.add(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _failing(report: Report) -> str:
    """The report behind its culprit: the summary of tests shows the first line alone."""
    cause = culprit_in_short(report)
    return f"{cause}: {short(report)}" if cause else short(report)


def _properties(report: Report) -> Properties:
    from bisect_convert.render.text import text

    made = [("bisect_convert_verdict", report.verdict), ("bisect_convert_culprits", "; ".join(culprits(report)))]
    return made if report.verdict == "converts" else [*made, ("bisect_convert_report", text(report, outlook=False))]
