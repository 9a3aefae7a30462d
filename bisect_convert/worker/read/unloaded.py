"""A SavedModel frozen without loading its large weights: the same graph, far sooner. Runs in a worker.

What folding sees decides what it makes, so values that it works with are the true ones: those of small tensors, of large
ones that ops of constants read, and of those that are one value throughout or not finite, which TensorFlow drops or
treats in ways of their own. What is left is large weights beside which the graph has something that is no constant; where
another constant is moved into such a one, by multiplying or adding, the result is no smaller, so it is a large weight too.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.errors import EnvironmentError_
from bisect_convert.model import facts
from bisect_convert.worker import private_api
from bisect_convert.worker.nodes import data
from bisect_convert.worker.read import handing, source_lines
from bisect_convert.worker.read.edges import without_edges
from bisect_convert.worker.read.reading import Left, Reading
from bisect_convert.worker.read.saved_model import opened
from bisect_convert.worker.read.saved_variables import SavedVariables, Unusual, stamp
from bisect_convert.worker.read.writing import COMPLETE, slim, slimmed, write_facts
from bisect_convert.worker.request import Load
from bisect_convert.worker.tracebacks import one_line

__all__ = ["read_unloaded", "write_weights"]

#: Ops that hand on what they read, and those that read no values of it.
_PASSING = frozenset({"Identity", "ReadVariableOp", "StopGradient", "Snapshot"})
_OF_SHAPES = frozenset({"Shape", "Size", "Rank"})


def read_unloaded(request: Load, reading: Reading) -> dict[str, Any] | None:
    """Write the facts of the model as `read_model` does; None where it is not sure that they would be the same."""
    try:
        files = stamp(request.path)
        made = _Freezing(SavedVariables(request.path, request.signature))
        function, names, signature = opened(request.path, request.signature, restored=False)
        graph_def = made.frozen(function)
        if without_edges(graph_def, list(reading.outputs)) is not None:
            raise Unusual("it works with strings")
        reading = replace(
            reading, signature=signature, signatures=tuple(names), sources=source_lines.of_saved_model(request.path),
            handed=handing.of_path(request.path, function, signature, names), keys=handing.keys_of(function),
            left=Left(made.digest.hexdigest(), made.variables(graph_def), frozenset(made.true), files),
        )  # fmt: skip
        reading = replace(reading, sources=reading.sources or source_lines.of_function(function))
        return write_facts(graph_def, Path(request.folder), reading)
    except Exception as reason:  # what is wrong with a model is for loading it to say
        if os.environ.get("BISECT_CONVERT_VERBOSE") == "1":
            logging.getLogger("bisect_convert").warning(
                "the model is loaded with all its weights: %s", one_line(reason)
            )
        return None


def write_weights(folder: Path) -> None:
    """Write the true values of all large weights of the model that was written into the folder, as far as they are not there.

    Raises EnvironmentError_ where its files are others by now.
    """
    known = facts.read(folder)
    if known.unread is None or (folder / COMPLETE).exists():
        return
    function, _, signature = opened(known.path, known.signature, restored=False)
    weights = slim(_Freezing(SavedVariables(known.path, signature), whole=True).frozen(function))
    if stamp(known.path) != known.unread.files or len(weights.node) != known.slim:
        raise EnvironmentError_(f"{known.path} was changed while it was being looked at; start again")
    part = folder / f"{COMPLETE}.{os.getpid()}"
    part.write_bytes(weights.SerializeToString())
    part.rename(folder / COMPLETE)


@dataclass
class _Freezing:
    """One freezing: which variables have stand-ins, and what is known of the constants in the frozen graph.

    whole: there are to be no stand-ins; true: constants that follow from true values alone; keys: those that are a
    variable's stand-in -> its key.
    """

    saved: SavedVariables
    whole: bool = False
    true: set[str] = field(default_factory=set)
    keys: dict[str, str] = field(default_factory=dict)
    digest: Any = field(default_factory=hashlib.sha256)
    _stand_ins: dict[int, Any] = field(default_factory=dict)

    def frozen(self, function: Any) -> Any:
        """Return the graph that coremltools converts; raises Unusual."""
        captured = [tensor.op.name for tensor in function.graph.internal_captures]
        if len(captured) != len(self.saved.keys):
            raise Unusual("what its signature captures is not what was saved")
        with private_api.freezing_with(self._value, partial(self._settled, captured)):
            graph_def = private_api.freeze(function)
        for key in () if self.whole else sorted(self.saved.others()):
            self.saved.value(key)  # a damaged one is to be told
        return graph_def

    def variables(self, graph_def: Any) -> dict[str, str]:
        """Return those of the constants that are still as they were put in."""
        protos = {self.saved.keys[place]: stand_in.proto() for place, stand_in in self._stand_ins.items()}
        return {
            n.name: self.keys[n.name] for n in graph_def.node
            if n.op == "Const" and n.name in self.keys and n.attr["value"].tensor == protos[self.keys[n.name]]
        }  # fmt: skip

    def _value(self, place: int) -> Any:
        """The variable's value, or a stand-in, no two of which are the same."""
        key = self.saved.keys[place]
        if not key:
            raise Unusual("it captures more than variables")
        value = np.asarray(self.saved.value(key))
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
            tensor = tf.make_tensor_proto(self.saved.value(self.saved.keys[places[name]]))
            nodes[name].attr["value"].tensor.CopyFrom(tensor)
            del self._stand_ins[places[name]]
        for name, origin in follows.origins.items():
            if origin in places and origin not in follows.read:
                self.keys[name] = self.saved.keys[places[origin]]
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
