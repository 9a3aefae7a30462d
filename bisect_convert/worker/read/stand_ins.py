"""A function frozen with stand-ins for its large weights: the same graph, far sooner. Runs in a worker.

What folding sees decides what it makes, so values that it works with are the true ones: those of small tensors, of large
ones that ops of constants read, and of those that are one value throughout or not finite, which TensorFlow drops or
treats in ways of their own. What is left is large weights beside which the graph has something that is no constant; where
another constant is moved into such a one, by multiplying or adding, the result is no smaller, so it is a large weight too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.worker import private_api
from bisect_convert.worker.nodes import data
from bisect_convert.worker.read.reading import Left
from bisect_convert.worker.read.saved_variables import HeldVariables, SavedVariables, Unusual
from bisect_convert.worker.read.writing import slimmed

__all__ = ["Freezing"]

#: Ops that hand on what they read, and those that read no values of it.
_PASSING = frozenset({"Identity", "ReadVariableOp", "StopGradient", "Snapshot"})
_OF_SHAPES = frozenset({"Shape", "Size", "Rank"})


@dataclass
class Freezing:
    """One freezing: which variables have stand-ins, and what is known of the constants in the frozen graph.

    given: the variables, by their keys; whole: there are to be no stand-ins; true: constants that follow from true values
    alone; keys: those that are a variable's stand-in -> its key.
    """

    given: SavedVariables | HeldVariables
    whole: bool = False
    true: set[str] = field(default_factory=set)
    keys: dict[str, str] = field(default_factory=dict)
    digest: Any = field(default_factory=hashlib.sha256)
    _stand_ins: dict[int, Any] = field(default_factory=dict)

    def frozen(self, function: Any) -> Any:
        """Return the graph that coremltools converts; raises Unusual."""
        captured = [tensor.op.name for tensor in function.graph.internal_captures]
        if len(captured) != len(self.given.keys):
            raise Unusual("what its signature captures is not what was saved")
        with private_api.freezing_with(self._value, partial(self._settled, captured)):
            graph_def = private_api.freeze(function)
        for key in () if self.whole else sorted(self.given.others()):
            self.given.value(key)  # a damaged one is to be told
        return graph_def

    def left(self, graph_def: Any, files: tuple[tuple[str, int, int], ...]) -> Left:
        """Return what is known of the large weights of the graph that was made."""
        variables, digest = self._unchanged(graph_def), self.digest.hexdigest()
        values = self.given.value if isinstance(self.given, HeldVariables) else None
        return Left(digest, variables, frozenset(self.true), files, values)

    def _unchanged(self, graph_def: Any) -> dict[str, str]:
        """Those of the constants that are still as they were put in."""
        protos = {self.given.keys[place]: stand_in.proto() for place, stand_in in self._stand_ins.items()}
        return {
            n.name: self.keys[n.name] for n in graph_def.node
            if n.op == "Const" and n.name in self.keys and n.attr["value"].tensor == protos[self.keys[n.name]]
        }  # fmt: skip

    def _value(self, place: int) -> Any:
        """The variable's value, or a stand-in, no two of which are the same."""
        key = self.given.keys[place]
        if not key:
            raise Unusual("it captures more than variables")
        value = np.asarray(self.given.value(key))
        if value.dtype.kind in "OSU":
            raise Unusual("it has variables of strings")
        if self.whole or not slimmed(tf.as_dtype(value.dtype), value.shape) or _of_one_value(value):
            return value
        self.digest.update(np.ascontiguousarray(value))
        self._stand_ins[place] = private_api.StandIn(value.shape, value.dtype, 0.137 + 0.0001 * len(self._stand_ins))
        return self._stand_ins[place]

    def _settled(self, captured: list[str], graph_def: Any) -> None:
        """Put the true values in place of stand-ins that ops of constants read, and take down what is known then."""
        places = {captured[place]: place for place in self._stand_ins}
        follows = _what_follows(graph_def, frozenset(places))
        nodes = {node.name: node for node in graph_def.node}
        for name in follows.read:
            tensor = tf.make_tensor_proto(self.given.value(self.given.keys[places[name]]))
            nodes[name].attr["value"].tensor.CopyFrom(tensor)
            del self._stand_ins[places[name]]
        for name, origin in follows.origins.items():
            if origin in places and origin not in follows.read:
                self.keys[name] = self.given.keys[places[origin]]
            else:
                self.true.add(name)


@dataclass(frozen=True)
class _Follows:
    """read: the stand-ins whose values an op of constants reads; origins: what follows from constants, those that are one
    of them handed on with its name."""

    read: frozenset[str]
    origins: Mapping[str, str]


def _what_follows(graph_def: Any, stand_ins: frozenset[str]) -> _Follows:
    nodes = {node.name: node for node in graph_def.node}
    readers: dict[str, list[str]] = {}
    waiting = {name: len(data(node)) for name, node in nodes.items()}
    for node in graph_def.node:
        for tensor in data(node):
            readers.setdefault(tensor.partition(":")[0], []).append(node.name)
    todo = [name for name, node in nodes.items() if node.op == "Const"]
    origins: dict[str, str] = {}
    read: set[str] = set()
    while todo:
        node = nodes[todo.pop()]
        sources = [origins[tensor.partition(":")[0]] for tensor in data(node)]
        origins[node.name] = sources[0] if node.op in _PASSING and sources else node.name
        if node.op not in _PASSING and node.op not in _OF_SHAPES:
            read.update(stand_ins.intersection(sources))
        for reader in readers.get(node.name, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                todo.append(reader)
    return _Follows(frozenset(read), origins)


def _of_one_value(values: Any) -> bool:
    """Whether all are the same, or some are no numbers."""
    flat = values.reshape(-1)
    return bool((flat[0] == flat[1] and (flat == flat[0]).all()) or not np.isfinite(flat).all())
