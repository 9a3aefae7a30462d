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
    "allow-code", "optimize",
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
    wanted = _loads(text)
    (wanted if table is None else wanted.setdefault(table, {}))["known"] = list(known)
    edited = _edited(text.splitlines(), table, known)
    try:
        same = _loads(edited) == wanted
    except ValueError:
        same = False
    return edited if same else _written(wanted)


def _edited(lines: list[str], table: str | None, known: Sequence[str]) -> str:
    start, stop = _region(lines, table)
    new = _listed(known, [])
    if start is None:
        lines = [*lines, *([""] if lines else []), f"[{_key(table or '')}]", *new]
        return "\n".join(lines) + "\n"
    first = next((i for i in range(start, stop) if re.match(r"\s*known\s*=", lines[i])), None)
    if first is None:
        last = max((i for i in range(start, stop) if lines[i].strip()), default=start - 1) + 1
        lines[last:last] = new
    else:
        end = next((i for i in range(first + 1, stop + 1) if _is_whole("\n".join(lines[first:i]))), stop)
        lines[first:end] = _listed(known, lines[first:end])
    return "\n".join(lines) + "\n"


def _listed(known: Sequence[str], before: Sequence[str]) -> list[str]:
    """The list, with the comments of the one before it: those on lines of their own, and those behind what stays."""
    left, rows = dict.fromkeys(known), []
    for line in before[1:-1]:
        entry = re.fullmatch(r"\s*([\"'].*[\"'])\s*,?\s*(#.*)?", line)
        value = (
            _loads(f"known = {entry[1]}")["known"] if entry is not None and _is_whole(f"known = {entry[1]}") else None
        )
        if value in left:
            del left[value]
            rows.append(f"    {_quoted(value)},{f'  {entry[2]}' if entry is not None and entry[2] else ''}")
        elif line.strip().startswith("#"):
            rows.append(f"    {line.strip()}")
    rows += [f"    {_quoted(culprit)}," for culprit in left]
    after = re.search(r"\]\s*(#[^\"'\]]*)$", before[-1]) if before else None
    close = f"]  {after[1]}" if after is not None else "]"
    return ["known = [", *rows, close] if rows else [f"known = [{close}"]


def _region(lines: Sequence[str], table: str | None) -> tuple[int | None, int]:
    """The lines below the table's header, up to the next one; no table: those above the first."""
    headers = [i for i, line in enumerate(lines) if re.match(r"\s*\[.*\]\s*(#.*)?$", line) and _is_whole(line)]
    if table is None:
        return 0, min(headers, default=len(lines))
    for i in headers:
        if list(_loads(lines[i])) == [table]:
            return i + 1, min((h for h in headers if h > i), default=len(lines))
    return None, len(lines)


def _is_whole(text: str) -> bool:
    try:
        _loads(text)
    except ValueError:
        return False
    return True


def _written(data: Mapping[str, Any]) -> str:
    """The data as TOML: plain values first, then one table for each model."""
    flat = [f"{_key(k)} = {_value(v)}" for k, v in data.items() if not isinstance(v, dict)]
    for name, table in data.items():
        if isinstance(table, dict):
            flat += [
                *([""] if flat else []),
                f"[{_key(name)}]",
                *(f"{_key(k)} = {_value(v)}" for k, v in table.items()),
            ]
    return "\n".join(flat) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return _quoted(value) if isinstance(value, str) else str(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


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
        import tomli
    except ImportError:
        raise UsageError(f"{FILE} needs tomli on Python 3.10; run: pip install tomli") from None
    return dict(tomli.loads(text))
