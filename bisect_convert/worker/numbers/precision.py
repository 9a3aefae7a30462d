"""The smallest set of ops that must be kept in float32 for the model to agree."""

from __future__ import annotations

import time
from collections.abc import Iterable

from bisect_convert.model.names import in_core_ml
from bisect_convert.worker.numbers.causes import Search
from bisect_convert.worker.numbers.converting import unnumbered
from bisect_convert.worker.numbers.names import plain

__all__ = ["code", "kept", "names_of"]

#: How often, and for how long, the program is run to make the set smaller.
_RUNS = 40
_SECONDS = 15.0


def kept(search: Search, seeds: Iterable[str]) -> list[str] | None:
    """Return tensors whose ops, kept in float32, make the sample agree: 1-minimal where there was time; None if none do.

    It begins with the ops at fault and what passes their errors on, and grows by one step up and down at a time.
    """
    steps = search.steps
    chosen = set(seeds) | {t for t, local in search.rounded.items() if local.inherited}
    chosen = {t for t in chosen if steps.known(t)}
    readers = _readers(search)
    for _ in range(12):
        if search.agrees(steps.but(chosen, search.beyond)):
            return _smaller(search, sorted(chosen))
        wider = chosen | {b for t in chosen for b in steps.before(t)} | {r for t in chosen for r in readers.get(t, ())}
        if wider == chosen:
            break
        chosen = wider
    return None


def _readers(search: Search) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for tensor in search.steps.vars.values():
        for read in search.steps.before(tensor):
            found.setdefault(read, set()).add(tensor)
    return found


def _smaller(search: Search, chosen: list[str]) -> list[str]:
    """Leave out halves, quarters, then single ones, as long as it agrees without them."""
    runs, size, end = 0, max(len(chosen) // 2, 1), time.monotonic() + _SECONDS
    while runs < _RUNS and time.monotonic() < end:
        start = 0
        while start < len(chosen) and runs < _RUNS and time.monotonic() < end:
            less = chosen[:start] + chosen[start + size :]
            runs += 1
            if search.agrees(search.steps.but(less, search.beyond)):
                chosen = less
            else:
                start += size
        if size == 1:
            break
        size = max(size // 2, 1)
    return chosen


_SELECTOR = 'selector = lambda op: re.sub(r"\\W", "_", op.name) not in keep\n'
_NAMED = """\
def named(op):  # the numbers of a function are others in each process
    head, mark, tail = re.sub(r"\\W", "_", op.name).partition("__inference_")
    name = head + mark + re.sub(r"(_\\d+)+(?=_)", "", tail)
    return re.sub(r"(_(?:body|cond|true|false))(_\\d+)+(?=_)", r"\\1", name)

selector = lambda op: named(op) not in keep
"""


def code(names: Iterable[str]) -> str:
    """Return the argument of `ct.convert` that keeps the ops of these names in float32, as code."""
    plain_names = {in_core_ml(name) for name in names}
    names = {unnumbered(name) for name in plain_names}
    listed = ", ".join(repr(name) for name in sorted(names))
    numbered = any("__inference_" in name for name in names) or names != plain_names
    return (
        "import re\n"
        f"keep = {{{listed}}}\n{_NAMED if numbered else _SELECTOR}"
        "compute_precision=ct.transform.FP16ComputePrecision(op_selector=selector)"
    )


def names_of(search: Search, tensors: Iterable[str]) -> frozenset[str]:
    """Return the names, as `code` has them, of the program's ops that make the tensors."""
    return frozenset(plain(name) for t in tensors for name in search.steps.ops_of(t))
