"""The functions that the ops of a graph call, and each as a graph with the shapes of its call. Runs in a worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from bisect_convert.model.names import LOOPS
from bisect_convert.worker import private_api
from bisect_convert.worker.nodes import called_by_role

__all__ = ["Bodies"]

#: How often the shapes of a loop's variables are tried before nothing is said of them.
_TRIES = 4


class Bodies:
    """The functions of one model as graphs, each made once for one call."""

    def __init__(self, functions: dict[str, Any]) -> None:
        self.functions = functions
        self._made: dict[tuple[Any, str, str], Any] = {}
        self._shapes: dict[tuple[str, str], list[Any]] = {}

    def reached(self, nodes: Iterable[Any]) -> list[Any]:
        """Return the functions that the nodes call, and those that these call: no more is to be imported with them."""
        found: dict[str, Any] = {}
        todo = [name for node in nodes for _, name in called_by_role(node)]
        while todo:
            name = todo.pop()
            if name in self.functions and name not in found:
                found[name] = self.functions[name]
                todo += [inner for node in found[name].node_def for _, inner in called_by_role(node)]
        return [found[name] for name in sorted(found)]

    def of(self, op: Any, role: str, callee: str) -> Any | None:
        """Return the function as a graph, shapes inferred from those of the call; None where TensorFlow cannot build it."""
        if callee not in self.functions:
            return None
        key = (op.graph, op.name, callee)
        if key not in self._made:
            try:
                self._made[key] = self._built(*self._with_shapes(op, role, self.functions[callee]))
            except Exception:  # a body that TensorFlow cannot build alone stays closed; its construct is searched whole
                self._made[key] = None
        return self._made[key]

    def of_loop(self, loop: Any) -> Any | None:
        """Return the graph of the loop's body, or None."""
        names = [name for role, name in called_by_role(loop.node_def) if role == "body"]
        return self.of(loop, "body", names[0]) if names else None

    def _with_shapes(self, op: Any, role: str, function: Any) -> tuple[Any, list[Any]]:
        """The function and the shapes of its parameters; it may say less of them itself than its call does."""
        count = len(function.signature.input_arg)
        shapes = [t.shape for t in list(op.inputs)[-count:]] if count else []
        loop = role in ("cond", "body")
        same = self._unchanging(op) if loop else set(range(count))
        for index, attributes in function.arg_attr.items():
            if "_output_shapes" not in attributes.attr or index >= count:
                continue
            attr = attributes.attr["_output_shapes"]
            declared = tf.TensorShape(attr.list.shape[0] if attr.list.shape else attr.shape)
            if index not in same:
                shapes[index] = declared if declared.rank is not None else self._of_variables(op)[index]
            else:
                fits = declared.is_compatible_with(shapes[index])
                shapes[index] = declared.merge_with(shapes[index]) if fits else declared
        return function, shapes

    def _built(self, function: Any, shapes: list[Any]) -> Any:
        """The function's graph, in which the results of loops have the rank that they always have, if there is one."""
        copy = type(function)()
        copy.CopyFrom(function)
        for attributes in copy.arg_attr.values():
            attributes.attr.pop("_output_shapes", None)
        body = private_api.body_graph(copy, shapes)
        for _ in range(_TRIES):
            loops = [op for op in body.get_operations() if op.type in LOOPS and any(map(_open, op.outputs))]
            found = {op.name: self._of_variables(op) for op in loops}
            better = {
                op.name: found[op.name] for op in loops
                if any(_open(t) and f.rank is not None for t, f in zip(op.outputs, found[op.name], strict=True))
            }  # fmt: skip
            if not better:
                break
            for node in copy.node_def:
                node.attr.pop("_output_shapes", None)
                if node.name in better:
                    node.attr["output_shapes"].list.ClearField("shape")
                    node.attr["output_shapes"].list.shape.extend(s.as_proto() for s in better[node.name])
            body = private_api.body_graph(copy, shapes)
        return body

    def _of_variables(self, loop: Any) -> list[Any]:
        """Shapes that hold in every turn of the loop: those it starts with, as far as its body keeps to them."""
        declared = [t.shape for t in loop.outputs]
        names = [name for role, name in called_by_role(loop.node_def) if role == "body"]
        shapes = [d if d.rank is not None else t.shape for d, t in zip(declared, loop.inputs, strict=True)]
        key = (names[0] if names else "", str(shapes))
        if key not in self._shapes:
            self._shapes[key] = self._kept_to(self.functions.get(key[0]), shapes) or declared
        return self._shapes[key]

    def _kept_to(self, body: Any | None, shapes: list[Any]) -> list[Any] | None:
        for _ in range(_TRIES if body is not None else 0):
            try:
                results = [t.shape for t in self._built(body, shapes).outputs]
            except Exception:  # shapes that do not fit, or a function of no graph: nothing can be said
                return None
            held = [_common(a, b) for a, b in zip(shapes, results, strict=True)]
            if all(str(a) == str(b) for a, b in zip(held, shapes, strict=True)):
                return held
            shapes = held
        return None

    def _unchanging(self, loop: Any) -> set[int]:
        """Which of a loop's variables its body hands back as they came in: what the loop captures."""
        names = [name for role, name in called_by_role(loop.node_def) if role == "body"]
        if not names or names[0] not in self.functions:
            return set()
        function = self.functions[names[0]]
        handed = {f"{n.name}:output:0": n.input[0] for n in function.node_def if n.op == "Identity"}
        pairs = zip(function.signature.input_arg, function.signature.output_arg, strict=False)
        return {
            index for index, (parameter, result) in enumerate(pairs)
            if parameter.name in (function.ret[result.name], handed.get(function.ret[result.name]))
        }  # fmt: skip


def _open(tensor: Any) -> bool:
    return tensor.shape.rank is None and tensor.dtype not in (tf.variant, tf.resource)


def _common(one: Any, other: Any) -> Any:
    """What two shapes have in common: the sizes that are the same, or nothing."""
    if one.rank is None or one.rank != other.rank:
        return tf.TensorShape(None)
    return tf.TensorShape([a if a == b else None for a, b in zip(one.as_list(), other.as_list(), strict=True)])
