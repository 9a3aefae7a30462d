"""Reports kept for a command that is given again with nothing changed: neither the model, the call, nor what converts it."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bisect_convert.model.files import digest
from bisect_convert.model.installed import fingerprint, version_of
from bisect_convert.probe.cache import Cache, folder_of, opened
from bisect_convert.report.report import Report

__all__ = ["KeptReport", "depends_on"]

#: What says how a report is shown, and how quickly it is made: not what is in it.
_SHOWN = frozenset(
    {"format", "quiet", "pager", "jobs", "cache", "no_cache", "model", "models", "watch", "dask", "model_timeout"}
)
_PACKAGES = ("tensorflow", "coremltools", "numpy", "protobuf", "keras", "tf-keras", "scikit-learn")
_ENVIRONMENT = ("PYTHONPATH", "TF_USE_LEGACY_KERAS", "KERAS_BACKEND")
#: Failures that the machine may have brought about: asked about again.
_BY_CHANCE = ("SIG", "exit ", "timeout", "MemoryError", "memory", "Slow")


class KeptReport:
    """The report of an earlier run of the same command, where there is one; else a place to keep this run's.

    arguments: of the command; options: those of `ct.convert` among them, packed; cache: as `find` takes it.
    """

    def __init__(self, arguments: argparse.Namespace, options: Mapping[str, Any], cache: bool | Path) -> None:
        self._started = time.monotonic()
        folder = folder_of(cache) if _repeatable(arguments) else None
        self._cache: Cache | None = opened(folder, lambda line: None)
        try:
            self._key = "" if self._cache is None else Cache.key(_question(arguments, options))
        except OSError:  # whoever reads the model says what is wrong with it
            self._cache = None

    def read(self) -> Report | None:
        """Return the report, which says that nothing had to be asked for it."""
        known = None if self._cache is None else self._cache.get(self._key)
        if known is None:
            return None
        try:
            report = Report.from_json(known["report"])
        except (KeyError, TypeError, ValueError):
            return None
        seconds = {"total": round(time.monotonic() - self._started, 2), "load": 0.0, "search": 0.0}
        return replace(report, asked=0, cached=report.asked + report.cached, seconds=seconds)

    def keep(self, report: Report) -> None:
        """Keep the report, where another run would come to the same."""
        by_chance = any(f.error_type.startswith(_BY_CHANCE) for f in report.findings)
        unsteady = any(
            word in note for note in report.notes for word in ("unstable", "kept in the cache", "cannot be read")
        )
        if self._cache is not None and report.complete and not by_chance and not unsteady:
            self._cache.put(self._key, {"report": report.to_dict()})


def _repeatable(arguments: argparse.Namespace) -> bool:
    """True where the command does nothing but report, on the model alone."""
    drawn = arguments.numbers not in (None, "off", "random", "zeros")
    does = (
        arguments.fix,
        arguments.out,
        arguments.model_explorer,
        arguments.tensorboard,
        arguments.against,
        arguments.slow,
        arguments.imports,
        arguments.step,
        arguments.shell,
        arguments.format == "html",  # the page has a map of the model, which no report keeps
    )
    return not (drawn or arguments.verbose or any(does))


def _question(arguments: argparse.Namespace, options: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: repr(value) for name, value in vars(arguments).items() if name not in _SHOWN}
    return {"report": told, "options": repr(options), **depends_on(arguments.model)}


def depends_on(model: str) -> dict[str, Any]:
    """Return what a report depends on beside the command's words: the model's files, and what is installed and set."""
    return {
        "path": os.path.abspath(model), "model": digest(model),
        "packages": {name: version_of(name) for name in _PACKAGES}, "code": fingerprint(),
        "environment": {name: os.environ.get(name) for name in _ENVIRONMENT},
    }  # fmt: skip
