"""Which edits may get a conversion past a failure: a guess, in the order in which they are tried."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import tensorflow as tf

from bisect_convert.model.names import BRANCHES, CALLS, LOOPS
from bisect_convert.model.outcome import Failure, Stage
from bisect_convert.recipes import recipes_of
from bisect_convert.worker.nodes import ROLES
from bisect_convert.worker.rewrite import checks
from bisect_convert.worker.rewrite.constants import from_constants, unevaluated
from bisect_convert.worker.rewrite.draws import DRAWN
from bisect_convert.worker.rewrite.edits import Edit, attributes
from bisect_convert.worker.rewrite.levels import levels
from bisect_convert.worker.rewrite.loops import ALONE

__all__ = ["candidates", "empty_lists", "foldings", "kept_draws"]

#: dtypes that coremltools does not know at all.
_UNKNOWN = frozenset({"bfloat16", "float8_e5m2", "float8_e4m3fn", "complex128", "uint32", "uint64"})
#: dtypes that an input of a Core ML model cannot have, and int32 can stand for.
_NO_INPUT = frozenset({"int8", "uint8", "int16", "uint16"})
_CHECKS = frozenset({"Assert", "CheckNumerics", "CheckNumericsV2", "Print", "PrintV2"})
#: What freezing leaves of `tf.switch_case`, and TensorFlow 1 has for conditionals.
_TAKEN_APART = frozenset({"Switch", "_SwitchN", "Merge"})


def candidates(program: Any, failure: Failure) -> list[Edit]:
    """Return the edits that may help, the likeliest first; none where nothing is known."""
    message, stage = failure.message, failure.signature.stage
    if "unsupported for inputs/outputs" in message:
        given = [(path, op) for path, op in _making(program, _NO_INPUT) if op.type == "Placeholder" and not path]
        return [Edit(path, op.name, op.type, "island") for path, op in given]
    if stage is Stage.LOWERING and failure.hint:
        found = [
            *foldings(program),
            *_of_hint(program, [frame.name for frame in failure.hint], message),
            *_sizes(program),
        ]
        if "Graph is not a DAG" in message:
            return [*_complex_loops(program), *_bridges(program), *found]
        return [*_checks_of(program, message), *found]
    if stage is Stage.GRAPH_PASS:
        return [*_complex_loops(program), *_nested(program), *_bridges(program)]
    if "rank" in message and "5" in message:
        return list(_high(program))
    if "Graph is not a DAG" in message:
        return [*_complex_loops(program), *_bridges(program)]
    if "core opset" in message:
        own = (
            (*_transforms(program), *_complex_loops(program), *_complex_bodies(program)) if "complex" in message else ()
        )
        return [*own, *(e for e in _nested(program) if e.recipe in ("known_branch", "both_branches"))]
    if "bytes" in message:
        return [Edit(path, op.name, op.type, "labels_as_numbers") for path, op in _making(program, {"string"})]
    if stage is Stage.LOAD and "input_shapes" in message:  # of a branch that is given nothing
        return [e for e in _nested(program) if e.recipe in ("known_branch", "both_branches", "left_out")]
    if stage is Stage.LOAD:
        values = [*foldings(program), *_complex_loops(program), *_complex_constants(program)]
        return values + [Edit(path, op.name, op.type, "island") for path, op in _making(program, _UNKNOWN)]
    if stage is Stage.MIL_PASS and "complex" in (failure.signature.pass_name or ""):
        return list(_transforms(program))
    return _sizes(program)


def _checks_of(program: Any, message: str) -> list[Edit]:
    """The checks that read the constant without a value: a text that they would show, which the converter has no value for."""
    name = re.search(r"Const node '([^']+)' cannot have no value", message)
    at = (
        []
        if name is None
        else [(path, op) for path, _, graph in levels(program) for op in checks.reading(graph, name[1])]
    )
    return [Edit(path, op.name, op.type, "left_out") for path, op in at if op.type in _CHECKS]


def foldings(program: Any) -> list[Edit]:
    """Return one edit for each op that makes of constants what the converter does not get; none of them ever converts."""
    return [Edit(path, name, "", "folded") for path, _, graph in levels(program) for name in unevaluated(graph)]


def _transforms(program: Any) -> Iterator[Edit]:
    """Those of the Fourier transforms: the converter writes them out last, in a pass that stops at the first."""
    for path, _, graph in levels(program):
        for op in graph.get_operations():
            if op.type in ("FFT", "IFFT", "RFFT", "IRFFT"):
                yield from _for_op(path, op, "")


def _complex_bodies(program: Any) -> Iterator[Edit]:
    """One edit for each body in which complex numbers are put together and taken apart: the converter lowers them outside."""
    for path, _, graph in levels(program):
        made = [op for op in graph.get_operations() if op.type == "Complex"] if path else []
        if made:
            yield Edit(path, made[0].name, "Complex", "parts_taken")


def _complex_loops(program: Any) -> Iterator[Edit]:
    """Those that carry complex numbers from turn to turn."""
    for path, _, graph in levels(program):
        for op in graph.get_operations():
            if op.type in LOOPS and any(t.dtype == tf.complex64 for t in op.inputs):
                yield Edit(path, op.name, op.type, "in_parts")


def _complex_constants(program: Any) -> Iterator[Edit]:
    """Those that keep apart the parts of a complex constant, which the converter has no value for."""
    for path, _, graph in levels(program):
        for op in graph.get_operations():
            if any(t.dtype == tf.complex64 and from_constants(t.op) for t in op.inputs) and not from_constants(op):
                yield from (edit for edit in _for_op(path, op, "") if edit.recipe.endswith("__complex64"))


def _making(program: Any, kinds: AbstractSet[str]) -> Iterator[tuple[tuple[tuple[str, str], ...], Any]]:
    """The ops, constants aside, that make a tensor of one of these dtypes."""
    for path, _, graph in levels(program):
        for op in graph.get_operations():
            if op.type != "Const" and any(t.dtype.base_dtype.name in kinds for t in op.outputs):
                yield path, op


def _sizes(program: Any) -> list[Edit]:
    """Sizes left open that break what comes after: whoever fails by it may stand far from it."""
    return [
        Edit(path, op.name, op.type, "known_sizes")
        for path, _, graph in levels(program)
        for op in graph.get_operations()
        if op.type == "SplitV" and (sizes := tf.get_static_value(op.inputs[1])) is not None and -1 in sizes
    ]


def empty_lists(program: Any) -> list[Edit]:
    """Return the edits of lists that have no elements at first: they convert, and stay empty."""
    return [
        Edit(path, op.name, op.type, "grown")
        for path, _, graph in levels(program)
        for op in graph.get_operations()
        if op.type == "TensorListReserve" and tf.get_static_value(op.inputs[1]) == 0
    ]


def kept_draws(program: Any) -> list[Edit]:
    """Return the edits of draws by seeds that the model keeps: the converter would make a constant of what is drawn once."""
    return [
        edit
        for path, _, graph in levels(program)
        for op in graph.get_operations()
        if DRAWN.match(op.type) and from_constants(op) and _read_on(op)
        for edit in list(_for_op(path, op, ""))[:1]
    ]


def _read_on(draw: Any) -> bool:
    """Whether the seed is more than a constant: it was a variable's."""
    todo, seen = [t.op for t in draw.inputs], set()
    while todo:
        op = todo.pop()
        if op.type not in ("Const", "StatelessRandomGetKeyCounter"):
            return True
        seen.add(op.name)
        todo += [t.op for t in op.inputs if t.op.name not in seen]
    return False


def _of_hint(program: Any, names: list[str], message: str) -> list[Edit]:
    """The edits for the op that raised, then those for the constructs around it, from the inside out."""
    path: tuple[tuple[str, str], ...] = ()
    known = {at: (level, graph) for at, level, graph in levels(program)}
    around = []
    for index, name in enumerate(names):
        level, graph = known[path]
        try:
            op = graph.get_operation_by_name(name)
        except (KeyError, ValueError):
            break
        around.append((path, op))
        if index + 1 == len(names):
            break
        for role in ROLES.get(op.type, ()):
            further = (*path, (name, role))
            if further in known and any(n.name == names[index + 1] for n in known[further][0].node):
                path = further
                break
        else:
            break
    return [edit for at, op in reversed(around) for edit in _for_op(at, op, message)]


def _for_op(path: tuple[tuple[str, str], ...], op: Any, message: str) -> Iterator[Edit]:
    def edit(recipe: str) -> Edit:
        return Edit(path, op.name, op.type, recipe)

    if op.type in CALLS:
        yield edit("inlined")
    elif sizes := _sizes_of_items(op, message):
        yield replace(edit("sized_item"), given={"sizes": sizes})
    elif op.type in LOOPS:
        if any(t.dtype == tf.complex64 for t in op.inputs):
            yield edit("in_parts")
        yield edit("without_limit")
        yield edit("own_count")
        yield edit("unrolled")
        yield edit("bridged")
    elif op.type in BRANCHES:
        if all(t.dtype.name == "bool" for t in op.outputs):
            yield edit("left_out")
        yield edit("known_branch")
        yield edit("both_branches")
        yield edit("bridged")
    elif op.type in _CHECKS:
        yield edit("left_out" if not op.outputs else "handed_on")
    elif op.type in _TAKEN_APART:
        yield replace(edit("branches_chosen"), op=_first_merge(op.graph), type="Merge")
    elif op.type == "Bitcast":
        yield edit("sign_bit")
    else:
        if op.type == "TensorListConcatV2" and (loop := _filled_by(op)) is not None:
            yield Edit(path, loop.name, loop.type, "unrolled")
        tensors = op.outputs if op.type == "Cast" else [*op.inputs, *op.outputs]
        words = {t.dtype.base_dtype.name for t in tensors} | set(message.replace("'", " ").split())
        for recipe in recipes_of(op.type):
            if not recipe.words or words & set(recipe.words):
                yield replace(edit(recipe.name), given=attributes(op, recipe.name))
        yield from _for_rank(path, op)
        yield from _for_dtype(path, op)


def _filled_by(op: Any) -> Any | None:
    """The loop that fills the list which the op reads."""
    source = op.inputs[0].op
    while source.type == "Identity":
        source = source.inputs[0].op
    return source if source.type in LOOPS else None


def _first_merge(graph: Any) -> str:
    """One for all of them: they are done away with together."""
    return next((op.name for op in graph.get_operations() if op.type == "Merge"), "")


def _sizes_of_items(op: Any, message: str) -> list[int]:
    """The sizes that all items of the list have, where the converter says that this one has others."""
    found = re.search(r"ls elem type tensor\[([\d,]+),\w+\]", message) if op.type == "TensorListSetItem" else None
    return [int(size) for size in found[1].split(",")] if found else []


def _for_rank(path: tuple[tuple[str, str], ...], op: Any) -> Iterator[Edit]:
    if any((t.shape.rank or 0) > 5 for t in op.outputs):
        yield Edit(path, op.name, op.type, "low_ranks")


def _high(program: Any) -> Iterator[Edit]:
    """One edit for each level with tensors of rank above 5: it does away with all of them."""
    for path, _, graph in levels(program):
        first = next((op for op in graph.get_operations() if any((t.shape.rank or 0) > 5 for t in op.outputs)), None)
        if first is not None:
            yield Edit(path, first.name, first.type, "low_ranks")


def _for_dtype(path: tuple[tuple[str, str], ...], op: Any) -> Iterator[Edit]:
    made = {t.dtype.base_dtype.name for t in op.outputs}
    kinds = made | {t.dtype.base_dtype.name for t in op.inputs}
    if made & {"bfloat16", "float8_e5m2", "float8_e4m3fn", "int8", "uint8", "int16", "uint16", "uint32"}:
        yield Edit(path, op.name, op.type, "island")
    if "T" not in op.node_def.attr or made == {"bool"}:
        return
    if kinds & {"float64", "half"}:
        yield Edit(path, op.name, op.type, "in_float32")
    elif kinds & {"int64", "bool", "int8", "uint8"}:
        yield Edit(path, op.name, op.type, "in_int32")
    elif kinds == {"int32"}:
        yield Edit(path, op.name, op.type, "in_float32")


def _nested(program: Any) -> list[Edit]:
    """What a conditional or loop inside another is replaced by, innermost first."""
    found = []
    for path, _, graph in levels(program):
        for op in graph.get_operations():
            recipes: tuple[str, ...] = ()
            if op.type in BRANCHES:
                check = ("left_out",) if all(t.dtype.name == "bool" for t in op.outputs) else ()
                recipes = (*check, "known_branch", "both_branches", "renamed")
            elif op.type in LOOPS:
                recipes = ("own_count", "renamed") if op.outputs[0].consumers() else ("renamed", "own_count")
                recipes += ("unrolled",) if path else ()
            if op.name.endswith(ALONE):
                recipes = tuple(r for r in recipes if r != "renamed")
            found += [Edit(path, op.name, op.type, recipe) for recipe in recipes]
    return found


def _meets(readers: list[Any]) -> bool:
    """True where a result is read twice, or by another loop or conditional."""
    return len(readers) > 1 or any(r.type in LOOPS | BRANCHES for r in readers)


def _bridges(program: Any) -> list[Edit]:
    return [
        Edit(path, op.name, op.type, "bridged")
        for path, _, graph in levels(program)
        for op in graph.get_operations()
        if op.type in LOOPS | BRANCHES and any(_meets(t.consumers()) for t in op.outputs)
    ]
