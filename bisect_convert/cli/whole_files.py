"""Files written all or none, each whole before it takes its place."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["write_all"]


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write the files, in folders that exist or whose parents do.

    Each is complete beside its place before the first takes it; raises OSError, and then nothing has changed.
    """
    written: list[tuple[str, Path]] = []
    folders = [folder for folder in sorted({path.parent for path in files}) if not folder.is_dir()]
    try:
        for place, data in files.items():
            place.parent.mkdir(exist_ok=True)
            handle, path = tempfile.mkstemp(dir=place.parent, prefix=".writing-")
            written.append((path, place))
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(path, 0o666 & ~_umask())
        for path, place in written:
            os.replace(path, place)
    finally:
        for path, _ in written:
            with contextlib.suppress(OSError):
                os.unlink(path)
        for folder in folders:
            with contextlib.suppress(OSError):  # what was written is in it
                folder.rmdir()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
