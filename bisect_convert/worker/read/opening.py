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
from bisect_convert.model.outcome import Outcome
from bisect_convert.worker import private_api, tracebacks
from bisect_convert.worker.imports import custom_objects
from bisect_convert.worker.read import handing, keras_errors, source_lines
from bisect_convert.worker.read.edges import write_variants
from bisect_convert.worker.read.keras_code import holds_code
from bisect_convert.worker.read.reading import Reading
from bisect_convert.worker.read.saved_model import DEFAULT_SIGNATURE, NoSignature, opened
from bisect_convert.worker.read.state_check import agrees, kept
from bisect_convert.worker.read.stateful import stateless
from bisect_convert.worker.read.unfreezable import without_keepers
from bisect_convert.worker.read.unloaded import read_unloaded, written_without
from bisect_convert.worker.read.unreadable import saved_graph, write_unread
from bisect_convert.worker.read.variants import needed_only, switched, variants
from bisect_convert.worker.read.writing import shaped, write_facts
from bisect_convert.worker.request import Load
from bisect_convert.worker.tracebacks import one_line

__all__ = ["concrete_function", "freeze_and_write", "keras_function", "read_model", "write_graph"]


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
        allow_code=request.allow_code,
    )
    if path.endswith(".pb") and os.path.isfile(path):
        graph_def = _parsed(path)
        try:
            handed = handing.of_graph_def(path, graph_def)
            return write_graph(_graph_def(path, graph_def), folder, replace(reading, define=True, handed=handed))
        except ModelError as error:
            return _unread(error, graph_def, [n.name for n in graph_def.node], folder, reading)
    if os.path.isdir(path) and (known := read_unloaded(request, reading)) is not None:
        return known
    try:
        function, names, signature = _function(path, request.signature, request.allow_code)
    except NoSignature as error:
        failure = _failure(NotImplementedError("Only a single concrete function is supported."))
        nothing = tf.compat.v1.GraphDef()
        return write_facts(nothing, folder, replace(reading, signatures=tuple(error.functions), failure=failure))
    except ModelError as error:
        if not os.path.isdir(path) or error.__cause__ is None or os.path.islink(path):
            raise
        wanted = request.signature or DEFAULT_SIGNATURE
        return _unread(error, *_saved(error, path, wanted), folder, reading)
    found = source_lines.of_saved_model(path) if os.path.isdir(path) else {}
    handed = handing.of_path(path, function, signature, names)
    reading = replace(reading, signature=signature, signatures=tuple(names), sources=found, handed=handed)
    return freeze_and_write(function, folder, reading)


def write_graph(graph_def: Any, folder: Path, reading: Reading) -> dict[str, Any]:
    """Write the facts of a frozen GraphDef, and beside them those of its variants."""
    graph_def = needed_only(graph_def, reading.outputs)
    found = variants(graph_def, reading.outputs, _given(reading))
    return write_facts(
        shaped(graph_def), folder, replace(reading, variants=write_variants(found, graph_def, folder, reading))
    )


def _given(reading: Reading) -> list[str]:
    return [str(i["name"]) for i in reading.inputs if i.get("name")]


def _check_alive(function: Any) -> None:
    """Raise ModelError where the variables of the function are gone: it does not keep them."""
    try:
        _ = function.variables
    except AssertionError as error:
        raise ModelError(
            "the function's variables are gone with the model that had them: keep that too, as in "
            'loaded = tf.saved_model.load(MODEL), then loaded.signatures["serving_default"]'
        ) from error


def freeze_and_write(function: Any, folder: Path, reading: Reading) -> dict[str, Any]:
    """Freeze the concrete function and write its facts; where freezing fails, those of the graph as it was loaded."""
    _check_alive(function)
    sources = reading.sources or source_lines.of_function(function)
    reading = replace(
        reading, sources=sources, layers=handing.layers_of(function), named=handing.named_by_variables(function)
    )
    if os.path.isfile(reading.path) and (known := written_without(function, folder, reading)) is not None:
        return known
    try:
        graph_def = private_api.freeze(function)
    except Exception as error:  # whatever TensorFlow raises here is an outcome of the stage "load"
        return _unfrozen(function, error, folder, reading)
    found = write_variants(switched(graph_def, _given(reading)), graph_def, folder, reading)
    return write_facts(graph_def, folder, replace(reading, keys=handing.keys_of(function), variants=found))


def _unfrozen(function: Any, error: BaseException, folder: Path, reading: Reading) -> dict[str, Any]:
    """The facts of the graph as it was loaded, and beside them those of what freezes without the ops at fault."""
    kept = without_keepers(function, error)
    if kept.rest is not None:
        (folder / REST).mkdir(exist_ok=True)
        write_facts(kept.rest, folder / REST, replace(reading, keys=handing.keys_of(function)))
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
        write_facts(
            graph_def,
            folder / STATELESS,
            replace(reading, keys=handing.keys_of(function), state=kept(graph_def, state)),
        )


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


def _function(path: str, wanted: str | None, allow_code: bool) -> tuple[Any, list[str], str | None]:
    """The concrete function that is meant, the signatures there are, and which one was taken."""
    if not os.path.exists(path):
        raise ModelError(f"no such file or folder: {path}")
    if os.path.isdir(path):
        return opened(path, wanted)
    if path.endswith((".keras", ".h5", ".hdf5")):
        if wanted is not None:
            raise UsageError(f"a Keras file has no signatures; leave out --signature {wanted}")
        return keras_function(path, allow_code), [], None
    raise ModelError(f"{path} is none of: a SavedModel folder, a .keras, .h5 or .hdf5 file, a frozen .pb")


def keras_function(path: str, allow_code: bool) -> Any:
    """Return the concrete function of the Keras model in the file; raises ModelError, UsageError."""
    return concrete_function(_keras_model(path, allow_code))


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
                f"the tf.function has no single signature ({one_line(error)}); pass its get_concrete_function(...)"
            ) from error
    signatures = getattr(model, "signatures", None)
    if signatures:
        return concrete_function(signatures.get(DEFAULT_SIGNATURE) or next(iter(signatures.values())))
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
        lost = (
            "; a Lambda layer is saved without the names that its code uses: write it as a layer class, and name its module, "
            "--import MODULE"
        ) * keras_errors.lost_names(error)
        raise ModelError(f"the Keras model fails when it is called: {keras_errors.root(error)}{lost}") from error


def _parsed(path: str) -> Any:
    graph_def = tf.compat.v1.GraphDef()
    try:
        with open(path, "rb") as file:
            graph_def.ParseFromString(file.read())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # protobuf raises a kind of its own
        raise ModelError(f"{path} is no frozen GraphDef: {one_line(error)}") from error
    if not graph_def.node:
        raise ModelError(f"{path} is no frozen GraphDef: it holds no op")
    return graph_def


def _graph_def(path: str, graph_def: Any) -> Any:
    try:
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(graph_def, name="")
    except Exception as error:  # the importer raises its own kinds
        raise ModelError(f"{path} is no frozen GraphDef: {one_line(error)}") from error
    return graph.as_graph_def(add_shapes=True)
