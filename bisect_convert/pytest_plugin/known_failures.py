"""`bisect-convert.toml`: how the models of a folder are converted, and which failures of theirs are known.

One table for each model, by its name, in the file beside the models; or, for one model, a file in its own folder
without tables. Keys are the options of the command (`convert-to = "mlprogram"`, `input = ["x:1x8"]`); those above the
first table hold for all models beside the file. `known` lists culprits as `Op name`.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import re
import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bisect_convert.cli import options as cli_options
from bisect_convert.errors import UsageError

__all__ = ["FILE", "Expected", "read", "rewrite", "rewritten"]

FILE = "bisect-convert.toml"
_OPTIONS = {
    "signature", "input", "output", "convert-to", "minimum-deployment-target", "compute-precision", "timeout", "memory",
    "allow-code", "no-run", "optimize",
}  # fmt: skip
_WORDS = {"inputs": "input", "outputs": "output"}


@dataclass(frozen=True)
class Expected:
    """What is known about a model: the command's arguments for it, its known culprits, and where they are listed.

    table: the name of its table in `file`; None where the whole file is about it. strays: tables beside it that are about
    no model there.
    """

    arguments: Namespace
    known: tuple[str, ...]
    file: Path
    table: str | None
    strays: tuple[str, ...] = ()


def read(model: Path) -> Expected:
    """Return what is known about the model; raises UsageError for a file that cannot be understood."""
    beside, inside = model.parent / FILE, model / FILE
    common = _parse(beside)
    own = common.pop(model.name, {})
    options = {key: value for key, value in common.items() if not isinstance(value, dict)}
    if "known" in options:
        raise UsageError(f"{beside}: known belongs below the name of a model, as [{_key(model.name)}]")
    if not isinstance(own, dict):
        raise UsageError(f"{beside}: {model.name} is the name of a model and must be a table, [{_key(model.name)}]")
    file, table = (inside, None) if inside.is_file() else (beside, model.name)
    options |= own | (_parse(inside) if table is None else {})
    known = options.pop("known", [])
    if not isinstance(known, list) or not all(isinstance(k, str) for k in known):
        raise UsageError(f'{file}: known must be a list of strings, as ["Erfc encoder/Erfc"]')
    strays = [name for name, value in common.items() if isinstance(value, dict) and not (model.parent / name).exists()]
    return Expected(_arguments(model, options, file), tuple(known), file, table, tuple(strays))


def _arguments(model: Path, options: Mapping[str, Any], file: Path) -> Namespace:
    """The options as the command reads them."""
    argv = [str(model)]
    for key, value in options.items():
        word = key.replace("_", "-")
        word = _WORDS.get(word, word)
        if word not in _OPTIONS:
            near = difflib.get_close_matches(word, [*_OPTIONS, "known"], 1)
            raise UsageError(
                f"{file}: unknown key {key!r}; {f'did you mean {near[0]}?' if near else 'see bisect-convert --help'}"
            )
        if isinstance(value, bool):
            argv += [f"--{word}"] if value else []
        else:
            argv += [f"--{word}={v}" for v in (value if isinstance(value, list) else [value])]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return cli_options.parse(argv)
    except SystemExit:
        message = said.getvalue().removeprefix("bisect-convert: error: ").partition("; see bisect-convert")[0].strip()
        raise UsageError(f"{file}: {message}") from None


def rewrite(file: Path, table: str | None, known: Sequence[str]) -> bool:
    """Have the file list these culprits of the model, whole or not at all; True where it changed. Raises OSError."""
    place = file.resolve()
    text = place.read_text(encoding="utf-8") if place.exists() else ""
    new = rewritten(text, table, known)
    if new == text:
        return False
    handle, path = tempfile.mkstemp(dir=place.parent, prefix=f".{FILE}-")
    try:
        with open(handle, "w", encoding="utf-8") as out:
            out.write(new)
        os.chmod(path, place.stat().st_mode if place.exists() else 0o644)
        os.replace(path, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
    return True


def rewritten(text: str, table: str | None, known: Sequence[str]) -> str:
    """Return the file's text with another list of known culprits for the model; comments and all else stay.

    >>> print(rewritten('[unet]  # segmentation\\nconvert-to = "mlprogram"', "unet", ["Erfc act/Erfc"]), end="")
    [unet]  # segmentation
    convert-to = "mlprogram"
    known = [
        "Erfc act/Erfc",
    ]
    """
    try:
        import tomlkit
        from tomlkit.items import Table
    except ImportError:
        raise UsageError("tomlkit is missing; run: pip install 'bisect-convert[pytest]'") from None
    document = tomlkit.parse(text if text.endswith("\n") or not text else f"{text}\n")
    place: Any = document
    if table is not None:
        if table not in document:
            last = document.last_item()
            if isinstance(last, Table):
                last.add(tomlkit.nl())
            document[table] = tomlkit.table()
        place = document[table]
    listed = place.setdefault("known", tomlkit.array().multiline(True))
    for gone in [entry for entry in listed if entry not in known]:
        listed.remove(gone)
    for fresh in [culprit for culprit in dict.fromkeys(known) if culprit not in listed]:
        listed.append(fresh)
    return tomlkit.dumps(document)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _parse(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        return _loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{file} is no TOML: {error}") from error


def _loads(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib.loads(text)
    try:
        import tomlkit
    except ImportError:
        raise UsageError(f"{FILE} needs tomlkit on Python 3.10; run: pip install 'bisect-convert[pytest]'") from None
    return tomlkit.parse(text).unwrap()
