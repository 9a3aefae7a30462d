"""The variables that a function captures, and their values: in the checkpoint of a SavedModel, or in memory."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import tensorflow as tf

from bisect_convert.worker import private_api
from bisect_convert.worker.nodes import functions_of
from bisect_convert.worker.read.saved_model import chosen, opened

__all__ = ["HeldVariables", "SavedVariables", "Unusual", "checkpoint", "stamp"]

_VARIABLES = "variables/variables"
#: Bytes of variables with which a graph of them is still far from 2 GiB, the most that protobuf writes.
_MOST = 2**30
_GRAPH, _VALUE = "_CHECKPOINTABLE_OBJECT_GRAPH", "VARIABLE_VALUE"


class Unusual(Exception):
    """The model is one of which not all is known without loading it; the message says why."""


class SavedVariables:
    """The variables of one SavedModel, each by the position that it has among what the signature captures.

    signatures: those that there are; signature: the one that is meant.
    Raises Unusual for a model that is more than functions and variables, and what TensorFlow raises for a damaged one.
    """

    def __init__(self, path: str, wanted: str | None) -> None:
        saved = private_api.saved_model_pb2.SavedModel()
        saved.ParseFromString((Path(path) / "saved_model.pb").read_bytes())
        if len(saved.meta_graphs) != 1 or not saved.meta_graphs[0].object_graph_def.nodes:
            raise Unusual("it is none of TensorFlow 2")
        self._path = path
        self._meta_graph = saved.meta_graphs[0]
        self._objects = self._meta_graph.object_graph_def
        self._library = {f.signature.name: f for f in saved.meta_graphs[0].graph_def.library.function}
        if any(node.WhichOneof("kind") == "resource" for node in self._objects.nodes):
            raise Unusual("it has lookup tables")
        kinds = {node.op for function in self._library.values() for node in function.node_def}
        if not all(map(private_api.registered, kinds - self._library.keys())):
            raise Unusual("it has ops that TensorFlow does not know")
        self.reader = checkpoint(path)
        self._shapes = self.reader.get_variable_to_shape_map()
        self._dtypes = self.reader.get_variable_to_dtype_map()
        signatures = self._children(self._child(0, "signatures"))
        self.signatures, self.signature = sorted(signatures), chosen(signatures, wanted, path)
        self._name = self._function(signatures[self.signature])
        keys, captured = self._keys(), self._objects.concrete_functions[self._name].bound_inputs
        self.keys = tuple(keys.get(node, "") for node in captured)
        if self._assigns(self._name):
            raise Unusual("it assigns variables")
        if sum(map(self._size, filter(None, self.keys))) > _MOST:
            raise Unusual("TensorFlow may be unable to freeze so large a model")

    def function(self) -> Any:
        """Return the signature as a concrete function, its variables without values."""
        function = private_api.saved_function(self._meta_graph, self._name)
        return opened(self._path, self.signature, restored=False)[0] if function is None else function

    @property
    def named(self) -> tuple[str, ...]:
        """The names of layers that the names of variables begin with."""
        names = [n.variable.name for n in self._objects.nodes if n.WhichOneof("kind") == "variable"]
        return tuple(dict.fromkeys(part for name in names for part in name.split("/")[:-1]))

    def value(self, key: str) -> Any:
        """Return what the checkpoint holds under the key, an array."""
        return self.reader.get_tensor(key)

    def others(self) -> set[str]:
        """Return the keys of what the checkpoint holds for no capture of the signature."""
        return set(self._shapes) - set(self.keys) - {_GRAPH}

    def _size(self, key: str) -> int:
        return int(math.prod(self._shapes[key]) * self._dtypes[key].size)

    def _assigns(self, name: str) -> bool:
        """Whether the function, or one that it calls, writes into a variable."""
        seen, todo = {name}, [name]
        while todo:
            function = self._library.get(todo.pop())
            for node in () if function is None else function.node_def:
                if node.op.startswith(("Assign", "ResourceApply", "ResourceScatter")):
                    return True
                new = set(functions_of(node)) - seen
                seen |= new
                todo += new
        return False

    def _function(self, signature: int) -> str:
        """The name of the function that the signature is."""
        node = self._objects.nodes[signature]
        if node.WhichOneof("kind") == "bare_concrete_function":
            return str(node.bare_concrete_function.concrete_function_name)
        raise Unusual("its signature is no plain function")

    def _children(self, node: int) -> dict[str, int]:
        return {child.local_name: child.node_id for child in self._objects.nodes[node].children}

    def _child(self, node: int, name: str) -> int:
        if (found := self._children(node).get(name)) is None:
            raise Unusual("its signatures are not where TensorFlow 2 has them")
        return found

    def _keys(self) -> dict[int, str]:
        """The variables among the saved objects -> their keys, found as loading finds them: by the names on the way."""
        graph = private_api.trackable_object_graph_pb2.TrackableObjectGraph.FromString(self.value(_GRAPH))
        same, todo = {0: 0}, [0]
        while todo:
            node = todo.pop()
            there = {child.local_name: child.node_id for child in graph.nodes[same[node]].children}
            for child in self._objects.nodes[node].children:
                if child.local_name in there and child.node_id not in same:
                    same[child.node_id] = there[child.local_name]
                    todo.append(child.node_id)
        found = {}
        for number, node in enumerate(self._objects.nodes):
            if node.WhichOneof("kind") == "variable":
                values = graph.nodes[same[number]].attributes if number in same else ()
                keys = [a.checkpoint_key for a in values if a.name == _VALUE]
                shape = [d.size for d in node.variable.shape.dim]
                if len(keys) != 1 or self._shapes.get(keys[0]) != shape:
                    raise Unusual(f"its variable {node.variable.name} is not in its checkpoint as it is declared")
                found[number] = keys[0]
        return found


class HeldVariables:
    """The variables of a function in memory, by the positions that they have among what it captures."""

    def __init__(self, function: Any) -> None:
        variables = {id(variable.handle): variable for variable in function.graph.variables}
        self._captured = [variables.get(id(tensor)) for tensor in function.captured_inputs]
        self.keys = tuple("" if variable is None else str(n) for n, variable in enumerate(self._captured))
        if sum(v.dtype.size * math.prod(v.shape) for v in self._captured if v is not None) > _MOST:
            raise Unusual("TensorFlow may be unable to freeze so large a model")

    def value(self, key: str) -> Any:
        """Return the value of the variable, an array."""
        return self._captured[int(key)].numpy()  # type: ignore[union-attr]

    def others(self) -> set[str]:
        """Return the keys of what is there for no capture: none."""
        return set()


def checkpoint(path: str) -> Any:
    """Return a reader of the model's checkpoint."""
    return tf.train.load_checkpoint(str(Path(path) / _VARIABLES))


def stamp(path: str) -> tuple[tuple[str, int, int], ...]:
    """Return the model's files, each with its size and when it was written."""
    saved = [Path(path) / "saved_model.pb", *sorted((Path(path) / "variables").glob("variables.*"))]
    files = saved if os.path.isdir(path) else [Path(path)]
    return tuple((str(f), (known := f.stat()).st_size, known.st_mtime_ns) for f in files)
