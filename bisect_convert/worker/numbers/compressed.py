"""What the compression of weights costs: of all layers, of each by itself, and which to leave out to stay near."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bisect_convert.arguments.compression_steps import step_of
from bisect_convert.evaluator import program_of
from bisect_convert.evaluator.rounding import rounding
from bisect_convert.worker import compression
from bisect_convert.worker.numbers.agreement import agreement, evaluated

__all__ = ["cost"]

#: How many layers are looked at one by one: those whose weights change most.
_MOST, _TOLD = 16, 5


def cost(
    model: Any, wanted: Any, results: Sequence[str], feeds: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]],
    tolerance: float,
) -> dict[str, Any]:  # fmt: skip
    """Return what the step costs in parts of the outputs' scale: "total", "layers" (the worst by themselves), "without".

    model: the converted one; outputs: what it gives for the feeds. "without": the ops to leave out of the step so that the
    outputs stay within the tolerance, as seen in the evaluator; None where they do anyway, or no few are enough.
    """
    step, left_out = step_of(wanted)
    before = program_of(model)
    after = program_of(compression.optimized(model, wanted))
    layers = _layers(before, after)
    feed, want = feeds[0], outputs[0]

    def apart(compressed: Iterable[str], every: bool = False) -> float:
        chosen = set(compressed)
        result = _with_true_weights({var: value for op, var, value in layers if op not in chosen})
        pairs = list(zip(feeds, outputs, strict=True)) if every else [(feed, want)]
        got = [evaluated(after, one, results, result, lambda op, what: None) for one, _ in pairs]
        return agreement([w for _, w in pairs], got).worst

    ops = [op for op, _, _ in layers]
    total = apart(ops, every=True)
    worst = sorted(((apart([op]), op) for op in ops[:_MOST]), reverse=True)
    without = None if total <= tolerance else _left_out(apart, ops, [op for _, op in worst], tolerance)
    return {
        "step": step, "total": float(total) if np.isfinite(total) else None, "already_left_out": list(left_out),
        "layers": [{"op": op, "cost": float(c)} for c, op in worst[:_TOLD] if np.isfinite(c)], "without": without,
    }  # fmt: skip


def _layers(before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    """The ops that read a compressed weight, its var and its true value, the most changed first."""
    true = {op.name: op for op in before.functions["main"].operations}
    found: list[tuple[float, str, Any, Any]] = []
    for op in after.functions["main"].operations:
        for key, var in op.inputs.items() if op.name in true else ():
            made = getattr(var, "op", None)
            if made is not None and made.op_type.startswith("constexpr_"):
                value = np.asarray(true[op.name].inputs[key].val, np.float32)
                found.append((float(value.size), op.name, var, value))
    return [(name, var, value) for _, name, var, value in sorted(found, key=lambda f: -f[0])]


def _with_true_weights(true: Mapping[Any, Any]) -> Callable[[Any, Any, Any], Any]:
    rounded = rounding("float16")
    return lambda op, var, value: true[var] if var in true else rounded(op, var, value)


def _left_out(apart: Callable[..., float], ops: list[str], worst: list[str], tolerance: float) -> list[str] | None:
    """Leave out the worst, one after the other, until the rest stays within the tolerance."""
    for count in range(1, min(len(worst), len(ops) - 1) + 1):
        if apart([op for op in ops if op not in worst[:count]]) <= tolerance:
            return worst[:count]
    return None
