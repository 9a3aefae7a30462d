"""Walks up a graph from where something is missing to where it got lost: unknown sizes, values that are computed."""

from __future__ import annotations

from dataclasses import dataclass

from bisect_convert.model.graph import Graph, Op, Tensor
from bisect_convert.model.names import op_of

__all__ = [
    "NEEDS_VALUE",
    "Computed",
    "computed_inputs",
    "open_axes",
    "parting",
    "size_source",
    "sliced_open",
    "unknown_sizes",
]

#: Which inputs of an op the converter reads as values, with their names: a computed one has none.
NEEDS_VALUE: dict[str, dict[int, str]] = {
    "Transpose": {1: "perm"},
    "Conv2DBackpropInput": {1: "filter"},
    "Conv3DBackpropInputV2": {1: "filter"},
    "Conv2D": {1: "filter"},
    "DepthwiseConv2dNative": {1: "filter"},
    "FusedBatchNormV3": {1: "scale", 2: "offset", 3: "mean", 4: "variance"},
    "MatrixBandPart": {1: "num_lower", 2: "num_upper"},
    "FakeQuantWithMinMaxVars": {1: "min", 2: "max"},
    "StridedSlice": {3: "strides"},
    "MirrorPad": {1: "paddings"},
    "PadV2": {2: "constant_values"},
    "NonMaxSuppressionV3": {2: "max_output_size", 3: "iou_threshold", 4: "score_threshold"},
    "NonMaxSuppressionV5": {2: "max_output_size", 3: "iou_threshold", 4: "score_threshold", 5: "soft_nms_sigma"},
    "SplitV": {1: "size_splits", 2: "axis"},
    "Split": {0: "axis"},
    "ImageProjectiveTransformV3": {1: "transforms", 2: "output_shape"},
    "ImageProjectiveTransformV2": {1: "transforms", 2: "output_shape"},
    "ResizeBilinear": {1: "size"},
    "ResizeNearestNeighbor": {1: "size"},
    "BroadcastTo": {1: "shape"},
    "CropAndResize": {3: "crop_size"},
    "ReverseV2": {1: "axis"},
    "Cumsum": {1: "axis"},
    "OneHot": {1: "depth"},
    "Tile": {1: "multiples"},
    "SpaceToBatchND": {1: "block_shape", 2: "paddings"},
    "BatchToSpaceND": {1: "block_shape", 2: "crops"},
}

#: Ops whose results have sizes that depend on values.
_MAKES_SIZES = frozenset({
    "Where", "Unique", "UniqueV2", "NonMaxSuppressionV3", "NonMaxSuppressionV5", "DynamicPartition", "Range",
})  # fmt: skip


@dataclass(frozen=True)
class Computed:
    """An input that is computed where a value is wanted: its name, the tensor, and the ops on the way to it.

    `path` leads from a model input (or a parameter of the body) to the op that makes the tensor.
    """

    name: str
    tensor: str
    path: tuple[str, ...]


def computed_inputs(graph: Graph, op: Op) -> list[Computed]:
    """Return the inputs of the op whose values the converter wants and that do not follow from constants."""
    found = []
    for position, name in NEEDS_VALUE.get(op.type, {}).items():
        if position < len(op.inputs) and not graph.ops[op_of(op.inputs[position])].constant:
            tensor = op.inputs[position]
            found.append(Computed(name, tensor, _path(graph, op_of(tensor))))
    return found


def _path(graph: Graph, name: str) -> tuple[str, ...]:
    """One way down to the op from what it depends on at last, along the first input that is no constant."""
    path = [name]
    while True:
        before = [s for t in graph.ops[path[0]].inputs if not graph.ops[s := op_of(t)].constant and s not in path]
        if not before:
            return tuple(path)
        path.insert(0, before[0])


def open_axes(tensor: Tensor) -> list[int]:
    """Return the axes of unknown size ("=8" stands for a size that was seen to be always the same)."""
    names = tensor.symbols or ("",) * len(tensor.shape or ())
    return [i for i, (s, n) in enumerate(zip(tensor.shape or (), names, strict=False)) if s is None and n[:1] != "="]


def unknown_sizes(graph: Graph, op: Op) -> list[Tensor]:
    """Return the tensors at the op, inputs first, that have an axis of unknown size."""
    tensors = [graph.tensors[t] for t in op.inputs] + list(op.outputs)
    return [t for t in tensors if t.dtype not in ("variant", "resource") and open_axes(t)]


def size_source(graph: Graph, tensor: Tensor) -> Tensor:
    """Return the tensor furthest upstream that the unknown size comes from: an input, or what the op makes it in.

    Where the graph's runs have named the sizes, an input of the same name goes before others.
    """
    name = _symbol(tensor)
    seen = {tensor.name}
    while graph.ops[tensor.op].type not in _MAKES_SIZES:
        before = [t for i in graph.ops[tensor.op].inputs if open_axes(t := graph.tensors[i]) and t.name not in seen]
        same = [t for t in before if name and name in t.symbols]
        if not before:
            break
        tensor = (same or before)[0]
        seen.add(tensor.name)
        name = name if same else _symbol(tensor)
    return tensor


def sliced_open(graph: Graph, op: Op) -> str | None:
    """Return the slice that makes a size unknown which the op reads, though that of what is sliced is known; or None."""
    for tensor in unknown_sizes(graph, op):
        source = graph.ops[size_source(graph, tensor).op]
        if source.type in ("StridedSlice", "Slice") and source is not op:
            shape = graph.tensors[source.inputs[0]].shape
            if shape is not None and None not in shape:
                return source.name
    return None


def _symbol(tensor: Tensor) -> str:
    axes = open_axes(tensor)
    return tensor.symbols[axes[-1]] if axes and tensor.symbols else ""


def parting(graph: Graph, arms: tuple[tuple[str, ...], ...], fact: str) -> list[tuple[str, Tensor]]:
    """Return, for each arm that differs in "dtype" or "shape", the first op from which on it does, with its result."""
    ends = [graph.ops[arm[-1]].outputs[0] if arm and graph.ops[arm[-1]].outputs else None for arm in arms]
    found = []
    for number, arm in enumerate(arms):
        others = {getattr(t, fact) for i, t in enumerate(ends) if i != number and t is not None}
        end = ends[number]
        if end is None or getattr(end, fact) in others:
            continue
        at = end
        for name in reversed(arm):
            result = graph.ops[name].outputs[0] if graph.ops[name].outputs else None
            if result is None or getattr(result, fact) != getattr(end, fact):
                break
            at = result
        found.append((at.op, at))
    return found
