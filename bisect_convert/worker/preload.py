"""Imports tensorflow and coremltools, and says which they are.

It only imports: a child forked from a process that has run TensorFlow hangs. What goes wrong is kept for `versions` to
raise in a worker: raised here it would end the fork server, and say nothing to anyone.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from importlib import metadata

from bisect_convert.errors import EnvironmentError_
from bisect_convert.model.installed import fingerprint

__all__ = ["versions"]

_LEAST = {"tensorflow": (2, 16), "coremltools": (8, 3)}
#: What else decides how a conversion ends.
_BESIDE = ("numpy", "protobuf", "scikit-learn")
_found: dict[str, str] = {}


def versions() -> dict[str, str]:
    """Return the versions of tensorflow and coremltools; raises EnvironmentError_ where they cannot be used."""
    if _fault is not None:
        raise _fault
    return dict(_found)


def _prepare() -> None:
    for name, least in _LEAST.items():
        _found[name] = _version(name, least)
    try:
        from bisect_convert.worker import conversion, private_api  # noqa: F401
        from bisect_convert.worker.read import opening  # noqa: F401
    except ImportError as error:
        raise EnvironmentError_(f"coremltools and tensorflow do not fit together: {error}; {_remedy()}") from error
    _found["converter"] = fingerprint()
    for name in _BESIDE:
        with contextlib.suppress(metadata.PackageNotFoundError):
            _found[name] = metadata.version(name)
    private_api.check()


def _version(name: str, least: tuple[int, ...]) -> str:
    """Import the package and return its version, if that is not below `least`."""
    try:
        version = str(getattr(importlib.import_module(name), "__version__", "of unknown version"))
    except BaseException as error:  # a damaged installation may raise anything, or exit
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise EnvironmentError_(f"{name} is not installed; {_remedy()}") from error
        text = (str(error).strip().splitlines() or [""])[0]
        raise EnvironmentError_(f"{name} cannot be imported ({type(error).__name__}: {text}); {_remedy()}") from error
    if tuple(int(n) for n in re.findall(r"\d+", version)[:2]) < least:
        raise EnvironmentError_(f"{name} {version} is too old; {_remedy()}")
    return version


def _remedy() -> str:
    wanted = " ".join(f"'{name}>={'.'.join(str(n) for n in least)}'" for name, least in _LEAST.items())
    return f"run: pip install {wanted}"


_fault: Exception | None = None
try:
    _prepare()
except Exception as error:
    _fault = error
