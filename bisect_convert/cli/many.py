"""Many models in one run: each by a command of its own, so that one that crashes or hangs is a row and not the end."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, as_completed
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bisect_convert.cli.kept_reports import depends_on
from bisect_convert.cli.output_folder import made, place
from bisect_convert.cli.paging import paged
from bisect_convert.cli.stopping import stop_at_signals
from bisect_convert.errors import UsageError
from bisect_convert.model.files import models_in
from bisect_convert.probe.cache import Cache

if TYPE_CHECKING:
    from bisect_convert.cli.here import Here
    from bisect_convert.cli.on_dask import OnDask
    from bisect_convert.cli.own_command import Ended
    from bisect_convert.report.summary import ModelRow, Summary

__all__ = ["run", "several"]

#: What is said once for the whole run, not for each model: option -> whether a value follows.
_OF_THE_RUN = {
    "--out": True, "--format": True, "--jobs": True, "--quiet": False, "--pager": False, "--verbose": False, "--dask": True,
    "--model-timeout": True, "--watch": False,
}  # fmt: skip
#: What only one model can be asked.
_OF_ONE = ("fix", "against", "model-explorer", "tensorboard", "step", "shell")
_FORMATS = ("text", "json", "html")
#: Seconds for one model: twice what reading it may take. A search asks fewer probes than these.
_LONGEST, _PROBES = 3600.0, 100


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
    limit = arguments.model_timeout or max(_LONGEST, _PROBES * (arguments.timeout or 0))
    with contextlib.nullcontext() if arguments.out is None else made(arguments.out) as out:
        batch = _Batch(models, _own_words(argv, arguments.models), out, limit)
        stop_at_signals()
        with _commands(arguments, limit, say) as commands:
            tell = (lambda row: None) if arguments.quiet else (lambda row: say(f"{row.model}: {row.verdict}"))
            _follow(batch, commands, tell)
        summary = batch.written()
        page = _page(summary, arguments.format)
        if not (arguments.pager and arguments.format == "text" and paged(page, sys.stdout)):
            sys.stdout.write(page)
    return 3 if batch.stopped else summary.exit_code


def _commands(arguments: argparse.Namespace, limit: float, say: Callable[[str], None]) -> Here | OnDask:
    """Where the models' own commands run."""
    if arguments.dask is not None:
        from bisect_convert.cli.on_dask import OnDask

        return OnDask(arguments, limit, say)
    from bisect_convert.cli.here import Here

    return Here(arguments, limit)


def _follow(batch: _Batch, commands: Here | OnDask, tell: Callable[[ModelRow], None]) -> None:
    """Have all models reported on that are not known yet, and take each row as it comes, until it is stopped."""
    for model in batch.models:
        if (row := batch.known(model)) is not None:
            tell(row)
    asked = {commands.submit(batch.command(m), batch.folder(m)): m for m in batch.models if m not in batch.done}
    try:
        for future in as_completed(asked):
            tell(batch.take(asked[future], future))
    except KeyboardInterrupt:
        batch.stopped = True
        commands.stop()
        for future, model in asked.items():
            if model not in batch.done and future.done() and not future.cancelled():
                batch.take(model, future)


def _page(summary: Summary, format: str) -> str:
    from bisect_convert.render import summary as rendered

    if format == "json":
        return json.dumps(summary.to_dict(), indent=1) + "\n"
    return rendered.html(summary) if format == "html" else rendered.text(summary)


class _Batch:
    """The models of one run and what is known of them; with a folder, what an earlier run left there counts.

    limit: the seconds that each may take.
    """

    def __init__(self, models: Sequence[str], words: Sequence[str], out: Path | None, limit: float) -> None:
        self.models, self.words, self.out, self.limit = models, words, out, limit
        self.stopped = False
        self.done: dict[str, ModelRow] = {}
        self._names = _folder_names(models)
        self._keys = {model: _key(model, words) for model in models}
        self._earlier = {} if out is None else _earlier(out / "summary.json")

    def folder(self, model: str) -> Path | None:
        """Where the model's report goes."""
        return None if self.out is None else self.out / self._names[model]

    def command(self, model: str) -> list[str]:
        """The words of the model's own command."""
        return [model, *self.words, "--format", "json", "--quiet"]

    def known(self, model: str) -> ModelRow | None:
        """The row of an earlier run, where nothing has changed and its report is there."""
        row, folder, key = self._earlier.get(model), self.folder(model), self._keys[model]
        if row is None or row.key != key or not key or folder is None or not (folder / "report.json").exists():
            return None
        self.done[model] = row
        return row

    def take(self, model: str, future: Future[Ended]) -> ModelRow:
        """Take what came of the model's command, whatever that is; its row is on the disk when this returns."""
        from bisect_convert.report.summary import ModelRow

        try:
            row = self._row(model, future.result())
        except CancelledError:
            row = ModelRow(model, "unread", {}, why="the cluster went away before it was done; run it again")
        except Exception as error:  # of the executor: the command itself is long gone
            row = ModelRow(model, "unread", {}, why=f"{type(error).__name__}: {error}".splitlines()[0])
        self.done[model] = row
        self.written()
        return row

    def _row(self, model: str, ended: Ended) -> ModelRow:
        from bisect_convert.report.report import Report
        from bisect_convert.report.summary import ModelRow, row_of

        folder = self.folder(model)
        late = f"it did not come to an end within {self.limit:g} s: --model-timeout SECONDS gives it longer"
        try:
            report = Report.from_json(ended.stdout)
        except (KeyError, TypeError, ValueError):
            said = (ended.stderr.strip().splitlines() or [f"its command ended with status {ended.status}"])[-1]
            why = late if ended.late else _without(model, said.removeprefix("bisect-convert: ").removeprefix("error: "))
            return ModelRow(model, "unread", {}, why=why, seconds=ended.seconds)
        if folder is not None and ended.files:
            from bisect_convert.cli.on_dask import moved

            place(folder, moved(ended, folder), len(report.findings))
        row = row_of(model, report, None if folder is None else folder.name, ended.seconds)
        if ended.late or ended.stopped:  # what is known by then is no answer: without a key it is asked again
            return replace(row, why=late if ended.late else row.why)
        return replace(row, key=self._keys[model])

    def written(self) -> Summary:
        """Return the summary of what is known, written into the folder, whole or not at all."""
        from bisect_convert.render import summary as rendered
        from bisect_convert.report.summary import ModelRow, Summary

        left = [ModelRow(m, "unread", {}, why="stopped before its turn") for m in self.models if m not in self.done]
        summary = Summary((*(self.done[m] for m in self.models if m in self.done), *left))
        if self.out is not None:
            pages = {"summary.json": _page(summary, "json"), "summary.html": _page(summary, "html")}
            for name, text in {**pages, "junit.xml": rendered.junit(summary)}.items():
                (self.out / f".{name}").write_text(text, encoding="utf-8")
                os.replace(self.out / f".{name}", self.out / name)
        return summary


def _without(model: str, said: str) -> str:
    """The error without the model's path in front, which its row has."""
    return said.removeprefix(os.path.abspath(model)).removeprefix(model).lstrip()


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
