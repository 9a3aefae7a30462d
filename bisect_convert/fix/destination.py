"""Where a converted model goes: looked at before the work starts, filled in one step or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bisect_convert.errors import UsageError
from bisect_convert.report.fix import Fix

__all__ = ["Destination", "destination"]


@dataclass(frozen=True)
class Destination:
    """The path of the package, and of the script beside it."""

    path: Path

    @property
    def script(self) -> Path:
        """OUT.fix.py beside OUT.mlpackage."""
        return self.path.with_name(f"{self.path.stem}.fix.py")

    def labels(self, output: str, of: int) -> Path:
        """OUT.labels.txt beside OUT.mlpackage; with the output's name in it where there are several."""
        middle = "" if of == 1 else "." + re.sub(r"\W", "_", output)
        return self.path.with_name(f"{self.path.stem}{middle}.labels.txt")

    def filled(
        self, made: Fix, package: Path, script: Path | None, labels: Mapping[str, Sequence[str]] | None = None,
        tables: Sequence[Path] = (),
    ) -> Fix:  # fmt: skip
        """Put the package, and the script if there is one, in their places; returns what was made with their paths.

        labels: by output the texts that its numbers stand for, one a line; tables: files that the app needs, called as
        the package but for their endings. All are whole beside their places before one takes it. Raises OSError, and then
        nothing has changed.
        """
        with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=".writing-") as beside:
            staged = Path(beside)
            _copied(package, staged / "model")
            if script is not None:
                shutil.copyfile(script, staged / "script")
            texts = {self.labels(name, len(labels or {})): lines for name, lines in (labels or {}).items()}
            for number, lines in enumerate(texts.values()):
                text = "".join(" ".join(line.splitlines() or [""]) + "\n" for line in lines)
                (staged / f"labels_{number}").write_text(text, encoding="utf-8")
            for table in tables:
                shutil.copyfile(table, staged / table.name)
            if os.path.lexists(self.path):
                os.rename(self.path, staged / "old")
            try:
                os.rename(staged / "model", self.path)
                if script is not None:
                    os.replace(staged / "script", self.script)
                for number, place in enumerate(texts):
                    os.replace(staged / f"labels_{number}", place)
                for table in tables:
                    os.replace(staged / table.name, self.path.with_name(self.path.stem + "".join(table.suffixes)))
            except OSError:
                if not (staged / "model").exists():
                    os.rename(self.path, staged / "model")
                if os.path.lexists(staged / "old"):
                    os.rename(staged / "old", self.path)
                raise
        written = None if script is None else str(self.script)
        return replace(made, model=str(self.path), script=written)


def _copied(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def destination(path: str, options: Mapping[str, Any], *, overwrite: bool = False) -> Destination:
    """Return the destination; raises UsageError where nothing can be written there, or where there is something already."""
    place = Path(path)
    wanted = ".mlmodel" if options.get("convert_to") == "neuralnetwork" else ".mlpackage"
    if place.suffix != wanted:
        raise UsageError(f"--fix {path} is to end in {wanted}")
    made = Destination(place)
    for there in (made.path, made.script):
        if os.path.lexists(there) and not overwrite:
            raise UsageError(f"{there} exists already; pass --overwrite to replace it")
    if not place.parent.is_dir():
        raise UsageError(f"--fix {path} cannot be written: no such folder: {place.parent}")
    try:
        with contextlib.closing(tempfile.TemporaryFile(dir=place.parent)):
            pass
    except OSError as error:
        raise UsageError(f"--fix {path} cannot be written: {error.strerror or error}") from error
    return made
