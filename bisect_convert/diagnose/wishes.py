"""What a caller may ask for beside the arguments of `ct.convert`, as one value that is handed through."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bisect_convert.model.loaded import Loaded
from bisect_convert.probe.cache import Cache, folder_of
from bisect_convert.probe.client import Workers
from bisect_convert.probe.executors import Lent
from bisect_convert.probe.prober import Prober
from bisect_convert.probe.queries import Observer
from bisect_convert.report.findings import Finding
from bisect_convert.report.questions import Probe

__all__ = ["Wishes"]


@dataclass(frozen=True)
class Wishes:
    """How to diagnose: limits (`timeout` in seconds, `memory` in GiB, for each probe), how far, with what, and whom to tell."""

    signature: str | None = None
    first: bool = False
    slow: float | None = None
    timeout: float | None = None
    memory: float | None = None
    jobs: int = 1
    allow_code: bool = False
    no_run: bool = False
    """Execute no graph of the model in TensorFlow, as is done to tell which sizes are equal and whether a cut is faithful."""
    verbose: bool = False
    doing: Callable[[str], None] = lambda what: None
    """Hears what is being done, in words, before it is: reading the model, each question, and what else may take its time."""
    told: Callable[[Probe], None] = lambda probe: None
    found: Callable[[Finding], None] = lambda finding: None
    """Hears of each finding when it is kept: with the places known by then."""
    cache: bool | str | os.PathLike[str] = False
    """The folder where outcomes are kept, or True for the user's own; False: nowhere."""
    out: str | os.PathLike[str] | None = None
    """Where each finding gets a folder finding-N with its repro; None: nowhere."""
    anonymous: bool = False
    """No name of the model is in the issue.md of a finding."""
    numbers: str | Mapping[str, Any] | None = None
    """Compare a model that converts with its original, on "random" inputs, "zeros", a path or arrays; None: do not."""
    tolerance: float | None = None
    """How far outputs may be apart, in parts of their scale; None: by the precision."""
    against: str | None = None
    """The .mlpackage to compare with, in place of what the converter makes."""
    strict: bool = False
    """Refuse a call that names what the model does not have, where it is a person's slip and not what is to be debugged."""

    @property
    def cache_folder(self) -> Path | None:
        """The folder where outcomes are kept; None: nowhere."""
        return folder_of(self.cache)

    @property
    def out_folder(self) -> Path | None:
        """The folder for the repros; None: none is wanted."""
        return None if self.out is None else Path(self.out)

    def workers(self, executor: Executor | None = None) -> Callable[[], Workers]:
        """Return what starts workers of our own, or takes a caller's."""
        return partial(Workers, self.jobs, verbose=self.verbose) if executor is None else partial(Lent, executor)

    def prober(
        self,
        loaded: Loaded,
        workers: Workers,
        options: Mapping[str, Any],
        cache: Cache | None,
        observer: Observer | None = None,
    ) -> Prober:
        """Return a prober of the model under these arguments of `ct.convert`, within the wished limits."""
        return Prober(
            loaded, workers, options, timeout=self.timeout, memory=self.memory, jobs=self.jobs, cache=cache,
            asking=lambda question: self.doing(f"at: {question}"), told=self.told, observer=observer, no_run=self.no_run,
        )  # fmt: skip
