"""Functions of TensorFlow put in the place of ops. Scripts that apply edits hold the text of this."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from bisect_convert.worker.rewrite.editing import imported, replaced

__all__ = ["spliced"]


def spliced(graph_def: Any, name: str, function: Callable[..., Any], **attributes: Any) -> Any:
    """Return the GraphDef with what the function makes of the op's inputs, and of these attributes, in the op's place.

    Where it does not take the inputs in float64 or float16, it is given them in float32: Core ML has no float64 anyway.
    """
    try:
        return _spliced(graph_def, name, lambda *given: function(*given, **attributes))
    except (TypeError, ValueError):
        op = imported(graph_def).get_operation_by_name(name)
        if not any(t.dtype in _IN_FLOAT32 for t in op.inputs):
            raise

    def carried(*given: Any) -> list[Any]:
        made = function(*(tf.cast(t, tf.float32) if t.dtype in _IN_FLOAT32 else t for t in given), **attributes)
        made = made if isinstance(made, (list, tuple)) else [made]
        return [tf.cast(m, o.dtype) if m.dtype == tf.float32 else m for m, o in zip(made, op.outputs, strict=True)]

    return _spliced(graph_def, name, carried)


_IN_FLOAT32 = (tf.float64, tf.float16)


#: The GraphDef that was made last by a splice, the tf.Graph that it came of, and which results are other tensors by now.
_LAST: list[Any] = []


def _spliced(graph_def: Any, name: str, function: Callable[..., Any]) -> Any:
    """Imports the GraphDef, unless the last splice made it: importing it takes longer than what is spliced in."""
    if not _LAST or _LAST[0] is not graph_def:
        return _spliced_into(imported(graph_def), graph_def, name, function, {})
    try:
        return _spliced_into(_LAST[1], graph_def, name, function, _LAST[2])
    except Exception:  # sizes may be known in the GraphDef that the old tf.Graph does not have
        return _spliced_into(imported(graph_def), graph_def, name, function, {})


def _spliced_into(graph: Any, graph_def: Any, name: str, function: Callable[..., Any], moved: Mapping[str, str]) -> Any:
    _LAST.clear()
    op = graph.get_operation_by_name(name)
    with graph.as_default(), tf.name_scope(f"{name}/instead/"):
        made = function(*op.inputs)
        made = made if isinstance(made, (list, tuple)) else [made]
        # which of the two integer types of Core ML it is, the converter does not mind
        made = [
            tf.cast(m, tf.int64) if (m.dtype, o.dtype) == (tf.int32, tf.int64) else tf.identity(m)
            for m, o in zip(made, op.outputs, strict=True)
        ]
    for new, old in zip(made, op.outputs, strict=True):
        if new.dtype != old.dtype or not new.shape.is_compatible_with(old.shape):
            raise ValueError(f"{new.dtype.name} {new.shape} cannot take the place of {old.dtype.name} {old.shape}")
    done = replaced(graph_def, graph, name, made)
    for node in done.node if moved else ():
        node.input[:] = [moved.get(i, i) for i in node.input]
    if all(str(new.shape) == str(old.shape) for new, old in zip(made, op.outputs, strict=True)):
        _LAST[:] = [done, graph, {**moved, **{f"{name}:{n}": t.name for n, t in enumerate(made) if n}}]
    return done
