"""Answers kept on disk by content, so that a run that was stopped goes on where it was.

One JSON file an answer, written beside its place and moved into it: a kill at any moment loses that answer at most,
and runs at the same time share the folder. What cannot be read as it was written is dropped. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bisect_convert import __version__
from bisect_convert.errors import UsageError

__all__ = ["Cache", "folder_of", "opened", "user_folder"]

_DAY = 24 * 3600.0
#: Seconds after which an answer that nobody asked for is dropped, and what a killed run was writing.
_OLD, _LEFT_OVER = 60 * _DAY, 3600.0


def user_folder() -> Path:
    """Return the folder where this user's answers are kept."""
    import platformdirs

    return platformdirs.user_cache_path("bisect-convert", appauthor=False) / "answers"


def folder_of(cache: bool | str | os.PathLike[str]) -> Path | None:
    """Return the folder that the argument `cache` means: True is the user's own; None where nothing is to be kept."""
    return user_folder() if cache is True else Path(cache) if cache else None


def opened(folder: Path | None, told: Callable[[str], None]) -> Cache | None:
    """Return the cache in the folder; the user's own is done without, which is told, where it cannot be used."""
    try:
        return None if folder is None else Cache(folder, told)
    except UsageError as error:
        if folder != user_folder():
            raise
        told(f"nothing is kept for later runs: {error}")
        return None


class Cache:
    """Answers by what was asked; a fault of the disk costs the answer, is told once, and stops nothing.

    folder: made where it is missing; raises UsageError where it cannot be. told: gets a line for each kind of fault.
    """

    def __init__(self, folder: Path, told: Callable[[str], None] = lambda line: None) -> None:
        self._folder = folder
        self._told = told
        self._said: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._tidy()
        except OSError as error:
            raise UsageError(
                f"the cache {folder} cannot be used ({error.strerror}); name another with --cache, or pass --no-cache"
            ) from error

    @staticmethod
    def key(question: Mapping[str, Any]) -> str:
        """Return the key of what was asked: the same for the same JSON data and version of this program only."""
        text = json.dumps([__version__, question], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the answer, or None where there is none that is whole."""
        path = self._path(key)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._say("read", f"the cache cannot be read: {error.strerror}: {path}")
            return None
        answer = _whole(raw, key)
        if answer is None:
            self._say("damage", f"a damaged entry of the cache was dropped: {path}")
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return answer

    def put(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep the answer; it is there whole or not at all."""
        path = self._path(key)
        text = json.dumps({"check": _check(key, answer), "answer": answer})
        try:
            path.parent.mkdir(exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix="new-")
            try:
                with open(handle, "w") as file:
                    file.write(text)
                os.replace(name, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
        except OSError as error:
            self._say("write", f"nothing more can be kept in the cache: {error.strerror}: {self._folder}")

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"

    def _say(self, kind: str, line: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._told(line)

    def _tidy(self) -> None:
        """Once a day, drop what nobody has asked for in a long time, and what killed runs were writing."""
        stamp, now = self._folder / "tidied", time.time()
        with contextlib.suppress(OSError):
            if now - stamp.stat().st_mtime < _DAY:
                return
        stamp.touch()
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                if now - path.stat().st_mtime > (_LEFT_OVER if path.name.startswith("new-") else _OLD):
                    path.unlink()


def _check(key: str, answer: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{key}{json.dumps(answer, sort_keys=True)}".encode()).hexdigest()


def _whole(raw: bytes, key: str) -> dict[str, Any] | None:
    try:
        data = json.loads(raw)
        answer = data["answer"]
        return answer if isinstance(answer, dict) and data["check"] == _check(key, answer) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
