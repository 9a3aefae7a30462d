"""Freezing a function whose variables' values are given from outside, large ones as stand-ins that take no memory.

Everything else is TensorFlow's own freezing and coremltools' own use of it, so that what comes out is the same graph.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from bisect_convert.worker.private_api.lifting import lifted_at_once

__all__ = ["StandIn", "freezing_with"]


@dataclass(frozen=True)
class StandIn:
    """One value in place of each of a tensor's own."""

    shape: tuple[int, ...]
    dtype: Any
    value: float

    def proto(self) -> Any:
        """Return the tensor with its value written once."""
        made = tf.make_tensor_proto(np.array(self.value, self.dtype))
        for size in self.shape:
            made.tensor_shape.dim.add(size=size)
        return made


class _TensorUtil:
    """TensorFlow's module of that name, whose `make_tensor_proto` takes stand-ins too."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def make_tensor_proto(self, values: Any, *given: Any, **named: Any) -> Any:
        """Return the value as TensorFlow does, and a stand-in as it is."""
        return (
            values.proto() if isinstance(values, StandIn) else self._original.make_tensor_proto(values, *given, **named)
        )


@contextlib.contextmanager
def freezing_with(value_of: Callable[[int], Any], frozen: Callable[[Any], None]) -> Iterator[None]:
    """Within, functions are frozen with these values in place of those that their variables hold, which are not read.

    value_of: the position of a variable among what the function captures -> an array or a `StandIn`; frozen: sees, and may
    change, the GraphDef in which constants have just taken the variables' places, before anything is folded.
    """
    data, util = convert_to_constants._FunctionConverterDataInEager, convert_to_constants.tensor_util
    replacing = convert_to_constants._replace_variables_by_constants

    class Given(data):  # type: ignore[misc, valid-type]
        def _eval(self, tensor: Any) -> Any:
            handle = getattr(tensor, "handle", None)
            places = [n for n, captured in enumerate(self._func.captured_inputs) if captured is handle]
            return value_of(places[0]) if handle is not None and places else super()._eval(tensor)

    def replaced(converter_data: Any) -> Any:
        graph_def, indices = replacing(converter_data)
        frozen(graph_def)
        return graph_def, indices

    convert_to_constants._FunctionConverterDataInEager = Given
    convert_to_constants.tensor_util = _TensorUtil(util)
    convert_to_constants._replace_variables_by_constants = replaced
    try:
        with lifted_at_once():
            yield
    finally:
        convert_to_constants._FunctionConverterDataInEager, convert_to_constants.tensor_util = data, util
        convert_to_constants._replace_variables_by_constants = replacing
