"""Edit a program until it converts: convert, look up what fails, edit, and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any

from bisect_convert.model.outcome import Failure
from bisect_convert.worker.rewrite.agreement import where_made
from bisect_convert.worker.rewrite.candidates import candidates
from bisect_convert.worker.rewrite.difference import Agreement
from bisect_convert.worker.rewrite.editing import apply, heavy, level_at, light, pruned, read_still, shaped
from bisect_convert.worker.rewrite.edits import Edit, edited
from bisect_convert.worker.rewrite.samples import Values

__all__ = ["Fixed", "fixed"]

_ROUNDS = 40


@dataclass
class Fixed:
    """What came of it: the edits in their order, what each changes where it is made, and what still fails."""

    program: Any
    """The GraphDef with Placeholders for its large constants, which are in `weights`."""
    weights: Mapping[str, Any]
    before: Any = None
    """The program as it was before all edits."""
    edits: list[Edit] = field(default_factory=list)
    equal: dict[Edit, Agreement | None] = field(default_factory=dict)
    remaining: list[Failure] = field(default_factory=list)
    refused: dict[Edit, str] = field(default_factory=dict)
    """Edits that were tried and not kept, and why."""

    @property
    def whole(self) -> Any:
        """The program with all its constants."""
        return heavy(read_still(self.program, self.before), self.weights)

    def differs(self, whole: Agreement | None) -> str | None:
        """Return what is to be said where the outputs lie apart, whatever each edit for itself; not of what a user put in."""
        most = max([_WHOLE, *(gap.tolerance for gap in self.equal.values() if gap is not None)])
        if whole is None or whole.max_rel <= most or any(edit.function is not None for edit in self.edits):
            return None
        return f"edited so, the model computes something else in TensorFlow: outputs lie {whole.max_rel:.1e} of scale apart"


def fixed(
    program: Any,
    results: Sequence[str],
    inputs: Sequence[Mapping[str, Any]],
    convert: Callable[[Any], list[Failure]],
    first: Sequence[Edit] = (),
    *,
    search: bool = True,
    without: Sequence[Edit] = (),
    about: Callable[[Fixed], None] = lambda done: None,
) -> Fixed:
    """Return the program with the edits with which it converts, or with those that got furthest.

    results: names of the ops that make the outputs; inputs: feeds on which edits are compared; convert: what fails in a
    program, in the converter's order, empty where it converts; first: edits to begin with; search: for further ones, but
    none of `without`; about: hears with which edits it is about to be converted.
    """
    hollow, weights = light(program)
    done = Fixed(hollow, weights, hollow, refused=dict.fromkeys(without, _APART))
    _take(done, first, results, inputs)
    for _ in range(_ROUNDS):
        about(done)
        failures = convert(done.whole)
        done.remaining = failures
        if not failures or not search:
            break
        faulty = _at_fault(done.edits, failures)
        chosen = _chosen(done, failures, faulty)
        for edit in faulty:
            done.refused[edit] = failures[0].message.strip().split("\n")[0]
        if not faulty and not chosen:
            break
        if faulty:
            kept = [e for e in done.edits if e not in faulty]
            done.edits, done.program = kept, pruned(edited(hollow, kept), results)
        _take(done, chosen, results, inputs)
    return done


#: How far, in parts of its scale, an output of the edited model may lie from the original's.
_WHOLE = 1e-3
#: Why an edit is refused whose values could not be compared where it is made.
_APART = "with it the model computes something else"


def _instead(level: Any, _: Any) -> Any:
    """The edit that puts a level in the place of what was there."""
    return level


def _at_fault(edits: Sequence[Edit], failures: Sequence[Failure]) -> list[Edit]:
    """The edits whose own ops fail."""
    names = {frame.name for failure in failures for frame in failure.hint[-1:]}
    return [
        e for e in edits if any(n.startswith((f"{e.op}/instead/", f"{e.op}/cast/", f"{e.op}/in_steps/")) for n in names)
    ]


def _chosen(done: Fixed, failures: Sequence[Failure], faulty: Sequence[Edit]) -> list[Edit]:
    """For each failure the first edit that was not tried yet; none behind an op that an edit is chosen for."""
    chosen: list[Edit] = []
    seen: set[tuple[str, ...]] = set()
    for failure in failures:
        place = tuple(frame.name for frame in failure.hint)
        if place and place in seen:  # a body is lowered twice
            continue
        seen.add(place)
        options = candidates(done.program, failure)
        fresh = [e for e in options if e not in done.refused and e not in done.edits and e not in faulty]
        many = failure.signature.stage.name in ("GRAPH_PASS", "MIL_PASS") or not failure.hint
        taken: set[tuple[Any, str]] = {(e.path, e.op) for e in chosen}
        for edit in fresh:
            if (edit.path, edit.op) not in taken:
                chosen.append(edit)
                taken.add((edit.path, edit.op))
                if not many:
                    break
    # what stands in a branch that is not taken has no values
    joined = [e for e in chosen if e.recipe == "branches_chosen"]
    return joined or sorted(chosen, key=lambda e: (-len(e.path), e.path))


def _names(program: Any, results: Sequence[str]) -> set[str]:
    """Those of the results that the program makes."""
    return {n.name for n in program.node} & set(results)


def _unfit(error: Exception) -> str:
    """Why an edit does not fit: in the words of the edit itself, where it has said so."""
    text = str(error).strip().split("\n")[0]
    if isinstance(error, ValueError) and text[:1].islower():
        return text
    if isinstance(error, (TypeError, ValueError)) and "None" in text:
        return "sizes that it needs are not known here"
    return "it is not made for this use of the op"


def _take(done: Fixed, chosen: Sequence[Edit], results: Sequence[str], inputs: Sequence[Mapping[str, Any]]) -> None:
    """Make those of the chosen edits that fit and change nothing."""
    for path, group in groupby(chosen, lambda e: e.path):
        values = Values(done.whole, inputs)
        try:
            level = level_at(done.program, path)
        except Exception:  # an edit of this round replaced what leads to it
            continue
        fitting = []
        for edit in group:
            try:
                level = edit.done(level)
                fitting.append(edit)
            except Exception as error:  # a recipe refuses what it is not made for, in whatever way
                done.refused[edit] = _unfit(error)
        after = level if path else heavy(level, done.weights)
        try:
            equal = where_made(values, after, fitting) if fitting else {}
        except Exception as error:  # the edited level is none that TensorFlow takes
            done.refused.update(dict.fromkeys(fitting, _unfit(error)))
            continue
        kept = []
        for edit in fitting:
            gap = equal[edit]
            if gap is not None and gap.max_rel > gap.tolerance:
                done.refused[edit] = f"not equal: {gap.max_rel:.1e} of scale"
            else:
                kept.append(edit)
        try:
            if kept == fitting:
                made = shaped(level) if not path else apply(done.program, path, [partial(_instead, level)])
            else:
                made = edited(done.program, kept)
            made = pruned(made, results)
            if _names(done.program, results) - _names(made, results):
                raise ValueError("an output of the model hangs on what it leaves out")
            done.program = made
        except Exception as error:
            done.refused.update(dict.fromkeys(kept, _unfit(error)))
            continue
        done.edits += kept
        done.equal.update({e: equal[e] for e in kept})
