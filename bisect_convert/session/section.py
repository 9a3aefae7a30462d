"""`Section`: ops of a session's model in a person's hand, to be joined, converted, run, saved and drawn."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bisect_convert.errors import UsageError
from bisect_convert.explain.case import fact_of
from bisect_convert.fix.opened import kept_folder, opened
from bisect_convert.model import cuts
from bisect_convert.model.graph import Graph, Tensor
from bisect_convert.model.names import op_of
from bisect_convert.model.outcome import Outcome
from bisect_convert.report.findings import TensorFact, Witness
from bisect_convert.report.numbers import Numbers
from bisect_convert.report.questions import Kind
from bisect_convert.session.workspace import Workspace

__all__ = ["Drawing", "Section"]

_DRAWN = 40


@dataclass(frozen=True)
class Drawing:
    """A picture of a section: text where it is printed, SVG in a notebook.

    >>> print(s.around("act/Erfc", 1).draw())
    o    in  float32[1, 4]  dense/MatMul:0
    *    Relu               dense/Relu
    *    Erfc               act/Erfc
    v    out float32[1, 4]  act/Erfc:0
    """

    text: str
    svg: str = field(repr=False)

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def _repr_svg_(self) -> str:
        return self.svg


@dataclass(frozen=True, repr=False)
class Section:
    """Ops of one graph of a session's model; made by `Session`, joined with `|`, `-` and `&`.

    What is converted, run, saved and drawn is `closed`: with the sizes, ties and tensors that no cut can separate, so
    that the cut itself changes nothing. Iterating yields op names in topological order.

    >>> part = s.section("dense/MatMul", "act/Erfc")
    >>> part
    <Section: 3 of 7 ops, dense/MatMul ... act/Erfc>
    >>> len(part), "act/Erfc" in part, list(part)
    (3, True, ['dense/MatMul', 'dense/Relu', 'act/Erfc'])
    >>> part - s.ops("*/Relu")
    <Section: 2 of 7 ops, dense/MatMul, act/Erfc>
    >>> part & s.prefix("dense/Relu")
    <Section: 2 of 7 ops, dense/MatMul, dense/Relu>
    >>> part | s.ops("x")
    <Section: 4 of 7 ops, x ... act/Erfc>
    """

    _workspace: Workspace = field(compare=False)
    ops: frozenset[str]
    graph: str = ""
    left_out: frozenset[str] = field(default=frozenset(), compare=False)
    """Ops that closing must not bring back: they were taken out on purpose."""
    removed: frozenset[tuple[str, str]] = frozenset()
    """(graph, op) taken out of the bodies below: a witness that was shrunk in place has some."""
    near: tuple[str, ...] = field(default=(), compare=False)
    """Ops that come near to what was looked for, where none was found."""

    @classmethod
    def of(cls, workspace: Workspace, cut: cuts.Section) -> Section:
        """Return exactly the section that the search knows: nothing is added to it when it is converted."""
        return cls(workspace, cut.ops, cut.graph, workspace.graph(cut.graph).atoms - cut.ops, cut.removed)

    def __len__(self) -> int:
        return len(self.ops)

    def __iter__(self) -> Iterator[str]:
        return iter(self._graph.sorted(self.ops))

    def __contains__(self, op: object) -> bool:
        return op in self.ops

    def __repr__(self) -> str:
        names = list(self)
        shown = ", ".join(names) if len(names) < 3 else f"{names[0]} ... {names[-1]}"
        where = f" of {self.graph}" if self.graph else ""
        shown = f", {shown}" if names else f"; near: {', '.join(self.near)}" if self.near else ""
        return f"<Section: {len(names)} of {len(self._graph.atoms)} ops{where}{shown}>"

    def _repr_svg_(self) -> str:
        return self.draw().svg

    def __or__(self, other: Section) -> Section:
        return self._joined(other, self.ops | self._like(other).ops, self.left_out | other.left_out)

    def __and__(self, other: Section) -> Section:
        return self._joined(other, self.ops & self._like(other).ops, self.left_out | other.left_out)

    def __sub__(self, other: Section) -> Section:
        return self._joined(other, self.ops - self._like(other).ops, self.left_out | other.ops)

    @property
    def closed(self) -> Section:
        """The section with what no cut can separate from it, as it is converted.

        >>> s.ops("act/Erfc").closed
        <Section: 1 of 7 ops, act/Erfc>
        """
        return replace(self, ops=self._graph.close(self.ops, self.left_out))

    @property
    def inputs(self) -> tuple[TensorFact, ...]:
        """The tensors that `run` takes: those that enter, and the model's own inputs in the section.

        >>> [t.tensor for t in s.ops("act/Erfc").inputs]
        ['dense/Relu:0']
        """
        return tuple(fact_of(t) for t in self._inputs)

    @property
    def outputs(self) -> tuple[TensorFact, ...]:
        """The tensors that leave: read elsewhere in the model, or its results.

        >>> s.ops("act/Erfc").outputs
        (TensorFact(tensor='act/Erfc:0', dtype='float32', shape=(1, 4)),)
        """
        return tuple(fact_of(t) for t in self._graph.leaving(self.closed.ops))

    @property
    def graph_def(self) -> Any:
        """The section as a `tf.compat.v1.GraphDef`, true weights and cut adapters included; imports tensorflow.

        >>> [node.name for node in s.ops("act/Erfc").graph_def.node]
        ['dense/Relu', 'act/Erfc']
        """
        from tensorflow.core.framework.graph_pb2 import GraphDef  # type: ignore[import-untyped,unused-ignore]

        with tempfile.TemporaryDirectory(prefix="bisect-convert-") as folder:
            return GraphDef.FromString(self.save(Path(folder) / "section.pb").read_bytes())

    def convert(self, *, true_weights: bool = False) -> Outcome:
        """Convert the section with the session's arguments, all stages, and return what came of it; never asked twice.

        >>> s.ops("dense/*").convert().converted
        True
        >>> s.ops("act/Erfc").convert().failure.type
        'NotImplementedError'
        """
        return self._workspace.convert(self.cut, Kind.BY_HAND.asks(repr(self)), true_weights=true_weights)

    def code(self) -> str:
        """Return the section as TensorFlow code, a function of `tf.raw_ops` calls; raises UsageError where that cannot be said.

        Constants of many elements are one value in it. What the section calls, bodies of loops among it, is there too.

        >>> print(s.ops("act/Erfc").code())
        import tensorflow as tf
        @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name='relu')])
        def section(relu):
            erfc = tf.raw_ops.Erfc(x=relu)
            return {'y0': erfc}
        """
        with tempfile.TemporaryDirectory(prefix="bisect-convert-") as folder:
            return self.save(Path(folder) / "section.py").read_text(encoding="utf-8")

    def mlmodel(self) -> Any:
        """Return the section as an MLModel, made with the session's arguments and its true weights; imports coremltools.

        Raises UsageError where it does not convert: `convert` says how.

        >>> type(s.ops("dense/*").mlmodel()).__name__
        'MLModel'
        """
        return opened(self.save(kept_folder() / f"section{self._workspace.suffix()}"))

    def run(self, inputs: Mapping[str, Any] | Sequence[Any] | None = None) -> dict[str, Any]:
        """Run the section in TensorFlow with its true weights and return its `outputs` by tensor name.

        inputs: arrays by tensor or op name, or in the order of `inputs`; without any, the same random ones each time.
        Raises UsageError for inputs that do not fit.

        >>> s.ops("dense/Relu").run({"dense/MatMul": [[-1.0, 0.0, 2.0, -3.0]]})
        {'dense/Relu:0': array([[0., 0., 2., 0.]], dtype=float32)}
        """
        wanted = self._inputs
        given = dict(inputs) if isinstance(inputs, Mapping) else {}
        if not isinstance(inputs, Mapping) and inputs is not None:
            if len(inputs) != len(wanted):
                raise UsageError(f"the section has {len(wanted)} inputs, not {len(inputs)}: {_names(wanted)}")
            given = {t.name: value for t, value in zip(wanted, inputs, strict=True)}
        given = {name if ":" in name else f"{name}:0": value for name, value in given.items()}
        if strange := sorted(set(given) - {t.name for t in wanted}):
            raise UsageError(f"the section has no input {strange[0]!r}; it has: {_names(wanted)}")
        return self._workspace.values(self.cut, wanted, given)

    def compare(self, inputs: str = "random", tolerance: float | None = None) -> Numbers:
        """Convert the section alone and return how far it is from what TensorFlow makes of the same inputs.

        inputs: "random" or "zeros". Outputs may be apart by `tolerance` of their largest number.

        >>> s.ops("dense/*").compare().samples
        5
        """
        return self._workspace.compared(self.cut, inputs, tolerance)

    def save(self, path: str | Path) -> Path:
        """Write the section with its true weights as a SavedModel, or as what the path ends in.

        That is a frozen graph for .pb, TensorFlow code (see `code`) for .py, a Core ML model for .mlpackage.

        >>> s.ops("act/Erfc").save(tmp / "erfc").name
        'erfc'
        """
        self._workspace.save(self.cut, Path(path))
        return Path(path)

    def draw(self, limit: int = _DRAWN) -> Drawing:
        """Return a picture of the section, known culprits marked, of at most `limit` ops.

        >>> s.ops("act/*").draw()
        o    in  float32[1, 4]  dense/Relu:0
        *    Erfc               act/Erfc
        v    out float32[1, 4]  act/Erfc:0
        """
        from bisect_convert.render.drawing import lines, svg_of
        from bisect_convert.render.picture import of_witness

        picture = of_witness(self._witness(), self._workspace.culprits(self.cut), limit=limit)
        return Drawing("\n".join(lines(picture)), svg_of(picture, "a section of the model"))

    @property
    def cut(self) -> cuts.Section:
        """The closed section as the search knows it.

        >>> s.ops("act/Erfc").cut.ops
        frozenset({'act/Erfc'})
        """
        return cuts.Section(self.graph, self.closed.ops, self.removed)

    @cached_property
    def _graph(self) -> Graph:
        return self._workspace.model.graphs[self.graph]

    @property
    def _inputs(self) -> list[Tensor]:
        ops = self.closed.ops
        own = [op.outputs[0] for op in map(self._graph.ops.__getitem__, self._graph.sorted(ops)) if _is_input(op.type)]
        return own + self._graph.entering(ops)

    def _witness(self) -> Witness:
        names = self._graph.sorted(self.closed.ops)
        return Witness(
            ops=tuple(names),
            inputs=tuple(fact_of(t) for t in self._graph.entering(self.closed.ops)),
            outputs=self.outputs,
            edges=tuple(self._edges(names)),
            types=tuple(self._graph.ops[n].type for n in names),
        )

    def _edges(self, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        yield from self._graph.dag.subgraph(names).edges
        for name in names:
            for tensor in self._graph.ops[name].inputs:
                if (source := op_of(tensor)) not in self.closed.ops:
                    yield source, name

    def _like(self, other: Section) -> Section:
        if (
            not isinstance(other, Section)
            or other.graph != self.graph
            or other._workspace.model is not self._workspace.model
        ):
            raise UsageError("only sections of the same graph and session can be joined")
        return other

    def _joined(self, other: Section, ops: frozenset[str], left_out: frozenset[str]) -> Section:
        return replace(self, ops=ops, left_out=left_out - ops, removed=self.removed | other.removed)


def _is_input(kind: str) -> bool:
    return re.fullmatch("Placeholder(WithDefault)?", kind) is not None


def _names(tensors: Sequence[Tensor]) -> str:
    return ", ".join(t.name for t in tensors) or "none"
