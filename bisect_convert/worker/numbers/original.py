"""The original in TensorFlow: its results, and every value inside of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.worker.numbers.bodies import Bodies, label, parted
from bisect_convert.worker.numbers.parts import Parts, parts_of

__all__ = ["Original", "undefined_in"]

v1 = tf.compat.v1
_TOLD = frozenset("biuf")


#: What TensorFlow says of an index that is out of range, on a processor that looks.
_OUT_OF_RANGE = re.compile(
    r"[^\n]*(?:is not in \[0, \d+\)|does not index into|out of (?:range|bounds)|outOfRange)[^\n]*"
)


def undefined_in(error: tf.errors.OpError) -> tuple[str, str] | None:
    """Return the op at which TensorFlow itself refuses an index, and what it says; None for any other error."""
    said = _OUT_OF_RANGE.search(error.message or "")
    name = error.op.name if error.op is not None else ""
    return (name, said[0].strip()) if said is not None and name else None


class Original:
    """A frozen graph that is run on feeds by the names of its placeholders; raises tf.errors.OpError where it cannot be."""

    def __init__(self, graph_def: Any) -> None:
        self.graph_def = graph_def
        self._graph = tf.Graph()
        with self._graph.as_default():
            tf.import_graph_def(graph_def, name="")
        self._session = v1.Session(graph=self._graph)
        self.bodies = Bodies(graph_def)
        self.inputs = [op for op in self._graph.get_operations() if op.type.startswith("Placeholder")]

    def run(self, tensors: Sequence[str], feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the tensors by their names."""
        values = self._session.run(list(tensors), {f"{name}:0": value for name, value in feeds.items()})
        return {name: np.asarray(value) for name, value in zip(tensors, values, strict=True)}

    def parts(self, tensors: Iterable[str]) -> dict[str, Parts]:
        """Return what these tensors were joined of, of those that were."""
        found = {name: parts_of(self._graph.get_tensor_by_name(name)) for name in tensors}
        return {name: parts for name, parts in found.items() if parts is not None}

    def inside(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Return the value of every tensor of numbers that is no constant."""
        names = [
            t.name
            for op in self._graph.get_operations()
            for t in op.outputs
            if op.type != "Const" and t.dtype not in (tf.variant, tf.resource, tf.string)
            and t.dtype.as_numpy_dtype is not None and np.dtype(t.dtype.as_numpy_dtype).kind in _TOLD
        ]  # fmt: skip
        return self.run(names, feeds)

    def type_of(self, name: str) -> str:
        """Return the type of the op of this name; that of one in a body is its `bodies.label`, here and below."""
        return str(self._op(name).type)

    def _op(self, name: str) -> Any:
        function, own = parted(name)
        return self.bodies.op(function, own) if function else self._graph.get_operation_by_name(own)

    def dtypes(self, name: str) -> tuple[set[str], set[str]]:
        """Return the dtypes that the op reads, and that it makes."""
        op = self._op(name)
        return {t.dtype.base_dtype.name for t in op.inputs}, {t.dtype.base_dtype.name for t in op.outputs}

    def source(self, tensor: str) -> str:
        """Return the tensor that this one is the same as: what comes before ops that do nothing."""
        op = self._graph.get_tensor_by_name(tensor).op
        while op.type == "Identity" and op.inputs[0].op.type not in ("Placeholder", "Const"):
            tensor = op.inputs[0].name
            op = op.inputs[0].op
        return tensor

    def read_by(self, name: str) -> list[str]:
        """Return the tensors that the op reads."""
        return [label(parted(name)[0], t.name) for t in self._op(name).inputs]

    def constant(self, tensor: str) -> Any:
        """Return the value of a tensor that is a constant, else None."""
        op = self._op(tensor.rpartition(":")[0])
        return tf.make_ndarray(op.get_attr("value")) if op.type == "Const" else None

    def no_numbers(self) -> list[str]:
        """Return the constants that hold NaN, which nothing that reads them makes a number of."""
        kept = [op for op in self._graph.get_operations() if op.type == "Const" and op.outputs[0].dtype.is_floating]
        return [op.name for op in kept if np.isnan(tf.make_ndarray(op.get_attr("value")).astype(np.float64)).any()]
