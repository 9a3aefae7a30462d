"""`find`: from a model and the arguments of `ct.convert` to a report."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bisect_convert.arguments import packing
from bisect_convert.diagnose.diagnosis import Diagnosis
from bisect_convert.diagnose.fix_check import held_against_the_original
from bisect_convert.diagnose.repro import write_repro
from bisect_convert.diagnose.signatures import others_tried
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.errors import EnvironmentError_, Stopped
from bisect_convert.model.files import check_path
from bisect_convert.probe.cache import opened
from bisect_convert.probe.client import Workers
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import Finding
from bisect_convert.report.fix import Fix
from bisect_convert.report.questions import Probe
from bisect_convert.report.report import Report
from bisect_convert.search.faulty_arguments import check
from bisect_convert.search.found import Found

__all__ = ["find", "find_packed", "with_repro"]


def find(
    model: Any,
    *,
    signature: str | None = None,
    first: bool = False,
    slow: float | None = None,
    timeout: float | None = None,
    memory: float | None = None,
    jobs: int = 1,
    allow_code: bool = False,
    no_run: bool = False,
    verbose: bool = False,
    told: Callable[[Probe], None] = lambda probe: None,
    workers: Workers | None = None,
    executor: Executor | None = None,
    cache: bool | str | os.PathLike[str] = False,
    out: str | os.PathLike[str] | None = None,
    numbers: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    tolerance: float | None = None,
    **convert_kwargs: Any,
) -> Report:
    """Return a report of every op that keeps the model from converting: `ct.convert`'s arguments, unchanged, and ours.

    model: a SavedModel folder, a .keras, .h5 or frozen .pb file, a Keras model, tf.function, concrete function,
    tf.Module or GraphDef. `timeout` (seconds) and `memory` (GiB) hold for each probe; `first` stops at one finding.
    `slow`: of a model that converts, find where the time goes, and the op or layer that takes 1/`slow` of it. `jobs`
    probes may run at once: the report is the same for any number. `optimize`: "linear8", "palettize4" or "prune", the
    step of coremltools.optimize that is to follow. `cache`: a folder where outcomes are kept for later runs, or True for
    the user's own. `no_run`: execute nothing of the model. Calls that share `workers` start them once; an `executor` of
    the caller's, which must run processes, takes their place. In `out` each finding gets a folder with a script that
    reproduces it. `numbers`: compare a model that converts with its original, on "random" inputs, "zeros", arrays by the
    inputs' names, or an .npz file or folder of such; outputs may be apart by `tolerance` of their largest number. Raises
    UsageError or ModelError for what cannot be read, EnvironmentError_ for packages that cannot be used, Stopped (with the
    report so far) on Ctrl-C.

    >>> report = find(model, convert_to="mlprogram")
    >>> report.verdict, [culprit.name for finding in report.findings for culprit in finding.culprits]
    ('fails', ['act/Erfc'])
    >>> find("no/such/model")
    Traceback (most recent call last):
    bisect_convert.errors.ModelError: no such file or folder: no/such/model
    """
    wishes = Wishes(
        signature=signature, first=first, slow=slow, timeout=timeout, memory=memory, allow_code=allow_code, told=told,
        no_run=no_run, jobs=jobs, cache=cache, out=out, verbose=verbose,
        numbers=numbers if isinstance(numbers, Mapping) or numbers is None else os.fspath(numbers), tolerance=tolerance,
    )  # fmt: skip
    packed = packing.pack(convert_kwargs)
    check_path(model, signature)
    with contextlib.ExitStack() as ended:
        if workers is None:
            workers = ended.enter_context(wishes.workers(executor)())
        return find_packed(model, packed, wishes, workers)


def find_packed(
    model: Any,
    packed: Mapping[str, Any],
    wishes: Wishes,
    workers: Workers,
    fixing: Callable[[Diagnosis], Fix] | None = None,
) -> Report:
    """Return what `find` does, given options as `options.pack` makes them and workers that the caller ends.

    fixing: what is to be done with the diagnosis to get a converted model.
    """
    notes: list[str] = []
    cache = opened(wishes.cache_folder, notes.append)
    run = Diagnosis(model, packed, workers, wishes, notes)
    try:
        if wishes.strict:
            check(run.loaded, run.packed)
        prober = wishes.prober(run.loaded, workers, run.packed, cache)
        try:
            run.search(prober, completed=partial(with_repro, wishes.out_folder, prober, run))
        except (KeyboardInterrupt, Stopped, EnvironmentError_) as stop:
            if isinstance(stop, EnvironmentError_) and not run.findings:
                raise
            run.notes.append(f"{stop}: run it again" if str(stop) else "stopped before the search was done")
            raise Stopped("stopped", run.report(prober)) from None
        run.notes += others_tried(run, model, packed, wishes, workers)
        if fixing is None:
            return run.report(prober)
        wishes.doing("editing its graph until it converts")
        return _fixed(run, prober, fixing)
    finally:
        run.close()


def _fixed(run: Diagnosis, prober: Prober, fixing: Callable[[Diagnosis], Fix]) -> Report:
    """The report with what came of editing; where that is stopped, what is known stands all the same."""
    fix, doing = None, "its graph was edited: no converted model was written"
    try:
        fix, doing = fixing(run), "what was written was compared with the original"
        fix = held_against_the_original(fix, run, prober)
    except (KeyboardInterrupt, Stopped):
        run.notes.append(f"stopped while {doing}")
        raise Stopped("stopped", replace(run.report(prober), fix=fix)) from None
    return replace(run.report(prober), fix=fix)


def with_repro(out: Path | None, prober: Prober, run: Diagnosis, found: Found, finding: Finding) -> Finding:
    """Write the finding's repro where one is asked for; the search goes on where that cannot be done."""
    if out is None:
        return finding
    number = len(run.findings) + 1
    try:
        return write_repro(found, finding, prober, out / f"finding-{number}", hidden=run.wishes.anonymous)
    except (OSError, EnvironmentError_) as error:
        run.notes.append(f"the repro of finding {number} could not be written: {error}")
        return finding
