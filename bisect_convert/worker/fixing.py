"""Edit the model that was written into a folder until it converts. Runs in a worker."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import tensorflow as tf

from bisect_convert.model import facts
from bisect_convert.model.files import EDITED, MOVED
from bisect_convert.model.names import op_of
from bisect_convert.model.outcome import Failure
from bisect_convert.worker.conversion import limit_memory
from bisect_convert.worker.edited_program import Converter, still_there
from bisect_convert.worker.read.reading import Reading
from bisect_convert.worker.read.writing import shaped, write_facts
from bisect_convert.worker.request import Fix
from bisect_convert.worker.rewrite.agreement import agreement, labels_of, taken
from bisect_convert.worker.rewrite.candidates import empty_lists, kept_draws
from bisect_convert.worker.rewrite.classifier import classifier
from bisect_convert.worker.rewrite.difference import Agreement
from bisect_convert.worker.rewrite.draws import DRAWS
from bisect_convert.worker.rewrite.editing import imported
from bisect_convert.worker.rewrite.edits import BOUNDARY, CHECKS, CUTS, EXACT, Edit, literal, recipe_names
from bisect_convert.worker.rewrite.fixing import Fixed, fixed
from bisect_convert.worker.rewrite.frontier import Moved, moved
from bisect_convert.worker.rewrite.levels import levels
from bisect_convert.worker.rewrite.open_sizes import given_sizes, of_one, sized
from bisect_convert.worker.rewrite.samples import sample_inputs
from bisect_convert.worker.weights import true_weights

__all__ = ["fix"]

#: How often the boundary may be moved further.
_MOVES = 4


def fix(request: Fix) -> dict[str, Any]:
    """Return the edits with which the model converts, what each changes, and what still fails.

    Where it converts and `request.out` is given, the model with its true weights is written there.
    """
    limit_memory(request.memory)
    folder = Path(request.folder)
    program = _with_weights(folder)
    results = _outputs(program, [op_of(name) for name in facts.read(folder).graphs[""].results])
    start = Moved(program, tuple(results))
    start, made, more = _first(start, request)
    known = sized(program, given_sizes(request.options))
    for _ in range(_MOVES if request.search else 0):
        if not made.done.remaining or (further := moved(program, results, made.done.remaining, start.bad)) is None:
            break
        start = further
        made = _edited(start, request)
    if start.edits:
        _write_moved(start, folder)
    done, apart, whole, unseen, converter = made.done, made.apart, made.whole, made.unseen, made.converter
    if request.out and not done.remaining and apart is None:
        converter.save(done.whole, request.out)
    if not done.remaining and apart is None:
        (folder / EDITED).write_bytes(done.whole.SerializeToString())
    return {
        **_program(start, done, results, converter, more),
        "fits": _fits(start, request) if done.remaining and request.search and not known else {},
        "remaining": [_failure(f) for f in done.remaining] if apart is None else [_parted(apart)],
        "refused": [{"at": e.at, "recipe": e.recipe, "reason": _line(reason)} for e, reason in done.refused.items()],
        "agreement": None if whole is None else whole.to_json(),
        "unseen": unseen,
        "structure": converter.structure,
        "labels": _labels(program) if any(e.recipe == "labels_as_numbers" for e in done.edits) else {},
    }


def _program(
    start: Moved, done: Fixed, originals: Sequence[str], converter: Converter, more: Mapping[str, Any]
) -> dict[str, Any]:
    """What a script that makes the same program needs to know."""
    left = still_there(converter.options, done.whole)
    return {
        "edits": [_described(e, done.equal.get(e)) for e in (*start.edits, *done.edits)],
        "results": list(start.results),
        "originals": list(originals),
        "options": {**{key: left.get(key) for key in ("inputs", "outputs")}, **more},
    }


def _first(start: Moved, request: Fix) -> tuple[Moved, _Made, dict[str, Any]]:
    """Edit the program, as a classifier where it ends with the name of a class, with the sizes that inputs are given with
    where it needs those; returns what was edited, what came of it, and further arguments.
    """
    named = None
    if request.search:
        named = classifier(start.program, start.results, request.options, _inputs(start.program, request)[0])
    if named is not None:
        other, more = named
        made = _edited(other, replace(request, options={**request.options, **more}), more=more)
        if not made.done.remaining and made.apart is None:
            return other, made, more
    made = _edited(start, request)
    known = sized(start.program, given_sizes(request.options))
    if made.done.remaining and request.search and known:
        again = _edited(start, request, known)
        made = again if not again.done.remaining else made
    return start, made, {}


def _write_moved(start: Moved, folder: Path) -> None:
    """Write the facts of the program between its new boundaries, which what is converted is to be compared with."""
    (folder / MOVED).mkdir(exist_ok=True)
    write_facts(shaped(start.program), folder / MOVED, Reading(outputs=start.results))


def _outputs(program: Any, ends: Sequence[str]) -> list[str]:
    """The ops of these, which end the graph, that make outputs: neither checks nor what only says that a branch is taken."""
    nodes = {n.name: n for n in program.node}
    found = [
        name for name in ends if name not in nodes or not (_is_check(nodes[name]) or _is_pivot(nodes[name], nodes))
    ]
    return found or list(ends)


def _is_check(node: Any) -> bool:
    return node.op in ("Assert", "If", "StatelessIf") and "Assert" in node.name


def _is_pivot(node: Any, nodes: Mapping[str, Any]) -> bool:
    before = nodes.get(op_of(node.input[0])) if node.op == "Identity" and node.input else None
    return before is not None and before.op in ("Switch", "_SwitchN")


@dataclass(frozen=True)
class _Made:
    """What editing a program came to: how far the whole is from it, in numbers and in words, or why that is not known."""

    done: Fixed
    whole: Agreement | None
    apart: str | None
    unseen: str | None
    converter: Converter


def _edited(start: Moved, request: Fix, sizes: Sequence[Edit] = (), more: Mapping[str, Any] | None = None) -> _Made:
    """Edit the program until it converts; what cannot be compared where it is made goes where the whole differs by it."""
    program, results = start.program, list(start.results)
    converter = Converter(still_there(request.options, program))
    inputs, unseen = _inputs(program, request)
    first = [*sizes, *([*empty_lists(program), *kept_draws(program)] if request.search else ())] + [
        edit for patch in request.patches for edit in _patched(program, patch)
    ]

    def about(done: Fixed) -> None:
        converter.lowered = partial(_foresee, request, start, done, converter, more or {})

    done = fixed(program, results, inputs, converter.failures, first, search=request.search, about=about)
    outputs = [f"{r}:0" for r in results]
    whole = agreement(program, done.whole, outputs, inputs) if inputs else None
    if whole is None and 0 < len(fit := taken(program, outputs, inputs)) < len(inputs):
        inputs = fit
        done = fixed(program, results, inputs, converter.failures, first, search=request.search)
        whole = agreement(program, done.whole, outputs, inputs)
    if done.differs(whole) and (uncompared := [e for e in done.edits if done.equal.get(e) is None]):
        done = fixed(program, results, inputs, converter.failures, first, search=request.search, without=uncompared)
        whole = agreement(program, done.whole, outputs, inputs)
    return _Made(done, whole, None if done.remaining else done.differs(whole), unseen, converter)


def _foresee(request: Fix, start: Moved, done: Fixed, converter: Converter, more: Mapping[str, Any]) -> None:
    """Say which program it is likely to be: most that is lowered converts."""
    if request.foreseen and not start.edits:
        written = Path(f"{request.foreseen}.part")
        written.write_text(json.dumps(_program(start, done, start.results, converter, more)))
        written.replace(request.foreseen)


def _patched(program: Any, patch: Mapping[str, str]) -> list[Edit]:
    """The user's function in the place of the op of that name, or of the ops of that type."""
    function = cloudpickle.loads(base64.b64decode(patch["code"]))
    return [
        Edit(path, op.name, op.type, patch["name"], function=function)
        for path, _, graph in levels(program)
        for op in graph.get_operations()
        if patch["target"] in (op.name, op.type)
    ]


def _inputs(program: Any, request: Fix) -> tuple[list[dict[str, Any]], str | None]:
    """Values to compare on, or why there are none."""
    if request.no_run:
        return [], "no graph is to be run"
    try:
        return sample_inputs(program, given_sizes(request.options)), None
    except (ValueError, TypeError, KeyError) as error:
        return [], str(error)


def _fits(start: Moved, request: Fix) -> dict[str, list[int]]:
    """The sizes of the inputs with a batch of one, where the model converts with those."""
    ones = of_one(start.program)
    if not ones or _edited(start, request, sized(start.program, ones)).done.remaining:
        return {}
    return ones


def _labels(program: Any) -> dict[str, list[str]]:
    """The tables of strings that outputs are looked up in, by the name of the output."""
    found = {}
    for op in imported(program).get_operations():
        if op.outputs and op.outputs[0].dtype == tf.string and not op.outputs[0].consumers():
            table = labels_of(op.outputs[0])
            if table is not None:
                found[op.name] = [label.decode("utf-8", "replace") for label in table.reshape(-1).tolist()]
    return found


def _with_weights(folder: Path) -> Any:
    """The frozen graph as it was read, true weights and all."""
    program, true = tf.compat.v1.GraphDef(), true_weights(folder)
    program.ParseFromString((folder / "graph.pb").read_bytes())
    for node in program.node:
        if node.op == "Const" and node.name in true:
            node.CopyFrom(true[node.name])
    return program


def _described(edit: Edit, equal: Agreement | None) -> dict[str, Any]:
    spliced = edit.function is not None or edit.recipe in recipe_names(edit.type)
    given = {name: literal(value) for name, value in edit.given.items()} if edit.function is None else {}
    return {
        "kind": "boundary" if edit.recipe in BOUNDARY else "rewrite", "boundary": BOUNDARY.get(edit.recipe),
        "exact": edit.recipe in EXACT | CHECKS | CUTS, "draws": bool(DRAWS.search(edit.type)),
        "path": [list(step) for step in edit.path], "op": edit.op, "type": edit.type, "recipe": edit.recipe,
        "spliced": spliced, "summary": edit.summary, "attributes": given,
        "equal": None if equal is None or not equal.samples else equal.to_json(),
        "apart": [] if equal is None else list(equal.apart),
    }  # fmt: skip


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "stage": failure.signature.stage.word, "type": failure.type, "message": _line(failure.message),
        "at": [frame.name for frame in failure.hint],
    }  # fmt: skip


def _parted(message: str) -> dict[str, Any]:
    return {"stage": "numbers", "type": "differs", "message": message, "at": []}


def _line(text: str) -> str:
    lines: Sequence[str] = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else "")[:300]
