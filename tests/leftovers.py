"""What a run leaves behind: processes that know its temporary folder from their environment, and files in that folder."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

__all__ = ["assert_nothing_is_left", "processes"]


def processes(folder: Path) -> list[int]:
    """Return those that were started, however far down, with this TMPDIR (none where the system has no /proc)."""
    mark = f"TMPDIR={folder}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def assert_nothing_is_left(folder: Path, seconds: float = 20, but: Collection[int] = ()) -> None:
    """See that all processes but these, and all files, are gone within so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        left = [pid for pid in processes(folder) if pid not in but], os.listdir(folder)
        if left == ([], []):
            return
        assert time.monotonic() < deadline, f"processes and files that are left: {left}"
        time.sleep(0.05)
