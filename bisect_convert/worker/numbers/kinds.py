"""What kind of fault it is that an op's result is wrong, and the words for it: pure, but for the values it looks at."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bisect_convert.evaluator.rounding import LIMIT
from bisect_convert.worker.numbers.local import Local
from bisect_convert.worker.numbers.original import Original

__all__ = ["RANDOM", "exact_kind", "rounding_kind"]

RANDOM = re.compile(r"Random|Multinomial|Rng|Shuffle|StatelessTrunc|TruncatedNormal")
#: Where float16 begins to lose digits; and how far all may be off, by scale, for a small number to be what is wrong.
_NORMAL, _LITTLE = 6.1e-5, 5e-3
#: The lowest number of float32 stands for none at all, as the maximum of nothing.
_FAR = 1e38
_INT32 = -(2**31), 2**31 - 1
_NARROW = frozenset({"uint8", "int8", "uint16", "int16", "uint32", "uint64"})


def exact_kind(
    op: str, original: Original, local: Local, values: Mapping[str, Any], undefined: str | None
) -> tuple[str, str]:
    """Return kind and message for an op whose result is wrong in float32 too."""
    kind = original.type_of(op)
    reads, makes = original.dtypes(op)
    if RANDOM.search(kind):
        return "random", f"{kind} draws numbers: there is nothing to compare"
    if undefined is not None:
        return "undefined", f"{kind}: {undefined}, for which Core ML promises no result"
    if (far := _beyond_int32(op, original, values)) is not None:
        return "integer", f"{kind}: {far} is beyond int32, which ends at {_INT32[1]}: Core ML has no int64"
    if np.isinf(local.got) and abs(local.want) > _FAR and (local.got > 0) == (local.want > 0):
        return "overflow", (
            f"{kind} makes {local.want:.6g}, about where float32 ends, and {local.got:g} comes of it; float16 ends at "
            f"{LIMIT:.0f}"
        )
    if narrow := sorted(makes & _NARROW or reads & _NARROW):
        return "wraps", (
            f"{kind} of {narrow[0]} wraps in TensorFlow; Core ML computes in int32: {local.got:g} where TensorFlow has "
            f"{local.want:g}"
        )
    if "float64" in reads | makes:
        return "float64", (
            f"{kind} is computed in float64 by TensorFlow and in float32 by Core ML: {local.got:.6g} for {local.want:.6g}"
        )
    return "converter", (
        f"{kind} comes out as {local.got:.6g} where TensorFlow has {local.want:.6g}, in float32 as well: its conversion "
        "computes something else"
    )


def _beyond_int32(op: str, original: Original, values: Mapping[str, Any]) -> int | None:
    """The number among what the op reads and makes that is furthest beyond int32."""
    found: list[int] = []
    for tensor in [*original.read_by(op), *(t for t in values if t.rpartition(":")[0] == op)]:
        value = values.get(tensor, original.constant(tensor))
        if value is None or np.asarray(value).dtype.kind not in "iu" or not np.size(value):
            continue
        found += [int(v) for v in (np.max(value), np.min(value)) if not _INT32[0] <= int(v) <= _INT32[1]]
    return max(found, key=abs) if found else None


def rounding_kind(kind: str, local: Local, read: Sequence[Any]) -> tuple[str, str]:
    """Return kind and message for an op of this type whose result is wrong in float16 only; read: values that it reads."""
    if local.reached > LIMIT:
        return "overflow", f"{kind} reaches {local.reached:.6g}; float16 ends at {LIMIT:.0f}"
    if np.isinf(local.got) and LIMIT < abs(local.want) < np.inf:
        return "overflow", f"{kind} makes {local.want:.6g}, and {local.got:g} comes of it; float16 ends at {LIMIT:.0f}"
    if local.uneven:
        return "precision", (
            f"{kind} makes whole numbers that float16 does not have, such as {local.want:.6g}: above 2048 it has the even "
            f"ones only, and {local.got:.6g} comes of it"
        )
    if local.error < _LITTLE and local.small[1] and abs(local.small[1]) < _NORMAL:
        return "underflow", (
            f"{kind} makes {local.small[1]:.3g} and float16 has {local.small[0]:.3g}: below 6.1e-05 it loses digits, below "
            "6e-08 it has zero, and constants below are taken for 6e-08"
        )
    small = next((value for value in read if _is_small(value)), None)
    if small is not None and local.scale >= _NORMAL:
        return "underflow", (
            f"{kind} reads {small.flat[np.argmax(np.abs(small))]:.3g}, of which float16 has not all digits, and comes out as "
            f"{local.got:.6g} for {local.want:.6g}: it loses digits below 6.1e-05, has zero below 6e-08, and constants "
            "below are taken for 6e-08"
        )
    if local.lost or local.unrounded < local.error / 4 or local.scale < _NORMAL:
        return "underflow", (
            f"{kind} makes {local.want:.3g} and float16 has {local.got:.3g}: below 6.1e-05 it loses digits, below 6e-08 "
            "it has zero"
        )
    return "precision", (
        f"{kind} of the original's own inputs, rounded to float16, comes out as {local.got:.6g} for {local.want:.6g}; its "
        f"largest number is {local.scale:.3g}"
    )


def _is_small(value: Any) -> bool:
    """Whether all numbers of a tensor, but zeros, are below float16's normal range."""
    array = np.asarray(value)
    return array.dtype.kind == "f" and bool(array.size) and 0 < float(np.max(np.abs(array))) < _NORMAL
