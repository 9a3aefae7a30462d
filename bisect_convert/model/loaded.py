"""A model that was read, ready to be probed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bisect_convert.model import facts
from bisect_convert.model.cuts import Plan
from bisect_convert.model.graph import Graph, Model
from bisect_convert.model.names import op_of
from bisect_convert.model.outcome import Outcome

__all__ = ["Loaded", "read_facts"]

_NONE = Graph("", {})


@dataclass(frozen=True)
class Loaded:
    """A model ready to be probed: its facts, the folder that workers read, and the failure if it never froze."""

    model: Model
    folder: Path
    files: Mapping[str, str]
    failure: Outcome | None
    convertible: frozenset[str]
    inputs: tuple[Mapping[str, Any], ...]
    slim: bool
    mib: float = 0.0
    """The size of the true weights."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """What the signature calls the results -> the ops that make them."""
    refused: bool = False
    """True where TensorFlow itself finds that the model cannot work on the shapes that were given."""
    handed: facts.Handed = facts.Handed()
    """How it comes to `ct.convert`."""
    blamed: tuple[tuple[str, str], ...] = ()
    """The (graph, op) that keep it from being read or frozen."""
    variants: tuple[facts.Variant, ...] = ()
    """The model without causes that are no ops, each also without those before it."""
    large: Mapping[str, str] = field(default_factory=dict)
    """Variables too large for a constant, in words, by the ops that read them."""
    layers: Mapping[str, str] = field(default_factory=dict)
    """The names of a Keras model's layers -> their classes."""
    exact: bool = False
    """True where the layers of ops are called as the model has them, without the number of a trace."""
    derived: frozenset[str] = frozenset()
    """The constants whose true values follow from weights that were left in the model's files."""

    @property
    def unknown(self) -> frozenset[str]:
        """The ops of the main graph whose types have no conversion, inputs aside."""
        main = self.model.main
        missing = {n for n in main.atoms if main.ops[n].type not in self.convertible}
        return frozenset(n for n in missing if not main.ops[n].type.startswith("Placeholder"))

    @property
    def size(self) -> int:
        """The ops of all its graphs."""
        return sum(len(graph.order) for graph in self.model.graphs.values())

    def has_derived(self, plan: Plan) -> bool:
        """Return whether a constant among `derived` is in the section, or follows from one that is."""
        if plan.whole or not self.derived:
            return bool(self.derived)
        graph = self.model.graphs[next(name for name, file in self.files.items() if file == plan.file)]
        seen, todo = set(plan.ops), list(plan.ops)
        while todo:
            sources = map(op_of, graph.ops[op].inputs) if (op := todo.pop()) in graph.ops else ()
            new = {name for name in sources if name not in seen and name in graph.ops and graph.ops[name].constant}
            seen |= new
            todo += new
        return bool(self.derived & seen)


def read_facts(folder: Path) -> Loaded:
    """Return the model that a worker wrote into the folder."""
    known = facts.read(folder)
    graphs = dict(known.graphs)
    return Loaded(
        Model(known.path, known.signature, graphs, known.digest, signatures=known.signatures),
        folder,
        known.files,
        known.failure,
        known.convertible,
        known.inputs,
        bool(known.slim),
        known.mib,
        known.keys,
        known.refused,
        known.handed,
        tuple((graph, op) for graph, op in known.blamed if op in graphs.get(graph, _NONE).ops),
        known.variants,
        known.large,
        known.layers,
        known.exact,
        frozenset(() if known.unread is None else known.unread.derived),
    )
