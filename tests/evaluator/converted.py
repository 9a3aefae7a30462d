"""TensorFlow functions converted and evaluated, beside what TensorFlow makes of the same inputs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator import evaluate


def convert(function: Callable[..., Any], inputs: Mapping[str, Any], **options: Any) -> tuple[Any, Any]:
    """The converted model of a function of these inputs, and the function as TensorFlow runs it."""
    import coremltools as ct

    specs = [tf.TensorSpec(value.shape, value.dtype, name) for name, value in inputs.items()]
    concrete = tf.function(function, input_signature=specs).get_concrete_function()
    with mock.patch.object(gc, "collect"):  # which takes more time than the conversion
        model = ct.convert([concrete], source="tensorflow", convert_to="mlprogram", skip_model_load=True, **options)
    return model, concrete


def assert_equal(
    functions: Mapping[str, Callable[..., Any]], inputs: Mapping[str, Any], close: float = 1e-5, **options: Any
) -> None:
    """Each function comes out of the evaluator as it does of TensorFlow; they are converted in one go."""
    import coremltools as ct

    options = {"compute_precision": ct.precision.FLOAT32, **options}

    def all_of_them(*given: Any) -> Any:
        return [function(*given) for function in functions.values()]

    model, concrete = convert(all_of_them, inputs, **options)
    got = evaluate(model, inputs, "float32")
    wanted = [np.asarray(t) for t in concrete(*(tf.constant(v) for v in inputs.values()))]
    assert len(got) == len(wanted)
    by_name = {
        name: got.get(tensor.name.split(":")[0]) for name, tensor in zip(functions, concrete.outputs, strict=True)
    }
    wrong = {}
    for name, want in zip(functions, wanted, strict=True):
        have = by_name[name]
        if have is None or np.size(have) != np.size(want):
            wrong[name] = f"{None if have is None else np.shape(have)} for {want.shape}"
        elif not np.allclose(np.reshape(have, want.shape), want, rtol=close, atol=close, equal_nan=True):
            wrong[name] = f"off by {np.abs(np.reshape(have, want.shape).astype('f8') - want).max()}"
    assert not wrong, str(wrong)
