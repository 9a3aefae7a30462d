"""What is installed that decides how a conversion ends, known without importing it."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import bisect_convert

__all__ = ["fingerprint"]

#: The parts of coremltools that a conversion, or the step behind it, goes through.
_PARTS = ("converters", "optimize", "models", "proto")


def fingerprint() -> str:
    """Return a digest that changes where somebody edits the installed coremltools, to mend it, or this package."""
    files = [*Path(bisect_convert.__file__).parent.rglob("*.py")]
    found = importlib.util.find_spec("coremltools")
    if found is not None and found.origin is not None:
        home = Path(found.origin).parent
        files += [f for part in _PARTS for f in (home / part).rglob("*") if f.suffix in {".py", ".so"}]
        files += home.glob("*.so")
    marks = [f"{file}:{(stat := file.stat()).st_size}:{stat.st_mtime_ns}" for file in sorted(files)]
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()
