"""What came of editing a model, in words: each kind of edit once, with how often it was made."""

from __future__ import annotations

from bisect_convert.render.names import harmless
from bisect_convert.report.fix import Agreement, Edit, Fix, State

__all__ = ["agreement_line", "edit_lines", "fix_headline", "fix_text", "in_words", "state_lines"]


def edit_lines(fix: Fix) -> list[str]:
    """Return a line for each kind of edit: where it was made, what it does, and how equal it was seen to be."""
    kinds: dict[tuple[str, str, str | None], list[Edit]] = {}
    for edit in fix.edits:
        kinds.setdefault((edit.recipe, edit.summary, edit.caution), []).append(edit)
    return [_line(edits) for edits in kinds.values()]


def _line(edits: list[Edit]) -> str:
    first = edits[0]
    seen = [e.equal for e in edits if e.equal is not None]
    equal = f" (largest difference {_parts(*seen)})" if len(seen) == len(edits) else ""
    at = f"`{first.at[0]}`" if first.at else "the call"
    more = f" and {len(edits) - 1} more place{'s' * (len(edits) > 2)}" if len(edits) > 1 else ""
    return f"{at}{more}: {first.summary}{equal}{f'; CAUTION: {first.caution}' if first.caution else ''}"


def _parts(*found: Agreement) -> str:
    """The largest of the distances in words."""
    known = [a.max_rel for a in found if a.max_rel is not None]
    return f"{max(known):.1g} of scale" if len(known) == len(found) else "infinitely far apart"


def agreement_line(fix: Fix) -> str:
    """How far the outputs of the edited model are from those of the original."""
    if fix.agreement is None:
        return "not compared as a whole: TensorFlow cannot run it on inputs made up for it, or it draws random numbers"
    in_graph = fix.edited or fix.agreement
    count = f"{in_graph.samples} set{'s' * (in_graph.samples != 1)} of inputs"
    if fix.edited is None:  # of the edited graph or of what was written, whichever could be run
        return f"the outputs of both models on {count}: largest difference {_parts(in_graph)}"
    said = f"in TensorFlow the outputs of both models on {count}: largest difference {_parts(in_graph)}"
    return f"{said}; what was written, evaluated: {_parts(fix.agreement)}"


def state_lines(fix: Fix) -> list[str]:
    """Return a line for each variable that the app hands on from call to call."""
    return [in_words(state) for state in fix.state]


def in_words(state: State) -> str:
    """Return which output is given in as which input the next time, and what is at first.

    >>> in_words(State("h_in", "h_out", "lstm/h", "float32", (1, 8), 0.0))
    'h_out is given in as h_in the next time; at first float32[1, 8], all 0'
    """
    kind = f"{state.dtype}[{', '.join(map(str, state.shape))}]"
    if isinstance(state.first, (int, float)):
        first = f"{kind}, {'all ' if state.shape != (1,) else ''}{state.first:g}"
    elif state.first is None:
        first = f"{kind}, what the variable {state.variable} holds"
    else:
        first = f"{kind}, the numbers that the report and the model's metadata have"
    return f"{state.output} is given in as {state.input} the next time; at first {first}"


def fix_text(fix: Fix) -> str:
    """Return what came of it as a few lines."""
    rows = [fix_headline(fix)]
    rows += [f"  {harmless(line)}" for line in (*edit_lines(fix), *state_lines(fix))]
    if fix.agreement is not None and fix.converted:
        found = fix.agreement
        rows.append(f"  outputs: largest difference {_parts(found)} on {found.samples} sets of inputs")
    return "\n".join([*rows, *(f"  because {harmless(reason)}" for reason in fix.reasons)])


def fix_headline(fix: Fix) -> str:
    """What came of it, in a sentence."""
    if not fix.converted:
        return "no converted model: no edit that is known gets past what is left"
    count = f"{len(fix.edits)} edit{'s' * (len(fix.edits) != 1)}" if fix.edits else "no edit needed"
    moved = "; the model's boundary moved, and the app has to do the rest" if fix.moved else ""
    return f"converted, with {count}{moved}" if fix.edits else f"converted, {count}"
