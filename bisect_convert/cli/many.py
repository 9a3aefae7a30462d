"""Many models in one run: each by a command of its own, so that one that crashes or hangs is a row and not the end."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bisect_convert.cli.kept_reports import depends_on
from bisect_convert.errors import UsageError
from bisect_convert.model.files import models_in
from bisect_convert.probe.cache import Cache

if TYPE_CHECKING:
    from bisect_convert.report.summary import ModelRow, Summary

__all__ = ["run", "several"]

#: What is said once for the whole run, not for each model: option -> whether a value follows.
_OF_THE_RUN = {"--out": True, "--format": True, "--jobs": True, "--quiet": False, "--verbose": False}
#: What only one model can be asked.
_OF_ONE = ("fix", "against", "model-explorer", "tensorboard", "step", "shell")
_FORMATS = ("text", "json", "html")


def several(paths: Sequence[str]) -> list[str] | None:
    """Return the models at the paths, those in folders included; None where the paths are one model, or mean to be."""
    found: dict[str, None] = {}
    for path in paths:
        found.update(dict.fromkeys((models_in(path) if os.path.isdir(path) else []) or [path]))
    return list(found) if len(paths) > 1 or len(found) > 1 else None


def run(models: Sequence[str], arguments: argparse.Namespace, argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Report on each model, write the summary and print it; returns the exit status of the whole.

    argv: the command's words, which each model's own command gets too. Raises UsageError for what only one can be asked.
    """
    for name in _OF_ONE:
        if getattr(arguments, name.replace("-", "_")):
            raise UsageError(f"--{name} takes one model, and {len(models)} are given")
    if arguments.format not in _FORMATS:
        raise UsageError(f"the summary of {len(models)} models comes as {', '.join(_FORMATS)}")
    from bisect_convert.cli.output_folder import made

    with contextlib.nullcontext() if arguments.out is None else made(arguments.out) as out:
        batch = _Batch(models, _own_words(argv, arguments.models), out)
        pool = ThreadPoolExecutor(arguments.jobs)
        try:
            for row in pool.map(batch.reported, models):
                if not arguments.quiet and row is not None:
                    say(f"{row.model}: {row.verdict}")
        except KeyboardInterrupt:
            batch.stopped = True
        pool.shutdown(wait=True, cancel_futures=True)
        summary = batch.written()
        sys.stdout.write(_page(summary, arguments.format))
    return 3 if batch.stopped else summary.exit_code


def _page(summary: Summary, format: str) -> str:
    from bisect_convert.render import summary as rendered

    if format == "json":
        return json.dumps(summary.to_dict(), indent=1) + "\n"
    return rendered.html(summary) if format == "html" else rendered.text(summary)


class _Batch:
    """The models of one run and what is known of them; with a folder, what an earlier run left there counts."""

    def __init__(self, models: Sequence[str], words: Sequence[str], out: Path | None) -> None:
        self.models, self.words, self.out = models, words, out
        self.stopped = False
        self._names = _folder_names(models)
        self._done: dict[str, ModelRow] = {}
        self._lock = threading.Lock()
        self._earlier = {} if out is None else _earlier(out / "summary.json")

    def reported(self, model: str) -> ModelRow | None:
        """Report on the model, unless that was done before and nothing has changed; None once the run is stopped."""
        if self.stopped:
            return None
        out = None if self.out is None else self.out / self._names[model]
        key = _key(model, self.words)
        row = self._earlier.get(model)
        if row is None or row.key != key or not key or out is None or not (out / "report.json").exists():
            row = replace(_row(model, self.words, out, self._names[model]), key=key)
        with self._lock:
            self._done[model] = row
            self.written()
        return row

    def written(self) -> Summary:
        """Return the summary of what is known, written into the folder, whole or not at all."""
        from bisect_convert.render import summary as rendered
        from bisect_convert.report.summary import ModelRow, Summary

        left = [ModelRow(m, "unread", {}, why="stopped before its turn") for m in self.models if m not in self._done]
        summary = Summary((*(self._done[m] for m in self.models if m in self._done), *left))
        if self.out is not None:
            pages = {"summary.json": _page(summary, "json"), "summary.html": _page(summary, "html")}
            for name, text in {**pages, "junit.xml": rendered.junit(summary)}.items():
                (self.out / f".{name}").write_text(text, encoding="utf-8")
                os.replace(self.out / f".{name}", self.out / name)
        return summary


def _earlier(path: Path) -> dict[str, ModelRow]:
    from bisect_convert.report.summary import rows_of

    try:
        return {
            row.model: row for row in rows_of(json.loads(path.read_text(encoding="utf-8"))) if row.verdict != "unread"
        }
    except (OSError, KeyError, TypeError, ValueError):
        return {}


def _key(model: str, words: Sequence[str]) -> str:
    """What a row depends on: the words of the command, and what each report does; empty where the model cannot be read."""
    try:
        return Cache.key({"words": list(words), **depends_on(model)})
    except OSError:
        return ""


def _own_words(argv: Sequence[str], paths: Sequence[str]) -> list[str]:
    """The words of the command without the models and without what is said of the whole run."""
    words = list(argv)
    for path in paths:
        words.remove(path)
    kept: list[str] = []
    skip = False
    for word in words:
        option = word.partition("=")[0]
        if skip:
            skip = False
        elif option in _OF_THE_RUN:
            skip = _OF_THE_RUN[option] and "=" not in word
        else:
            kept.append(word)
    return kept


def _folder_names(models: Sequence[str]) -> dict[str, str]:
    """A folder's name for each model, of harmless letters, no two the same on whatever disk."""
    taken: set[str] = set()
    names = {}
    for model in models:
        stem = re.sub(r"[^\w.-]+", "_", "_".join(Path(model).parts[-2:])).strip("._") or "model"
        name = next(n for n in (stem, *(f"{stem}_{k}" for k in range(2, 10**6))) if n.lower() not in taken)
        taken.add(name.lower())
        names[model] = name
    return names


def _row(model: str, words: Sequence[str], out: Path | None, name: str) -> ModelRow:
    """The model's row, by a command of its own."""
    from bisect_convert.report.report import Report
    from bisect_convert.report.summary import ModelRow, row_of

    began = time.monotonic()
    folder = [] if out is None else ["--out", str(out)]
    command = [sys.executable, "-m", "bisect_convert", model, *words, "--format", "json", "--quiet", *folder]
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    seconds = round(time.monotonic() - began, 1)
    try:
        return row_of(model, Report.from_json(ended.stdout), None if out is None else name, seconds)
    except (KeyError, TypeError, ValueError):
        said = (ended.stderr.strip().splitlines() or [f"its command ended with status {ended.returncode}"])[-1]
        why = said.removeprefix("bisect-convert: ").removeprefix("error: ")
        return ModelRow(model, "unread", {}, why=why, seconds=seconds)
