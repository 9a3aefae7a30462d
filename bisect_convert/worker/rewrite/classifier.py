"""A model that ends with the name of its likeliest class, made a classifier. Runs in a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from bisect_convert.model.names import op_of
from bisect_convert.worker.rewrite.agreement import labels_of
from bisect_convert.worker.rewrite.editing import imported, pruned
from bisect_convert.worker.rewrite.edits import Edit, edited
from bisect_convert.worker.rewrite.frontier import Moved
from bisect_convert.worker.rewrite.samples import runs

__all__ = ["classifier"]

#: Ops that change no element, nor the order of them.
_SAME = frozenset({"Identity", "Reshape", "Squeeze", "ExpandDims"})
#: Ops that keep the order of size among the elements.
_MONOTONE = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})


def classifier(
    program: Any, results: Sequence[str], options: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]
) -> tuple[Moved, dict[str, Any]] | None:
    """Return the program without the one output that names the likeliest class, and the arguments of a classifier of those.

    None where it ends otherwise, for several images at a time, or where the caller says what the outputs are.
    """
    graph = imported(program)
    named = [r for r in results if graph.get_operation_by_name(r).outputs[0].dtype == tf.string]
    if len(named) != 1 or not inputs or options.get("classifier_config") or options.get("outputs"):
        return None
    if options.get("convert_to", "mlprogram") != "mlprogram" or (found := _chosen(graph, named[0])) is None:
        return None
    scores, table = found
    labels = [label.decode("utf-8", "replace") for label in table.reshape(-1).tolist()]
    if len(set(labels)) < len(labels) or runs(graph, [scores.name], inputs[:1])[0][scores.name].size != len(labels):
        return None
    shown = _shown(graph, [r for r in results if r != named[0]], scores)
    given = {"output": shown, "scores": scores.name}
    edit = Edit((), named[0], graph.get_operation_by_name(named[0]).type, "as_classifier", given)
    ends = [r for r in results if r != named[0]]
    ends = ends if shown in ends else [*ends, shown]
    config = {"class_labels": labels, "predicted_feature_name": named[0], "predicted_probabilities_output": shown}
    return Moved(pruned(edited(program, [edit]), ends), tuple(ends), (edit,)), {"classifier_config": config}


def _chosen(graph: Any, name: str) -> tuple[Any, Any] | None:
    """The scores of which the largest is named by the string, and the names."""
    lookup = _source(graph.get_operation_by_name(name).inputs[0].op)
    if lookup.type not in ("Gather", "GatherV2") or (table := labels_of(lookup.outputs[0])) is None:
        return None
    best = _source(lookup.inputs[1].op, _SAME | {"Cast"})
    if best.type != "ArgMax" or best.inputs[0].shape.rank is None:
        return None
    axis = int(tf.get_static_value(best.inputs[1]))
    return (best.inputs[0], table) if axis in (-1, best.inputs[0].shape.rank - 1) else None


def _source(op: Any, through: frozenset[str] = _SAME) -> Any:
    while op.type in through:
        op = op.inputs[0].op
    return op


def _shown(graph: Any, results: Sequence[str], scores: Any) -> str:
    """The output that has the scores, or what grows with them; a new one where none has."""
    for name in results:
        op = _source(graph.get_operation_by_name(name), _SAME | _MONOTONE)
        if op.name == _source(scores.op, _SAME | _MONOTONE).name:
            return name
    return f"{op_of(scores.name).rpartition('/')[2]}_of_labels"
