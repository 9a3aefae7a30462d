"""Forms that float16 breaks, found in the graph around an op at fault, and what computes the same without doing so."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator.rounding import LIMIT
from bisect_convert.worker.rewrite.editing import imported, replaced

__all__ = ["Form", "forms", "rewritten"]

#: How many readers away from the op at fault the end of its form is sought.
_NEAR = 6
_SMALLEST, _LARGEST = 6.2e-5, 30_000.0
Largest = Callable[[str], float]


@dataclass(frozen=True)
class Form:
    """What is to be computed in the place of an op; changes: the model itself computes something else then, if not much."""

    op: str
    summary: str
    code: str
    build: Callable[[Any], Any]
    changes: bool = False


def forms(graph_def: Any, culprit: str, largest: Largest) -> list[Form]:
    """Return what may take the place of the form that the op is part of, the likeliest first; largest: of a tensor."""
    graph = imported(graph_def)
    near = list(_near(graph.get_operation_by_name(culprit)))
    return [form for match in _MATCHES for op in near if (form := match(op, largest)) is not None]


def rewritten(graph_def: Any, form: Form) -> Any:
    """Return the GraphDef with the form in place; raises ValueError where it does not fit."""
    graph = imported(graph_def)
    op = graph.get_operation_by_name(form.op)
    with graph.as_default(), tf.name_scope(f"{form.op}/instead/"):
        made = form.build(op)
    if made.dtype != op.outputs[0].dtype or not made.shape.is_compatible_with(op.outputs[0].shape):
        raise ValueError(f"{made.dtype.name} {made.shape} cannot take the place of {op.outputs[0].shape}")
    return replaced(graph_def, graph, form.op, [made])


def _near(op: Any) -> Iterator[Any]:
    """The op and what it reads, then what reads it, step by step."""
    before = {t.op.name: t.op for t in op.inputs} | {u.op.name: u.op for t in op.inputs for u in t.op.inputs}
    seen, level = {op.name}, [op]
    yield from before.values()
    for _ in range(_NEAR):
        yield from level
        readers = [r for one in level for t in one.outputs for r in t.consumers() if r.name not in seen]
        seen.update(r.name for r in readers)
        level = list({r.name: r for r in readers}.values())


def _scalar(tensor: Any) -> float | None:
    value = tf.get_static_value(tensor)
    return float(np.ravel(value)[0]) if value is not None and np.size(value) == 1 and value.dtype.kind == "f" else None


def _with_scalar(op: Any, *types: str) -> tuple[Any, float] | None:
    """The tensor and the number that an op of one of these types joins."""
    if op.type not in types:
        return None
    for tensor, other in (op.inputs, reversed(op.inputs)):
        if (number := _scalar(other)) is not None:
            return (tensor, number) if other is op.inputs[1] or op.type not in ("RealDiv", "Sub") else None
    return None


def _squared(tensor: Any) -> Any:
    """What the tensor is the square of."""
    op = tensor.op
    doubled = op.type == "Mul" and op.inputs[0] is op.inputs[1]
    power = op.type == "Pow" and _scalar(op.inputs[1]) == 2.0
    return op.inputs[0] if op.type == "Square" or doubled or power else None


def _reduced(tensor: Any, *types: str) -> tuple[Any, Any, bool] | None:
    """What is reduced, over which axes, and whether those stay."""
    op = tensor.op
    if op.type not in types:
        return None
    axes = tf.get_static_value(op.inputs[1])
    return None if axes is None else (op.inputs[0], np.ravel(axes).tolist(), bool(op.get_attr("keep_dims")))


def _softplus(op: Any, largest: Largest) -> Form | None:
    exp = op.inputs[0].op if op.type == "Log1p" else None
    if op.type == "Log" and (added := _with_scalar(op.inputs[0].op, "AddV2", "Add")) is not None and added[1] == 1.0:
        exp = added[0].op
    if exp is None or exp.type != "Exp":
        return None
    at = exp.inputs[0].name
    code = "tf.nn.softplus(x)  # for tf.math.log(1 + tf.exp(x))"
    return Form(op.name, "softplus, which never makes the large number", code, lambda op: tf.nn.softplus(_at(op, at)))


def _log_of_sum(op: Any, largest: Largest) -> Form | None:
    reduced = _reduced(op.inputs[0], "Sum") if op.type == "Log" else None
    if reduced is None or reduced[0].op.type != "Exp":
        return None
    at, (_, axes, keep) = reduced[0].op.inputs[0].name, reduced

    def build(op: Any) -> Any:
        x = _at(op, at)
        most = tf.reduce_max(x, axes, keepdims=True)
        found = tf.math.log(tf.reduce_sum(tf.exp(x - most), axes, keepdims=True)) + most
        return found if keep else tf.squeeze(found, axes)

    code = f"tf.reduce_logsumexp(x, axis={axes}, keepdims={keep})  # for tf.math.log(tf.reduce_sum(tf.exp(x)))"
    return Form(op.name, "logsumexp, which takes the largest number out first", code, build)


def _softmax(op: Any, largest: Largest) -> Form | None:
    reduced = _reduced(op.inputs[1], "Sum") if op.type == "RealDiv" else None
    if reduced is None or reduced[0].op.type != "Exp" or op.inputs[0] is not reduced[0] or len(reduced[1]) != 1:
        return None
    at, axis = reduced[0].op.inputs[0].name, reduced[1][0]
    code = f"tf.nn.softmax(x, axis={axis})  # for tf.exp(x) / tf.reduce_sum(tf.exp(x))"
    return Form(
        op.name, "softmax, which takes the largest number out first", code, lambda op: tf.nn.softmax(_at(op, at), axis)
    )


def _log_of_product(op: Any, largest: Largest) -> Form | None:
    reduced = _reduced(op.inputs[0], "Prod") if op.type == "Log" else None
    if reduced is None:
        return None
    at, axes, keep = reduced[0].name, reduced[1], reduced[2]
    code = f"tf.reduce_sum(tf.math.log(x), axis={axes}, keepdims={keep})  # for tf.math.log(tf.reduce_prod(x))"
    return Form(op.name, "the sum of the logarithms for the logarithm of the product", code,
                lambda op: tf.reduce_sum(tf.math.log(_at(op, at)), axes, keepdims=keep))  # fmt: skip


def _variance(op: Any, largest: Largest) -> Form | None:
    if op.type != "Sub" or (means := _reduced(op.inputs[0], "Mean")) is None:
        return None
    x, mean = _squared(means[0]), _squared(op.inputs[1])
    of = None if mean is None else _reduced(mean, "Mean")
    if x is None or of is None or of[0] is not x or of[1] != means[1]:
        return None
    at, axes, keep = x.name, means[1], means[2]

    def build(op: Any) -> Any:
        x = _at(op, at)
        d = x - tf.reduce_mean(x, axes, keepdims=True)  # the mean is rounded too: what that makes is taken away again
        return tf.reduce_mean(tf.square(d), axes, keepdims=keep) - tf.square(tf.reduce_mean(d, axes, keepdims=keep))

    code = (
        f"d = x - tf.reduce_mean(x, axis={axes}, keepdims=True)\n"
        f"tf.reduce_mean(tf.square(d), axis={axes}, keepdims={keep}) - "
        f"tf.square(tf.reduce_mean(d, axis={axes}, keepdims={keep}))"
    )
    return Form(op.name, "the mean is taken away before squares are made", code, build)


def _root(op: Any, largest: Largest) -> Form | None:
    """sqrt or rsqrt of a sum or mean, of squares or not, an epsilon added: of numbers scaled to be near 1, and back."""
    if op.type not in ("Sqrt", "Rsqrt"):
        return None
    kind, (inner, epsilon) = "", _with_scalar(op.inputs[0].op, "AddV2", "Add", "Maximum") or (op.inputs[0], 0.0)
    if inner is not op.inputs[0]:
        kind = op.inputs[0].op.type
    if (reduced := _reduced(inner, "Sum", "Mean")) is None:
        return None
    x, whole = _squared(reduced[0]), inner.op.type == "Sum"
    at, squares = (reduced[0] if x is None else x).name, x is not None
    count = np.prod([s or 1 for s in (np.array(reduced[0].shape.as_list())[reduced[1]])]) if whole else 1
    most = largest(at) ** (1 if squares else 0.5) * math.sqrt(count)
    if not 0 < most < np.inf:
        return None
    c = 2.0 ** round(math.log2(most))

    def build(op: Any) -> Any:
        y = tf.square(_at(op, at) * (1 / c)) if squares else _at(op, at) * (1 / c / c)
        y = (tf.reduce_sum if whole else tf.reduce_mean)(y, reduced[1], keepdims=reduced[2])
        y = tf.maximum(y, epsilon / c**2) if kind == "Maximum" else y + epsilon / c**2 if kind else y
        return tf.sqrt(y) * c if op.type == "Sqrt" else tf.math.rsqrt(y) * (1 / c)

    scaled = f"tf.square(x / {c:g})" if squares else f"x / {c:g} ** 2"
    small = f" + {epsilon:g} / {c:g} ** 2" if kind else ""
    call = f"tf.reduce_{inner.op.type.lower()}({scaled}, axis={reduced[1]}, keepdims={reduced[2]}){small}"
    code = f"tf.sqrt({call}) * {c:g}" if op.type == "Sqrt" else f"tf.math.rsqrt({call}) / {c:g}"
    return Form(op.name, f"the numbers divided by {c:g} before they are {'squared' if squares else 'summed'}, and back "
                         "behind the root", code, build)  # fmt: skip


def _scaled_sum(op: Any, largest: Largest) -> Form | None:
    """A sum, of squares or not, that constants then make smaller: they are applied before it."""
    factor, tensor = 1.0, op.outputs[0] if op.outputs else None
    while tensor is not None and (by := _with_scalar(tensor.op, "Mul", "RealDiv")) is not None and by[1]:
        tensor, factor = by[0], factor * (by[1] if tensor.op.type == "Mul" else 1 / by[1])
    if tensor is None or factor == 1.0 or (reduced := _reduced(tensor, "Sum", "Mean")) is None:
        return None
    x = _squared(reduced[0])
    at, squares, mean = (reduced[0] if x is None else x).name, x is not None, tensor.op.type == "Mean"
    if squares and factor < 0:
        return None
    by_one = math.sqrt(factor) if squares else factor

    def build(op: Any) -> Any:
        y = _at(op, at) * by_one
        return (tf.reduce_mean if mean else tf.reduce_sum)(
            tf.square(y) if squares else y, reduced[1], keepdims=reduced[2]
        )

    inner = f"tf.square(x * {by_one:.6g})" if squares else f"x * {by_one:.6g}"
    code = f"tf.reduce_{'mean' if mean else 'sum'}({inner}, axis={reduced[1]}, keepdims={reduced[2]})"
    return Form(op.name, "the numbers made smaller before they are summed, not behind it", code, build)


def _epsilon(op: Any, largest: Largest) -> Form | None:
    """A number that float16 does not hold well, below its normal range."""
    if (joined := _with_scalar(op, "AddV2", "Add", "Maximum")) is None or not 0 < abs(joined[1]) < _SMALLEST:
        return None
    at, small, kind = joined[0].name, math.copysign(_SMALLEST, joined[1]), op.type
    word = "tf.maximum(x, {})" if kind == "Maximum" else "x + {}"
    code = f"{word.format(f'{small:g}')}  # for {word.format(f'{joined[1]:g}')}"
    return Form(op.name, f"an epsilon that float16 holds, {small:g} for {joined[1]:g}", code,
                lambda op: tf.maximum(_at(op, at), small) if kind == "Maximum" else _at(op, at) + small, True)  # fmt: skip


def _mask(op: Any, largest: Largest) -> Form | None:
    """A number that stands for infinity, and becomes infinite in float16."""
    if (joined := _with_scalar(op, "Mul", "AddV2", "Maximum", "Minimum")) is None or abs(joined[1]) <= LIMIT:
        return None
    at, large = joined[0].name, math.copysign(_LARGEST, joined[1])
    call = {"Mul": tf.multiply, "AddV2": tf.add, "Maximum": tf.maximum, "Minimum": tf.minimum}[op.type]
    word = {"Mul": "x * {}", "AddV2": "x + {}", "Maximum": "tf.maximum(x, {})", "Minimum": "tf.minimum(x, {})"}[op.type]
    code = f"{word.format(f'{large:g}')}  # for {word.format(f'{joined[1]:g}')}"
    return Form(op.name, f"a number that float16 holds, {large:g} for {joined[1]:g}", code,
                lambda op: call(_at(op, at), large), True)  # fmt: skip


def _at(op: Any, tensor: str) -> Any:
    return op.graph.get_tensor_by_name(tensor)


_MATCHES = (
    _softplus, _log_of_sum, _softmax, _log_of_product, _variance, _root, _scaled_sum, _epsilon, _mask,
)  # fmt: skip
