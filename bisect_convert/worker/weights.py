"""The true values of a model's large weights, read when they are asked for. Runs in a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import tensorflow as tf

from bisect_convert.errors import EnvironmentError_
from bisect_convert.model import facts
from bisect_convert.worker.read.rereading import write_weights
from bisect_convert.worker.read.saved_variables import checkpoint, stamp
from bisect_convert.worker.read.writing import COMPLETE, KNOWN

__all__ = ["true_weights"]


@lru_cache(maxsize=4)
def true_weights(folder: Path) -> Mapping[str, Any]:
    """Return the constants that stand as one repeated value in the folder's graph, by name, as they are in truth.

    Asking for one raises EnvironmentError_ where the model's files are others by now.
    """
    known = facts.read(folder)
    if known.unread is None or (folder / COMPLETE).exists():
        return _nodes(folder / COMPLETE)
    return _Weights(folder, known.path, known.unread)


class _Weights(Mapping[str, Any]):
    """Those that are known, those that the checkpoint has, and those for which the model has to be frozen once more."""

    def __init__(self, folder: Path, path: str, unread: facts.Unread) -> None:
        self._folder, self._path, self._unread = folder, path, unread
        self._known = _nodes(folder / KNOWN)
        self._graph = _nodes(folder / "graph.pb")
        self._derived = frozenset(unread.derived)

    def __len__(self) -> int:
        return len(self._known) + len(self._unread.variables) + len(self._derived)

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        yield from self._unread.variables
        yield from self._derived

    def __contains__(self, name: object) -> bool:
        return name in self._known or name in self._unread.variables or name in self._derived

    def __getitem__(self, name: str) -> Any:
        if name in self._derived:
            write_weights(self._folder)
            self._known |= _nodes(self._folder / COMPLETE)
        if name in self._known:
            return self._known[name]
        if stamp(self._path) != self._unread.files:
            raise EnvironmentError_(f"{self._path} was changed while it was being looked at; start again")
        value = checkpoint(self._path).get_tensor(self._unread.variables[name])
        node = tf.compat.v1.NodeDef()
        node.CopyFrom(self._graph[name])
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        return node


def _nodes(file: Path) -> dict[str, Any]:
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(file.read_bytes())
    return {node.name: node for node in graph_def.node}
