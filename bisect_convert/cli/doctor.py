"""`bisect-convert doctor`: what is installed, whether it fits, and what is missing for which feature."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata

from bisect_convert import __version__
from bisect_convert.errors import EnvironmentError_
from bisect_convert.model.installed import version_of

__all__ = ["main"]

#: What must be there, as our own distribution asks for it.
_NEEDED = ("tensorflow", "coremltools", "numpy", "networkx")
#: What a feature takes: (what it is for, distribution, extra).
_EXTRAS = (
    ("--optimize palettize4", "scikit-learn", "optimize"),
    ("reports in notebooks", "ipywidgets", "notebook"),
    ("models as tests", "pytest", "pytest"),
    ("--shell with completion", "ipython", "shell"),
    ("completion in a shell", "shtab", "completion"),
    ("what --model-explorer writes", "ai-edge-model-explorer", "model-explorer"),
    ("what --tensorboard writes", "tensorboard", "tensorboard"),
    ("--dask", "distributed", "dask"),
)
_PYTHON = ((3, 10), (3, 13))


def main() -> int:
    """Print what fits and what does not; returns 0 where models can be searched here, else 2."""
    needed = [_needed(name) for name in _NEEDED]
    good = ", ".join(words for fits, words in needed if fits)
    lines = [_python(), *[(True, good)] * bool(good), *(row for row in needed if not row[0]), _private_parts()]
    for fits, words in lines:
        print(f"{'ok  ' if fits else 'BAD '}{words}")
    found = [(purpose, package, extra, version_of(package)) for purpose, package, extra in _EXTRAS]
    if there := [f"{purpose} ({package} {version})" for purpose, package, _, version in found if version]:
        print(f"ok  {', '.join(there)}")
    for purpose, package, extra, version in found:
        if not version:
            print(f"--  {purpose}: {package} not installed: pip install 'bisect-convert[{extra}]'")
    print(f"--  bisect-convert {__version__}, {platform.platform()}, {os.cpu_count()} cores, {_disk()}")
    return 0 if all(fits for fits, _ in lines) else 2


def _python() -> tuple[bool, str]:
    least, past = _PYTHON
    fits = least <= sys.version_info[:2] < past
    return fits, f"Python {platform.python_version()}" + ("" if fits else ": 3.10 to 3.12 is needed")


def _needed(name: str) -> tuple[bool, str]:
    """Whether a package is there and new enough."""
    asked = next(row for row in metadata.requires("bisect-convert") or () if row.startswith(f"{name}>="))
    wanted = asked.partition(";")[0].strip()
    version = version_of(name)
    if version is None:
        return False, f"{name} is not installed: pip install '{wanted}'"
    fits = _numbers(version) >= _numbers(wanted.partition(">=")[2])
    return fits, f"{name} {version}" + ("" if fits else f": pip install '{wanted}'")


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _private_parts() -> tuple[bool, str]:
    """Whether a worker starts, and finds the parts of both packages that it leans on."""
    from bisect_convert.probe.client import Workers

    try:
        with Workers() as workers:
            workers.versions()
    except EnvironmentError_ as error:
        return False, str(error)
    return True, "a worker starts, and finds all that it needs of tensorflow and coremltools"


def _disk() -> str:
    from bisect_convert.probe.cache import folder_of

    folder = folder_of(True)
    while folder is not None and not folder.exists():
        folder = folder.parent
    free = f"{shutil.disk_usage(folder).free / 2**30:.0f} GiB free" if folder is not None else "no cache folder"
    return f"cache in {folder_of(True)} ({free})"
