"""What is installed that decides how a conversion ends, known without importing it."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
from importlib import metadata
from pathlib import Path

import bisect_convert

__all__ = ["fingerprint", "version_of", "versions"]

#: The parts of coremltools that a conversion, or the step behind it, goes through.
_PARTS = ("converters", "optimize", "models", "proto")


#: What a conversion leans on.
_LEANT_ON = ("coremltools", "tensorflow", "keras", "numpy", "networkx")


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that a conversion leans on; None for what is not installed."""
    found: dict[str, str | None] = {name: version_of(name) for name in _LEANT_ON}
    return found | {"Python": platform.python_version()}


def version_of(package: str) -> str | None:
    """Return the installed version of a distribution; None where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


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
