"""`find`: from a model and the arguments of `ct.convert` to a report."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bisect_convert import options as convert_options
from bisect_convert.compose import compose
from bisect_convert.errors import EnvironmentError_, ModelError, Stopped, UsageError
from bisect_convert.hunt import Found, Hunt
from bisect_convert.loadfail import load_causes
from bisect_convert.model import Loaded, read_facts
from bisect_convert.paths import check_path, damage
from bisect_convert.prober import Prober
from bisect_convert.render.repro import write_repro
from bisect_convert.report import Finding, Probe, Report
from bisect_convert.workers import Workers

__all__ = ["Wishes", "find", "find_packed", "load_model", "signature_note"]


def find(
    model: Any,
    *,
    signature: str | None = None,
    first: bool = False,
    timeout: float | None = None,
    memory: float | None = None,
    jobs: int = 1,
    allow_code: bool = False,
    verbose: bool = False,
    told: Callable[[Probe], None] = lambda probe: None,
    workers: Workers | None = None,
    out: str | os.PathLike[str] | None = None,
    **convert_kwargs: Any,
) -> Report:
    """Return a report of every op that keeps the model from converting: `ct.convert`'s arguments, unchanged, and ours.

    model: a SavedModel folder, a .keras, .h5 or frozen .pb file, a Keras model, tf.function, concrete function,
    tf.Module or GraphDef. `timeout` (seconds) and `memory` (GiB) hold for each probe; `first` stops at one finding.
    Calls that share `workers` start them once. In `out` each finding gets a folder with a script that reproduces it.
    Raises UsageError or ModelError for what cannot be read, EnvironmentError_ for packages that cannot be used, Stopped
    (with the report so far) on Ctrl-C.

    >>> find("no/such/model")
    Traceback (most recent call last):
    bisect_convert.errors.ModelError: no such file or folder: no/such/model
    """
    packed = convert_options.pack(convert_kwargs)
    wishes = Wishes(
        signature=signature, first=first, timeout=timeout, memory=memory, allow_code=allow_code, told=told,
        out=None if out is None else Path(out),
    )  # fmt: skip
    if isinstance(model, (str, os.PathLike)):
        check_path(model, signature)
    with contextlib.nullcontext(workers) if workers is not None else Workers(jobs, verbose=verbose) as serving:
        return find_packed(model, packed, wishes, serving)


@dataclass(frozen=True)
class Wishes:
    """What a caller of `find` may ask for beside the arguments of `ct.convert`."""

    signature: str | None = None
    first: bool = False
    timeout: float | None = None
    memory: float | None = None
    allow_code: bool = False
    told: Callable[[Probe], None] = lambda probe: None
    out: Path | None = None
    """Where each finding gets a folder finding-N with its repro; None: nowhere."""


def find_packed(model: Any, packed: Mapping[str, Any], wishes: Wishes, workers: Workers) -> Report:
    """Return what `find` does, given options as `options.pack` makes them and workers that the caller ends."""
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(dir=workers.folder))
    run = _Run(workers, packed, folder, started, wishes.told)
    run.timeout, run.memory, run.first, run.out = wishes.timeout, wishes.memory, wishes.first, wishes.out
    request = {"signature": wishes.signature, "inputs": packed.get("inputs"), "allow_code": wishes.allow_code}
    request["outputs"] = [o["name"] for o in packed.get("outputs", ()) if o.get("name")]
    if isinstance(model, (str, os.PathLike)):
        workers.versions()
    try:
        workers.ask({"do": "check", "options": dict(packed)})
        return run.report(load_model(model, workers, folder, request))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load_model(model: Any, workers: Workers, folder: Path, request: dict[str, Any]) -> Loaded:
    """Read the model in a worker, or here where it is in memory: its tensorflow is imported already then."""
    if isinstance(model, (str, os.PathLike)):
        path = os.path.abspath(os.fspath(model))
        try:
            answer = workers.ask({"do": "load", "path": path, "folder": str(folder), **request})
        except ModelError as error:
            raise ModelError(damage(path, str(error))) from error
        if "death" in answer or "memory" in answer:
            raise ModelError(f"{path} cannot be loaded: loading it ended the process ({answer.get('death', 'memory')})")
        return read_facts(folder)
    if "tensorflow" not in sys.modules:
        raise UsageError(
            f"cannot convert a {type(model).__name__}; pass a path, a Keras model, a tf.function or a GraphDef"
        )
    from bisect_convert import facts, loading

    if type(model).__name__ == "GraphDef":
        facts.write_facts(facts.shaped(model), folder, {**request, "path": ""})
    else:
        loading.freeze_and_write(loading.concrete_function(model), folder, {**request, "path": ""})
    return read_facts(folder)


class _Run:
    """One run of `find`: what it was given, and how its report is put together."""

    timeout: float | None = None
    memory: float | None = None
    first = False
    out: Path | None = None

    def __init__(
        self,
        workers: Workers,
        packed: Mapping[str, Any],
        folder: Path,
        started: float,
        told: Callable[[Probe], None],
    ) -> None:
        self._workers, self._packed, self._folder = workers, packed, folder
        self._started, self._told = started, told

    def report(self, loaded: Loaded) -> Report:
        """Hunt, and return the report; on Ctrl-C raise Stopped with what is known by then."""
        versions = self._workers.versions()
        self._load_seconds = time.monotonic() - self._started
        prober = Prober(
            loaded, self._workers, self._packed, timeout=self.timeout, memory=self.memory, told=self._told
        )  # fmt: skip
        hunt = Hunt(prober)
        findings: list[Finding] = []
        try:
            if loaded.failure is not None:
                findings += load_causes(loaded)
            else:
                for found in hunt.causes():
                    findings.append(self._with_repro(found, compose(found, prober), prober, hunt, len(findings) + 1))
                    if self.first:
                        hunt.complete = False
                        hunt.notes.append("stopped at the first finding, as asked")
                        break
                self._true_weights(loaded, prober, hunt, findings)
        except KeyboardInterrupt:
            hunt.complete = False
            hunt.notes.append("stopped before the search was done")
            raise Stopped("stopped", self._put_together(loaded, prober, hunt, findings, versions)) from None
        return self._put_together(loaded, prober, hunt, findings, versions)

    def _with_repro(self, found: Found, finding: Finding, prober: Prober, hunt: Hunt, number: int) -> Finding:
        """Write the finding's repro where one is asked for; the search goes on where that cannot be done."""
        if self.out is None:
            return finding
        try:
            return write_repro(found, finding, prober, self.out / f"finding-{number}")
        except (OSError, EnvironmentError_) as error:
            hunt.notes.append(f"the repro of finding {number} could not be written: {error}")
            return finding

    @staticmethod
    def _true_weights(loaded: Loaded, prober: Prober, hunt: Hunt, findings: list[Finding]) -> None:
        """A model that converts with its large weights as repeated values is converted once more as it is."""
        if findings or not hunt.complete or not loaded.slim:
            return
        for found in hunt.causes_with_weights():
            findings.append(compose(found, prober))

    def _put_together(
        self, loaded: Loaded, prober: Prober, hunt: Hunt, findings: list[Finding], versions: Mapping[str, str]
    ) -> Report:
        model = loaded.model
        complete = hunt.complete and loaded.failure is None
        verdict = "fails" if findings else "converts" if complete else "inconclusive"
        total = time.monotonic() - self._started
        return Report(
            path=model.path, signature=model.signature, ops=model.ops, functions=len(model.graphs) - 1,
            digest=model.digest, coremltools=versions["coremltools"], tensorflow=versions["tensorflow"],
            options=convert_options.shown(self._packed), verdict=verdict, complete=complete, findings=tuple(findings),
            asked=prober.asked, cached=prober.cached,
            seconds={
                "total": round(total, 2), "load": round(self._load_seconds, 2),
                "search": round(total - self._load_seconds, 2),
            },
            notes=tuple([*signature_note(loaded), *hunt.notes]), journal=tuple(prober.journal),
        )  # fmt: skip


def signature_note(loaded: Loaded) -> list[str]:
    """Return what is to be said where the model has several signatures, as notes."""
    model = loaded.model
    if len(model.signatures) < 2:
        return []
    others = ", ".join(s for s in model.signatures if s != model.signature)
    return [
        f"signature {model.signature} was taken; there is also {others} (--signature NAME). "
        'coremltools.convert itself refuses such a folder: "Only a single concrete function is supported."'
    ]
