"""What conversions need of the process that they run in: for good in one of ours, for the time of a request in another's."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.abc
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator

__all__ = ["as_it_was", "give_back", "prepare"]

#: Python's own, which `prepare` puts something else in the place of.
_collect = gc.collect

#: What keras and coremltools import where it is there, at the cost of seconds, for purposes that are none of ours: what
#: needs one of these for good imports it later, where it uses it.
_UNUSED = frozenset({"sklearn", "scipy", "pandas", "torch", "xgboost", "lightgbm", "libsvm", "matplotlib", "IPython"})


def prepare() -> None:
    """Make this process one for conversions; it need not be fit for anything else afterwards.

    The heap is frozen because coremltools calls `gc.collect` in every conversion, once for each function, which on
    TensorFlow's heap takes more time than all the rest; Python's own collections stay off, since those of coremltools
    come often enough.
    """
    gc.disable()
    gc.collect = _seldom(gc.collect)
    os.environ["KERAS_BACKEND"] = "tensorflow"  # no other makes a graph for the converter, and some are not there now
    with _absent(_UNUSED):
        from bisect_convert.worker import preload

    with contextlib.suppress(Exception):  # `versions` says in a worker what is wrong
        preload.versions()
        from bisect_convert.worker import private_api

        private_api.install()
    if os.environ.get("BISECT_CONVERT_VERBOSE") != "1":
        logging.getLogger("coremltools").setLevel(logging.CRITICAL)
    gc.freeze()  # uncollected: looking for the little garbage of imports takes a sixth of their time


def give_back() -> None:
    """Return to the system what programs and graphs held that nothing refers to any more; takes some hundredths of a second."""
    _collect()
    with contextlib.suppress(OSError, AttributeError):  # of glibc
        ctypes.CDLL(None).malloc_trim(0)


def _seldom(collect: Callable[..., int], share: float = 0.05) -> Callable[..., int]:
    """The collection of garbage, left out as long as collecting would take more than this share of the time."""
    due = 0.0

    def seldom(*generation: int) -> int:
        nonlocal due
        started = time.monotonic()
        if started < due:
            return 0
        found = collect(*generation)
        done = time.monotonic()
        due = done + (done - started) / share
        return found

    return seldom


class _Absent(importlib.abc.MetaPathFinder):
    """Finds none of these packages."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Raise ModuleNotFoundError for what is in one of the packages."""
        if fullname.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@contextlib.contextmanager
def _absent(names: frozenset[str]) -> Iterator[None]:
    """Within, these packages cannot be imported, unless they were before."""
    finder = _Absent(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextlib.contextmanager
def as_it_was() -> Iterator[None]:
    """Within, this process is one for conversions; afterwards it is what its owner made of it.

    That is: garbage collection, what coremltools logs and takes for a model, TensorFlow's eager context with the
    functions in it, and the limit of memory. That tensorflow and coremltools are imported stays.
    """
    logger = logging.getLogger("coremltools")
    level, limits = logger.level, resource.getrlimit(resource.RLIMIT_AS)
    collects, frozen = gc.isenabled(), gc.get_freeze_count()
    try:
        gc.disable()
        from bisect_convert.worker import preload

        preload.versions()
        from bisect_convert.worker import private_api

        logger.setLevel(logging.CRITICAL)
        if not frozen:
            gc.freeze()
        with private_api.installed(), private_api.own_context():
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        logger.setLevel(level)
        if not frozen:
            gc.unfreeze()
        if collects:
            gc.enable()
