"""Read a model, freeze it as coremltools would, and write it down as facts: the only module that opens models.

Imports tensorflow, so it runs in a worker, or in the caller's process where the caller's model is in memory.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from bisect_convert.errors import ModelError, UsageError
from bisect_convert.model.files import REST, STATELESS
from bisect_convert.model.names import op_of
from bisect_convert.model.outcome import Outcome
from bisect_convert.worker import private_api, tracebacks
from bisect_convert.worker.imports import custom_objects
from bisect_convert.worker.read import handing, keras_errors, source_lines
from bisect_convert.worker.read.edges import write_without_edges
from bisect_convert.worker.read.keras_code import holds_code
from bisect_convert.worker.read.reading import Reading
from bisect_convert.worker.read.state_check import agrees, kept
from bisect_convert.worker.read.stateful import stateless
from bisect_convert.worker.read.unfreezable import without_keepers
from bisect_convert.worker.read.unreadable import saved_graph, write_unread
from bisect_convert.worker.read.variants import needed_only, passed_on, variants
from bisect_convert.worker.read.writing import shaped, write_facts
from bisect_convert.worker.request import Load

__all__ = ["concrete_function", "freeze_and_write", "read_model", "write_graph"]

_DEFAULT_SIGNATURE = "serving_default"
#: What the signature to serve is called where none is the default.
_SERVING = ("serve", "predict", "inference", "infer", "call", "__call__", "default")


def read_model(request: Load) -> dict[str, Any]:
    """Freeze the model at the path and write its facts into the folder; returns what is known in a few words.

    Raises ModelError, UsageError.
    """
    path, folder = request.path, Path(request.folder)
    reading = Reading(
        path,
        request.signature,
        inputs=request.inputs,
        outputs=request.outputs,
        no_run=request.no_run,
    )
    if path.endswith(".pb") and os.path.isfile(path):
        graph_def = _parsed(path)
        try:
            handed = handing.of_graph_def(path)
            return write_graph(_graph_def(path, graph_def), folder, replace(reading, define=True, handed=handed))
        except ModelError as error:
            return _unread(error, graph_def, [n.name for n in graph_def.node], folder, reading)
    try:
        function, names, signature = _function(path, request.signature, request.allow_code)
    except _NoSignature as error:
        failure = _failure(NotImplementedError("Only a single concrete function is supported."))
        nothing = tf.compat.v1.GraphDef()
        return write_facts(nothing, folder, replace(reading, signatures=tuple(error.functions), failure=failure))
    except ModelError as error:
        if not os.path.isdir(path) or error.__cause__ is None or os.path.islink(path):
            raise
        wanted = request.signature or _DEFAULT_SIGNATURE
        return _unread(error, *_saved(error, path, wanted), folder, reading)
    found = source_lines.of_saved_model(path) if os.path.isdir(path) else {}
    handed = handing.of_path(path, function, signature, names)
    reading = replace(reading, signature=signature, signatures=tuple(names), sources=found, handed=handed)
    return freeze_and_write(function, folder, reading)


def write_graph(graph_def: Any, folder: Path, reading: Reading) -> dict[str, Any]:
    """Write the facts of a frozen GraphDef, and beside them those of its variants."""
    graph_def = needed_only(graph_def, reading.outputs)
    found = variants(graph_def, reading.outputs)
    for variant, without in found:
        (folder / variant.folder).mkdir(exist_ok=True)
        state = passed_on(graph_def, variant)
        write_facts(shaped(without), folder / variant.folder, replace(reading, state=state))
    last = found[-1][1] if found else graph_def
    kept = [v for v, _ in found] + write_without_edges(shaped(last), folder, reading)
    return write_facts(shaped(graph_def), folder, replace(reading, variants=tuple(kept)))


def freeze_and_write(function: Any, folder: Path, reading: Reading) -> dict[str, Any]:
    """Freeze the concrete function and write its facts; where freezing fails, those of the graph as it was loaded."""
    sources = reading.sources or source_lines.of_function(function)
    reading = replace(reading, sources=sources, layers=handing.layers_of(function))
    try:
        graph_def = private_api.freeze(function)
    except Exception as error:  # whatever TensorFlow raises here is an outcome of the stage "load"
        return _unfrozen(function, error, folder, reading)
    edges = tuple(write_without_edges(graph_def, folder, reading))
    return write_facts(graph_def, folder, replace(reading, keys=_keys(function), variants=edges))


def _unfrozen(function: Any, error: BaseException, folder: Path, reading: Reading) -> dict[str, Any]:
    """The facts of the graph as it was loaded, and beside them those of what freezes without the ops at fault."""
    kept = without_keepers(function, error)
    if kept.rest is not None:
        (folder / REST).mkdir(exist_ok=True)
        write_facts(kept.rest, folder / REST, replace(reading, keys=_keys(function)))
    if reading.path and not reading.no_run:  # a caller's own object is not run for it
        _stateless(function, folder, reading)
    failure = _failure(error, [op.name for op in function.graph.get_operations()])
    graph_def = function.graph.as_graph_def(add_shapes=True)
    reading = replace(reading, failure=failure, blamed=kept.blamed, large={op: v for (_, op), v in kept.large.items()})
    try:
        return write_facts(graph_def, folder, reading)
    except ValueError:  # away from its variables TensorFlow may find no shapes for it
        written = write_unread(graph_def, [n.name for n in graph_def.node], folder, reading)
        assert written is not None
        return written


def _stateless(function: Any, folder: Path, reading: Reading) -> None:
    """The facts of the graph whose variables are inputs, where it can be made and was seen to compute the same."""
    try:
        graph_def, state = stateless(function)
        same = agrees(function, graph_def, state)
    except Exception:  # more is done with the variables, or TensorFlow does not run it on inputs made up for it
        return
    if same:
        (folder / STATELESS).mkdir(exist_ok=True)
        graph_def = shaped(graph_def)
        write_facts(graph_def, folder / STATELESS, replace(reading, keys=_keys(function), state=kept(graph_def, state)))


class _NoSignature(ModelError):
    """The SavedModel has functions, but none of them is a signature."""

    def __init__(self, functions: list[str]) -> None:
        super().__init__("it has no signatures")
        self.functions = functions


def _failure(error: BaseException, names: Iterable[str] = ()) -> Outcome:
    return Outcome(tracebacks.classify(error, names))


def _saved(error: ModelError, path: str, signature: str) -> tuple[Any, list[str]]:
    try:
        return saved_graph(path, signature)
    except Exception:  # damaged beyond what can be told from it
        raise error from error.__cause__


def _unread(error: ModelError, graph_def: Any, roots: list[str], folder: Path, reading: Reading) -> dict[str, Any]:
    """The facts of a model that TensorFlow cannot read because of ops in it; raises the error where it is none of them."""
    cause = error.__cause__ or error
    written = write_unread(graph_def, roots, folder, replace(reading, failure=_failure(cause)))
    if written is None:
        raise error
    return written


def _keys(function: Any) -> dict[str, str]:
    """What the signature calls the results -> the ops that make them in the frozen graph."""
    structure = function.structured_outputs
    names = [op_of(t.name) for t in function.outputs]
    if not isinstance(structure, dict) or len(structure) != len(names):
        return {}
    return dict(zip(sorted(structure), names, strict=True))


def _function(path: str, wanted: str | None, allow_code: bool) -> tuple[Any, list[str], str | None]:
    """The concrete function that is meant, the signatures there are, and which one was taken."""
    if not os.path.exists(path):
        raise ModelError(f"no such file or folder: {path}")
    if os.path.isdir(path):
        return _saved_model(path, wanted)
    if path.endswith((".keras", ".h5", ".hdf5")):
        if wanted is not None:
            raise UsageError(f"a Keras file has no signatures; leave out --signature {wanted}")
        return concrete_function(_keras_model(path, allow_code)), [], None
    raise ModelError(f"{path} is none of: a SavedModel folder, a .keras, .h5 or .hdf5 file, a frozen .pb")


def _saved_model(path: str, wanted: str | None) -> tuple[Any, list[str], str | None]:
    if not any(os.path.exists(os.path.join(path, f"saved_model.{end}")) for end in ("pb", "pbtxt")):
        raise ModelError(f"{path} is no SavedModel: there is no saved_model.pb in it")
    try:
        loaded = _loaded(path)
    except Exception as error:  # a damaged model may raise nearly anything
        raise ModelError(f"{path} cannot be read: {_one_line(error)}; export the model again") from error
    signatures = dict(getattr(loaded, "signatures", {}))
    if not signatures:
        functions = [n for n in vars(loaded) if getattr(getattr(loaded, n), "concrete_functions", None)]
        if functions and wanted is None:
            raise _NoSignature(sorted(functions))
        raise ModelError(f"{path} has no signatures; save it with tf.saved_model.save(..., signatures=...)")
    name = wanted or next(n for n in (_DEFAULT_SIGNATURE, *_SERVING, *sorted(signatures)) if n in signatures)
    if name not in signatures:
        raise UsageError(f"{path} has no signature {name!r}; it has: {', '.join(sorted(signatures))}")
    function = signatures[name]
    function._bisect_convert_owner = loaded  # its variables live as long as the loaded object does
    return function, sorted(signatures), name


def _loaded(path: str) -> Any:
    """The SavedModel; of several graphs that differ by tags the one to serve."""
    try:
        return tf.saved_model.load(path)
    except ValueError as error:
        if "tags" not in str(error) or "MetaGraph" not in str(error):
            raise
        return tf.saved_model.load(path, tags=["serve"])


def _keras_model(path: str, allow_code: bool) -> Any:
    try:
        if path.endswith(".keras") and not zipfile.is_zipfile(path):
            raise ModelError(f"{path} is no Keras file: it is damaged or was cut short; save the model again")
        if not allow_code and holds_code(path):
            raise _code_in(path)
        return tf.keras.models.load_model(
            path, compile=False, safe_mode=not allow_code, custom_objects=custom_objects()
        )
    except ModelError:
        raise
    except Exception as error:  # a damaged or foreign file may raise nearly anything
        text = str(error)
        if not allow_code and ("Lambda" in text or "safe_mode" in text or "unsafe" in text):
            raise _code_in(path) from error
        raise keras_errors.unread(path, error) from error


def _code_in(path: str) -> ModelError:
    return ModelError(
        f"{path} holds Python code (a Lambda layer) that would run on loading; "
        "if you trust its source, pass --allow-code"
    )


def concrete_function(model: Any) -> Any:
    """Return the one concrete function of a Keras model, tf.function or tf.Module; raises UsageError where it is unclear."""
    if isinstance(model, (list, tuple)) and len(model) == 1:
        return concrete_function(model[0])
    if hasattr(model, "graph") and hasattr(model, "structured_outputs"):
        return model
    if isinstance(model, tf.keras.Model) or type(model).__module__.startswith(("keras.", "tf_keras.")):
        return _trace_keras(model)
    if hasattr(model, "get_concrete_function"):
        try:
            return model.get_concrete_function()
        except Exception as error:
            raise UsageError(
                f"the tf.function has no single signature ({_one_line(error)}); pass its get_concrete_function(...)"
            ) from error
    signatures = getattr(model, "signatures", None)
    if signatures:
        return concrete_function(signatures.get(_DEFAULT_SIGNATURE) or next(iter(signatures.values())))
    if isinstance(model, tf.Module):
        return concrete_function(_only_function(model))
    raise UsageError(
        f"cannot convert a {type(model).__name__}; pass a path, a Keras model, a tf.function or a GraphDef"
    )


def _only_function(module: Any) -> Any:
    functions = [getattr(module, n) for n in dir(module) if not n.startswith("_")]
    functions = [f for f in functions if hasattr(f, "get_concrete_function")]
    if not functions and hasattr(getattr(module, "__call__", None), "get_concrete_function"):  # noqa: B004
        functions = [module.__call__]
    if len(functions) != 1:
        raise UsageError(
            f"the module has {len(functions)} tf.functions where one is needed; pass the one that is meant"
        )
    return functions[0]


def _trace_keras(model: Any) -> Any:
    if not getattr(model, "inputs", None):
        if (said := keras_errors.unbuilt(model)) is not None:
            raise ModelError(f"the Keras model fails when it is called: {said}")
        if getattr(model, "built", False):
            raise UsageError(
                "the Keras model does not say what it is called with, and ct.convert refuses it for that: pass "
                "[tf.function(model).get_concrete_function(tf.TensorSpec(SHAPE))]"
            )
        raise UsageError("the Keras model was never built: call it once, or pass a tf.function with an input_signature")
    try:
        return handing.traced(model)
    except Exception as error:  # whatever the code of its layers raises
        raise ModelError(f"the Keras model fails when it is called: {keras_errors.root(error)}") from error


def _parsed(path: str) -> Any:
    graph_def = tf.compat.v1.GraphDef()
    try:
        with open(path, "rb") as file:
            graph_def.ParseFromString(file.read())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # protobuf raises a kind of its own
        raise ModelError(f"{path} is no frozen GraphDef: {_one_line(error)}") from error
    if not graph_def.node:
        raise ModelError(f"{path} is no frozen GraphDef: it holds no op")
    return graph_def


def _graph_def(path: str, graph_def: Any) -> Any:
    try:
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(graph_def, name="")
    except Exception as error:  # the importer raises its own kinds
        raise ModelError(f"{path} is no frozen GraphDef: {_one_line(error)}") from error
    return graph.as_graph_def(add_shapes=True)


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
