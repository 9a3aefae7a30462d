"""The files for other programs that draw models: --model-explorer and --tensorboard."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bisect_convert.cli.output_folder import made
from bisect_convert.cli.whole_files import write_all
from bisect_convert.errors import EnvironmentError_, UsageError

if TYPE_CHECKING:
    from bisect_convert.probe.client import Workers
    from bisect_convert.report.report import Report

__all__ = ["Viewers", "viewers"]

#: A run of its own, so that it mixes with no other in the folder; always the same file, so that a later one replaces it.
_RUN, _EVENTS = "bisect-convert", "events.out.tfevents.0.bisect-convert"


@dataclass(frozen=True)
class Viewers:
    """Where the graph goes, for those programs that it was asked for."""

    explorer: Path | None = None
    logdir: Path | None = None

    def write(self, report: Report, workers: Workers | None = None) -> Iterator[str]:
        """Write the files, all of a program's or none; yields how to open them, a line for each program once it has its.

        workers: started where none are given. Raises UsageError where they cannot be written.
        """
        if self.explorer is not None:
            from bisect_convert.render.model_explorer import graph_collection, verdicts

            data = _beside(self.explorer)
            texts = {self.explorer: graph_collection(report), data: verdicts(report)}
            _written("--model-explorer", self.explorer, {p: text.encode() for p, text in texts.items()})
            command = f"model-explorer {shlex.quote(str(self.explorer))} --node_data_paths={shlex.quote(str(data))}"
            yield f"the graph is in {self.explorer}, its verdicts in {data}; to see them: {command}"
        if self.logdir is not None:
            from bisect_convert.diagnose.events import events

            place = self.logdir / _RUN / _EVENTS
            try:
                told = events(report, workers)
            except EnvironmentError_ as error:
                raise UsageError(f"--tensorboard {self.logdir} cannot be written: {error}") from error
            _written("--tensorboard", self.logdir, {place: told})
            command = f"tensorboard --logdir {shlex.quote(str(self.logdir))}"
            yield f"the graph and the findings are in {place}; coloured by Device; to see them: {command}"


def _beside(graph: Path) -> Path:
    """Where the node data of a graph goes: FILE.verdicts.json beside FILE.json."""
    return graph.with_suffix(".verdicts.json")


def _written(option: str, path: Path, files: dict[Path, bytes]) -> None:
    try:
        write_all(files)
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def viewers(arguments: argparse.Namespace) -> Iterator[Viewers]:
    """Give where to write for which program, raising UsageError where nothing can be written; leaves no empty folder."""
    explorer = None if arguments.model_explorer is None else _file(arguments.model_explorer)
    if arguments.tensorboard is None:
        yield Viewers(explorer)
        return
    with made(arguments.tensorboard, "--tensorboard") as folder:
        yield Viewers(explorer, folder)


def _file(path: str) -> Path:
    """The path of a JSON file that can be written; Model Explorer knows by its ending what is in a file."""
    place = Path(path)
    if place.suffix != ".json":
        raise UsageError(f"--model-explorer {path} is to end in .json")
    reason = (
        "it is a folder" if place.is_dir() else "its verdicts' place is a folder" if _beside(place).is_dir() else ""
    )
    if not place.parent.is_dir():
        reason = f"no such folder: {place.parent}"
    try:
        if not reason:
            tempfile.TemporaryFile(dir=place.parent).close()
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise UsageError(f"--model-explorer {path} cannot be written: {reason}")
    return place
