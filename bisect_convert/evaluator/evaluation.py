"""`evaluate`: a converted model run on inputs, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bisect_convert.evaluator.ops  # noqa: F401 - the kernels enter themselves
from bisect_convert.evaluator.program import run
from bisect_convert.evaluator.reading import program_of
from bisect_convert.evaluator.rounding import rounding

__all__ = ["evaluate"]


def evaluate(
    model: Any, inputs: Mapping[str, Any], precision: str = "float16", *, function: str = "main"
) -> dict[str, Any]:
    """Return what a converted model puts out for the inputs: arrays by the names of its outputs.

    model: an `MLModel`, or a path of an .mlpackage. inputs: an array for each input by name; integers enter as int32,
    floats as the program says. precision: "float16" rounds each result that the program has as float16, "float32" none.
    Raises Unevaluated where an op has no evaluation, ValueError for a model or inputs that do not fit.

    >>> evaluate("model.mlpackage", {"x": np.ones((1, 3), "f")})["Identity"].shape
    (1, 4)
    """
    return run(program_of(model), inputs, rounding(precision), function=function)
