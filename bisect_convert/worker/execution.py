"""A section in TensorFlow: run on values, or written down as a model of its own. Runs in a worker.

Values cross as .npz files, keyed by the model's own tensor names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import tensorflow as tf

from bisect_convert.errors import BisectConvertError, UsageError
from bisect_convert.model.names import in_core_ml
from bisect_convert.worker import compression, private_api, unpacking
from bisect_convert.worker.as_tensorflow import as_tensorflow
from bisect_convert.worker.conversion import carved_section, concerning, known_symbols
from bisect_convert.worker.cut.sections import Carved
from bisect_convert.worker.request import Run, Save

__all__ = ["run", "save"]

v1 = tf.compat.v1


def run(request: Run) -> dict[str, Any]:
    """Run the section on the feeds and write the tensors to be fetched; raises UsageError where it cannot run."""
    carved = carved_section(request, True)
    try:
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(carved.graph_def, name="")
        with np.load(request.feeds) as given:
            feeds = {
                t: given[n].astype(t.dtype.as_numpy_dtype) for n in given.files if (t := _fed(graph, n)) is not None
            }
        with v1.Session(graph=graph) as session:
            got = session.run([graph.get_tensor_by_name(n) for n in request.fetch], feeds)
    except Exception as error:  # whatever TensorFlow raises here is about the values or the ops, not about us
        raise UsageError(f"TensorFlow cannot run this section: {_first_line(error)}") from error
    np.savez(request.values, **{name: _plain(value) for name, value in zip(request.fetch, got, strict=True)})
    return {"values": request.values}


def save(request: Save) -> dict[str, Any]:
    """Write the section with its true weights to `out`, as what its ending says; raises UsageError where it cannot be that."""
    carved = carved_section(request, True)
    out = Path(request.out)
    private_api.define_functions(carved.functions)
    match out.suffix:
        case ".pb":
            out.write_bytes(carved.graph_def.SerializeToString())
        case ".py":
            out.write_text(_code(carved), encoding="utf-8")
        case ".mlpackage" | ".mlmodel":
            _convert(carved, request)
        case _:
            _save_model(carved, out)
    return {"out": str(out)}


def _code(carved: Carved) -> str:
    text = as_tensorflow(carved.graph_def)
    if text is None:
        raise UsageError(
            "this section cannot be said as TensorFlow code: it is too large, has no input, or an op that tf.raw_ops lacks; "
            "save it as .pb"
        )
    return text


def _convert(carved: Carved, request: Save) -> None:
    packed = concerning(carved, request.plan, request.options)
    private_api.reset()
    try:
        arguments = unpacking.unpack(packed)
        symbols = known_symbols(arguments.get("inputs") or [], request.plan.symbols)
        shared = private_api.shared_symbols(carved.symbols, carved.shapes, symbols)
        with unpacking.in_force(packed.get("conversions", {})), shared:
            graph = private_api.FrozenGraph(carved.graph_def)
            model = ct.convert(graph, source="tensorflow", skip_model_load=True, **arguments)
        if packed.get("optimize") is not None:
            model = compression.optimized(model, packed["optimize"])
    except BisectConvertError:
        raise
    except Exception as error:  # whatever it is, `Section.convert` tells it with all that there is to know
        raise UsageError(f"this section does not convert: {type(error).__name__}: {_first_line(error)}") from error
    model.save(request.out)


def _save_model(carved: Carved, out: Path) -> None:
    try:
        with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
            tf.import_graph_def(carved.graph_def, name="")
            inputs, outputs = _ends(graph)
            v1.saved_model.simple_save(session, str(out), inputs, outputs)
    except Exception as error:  # a section that TensorFlow itself refuses
        raise UsageError(f"this section cannot be written as a SavedModel: {_first_line(error)}") from error


def _fed(graph: Any, name: str) -> Any:
    """The tensor of the carved graph that stands for an entering tensor, or None where nothing reads it."""
    op, _, index = name.rpartition(":")
    for candidate in (f"{op}__{index}:0", name):
        try:
            return graph.get_tensor_by_name(candidate)
        except (KeyError, ValueError):
            continue
    return None


def _ends(graph: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    ops = graph.get_operations()
    inputs = [op.outputs[0] for op in ops if op.type in ("Placeholder", "PlaceholderWithDefault")]
    outputs = [t for op in ops for t in op.outputs if not any(o.consumers() for o in op.outputs)]
    return _keyed(inputs), _keyed(t for t in outputs if t.dtype not in (tf.variant, tf.resource))


def _keyed(tensors: Any) -> dict[str, Any]:
    keyed: dict[str, Any] = {}
    for tensor in tensors:
        key = in_core_ml(tensor.name.removesuffix(":0"))
        keyed[key if key not in keyed else f"{key}_{len(keyed)}"] = tensor
    return keyed


def _plain(value: Any) -> Any:
    """The value as numpy writes it without pickling."""
    array = np.asarray(value)
    if array.dtype == object:
        return array.astype(np.bytes_)
    return array if array.dtype.kind in "biufcSU" else array.astype(np.float32)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
