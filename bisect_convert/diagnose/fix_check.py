"""What a fix wrote, held against the original: does the converted model compute the same?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

from bisect_convert.diagnose.diagnosis import Diagnosis
from bisect_convert.model.files import MOVED, STATELESS
from bisect_convert.model.loaded import read_facts
from bisect_convert.numbers import samples
from bisect_convert.numbers.comparison import compared
from bisect_convert.probe.prober import Prober
from bisect_convert.report.fix import Agreement, Fix
from bisect_convert.report.numbers import Numbers

__all__ = ["held_against_the_original"]


def held_against_the_original(fix: Fix, run: Diagnosis, prober: Prober) -> Fix:
    """Return the fix with how far the written model, evaluated, is from the original; where it differs, the diagnosis has why.

    By itself that is a note; where numbers were asked for, each op at fault is a finding. Where a boundary moved, what is
    between the new ones is compared. The fix stays as it is where nothing was written, or no numbers are wanted or to be had.
    """
    numbers = run.numbers if run.numbers is not None else _numbers(fix, run, prober)
    if numbers is None or not numbers.outputs or not fix.converted:
        return fix
    most_abs, most_rel = _most(o.max_abs for o in numbers.outputs), _most(o.max_rel for o in numbers.outputs)
    return replace(fix, agreement=Agreement(most_abs, most_rel, numbers.samples), edited=fix.agreement)


def _most(distances: Iterable[float | None]) -> float | None:
    known = list(distances)
    return None if None in known else max(d for d in known if d is not None)


def _numbers(fix: Fix, run: Diagnosis, prober: Prober) -> Numbers | None:
    stateless = run.loaded.failure is not None
    # a caller's own arrays are none for the state: where there is such, random ones are taken
    given = ("random", "random") if stateless and run.wishes.numbers == samples.AUTO else run.samples
    if fix.model is None or given is None:
        return None
    edited = run.loaded.folder / STATELESS if stateless else run.searched.folder
    moved = edited / MOVED
    prober.turn_to(read_facts(moved if moved.is_dir() else edited))
    done = compared(prober, *given, run.wishes.tolerance, os.path.abspath(fix.model))
    if done.numbers is None:
        return None
    run.numbers = replace(done.numbers, against=None)
    if run.wishes.numbers != samples.AUTO:
        run.keep(done.findings)
    elif done.findings:
        run.notes.append(
            "what was written computes something else than the original: --numbers random says which op does"
        )
    return run.numbers
