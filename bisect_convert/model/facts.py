"""What is known of a model once it is read: written by a worker as model.json, read by everyone else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bisect_convert.model.graph import Graph, Items, Op, Tensor
from bisect_convert.model.outcome import Outcome
from bisect_convert.report.fix import State

__all__ = ["DEFAULTS", "EDGES", "FILE", "LEFTOVERS", "STATE", "Facts", "Handed", "Unread", "Variant", "read", "write"]

FILE = "model.json"
#: Kinds of causes that are no ops: what training left in the graph, variables that were never frozen, stages of strings.
LEFTOVERS, DEFAULTS, STATE, EDGES = "leftovers", "defaults", "state", "edges"


@dataclass(frozen=True)
class Variant:
    """A form of the model without a cause that is no op.

    kind: the cause; folder: where the facts of the form are, beside the model's own; blamed: the ops of the main graph that
    show the cause; about: the ops that a remedy names.
    """

    kind: str
    folder: str
    blamed: tuple[str, ...] = ()
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Handed:
    """How the model is handed to `ct.convert`, as code.

    opened: the lines that open it; argument: what is handed over then; refused: what `ct.convert` itself raises for the
    model as its caller has it, before it looks at any op; keras: that is a Keras model, which it should take; called: the
    name of one in memory.
    """

    argument: str = "model"
    opened: tuple[str, ...] = ()
    refused: str = ""
    keras: bool = False
    called: str = ""


@dataclass(frozen=True)
class Unread:
    """The large weights of a model that were left in its files.

    variables: constants -> the keys under which the checkpoint has their values; derived: constants whose values follow from
    those of variables; files: the model's own, each with its size and when it was written; allow_code: their code may be run.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    derived: tuple[str, ...] = ()
    files: tuple[tuple[str, int, int], ...] = ()
    allow_code: bool = False


@dataclass(frozen=True)
class Facts:
    """A model as plain facts.

    graphs: the main graph under "" and each body by its function's name; files: the GraphDef that each is in. inputs: what
    the main graph declares, as "name", "dtype", "declared". failure: how reading or freezing it failed, and which (graph,
    op) are `blamed` for it. convertible: the op types that the converter has a conversion for. slim: how many weights stand
    as one repeated value. keys: what the signature calls the results -> the ops that make them. refused: TensorFlow itself
    finds that it cannot work on the shapes that were given. handed: how it comes to `ct.convert`. variants:
    the model without causes that are no ops, each also without those before it. large: variables too large for a constant,
    in words, by the ops that read them. layers: the names of a Keras model's layers -> their classes.
    exact: no trace put a number behind the layers of ops. mib: how large the
    weights are that stand as one repeated value; unread: those of them that were left in the model's files, if any were.
    state: variables that are inputs and outputs.
    """

    path: str = ""
    signature: str | None = None
    signatures: tuple[str, ...] = ()
    digest: str = ""
    graphs: Mapping[str, Graph] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Mapping[str, Any], ...] = ()
    failure: Outcome | None = None
    blamed: tuple[tuple[str, str], ...] = ()
    convertible: frozenset[str] = frozenset()
    slim: int = 0
    keys: Mapping[str, str] = field(default_factory=dict)
    refused: bool = False
    handed: Handed = Handed()
    variants: tuple[Variant, ...] = ()
    large: Mapping[str, str] = field(default_factory=dict)
    layers: Mapping[str, str] = field(default_factory=dict)
    exact: bool = False
    mib: float = 0.0
    unread: Unread | None = None
    state: tuple[State, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data from which `from_json` restores equal facts."""
        plain = {
            name: getattr(self, name) for name in ("path", "signature", "digest", "slim", "refused", "exact", "mib")
        }
        return {
            **plain,
            "signatures": list(self.signatures),
            "graphs": {name: _graph_to_json(graph) for name, graph in self.graphs.items()},
            "files": dict(self.files),
            "inputs": [dict(i) for i in self.inputs],
            "failure": None if self.failure is None else self.failure.to_json(),
            "blamed": [list(place) for place in self.blamed],
            "convertible": sorted(self.convertible),
            "keys": dict(self.keys),
            "large": dict(self.large),
            "layers": dict(self.layers),
            "handed": asdict(self.handed),
            "variants": [asdict(v) for v in self.variants],
            "unread": None if self.unread is None else asdict(self.unread),
            "state": [asdict(s) for s in self.state],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Facts:
        """Restore facts from `to_json`."""
        return cls(
            path=data["path"], signature=data["signature"], signatures=tuple(data["signatures"]), digest=data["digest"],
            graphs={name: _graph_from_json(name, graph) for name, graph in data["graphs"].items()}, files=data["files"],
            inputs=tuple(data["inputs"]), failure=Outcome.from_json(data["failure"]) if data["failure"] else None,
            blamed=tuple((graph, op) for graph, op in data["blamed"]), convertible=frozenset(data["convertible"]),
            slim=data["slim"], keys=data["keys"], refused=data["refused"],
            handed=_handed(**data["handed"]),
            variants=tuple(Variant(v["kind"], v["folder"], tuple(v["blamed"]), tuple(v["about"])) for v in data["variants"]),
            large=data["large"], layers=data["layers"], exact=data["exact"], mib=data["mib"], unread=_unread(data["unread"]),
            state=tuple(State(**{**s, "shape": tuple(s["shape"])}) for s in data["state"]),
        )  # fmt: skip


def write(facts: Facts, folder: Path) -> None:
    """Write the facts into the folder."""
    (folder / FILE).write_text(json.dumps(facts.to_json()))


def read(folder: Path) -> Facts:
    """Return the facts that were written into the folder."""
    return Facts.from_json(json.loads((folder / FILE).read_text()))


def _unread(data: Mapping[str, Any] | None) -> Unread | None:
    if data is None:
        return None
    files = tuple((name, size, written) for name, size, written in data["files"])
    return Unread(data["variables"], tuple(data["derived"]), files, data["allow_code"])


def _handed(argument: str, opened: Iterable[str], refused: str, keras: bool, called: str) -> Handed:
    return Handed(argument, tuple(opened), refused, keras, called)


def _graph_to_json(graph: Graph) -> dict[str, Any]:
    return {
        "ops": [_op_to_json(op) for op in graph.ops.values()],
        "results": list(graph.results),
        "caller": None if graph.caller is None else list(graph.caller),
    }


def _graph_from_json(name: str, data: Mapping[str, Any]) -> Graph:
    ops = {op.name: op for op in map(_op_from_json, data["ops"])}
    return Graph(name, ops, tuple(data["results"]), tuple(data["caller"]) if data["caller"] else None)


def _op_to_json(op: Op) -> list[Any]:
    outputs = [
        [t.name, t.dtype, t.shape, list(t.symbols), None if t.items is None else asdict(t.items)] for t in op.outputs
    ]
    return [
        op.name,
        op.type,
        op.inputs,
        outputs,
        op.functions,
        op.constant,
        op.foldable,
        op.layer,
        op.source,
        op.attributes,
    ]


def _op_from_json(row: list[Any]) -> Op:
    name, kind, inputs, outputs, functions, constant, foldable, layer, source, attributes = row
    return Op(
        name, kind, tuple(inputs), tuple(_tensor(*o) for o in outputs), tuple((role, f) for role, f in functions),
        constant, foldable, layer, source, attributes,
    )  # fmt: skip


def _tensor(
    name: str, dtype: str, shape: list[Any] | None, symbols: list[str], items: Mapping[str, Any] | None
) -> Tensor:
    held = None if items is None else Items(items["dtype"], tuple(items["shape"]), items["count"])
    return Tensor(name, dtype, None if shape is None else tuple(shape), tuple(symbols), held)
