"""The second axis of the search: which passes of coremltools' pipeline a failure needs, asked of its witness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bisect_convert.model.outcome import Stage, Verdict, judge
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import Passes
from bisect_convert.report.questions import Kind
from bisect_convert.search.bisection import first_failing, minimise
from bisect_convert.search.found import Found

__all__ = ["implicated", "pipeline_of", "studied"]

#: How many earlier passes are looked for, and how large a witness may be for that to be cheap.
_MOST, _LARGEST = 3, 60
#: A precision given as an op selector is an option of this pass, without which the pipeline is no valid one.
_SELECTING = "common::add_fp16_cast"

Ask = Callable[[tuple[int, ...]], Verdict]


def studied(found: Found, prober: Prober) -> Passes | None:
    """Return which passes the failure needs, for one in a pass of the pipeline or behind it; else None."""
    target = found.failure.signature
    if target.stage not in (Stage.MIL_PASS, Stage.BACKEND) or not found.culprits:
        return None
    if len(found.witness.ops) > _LARGEST:
        return None
    given = prober.errands.passes(prober.options)
    names = given["passes"]
    if not names:
        return None
    always = _always(names, prober.options)

    def ask(chosen: tuple[int, ...]) -> Verdict:
        pipeline = pipeline_of(given, (names[i] for i in sorted({*chosen, *always})))
        question = Kind.PASSES.asks(len(chosen), len(names))
        return judge(
            prober.trial(found.witness, question, options={**prober.options, "pass_pipeline": pipeline}), target
        )

    return implicated(names, target.pass_name, ask)


def pipeline_of(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the packed pipeline of these passes, with those options of the given one that concern them."""
    passes = list(names)
    options = {name: found for name, found in given["options"].items() if name in passes}
    return {"name": given["name"], "passes": passes, "options": options}


def _always(names: Sequence[str], options: Mapping[str, Any]) -> frozenset[int]:
    selecting = isinstance(options.get("compute_precision"), dict)
    return frozenset(i for i, name in enumerate(names) if selecting and name == _SELECTING)


def implicated(names: Sequence[str], failing: str | None, ask: Ask) -> Passes:
    """Return whether the pass fails alone, else a 1-minimal set of those before it with which it does.

    `ask` tells whether the failure is the same with the passes at these places only; with all of them it is. At most
    about 4 + 8 log2(number of passes) questions, and one where the pass fails alone.
    """
    places = [i for i, name in enumerate(names) if name == failing]
    if ask(tuple(places[:1])) is Verdict.FAIL:
        return Passes(True)
    before, tail = _reach(len(names), places, ask)
    kept: tuple[int, ...] = ()
    while before and len(kept) < _MOST:
        first, *before = _last_that_fails(before, (*kept, *tail), ask)
        kept = (*kept, first)
        if ask((*kept, *tail)) is Verdict.FAIL:
            return Passes(False, _named(names, minimise(kept, lambda some: ask((*some, *tail))).items))
    return Passes(False, _named(names, kept))


def _last_that_fails(places: Sequence[int], fixed: tuple[int, ...], ask: Ask) -> Sequence[int]:
    """The end of the places that fails with the fixed ones, where without its first it no longer does."""
    flip = first_failing(len(places) + 1, lambda i: ask((*places[len(places) - i :], *fixed)))
    return places[len(places) - flip.bad :]


def _reach(length: int, places: list[int], ask: Ask) -> tuple[list[int], tuple[int, ...]]:
    """The passes before the one that fails, and that one: the first of its name up to which it does.

    A pass of that name may also be one that coremltools runs behind the pipeline, whatever that is.
    """
    if places:
        flip = first_failing(len(places) + 1, lambda i: ask(tuple(range(places[i - 1] + 1))))
        last = places[flip.bad - 1]
        if flip.bad < len(places) or ask(tuple(range(last + 1))) is Verdict.FAIL:
            return list(range(last)), (last,)
    return list(range(length)), ()


def _named(names: Sequence[str], places: Iterable[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names[i] for i in sorted(places)))
