"""Models as tests: each one found by the globs is a test that passes while its culprits are the known ones."""

from __future__ import annotations

import glob
import json
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bisect_convert.cli.options import packed_options
from bisect_convert.errors import BisectConvertError, UsageError
from bisect_convert.pytest_plugin.bisecting import Properties, bisecting, culprits, short
from bisect_convert.pytest_plugin.known_failures import FILE, Expected, read, rewrite

if TYPE_CHECKING:
    from bisect_convert.report.report import Report

__all__ = ["ModelFile", "ModelItem", "Models"]

_FILES = {".pb", ".keras", ".h5", ".hdf5"}
_FOUND = "bisect_convert_known"


class Models:
    """The plugin behind `bisect_convert_models` and `--bisect-convert-models`."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        given, listed = config.getoption("bisect_convert_models"), config.getini("bisect_convert_models")
        base = config.inipath.parent if config.inipath else config.rootpath
        asked, usual = _found(given, config.invocation_params.dir), _found(listed, base)
        self._models = frozenset([*asked, *usual])
        self._told: dict[str, None] = {}
        self._failed = False
        for pattern in given:
            if not _found([pattern], config.invocation_params.dir):
                raise pytest.UsageError(f"--bisect-convert-models: no model is {pattern}")
        for pattern in listed:
            if not _found([pattern], base):
                told = pytest.PytestConfigWarning(f"bisect_convert_models: no model is {pattern}")
                try:
                    config.issue_config_time_warning(told, 2)
                except pytest.PytestConfigWarning:  # warnings are errors here
                    raise pytest.UsageError(str(told)) from None
        chosen = config.args_source is pytest.Config.ArgsSource.ARGS
        self._add(asked if chosen else [*asked, *usual])

    def _add(self, models: Iterable[Path]) -> None:
        """Have those collected that do not lie below what is collected anyway."""
        base = self._config.invocation_params.dir
        below = [(base / arg.partition("::")[0]).resolve() for arg in self._config.args]
        self._config.args += [str(m) for m in dict.fromkeys(models) if not any(m.is_relative_to(b) for b in below)]

    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Take a model's folder for a file of tests."""
        return self._collected(path, parent)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Take a model's file for a file of tests."""
        return self._collected(file_path, parent)

    def _collected(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if path.resolve() not in self._models:
            return None
        made: pytest.Collector = ModelFile.from_parent(parent, path=path)
        return made

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Rewrite the list of known culprits, in the one process that hears of every test."""
        if report.when != "call" or hasattr(self._config, "workerinput"):
            return
        for name, value in report.user_properties:
            if name == _FOUND:
                self._rewrite(**json.loads(str(value)))

    def _rewrite(self, file: str, table: str | None, known: list[str]) -> None:
        try:
            if rewrite(Path(file), table, known):
                self._told[f"rewrote the known failures in {file}"] = None
        except (OSError, UsageError) as error:
            self._failed = True
            reason = error.strerror if isinstance(error, OSError) else error
            self._told[f"could not rewrite the known failures in {file}: {reason}"] = None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail where a list could not be rewritten: the tests that asked for it have passed."""
        if self._failed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say which lists were rewritten."""
        for line in self._told:
            terminalreporter.write_line(f"bisect-convert: {line}")


class ModelFile(pytest.File):
    """A model as a collection of one test."""

    def collect(self) -> Iterator[ModelItem]:
        """Yield the test."""
        yield ModelItem.from_parent(self, name="converts")


class ModelItem(pytest.Item):
    """The test that a model converts, or fails for the known reasons and no others."""

    def runtest(self) -> None:
        """Bisect the model, and compare its culprits with those known."""
        expected = read(self.path)
        for name in expected.strays:
            warnings.warn(pytest.PytestWarning(_stray(self.path.parent / FILE, name)), stacklevel=1)
        report, properties = self._report(expected)
        found = culprits(report)
        self.user_properties += properties
        if self.config.getoption("bisect_convert_update"):
            if set(found) != set(expected.known) and report.verdict != "inconclusive":
                data = {"file": str(expected.file), "table": expected.table, "known": list(found)}
                self.user_properties.append((_FOUND, json.dumps(data)))
            return
        new = [c for c in found if c not in expected.known]
        gone = [c for c in expected.known if c not in found]
        if new or gone or report.verdict == "inconclusive":
            raise _Changed(_difference(report, new, gone, expected))

    def _report(self, expected: Expected) -> tuple[Report, Properties]:
        from bisect_convert.diagnose.find import find_packed
        from bisect_convert.diagnose.wishes import Wishes

        given, bisect = expected.arguments, bisecting(self.config)
        wishes = Wishes(
            signature=given.signature, timeout=given.timeout, memory=given.memory, allow_code=given.allow_code,
            no_run=given.no_run, cache=bisect.cache or False,
        )  # fmt: skip
        return bisect.bisected(
            self.nodeid,
            lambda out: find_packed(str(self.path), packed_options(given), replace(wishes, out=out), bisect.workers),
        )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what is new and what is gone, without a traceback of ours."""
        if isinstance(excinfo.value, (_Changed, BisectConvertError, pytest.PytestWarning)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Name the test by its model."""
        return self.path, None, self.nodeid


class _Changed(Exception):
    """The culprits are not the known ones."""


def _stray(file: Path, name: str) -> str:
    quoted = "; a name with a dot stands in quotes" if any(p.stem == name for p in file.parent.iterdir()) else ""
    return f"{file}: [{name}] is about no model there{quoted}"


def _difference(report: Report, new: list[str], gone: list[str], expected: Expected) -> str:
    rows = [f"new culprit: {c}" for c in new] + [f"known culprit is gone: {c}" for c in gone]
    where = f"{expected.file}{f' [{expected.table}]' if expected.table else ''}"
    if new or gone:
        rows.append(f"known failures are listed in {where}; --bisect-convert-update rewrites the list")
    return "\n".join([*rows, "", short(report)])


def _found(patterns: Iterable[str], base: Path) -> list[Path]:
    """The models that match, files and folders; what else matches is no model and none of our business."""
    paths = [Path(p) for pattern in patterns for p in sorted(glob.glob(str(base / pattern), recursive=True))]
    return [p.resolve() for p in paths if _is_model(p)]


def _is_model(path: Path) -> bool:
    if path.is_dir():
        return any((path / f"saved_model.{end}").is_file() for end in ("pb", "pbtxt"))
    return path.suffix in _FILES and path.name != "saved_model.pb"
