"""Does a graph whose variables are inputs compute what the function does that assigns them? Runs in a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.model.names import op_of
from bisect_convert.report.fix import State
from bisect_convert.worker.rewrite.difference import difference
from bisect_convert.worker.rewrite.draws import drawn_in
from bisect_convert.worker.rewrite.samples import there

__all__ = ["agrees", "kept"]

#: How far outputs may be apart, in parts of their scale.
_TOLERANCE = 1e-5
#: So many numbers are told at most.
_MOST = 1024


def agrees(function: Any, graph_def: Any, state: Mapping[str, tuple[str, Any]]) -> bool:
    """Run both on the same random inputs, three times in a row, the state handed on; the variables are as before then.

    state: by the names of inputs, the output with what is assigned, and the variable.
    """
    drawn = drawn_in(graph_def)  # whose seed is a constant there: the first draw is the same
    before = [(variable, variable.numpy()) for variable in function.graph.variables]
    values = {name: variable.numpy() for name, (_, variable) in state.items()}
    try:
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(graph_def, name="")
        values = {name: _as_feature(graph.get_tensor_by_name(f"{name}:0"), value) for name, value in values.items()}
        session = tf.compat.v1.Session(graph=graph)  # not entered: the function is to run outside of its graph
        for seed in range(3):
            given = _drawn(function, seed)
            named = bool(function.structured_input_signature[1])
            results = function(**given) if named else function(*given.values())
            expected = [tensor.numpy() for tensor in tf.nest.flatten(results)]
            expected += [
                _as_feature(graph.get_tensor_by_name(f"{out}:0"), variable.numpy()) for out, variable in state.values()
            ]
            names = [f"{op_of(t.name)}:0" for t in function.outputs] + [f"{out}:0" for out, _ in state.values()]
            feed = {f"{n}:0": v for n, v in {**{k: t.numpy() for k, t in given.items()}, **values}.items()}
            made = session.run(names, {n: v for n, v in feed.items() if there(graph, n)})
            told = [n for n, name in enumerate(names) if seed == 0 or op_of(name) not in drawn]
            if any(difference(expected[n], made[n]).max_rel > _TOLERANCE for n in told):
                return False
            values = dict(zip(state, made[len(function.outputs) :], strict=True))
        return True
    finally:
        for variable, value in before:
            variable.assign(value)


def kept(graph_def: Any, state: Mapping[str, tuple[str, Any]]) -> tuple[State, ...]:
    """Return what an app is told of the state: which output is which input the next time, and what is given in at first."""
    inputs = {n.name: n for n in graph_def.node if n.name in state}
    return tuple(_told(inputs[name], out, variable) for name, (out, variable) in state.items())


def _told(node: Any, output: str, variable: Any) -> State:
    dtype, shape = tf.as_dtype(node.attr["dtype"].type), tf.TensorShape(node.attr["shape"].shape).as_list()
    value = variable.numpy().reshape(shape).astype(dtype.as_numpy_dtype)
    plain = value.reshape(-1)
    same, finite = plain.size > 0 and bool((plain == plain[0]).all()), bool(np.isfinite(plain).all())
    first = None if not finite else plain[0].item() if same else value.tolist() if plain.size <= _MOST else None
    return State(node.name, output, op_of(variable.name), dtype.name, tuple(shape), first)


def _as_feature(tensor: Any, value: Any) -> Any:
    """The variable's value as the input or output that stands for it has it."""
    return np.asarray(value).reshape(tensor.shape.as_list()).astype(tensor.dtype.as_numpy_dtype)


def _drawn(function: Any, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    made = {}
    for spec in tf.nest.flatten(function.structured_input_signature):
        shape = [2 if size is None else size for size in spec.shape]
        numbers = rng.standard_normal(shape) if spec.dtype.is_floating else rng.integers(0, 2, shape)
        made[spec.name] = tf.constant(numbers, spec.dtype)
    return made
