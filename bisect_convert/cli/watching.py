"""`--watch`: asks again each time the files of a model have become others, once they stay as they are."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bisect_convert.cli.many import several
from bisect_convert.cli.stopping import stop_at_signals, stopped
from bisect_convert.model.files import digest

__all__ = ["watch"]

#: Seconds between two looks, and for how long the files must be the same: whoever writes a model pauses between its files.
_POLL, _SETTLED = 0.25, 2.0
_BAD = 2

#: Size and time of each file of each model; empty for one that is not there.
_State = Mapping[str, tuple[tuple[str, int, int], ...]]


def watch(paths: Sequence[str], ask: Callable[[], int], say: Callable[[str], None]) -> int:
    """Ask, and again whenever the content of the models' files has changed, until a signal; return the last exit status.

    What cannot be asked at all is not waited for. A model is not read while it is being written.
    """
    stop_at_signals()
    state = _state(paths)
    content, status = _content(state), ask()
    if status == _BAD:
        return status
    say("waiting for the model's files to change; Ctrl-C ends")
    try:
        while not stopped():
            state = _settled(paths, state)
            if (now := _content(state)) != content:
                say(f"{_changed(content, now)}; asking again")
                content, status = now, ask()
    except KeyboardInterrupt:
        pass
    return status


def _state(paths: Sequence[str]) -> _State:
    return {model: tuple(_files(Path(model))) for model in several(paths) or paths}


def _files(model: Path) -> list[tuple[str, int, int]]:
    found = []
    for path in sorted(model.rglob("*")) if model.is_dir() else [model]:
        with contextlib.suppress(OSError):
            stat = path.stat()
            found.append((str(path), stat.st_size, stat.st_mtime_ns))
    return found


def _settled(paths: Sequence[str], known: _State) -> _State:
    """Wait until the files are not as they were known, and then stay the same; a model that is gone is waited for."""
    last, since = known, time.monotonic()
    while True:
        time.sleep(_POLL)
        if (now := _state(paths)) != last:
            last, since = now, time.monotonic()
        elif now != known and all(map(os.path.exists, now)) and time.monotonic() - since >= _SETTLED:
            return now


def _content(state: _State) -> Mapping[str, str]:
    """A digest of each model; of one that cannot be read now, an empty one."""
    found = dict.fromkeys(state, "")
    for model in found:
        with contextlib.suppress(OSError):
            found[model] = digest(model)
    return found


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = [model for model in {**before, **now} if before.get(model) != now.get(model)]
    return f"{names[0]} changed" if len(names) == 1 else f"{len(names)} models changed"
