"""How results are rounded: each float16 result to float16, while sums inside an op are kept in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator.program import Result, dtype_of

__all__ = ["LIMIT", "PRECISIONS", "half", "rounding"]

PRECISIONS = ("float16", "float32")
#: The largest number that float16 holds.
LIMIT = 65504.0
#: Of so few numbers numpy rounds them while TensorFlow still makes a tensor of them.
_FEW = 256


def half(value: Any) -> Any:
    """Return the float32 array with each number rounded to float16; what is beyond its range becomes infinite.

    >>> half(np.float32([1e-9, 0.1, 70000]))
    array([0.        , 0.09997559,        inf], dtype=float32)
    """
    if isinstance(value, np.ndarray) and value.size <= _FEW:
        with np.errstate(all="ignore"):
            return value.astype(np.float16).astype(np.float32)
    # numpy takes thirty times as long where numbers are below float16's normal range, as those of many models are
    return tf.cast(tf.cast(value, tf.float16), tf.float32).numpy()


def rounding(precision: str) -> Result:
    """Return what rounds each result of a float16 op, or with "float32" none; raises ValueError for another precision."""
    if precision not in PRECISIONS:
        raise ValueError(f"there is no precision {precision!r}; it is one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        return lambda op, var, value: value
    return lambda op, var, value: half(value) if dtype_of(var) == "fp16" and isinstance(value, np.ndarray) else value
