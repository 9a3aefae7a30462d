"""Failures out of `coremltools.convert`, in anyone's suite, bisected with the model and arguments of the call."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from bisect_convert.errors import BisectConvertError
from bisect_convert.pytest_plugin.bisecting import Properties, bisecting, short

if TYPE_CHECKING:
    from bisect_convert.report.report import Report

__all__ = ["Call", "Failures", "failed_call"]

_FP16 = {"common::add_fp16_cast", "common::add_int16_cast"}


@dataclass(frozen=True)
class Call:
    """A call of `coremltools.convert` as its frame shows it."""

    model: Any
    arguments: dict[str, Any]


class Failures:
    """The plugin behind `--bisect-convert`."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._last: tuple[BaseException, str, Properties] | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add a section to the report of a test that failed in a conversion; what is expected to fail is left alone."""
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

    def _bisect(self, item: pytest.Item, failed: Call) -> tuple[str, Properties]:
        try:
            report, properties = bisecting(self._config).find(item.nodeid, failed.model, failed.arguments)
        except BisectConvertError as error:
            return f"not bisected: {error}", []
        except Exception as error:  # a fault of ours must not hide the test's own
            return f"not bisected: a fault of bisect-convert itself ({type(error).__name__}: {error})", []
        return _told(report), properties

    @staticmethod
    def _add(item: pytest.Item, report: pytest.TestReport, told: str, properties: Properties) -> None:
        report.sections.append(("bisect-convert", told))
        for known in (report.user_properties, item.user_properties):
            known.extend(p for p in properties if p not in known)


def _told(report: Report) -> str:
    if report.verdict != "converts":
        return short(report)
    return f"{short(report)}\nhere it converts: the failure does not lie in the model (see the error above)"


def failed_call(error: BaseException) -> Call | None:
    """Return the call of `coremltools.convert` on a TensorFlow model that the exception, or its cause, came out of."""
    if (coremltools := sys.modules.get("coremltools")) is None:
        return None
    entry = coremltools.convert.__module__, coremltools.convert.__name__
    calls = (f for f in _frames(error) if (f.f_globals.get("__name__"), f.f_code.co_name) == entry)
    return next((_call(frame) for frame in calls), None)


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames of the exception, then of those behind it and in it."""
    todo, seen = [error], set()
    while todo:
        at = todo.pop(0)
        if id(at) in seen:
            continue
        seen.add(id(at))
        trace = at.__traceback__
        while trace is not None:
            yield trace.tb_frame
            trace = trace.tb_next
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
    if isinstance(model, (str, os.PathLike)):
        model = os.path.abspath(os.fspath(model))
    elif type(model).__module__.startswith("tensorflow.") and type(model).__name__ in {"Graph", "FuncGraph"}:
        model = model.as_graph_def()
    if "pass_pipeline" in found and _is_default(found["pass_pipeline"]):
        del found["pass_pipeline"]
    return Call(model, {name: value for name, value in found.items() if name in KNOWN and value != []})


def _is_default(pipeline: Any) -> bool:
    """True where `convert` made the pipeline itself: the caller gave none."""
    usual = set(type(pipeline)().passes)
    return usual - _FP16 <= set(pipeline.passes) <= usual
