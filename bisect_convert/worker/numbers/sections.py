"""One op of the model converted alone and evaluated on the original's own inputs: does it by itself come out wrong?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from bisect_convert.evaluator import Unevaluated
from bisect_convert.evaluator.rounding import rounding
from bisect_convert.model import facts
from bisect_convert.model.cuts import Section, Unsliceable, plan
from bisect_convert.model.graph import Model
from bisect_convert.worker.comparison import placed
from bisect_convert.worker.cut.sections import carve
from bisect_convert.worker.numbers.agreement import distance, evaluated
from bisect_convert.worker.numbers.bodies import parted
from bisect_convert.worker.numbers.converting import converted, in_float32

__all__ = ["Alone"]


class Alone:
    """Sections of the model that was written into the folder; `graph_def` is the whole, true weights and all."""

    def __init__(self, folder: Path, graph_def: Any, packed: Mapping[str, Any]) -> None:
        known, self._folder = facts.read(folder), folder
        self._model = Model(known.path, known.signature, dict(known.graphs), known.digest, signatures=known.signatures)
        self._files = known.files
        self._graph_def = graph_def
        self._packed = {k: v for k, v in packed.items() if k != "optimize"}
        self._known: dict[tuple[str, bool], float | None] = {}

    def _graph(self, file: str) -> Any:
        graph_def = tf.compat.v1.GraphDef()
        graph_def.ParseFromString((self._folder / file).read_bytes())
        graph_def.library.CopyFrom(self._graph_def.library)
        return graph_def

    def is_op(self, name: str) -> bool:
        """Whether the main graph has such an op."""
        function, own = parted(name)
        return function in self._model.graphs and own in self._model.graphs[function].atoms

    def error(self, op: str, values: Mapping[str, Any], float32: bool) -> float | None:
        """Return how far the op's results are from the original's, in parts of their scale; None where that is not known."""
        if (op, float32) not in self._known:
            self._known[op, float32] = self._error(op, values, float32)
        return self._known[op, float32]

    def _error(self, op: str, values: Mapping[str, Any], float32: bool) -> float | None:
        try:
            function, own = parted(op)
            values = {parted(tensor)[1]: value for tensor, value in values.items()}
            planned = plan(self._model, Section(function, frozenset({own})), self._files)
            carved = carve(self._graph(planned.file) if function else self._graph_def, planned)
            feeds = {
                n.partition(":")[0]: v
                for e in planned.entries
                for n, v in placed(carved.graph_def, e, values[e.tensor]).items()
            }
            feeds |= {n: values[f"{n}:0"] for n in planned.inputs if n in planned.ops}
            exits = [e.tensor for e in planned.exits]
            instead = {"compute_precision": in_float32()} if float32 else {}
            program = converted(carved, planned, self._packed, **instead)._mil_program
            result = rounding("float32" if float32 else "float16")
            got = evaluated(program, feeds, exits, result, lambda op, what: None)
            return max(distance(got[t], values[t]).max_rel for t in exits)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except (Unsliceable, Unevaluated, Exception):  # whatever keeps it from being seen alone says nothing about it
            return None
