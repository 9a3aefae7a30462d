"""Read the facts that a worker wrote about a model (see `loading`) into a `Model`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bisect_convert.model.graph import Graph, Items, Model, Op, Tensor
from bisect_convert.model.outcome import Outcome

__all__ = ["Loaded", "read_facts"]

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Loaded:
    """A model ready to be probed: its facts, the folder that workers read, and the failure if it never froze."""

    model: Model
    folder: Path
    files: dict[str, str]
    failure: Outcome | None
    convertible: frozenset[str]
    inputs: tuple[dict[str, Any], ...]
    slim: bool
    mib: float = 0.0
    """The size of the true weights."""
    keys: dict[str, str] = field(default_factory=dict)
    """What the signature calls the results -> the ops that make them."""
    refused: bool = False
    """True where TensorFlow itself finds that the model cannot work on the shapes that were given."""
    blamed: tuple[tuple[str, str], ...] = ()
    """The (graph, op) that keep it from being read or frozen."""

    @property
    def size(self) -> int:
        """The ops of all its graphs."""
        return sum(len(graph.order) for graph in self.model.graphs.values())


_NONE = Graph("", {})


def read_facts(folder: Path) -> Loaded:
    """Return what `loading` wrote into the folder."""
    facts = json.loads((folder / "model.json").read_text())
    graphs = {name: _graph(name, data) for name, data in facts["graphs"].items()}
    model = Model(
        facts["path"],
        facts["signature"],
        graphs,
        facts["digest"],
        signatures=tuple(facts["signatures"]),
    )
    return Loaded(
        model,
        folder,
        {name: data.get("file", "graph.pb") for name, data in facts["graphs"].items()},
        Outcome.from_json(facts["failure"]) if facts["failure"] else None,
        frozenset(facts["convertible"]),
        tuple(facts["inputs"]),
        bool(facts["slim"]),
        (folder / "weights.pb").stat().st_size / 2**20,
        dict(facts["keys"]),
        bool(facts["refused"]),
        tuple((graph, op) for graph, op in facts["blamed"] if op in graphs.get(graph, _NONE).ops),
    )


def _graph(name: str, data: dict[str, Any]) -> Graph:
    ops = {row["name"]: _op(row) for row in data["ops"]}
    caller = tuple(data["caller"]) if data["caller"] else None
    return Graph(name, ops, tuple(data["results"]), caller)


def _items(row: list[Any] | None = None) -> Items | None:
    return None if row is None else Items(row[0], tuple(row[1]), row[2])


def _op(row: dict[str, Any]) -> Op:
    outputs = tuple(
        Tensor(name, dtype, None if shape is None else tuple(shape), tuple(symbols), _items(*items))
        for name, dtype, shape, symbols, *items in row["outputs"]
    )
    functions = tuple((role, function) for role, function in row["functions"])
    return Op(
        row["name"],
        row["type"],
        tuple(row["inputs"]),
        outputs,
        functions,
        row["constant"],
        row["layer"],
        row["source"],
        row["attributes"],
    )
