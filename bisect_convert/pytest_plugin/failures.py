"""Failures out of `coremltools.convert`, in anyone's suite, bisected with the model and arguments of the call."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from bisect_convert.errors import BisectConvertError
from bisect_convert.pytest_plugin.bisecting import Properties, bisecting, culprit_in_short, culprits, short

if TYPE_CHECKING:
    from bisect_convert.report.report import Report

__all__ = ["Call", "Failures", "failed_call"]

_NO_GRAPH = "ct.convert takes no tf.Graph: hand it graph.as_graph_def(), as was done here"
_FP16 = {"common::add_fp16_cast", "common::add_int16_cast"}


@dataclass(frozen=True)
class Call:
    """A call of `coremltools.convert` as its frame shows it."""

    model: Any
    arguments: dict[str, Any]
    note: str = ""
    """What `coremltools.convert` objects to before it looks at any op, with what to do."""


class Failures:
    """The plugin behind `--bisect-convert`."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._last: tuple[BaseException, _Told, Properties] | None = None
        self._known: dict[tuple[str, ...], str] = {}
        """The test that a cause was told in, by the model and its culprits."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add a section to the report of a test that failed in a conversion; what is expected to fail is left alone."""
        with contextlib.ExitStack() as shown:
            if call.excinfo is not None and self._config.get_verbosity() < 1:
                if failed_call(call.excinfo.value) is not None:
                    shown.enter_context(_folded(call.excinfo))
            report = yield
        if report.failed and call.excinfo is not None and not hasattr(report, "wasxfail"):
            error = call.excinfo.value
            if self._last is not None and self._last[0] is error:  # a fixture's error, raised again in each test
                self._add(item, report, self._last[1], self._last[2])
            elif (failed := failed_call(error)) is not None:
                told, properties = self._bisect(item, failed)
                self._last = (error, told, properties)
                self._add(item, report, told, properties)
        return report

    def _bisect(self, item: pytest.Item, failed: Call) -> tuple[_Told, Properties]:
        try:
            report, properties = bisecting(self._config).find(item.nodeid, failed.model, failed.arguments)
        except BisectConvertError as error:
            return _Told(f"not bisected: {error}"), []
        except Exception as error:  # a fault of ours must not hide the test's own
            return _Told(f"not bisected: a fault of bisect-convert itself ({type(error).__name__}: {error})"), []
        cause = culprit_in_short(report)
        first = self._known.setdefault((report.digest, *culprits(report)), item.nodeid)
        said = f"the same as in {first}: {cause}" if cause and first != item.nodeid else _told(report)
        return _Told(f"{said}\n{failed.note}".rstrip(), cause), properties

    @staticmethod
    def _add(item: pytest.Item, report: pytest.TestReport, told: _Told, properties: Properties) -> None:
        report.sections.append(("bisect-convert", told.text))
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None and told.cause:  # what the short summary at the end says of the test
            crash.message = f"{told.cause}: {crash.message}"
        for known in (report.user_properties, item.user_properties):
            known.extend(p for p in properties if p not in known)


@dataclass(frozen=True)
class _Told:
    """What a section says, and the culprit in a few words, or ""."""

    text: str
    cause: str = ""


@contextlib.contextmanager
def _folded(excinfo: pytest.ExceptionInfo[BaseException]) -> Iterator[None]:
    """Within, the tracebacks of the exception, and of those behind it, have none of the converter's own entries.

    One that has no others keeps the last. The source of the converter's function fills a screen and says less than the error.
    """
    whole = [(error, error.__traceback__) for error in _chain(excinfo.value)]
    kept = type(excinfo.traceback)(_without_converter(excinfo.tb) or excinfo.tb)  # pytest cuts it by its raw entries
    for error, traceback in whole:
        error.__traceback__ = _without_converter(traceback)
    excinfo.traceback = kept
    try:
        yield
    finally:
        for error, traceback in whole:
            error.__traceback__ = traceback


def _without_converter(traceback: TracebackType | None) -> TracebackType | None:
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    kept = None
    for entry in reversed([e for e in entries if not _of_converter(e.tb_frame)] or entries[-1:]):
        kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept


def _of_converter(frame: Any) -> bool:
    return str(frame.f_globals.get("__name__", "")).split(".")[0] in ("coremltools", "tensorflow", "keras")


def _told(report: Report) -> str:
    if report.verdict != "converts":
        return short(report)
    return f"{short(report)}\n{_though(report)}"


def _though(report: Report) -> str:
    """What is to be said where the test's own call failed, as its error above shows, and the model converts."""
    if any("itself fails" in note or "itself refuses" in note for note in report.notes):
        return "the test's own call fails, as the note says: the call that is shown converts"
    return "it converts here, by the call that is shown; the test's own call failed: compare the two, and see its error above"


def failed_call(error: BaseException) -> Call | None:
    """Return the call of `coremltools.convert` on a TensorFlow model that the exception, or its cause, came out of."""
    if (coremltools := sys.modules.get("coremltools")) is None:
        return None
    entry = coremltools.convert.__module__, coremltools.convert.__name__
    calls = (f for f in _frames(error) if (f.f_globals.get("__name__"), f.f_code.co_name) == entry)
    return next((_call(frame) for frame in calls), None)


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames of the exception, then of those behind it and in it."""
    for at in _chain(error):
        trace = at.__traceback__
        while trace is not None:
            yield trace.tb_frame
            trace = trace.tb_next


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, then those behind it and in it."""
    todo, seen = [error], set()
    while todo:
        at = todo.pop(0)
        if id(at) in seen:
            continue
        seen.add(id(at))
        yield at
        todo += [e for e in (at.__cause__, at.__context__, *getattr(at, "exceptions", ())) if e is not None]


def _call(frame: FrameType) -> Call | None:
    """What the frame was called with; the one argument that `convert` replaces is told from a caller's own."""
    from bisect_convert.arguments.packing import KNOWN

    names = frame.f_code.co_varnames[: frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount]
    found = {name: frame.f_locals[name] for name in names if frame.f_locals.get(name) is not None}
    source = frame.f_locals.get("exact_source", found.get("source"))
    model = found.pop("model", None)
    if model is None or str(source or "auto") not in {"auto", "tensorflow", "tensorflow2"}:
        return None
    note = ""
    if isinstance(model, (str, os.PathLike)):
        model = os.path.abspath(os.fspath(model))
    elif type(model).__module__.startswith("tensorflow.") and type(model).__name__ in {"Graph", "FuncGraph"}:
        model, note = model.as_graph_def(), _NO_GRAPH
    if "pass_pipeline" in found and _is_default(found["pass_pipeline"]):
        del found["pass_pipeline"]
    return Call(model, {name: value for name, value in found.items() if name in KNOWN and value != []}, note)


def _is_default(pipeline: Any) -> bool:
    """True where `convert` made the pipeline itself: the caller gave none."""
    usual = set(type(pipeline)().passes)
    return usual - _FP16 <= set(pipeline.passes) <= usual
