"""What shape an input may have that the model gives no rank to: what the ops that read it work on."""

from __future__ import annotations

from collections.abc import Iterator

from bisect_convert.model.graph import Graph, Op, Shape

__all__ = ["likely_shapes"]

_SIZE, _FAR = 64, 8
#: What changes no shape, so that what reads its result tells as much.
_THROUGH = frozenset(
    "Abs Cast ClipByValue Div Exp Identity Log Mul Neg RealDiv Relu Relu6 Sigmoid Sqrt Square StopGradient Sub Tanh".split()
)
_USUAL: tuple[list[int], ...] = ([1, _SIZE, _SIZE, 3], [1, _SIZE], [1, 16, _SIZE])


def likely_shapes(graph: Graph, name: str) -> list[list[int]]:
    """Return shapes for the input, those that its readers ask for first; nothing says that it converts with one of them."""
    found: list[list[int]] = []
    for shape in [*_asked_for(graph, name), *_USUAL]:
        if shape not in found:
            found.append(shape)
    return found


def _asked_for(graph: Graph, name: str) -> Iterator[list[int]]:
    near, seen = [name], {name}
    for _ in range(_FAR):
        further = []
        for op in near:
            for reader in graph.dag.successors(op):
                if (shape := _reads(graph, graph.ops[reader])) is not None:
                    yield shape
                elif reader not in seen and graph.ops[reader].type in _THROUGH:
                    seen.add(reader)
                    further.append(reader)
        near = further


def _reads(graph: Graph, op: Op) -> list[int] | None:
    """The shape that the op wants of its first input, told by a weight beside it or by what it makes."""
    shapes = [graph.tensors[t].shape for t in op.inputs if t in graph.tensors]
    weight = next((s for s in shapes[1:] if s), None)
    if op.type in {"Conv2D", "DepthwiseConv2dNative", "Conv3D"} and weight is not None:
        return _known([1, *[_SIZE] * (len(weight) - 2), weight[-2]])
    if op.type in {"MatMul", "BatchMatMulV2"} and weight is not None:
        return _known([1, weight[-2]] if len(weight) >= 2 else [])
    made: Shape | None = op.outputs[0].shape if op.outputs else None
    if op.type in {"Reshape", "EnsureShape"} or op.type in _THROUGH:
        return _known([1 if i == 0 and s is None else s for i, s in enumerate(made)]) if made else None
    return None


def _known(shape: list[int | None]) -> list[int] | None:
    sizes = [s for s in shape if s is not None]
    return sizes if sizes and len(sizes) == len(shape) else None
