"""Do an edited program and the one before it compute the same? Seen in TensorFlow, on the values that the model has there."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.model.names import op_of
from bisect_convert.worker.rewrite.difference import TOLERANCE, Agreement, difference, scales_of
from bisect_convert.worker.rewrite.draws import DRAWS, drawn_in
from bisect_convert.worker.rewrite.editing import imported
from bisect_convert.worker.rewrite.edits import EXACT, REGIONAL, Edit
from bisect_convert.worker.rewrite.samples import Feeds, Parts, Values, runs, there
from bisect_convert.worker.rewrite.variations import all_drawn, varied

__all__ = ["agreement", "labels_of", "taken", "where_made"]

_HANDLES = (tf.variant, tf.resource)
#: How many numbers about edits are held at once, all sizes that are open counting as the batch's two.
_AT_ONCE = 2**24
#: How many numbers a tensor of unknown rank counts for.
_UNKNOWN = 2**16
#: Seconds after which an edit is compared on the model's own values only.
_LONGEST = 3.0


#: The same for dtypes that hold fewer digits than what Core ML has in their place.
_COARSE = {tf.bfloat16: 2.0**-6, tf.float16: 2.0**-9}


def where_made(values: Values, after: Any, edits: Sequence[Edit]) -> dict[Edit, Agreement | None]:
    """Return for each edit of one level how far its results are from those before; None where that cannot be seen.

    values: of the program before; after: the level with the edits. Each op is given what it is given in the model, and,
    in the same shapes, random values, zeros, large and negative ones.
    """
    found: dict[Edit, Agreement | None] = {}
    try:
        level, feeds = values.level(edits[0].path)
    except tf.errors.OpError:  # below a body that is given a list, which cannot be fed
        return dict.fromkeys(edits)
    before, now = imported(level), imported(after)
    exact = [edit for edit in edits if edit.recipe in EXACT - REGIONAL]
    if exact:
        try:
            found.update(_together(before, now, exact, feeds))
        except Exception:  # see below; nothing is known of them then
            found.update(dict.fromkeys(exact))
    parts = Parts(level), Parts(after)
    for several in _batches(before, [edit for edit in edits if edit not in found]):
        known = _known(before, several, feeds)
        for edit in several:
            try:
                values_there = known or _known_of(before, edit, feeds)
                found[edit] = _compared(before, now, edit, feeds, values_there, parts)
            except Exception:  # whatever TensorFlow raises on values made up for it
                found[edit] = None
    return found


def _batches(before: Any, edits: Sequence[Edit]) -> Iterator[Sequence[Edit]]:
    """So many edits at a time that the values about all of them find room: each run of a large graph takes its time."""
    several: list[Edit] = []
    held = 0
    for edit in edits:
        op = before.get_operation_by_name(edit.op)
        size = sum(_count(t) for t in (*op.inputs, *op.outputs))
        if several and held + size > _AT_ONCE:
            yield several
            several, held = [], 0
        several.append(edit)
        held += size
    if several:
        yield several


def _count(tensor: Any) -> int:
    sizes = tensor.shape.as_list() if tensor.shape.rank is not None else [_UNKNOWN]
    return math.prod(2 if size is None else size for size in sizes)


def _known(before: Any, edits: Sequence[Edit], feeds: Sequence[Feeds]) -> list[Feeds]:
    """What the ops of these edits read and make, in one run of the level for each set of feeds; empty where that fails."""
    try:
        ops = [before.get_operation_by_name(edit.op) for edit in edits if edit.recipe not in REGIONAL]
        return list(runs(before, [name for op in ops for name in _about(op)], feeds)) if len(ops) > 1 else []
    except Exception:  # one of them may be an op that TensorFlow cannot run: the others still can
        return []


def _known_of(before: Any, edit: Edit, feeds: Sequence[Feeds]) -> list[Feeds]:
    """The same of one edit; raises whatever TensorFlow raises."""
    if edit.recipe in REGIONAL:
        return []
    wanted = _about(before.get_operation_by_name(edit.op))
    return list(runs(before, wanted, feeds)) if wanted else []


def _read(op: Any) -> list[Any]:
    """What the op is given; constants too, since control inputs may hang on them."""
    return [t for t in op.inputs if t.dtype not in _HANDLES]


def _made(op: Any) -> list[Any]:
    """What the op makes that is read."""
    return [t for t in op.outputs if t.consumers() and t.dtype not in _HANDLES]


def _about(op: Any) -> list[str]:
    """The tensors that are looked at to compare the op, none where nothing that it makes is read."""
    return [t.name for t in (*_read(op), *_made(op))] if _made(op) else []


def _together(before: Any, now: Any, edits: Sequence[Edit], feeds: Sequence[Feeds]) -> dict[Edit, Agreement | None]:
    """Edits that only move ops about, compared on the model's own values in few runs of the level."""
    found: dict[Edit, Agreement | None] = {}
    for several in _batches(before, edits):
        ops = {edit: before.get_operation_by_name(edit.op) for edit in several}
        moved = {edit: {t.name: _moved(now, op, t) for t in _made(op)} for edit, op in ops.items()}
        gaps: dict[Edit, list[Agreement]] = {edit: [] for edit in several}
        scales: dict[str, float] = {}
        for feed in feeds:  # one after the other: all together may take more room than there is
            (one,) = runs(before, [old for each in moved.values() for old in each], [feed])
            (other,) = runs(now, [new for each in moved.values() for new in each.values()], [feed])
            scales |= {name: max(size, scales.get(name, 0.0)) for name, size in scales_of([one]).items()}
            for edit, pairs in moved.items():
                gaps[edit].append(_apart(one, other, pairs, {}, scales))
        for edit in several:
            stated = Agreement(tolerance=max(TOLERANCE, edit.tolerance))
            found[edit] = reduce(or_, gaps[edit], stated) if moved[edit] else None
    return found


def _compared(
    before: Any, now: Any, edit: Edit, feeds: Sequence[Feeds], known: Sequence[Feeds], parts: tuple[Parts, Parts]
) -> Agreement | None:
    if edit.recipe in REGIONAL:
        return _where_they_meet(before, now, feeds)
    op = before.get_operation_by_name(edit.op)
    outputs, given = _made(op), _read(op)
    if DRAWS.search(op.type):
        return None
    moved = {t.name: _moved(now, op, t) for t in outputs}
    labels = {t.name: labels_of(t) for t in outputs}
    fixed = {t.name for t in given if t.op.type == "Const"}
    known = [{name: values[name] for name in _about(op)} for values in known] if outputs else []
    started, scales = time.monotonic(), scales_of(known)
    total, tolerance = Agreement(), max([TOLERANCE, edit.tolerance, *(_COARSE.get(t.dtype, 0.0) for t in op.outputs)])
    for feed, values in zip(feeds, known, strict=False):
        if (apart := _told_apart(op, values)) is not None:
            own = {t.name: values[t.name] for t in given} | apart
            values = own | runs(before, list(moved), [own])[0]
        if any(t.dtype in _HANDLES for t in op.inputs):  # what cannot be fed is made by what comes before
            total |= _apart(values, runs(now, list(moved.values()), [feed])[0], moved, labels, scales)
            continue
        own = {t.name: values[t.name] for t in given}
        made = parts[1].run(list(moved.values()), own)
        if op.type in _SIGNS:  # which of two opposite vectors it is, is left open
            total |= _apart(_sizes(values), _sizes(made), moved, labels, scales)
            continue
        total |= _apart(values, made, moved, labels, scales)
        if feed is not feeds[0] and all_drawn(own, fixed):  # they are drawn alike for each set
            continue
        for word, case in varied(own, fixed) if time.monotonic() - started < _LONGEST else ():
            try:
                one = parts[0].run(list(moved), case)
            except tf.errors.InvalidArgumentError:  # the op itself takes no such values, as an inverse takes no zeros
                continue
            gap = _apart(one, parts[1].run(list(moved.values()), case), moved, labels, scales)
            total |= Agreement(samples=1, apart=(word,) if gap.max_rel > tolerance else ())
    return replace(total, tolerance=tolerance)


#: Ops that make vectors of which each may have the other sign.
_SIGNS = frozenset({"Svd", "SelfAdjointEigV2"})


def _sizes(values: Feeds) -> dict[str, Any]:
    """The numbers without their signs."""
    return {name: np.abs(value) if np.asarray(value).dtype.kind == "f" else value for name, value in values.items()}


#: Ops whose results TensorFlow puts in no certain order where scores are equal, with the input that has them.
_BY_SCORE = {"CombinedNonMaxSuppression": 1}


def _told_apart(op: Any, values: Feeds) -> dict[str, Any] | None:
    """Other scores for the op, no two of them equal; None where none are, or where the op has no scores."""
    if op.type not in _BY_SCORE or not _tied(scores := values[name := op.inputs[_BY_SCORE[op.type]].name]):
        return None
    order = np.random.default_rng(3).permutation(scores.size).reshape(scores.shape)
    return {name: (scores + order * (np.ptp(scores) + 1.0) * 1e-3 / scores.size).astype(scores.dtype)}


def _tied(scores: Any) -> bool:
    """True where two of the scores are equal."""
    return bool(np.unique(scores).size < scores.size)


def _where_they_meet(before: Any, now: Any, feeds: Sequence[Feeds]) -> Agreement | None:
    """How far the results of ops lie apart that are other ops under the same name now."""
    kinds = {op.name: op.type for op in now.get_operations()}
    names = [f"{o.name}:0" for o in before.get_operations() if kinds.get(o.name, o.type) != o.type]
    total = Agreement()
    known = runs(before, names, feeds)
    for one, other in zip(known, runs(now, names, feeds), strict=True):
        total |= _apart(one, other, {n: n for n in names}, {}, scales_of(known))
    return total if names else None


def taken(program: Any, results: Sequence[str], inputs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of the inputs that the program itself takes: an inverse raises on zeros."""
    graph = imported(program)
    found: list[dict[str, Any]] = []
    for feed in inputs:
        try:
            runs(graph, results, [feed])
        except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError):  # or a body is lost, as freezing may do
            continue
        found.append(feed)
    return found


def labels_of(tensor: Any) -> Any:
    """The constant table that a string tensor is looked up in; None for other tensors."""
    todo = [tensor.op] if tensor.dtype == tf.string else []
    while todo:
        op = todo.pop()
        if op.type == "Const" and op.outputs[0].dtype == tf.string:
            return tf.get_static_value(op.outputs[0])
        todo += [t.op for t in op.inputs if t.dtype == tf.string]
    return None


def _named(numbers: Any, labels: Any) -> Any:
    """The labels of these numbers; what is no number of labels stays as it is."""
    numbers = np.asarray(numbers)
    return labels.reshape(-1)[numbers] if labels is not None and numbers.dtype.kind == "i" else numbers


def _apart(
    one: Feeds, other: Feeds, moved: Mapping[str, str], labels: Mapping[str, Any], scales: Mapping[str, float]
) -> Agreement:
    """How far the tensors lie apart at most, as one sample."""
    total = Agreement(samples=1)
    for old, new in moved.items():
        gap = difference(one[old], _named(other[new], labels.get(old)), scales.get(old, 0.0))
        total |= Agreement(gap.max_abs, gap.max_rel)
    return total


def _moved(now: Any, op: Any, tensor: Any) -> str:
    """The tensor of the edited level that is read where that of the op was.

    The first result of an op that is replaced is handed on under its name; a reader that is replaced too tells nothing.
    """
    kinds = {o.name: o.type for o in now.get_operations()}
    if tensor.value_index == 0 and op.type != "Identity" and kinds.get(op.name) == "Identity":
        return f"{op.name}:0"
    for reader in tensor.consumers():
        if kinds.get(reader.name) != reader.type:
            continue
        index = [t.name for t in reader.inputs].index(tensor.name)
        try:
            return str(now.get_operation_by_name(reader.name).inputs[index].name)
        except (KeyError, IndexError):
            continue
    return str(now.get_operation_by_name(op.name).outputs[tensor.value_index].name)


def agreement(program: Any, edited: Any, results: Sequence[str], inputs: Sequence[Feeds]) -> Agreement | None:
    """Return how far the results of the edited program are from the program's; None where it cannot be run.

    Results that hang on what is drawn are left out.
    """
    before, now = imported(program), imported(edited)
    total, drawn = Agreement(), drawn_in(program)
    wanted = [
        r for r in results if there(now, r) and op_of(r) not in drawn
        and before.get_tensor_by_name(r).dtype not in (tf.variant, tf.resource)
    ]  # fmt: skip
    if drawn and not wanted:
        return None
    labels = {name: labels_of(before.get_tensor_by_name(name)) for name in wanted}
    scores = [o.inputs[_BY_SCORE[o.type]].name for o in before.get_operations() if o.type in _BY_SCORE]
    try:
        if scores:
            inputs = [i for i in inputs if not any(map(_tied, runs(before, scores, [i])[0].values()))]
        known = runs(before, wanted, inputs)
        for one, other in zip(known, runs(now, wanted, inputs), strict=True):
            total |= _apart(one, other, {n: n for n in wanted}, labels, scales_of(known))
    except (tf.errors.OpError, ValueError, TypeError):
        return None
    return total if inputs else None
