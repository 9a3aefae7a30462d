"""How a model comes to `ct.convert`: the lines that do it, and what `ct.convert` says to the model as its caller has it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from bisect_convert.model.facts import Handed
from bisect_convert.model.names import op_of
from bisect_convert.worker import private_api
from bisect_convert.worker.read import keras_errors

__all__ = ["keys_of", "layers_of", "named_by_variables", "of_graph_def", "of_object", "of_path", "traced"]

#: TF2Loader's own words; with source="auto" it is "Unable to determine the type of the model".
_FORMAT = (
    "NotImplementedError: Expected model format: [SavedModel | concrete_function | tf.keras.Model | .h5 | GraphDef]"
)
_FILE = "ValueError: Input model path should be .h5/.hdf5 file or a directory"
#: Arguments that say nothing of what a layer computes, and how many of the others are told.
_OF_ANY, _ARGUMENTS = frozenset({"name", "dtype", "trainable", "data_format"}), 4
_SINGLE = "NotImplementedError: Only a single concrete function is supported"


def traced(model: Any) -> Any:
    """Return the Keras model as the concrete function that coremltools makes of it, else as one made of a call of it.

    What coremltools raised then is kept with the function. Raises what the model's own code raises.
    """
    refused = ""
    try:
        function = private_api.traced_as_keras(model)
    except Exception as error:  # its loader leans on attributes that not every Keras model has
        refused = keras_errors.root(error)
        function = _called(model)
    function._bisect_convert_owner = model
    function._bisect_convert_refused = refused
    return function


def layers_of(function: Any) -> dict[str, str]:
    """Return the layers of the Keras model that the function was traced from, those in models inside of it too: name -> class.

    A class of Keras's own is written with those arguments that are not its defaults. A name that layers of two classes have
    is left out.
    """
    if not hasattr(function, "_bisect_convert_refused"):
        return {}
    found: dict[str, set[str]] = {}
    todo, seen = [function._bisect_convert_owner], set()
    while todo:
        for layer in getattr(todo.pop(), "layers", ()):
            if id(layer) not in seen and isinstance(name := getattr(layer, "name", None), str):
                seen.add(id(layer))
                found.setdefault(name, set()).add(_class(layer))
                todo.append(layer)
    return {name: next(iter(classes)) for name, classes in found.items() if len(classes) == 1}


def _class(layer: Any) -> str:
    kind = type(layer)
    if not re.match(r"(tf_)?keras\.(src\.)?layers\.", f"{kind.__module__}."):
        return kind.__name__
    try:
        config, known = layer.get_config(), inspect.signature(kind.__init__).parameters
    except Exception:  # a layer may raise what it likes here
        return kind.__name__
    given = [
        f"{name}={config[name]!r}"
        for name, parameter in known.items()
        if isinstance(config.get(name), (bool, int, float, str, tuple))
        and name not in _OF_ANY
        and config[name] not in (parameter.default, "linear")
    ]
    return f"{kind.__name__}({', '.join(given[:_ARGUMENTS])})" if given else kind.__name__


def named_by_variables(function: Any) -> tuple[str, ...]:
    """Return the names of layers that the names of its variables begin with, which no trace changes."""
    return tuple(dict.fromkeys(part for v in function.variables for part in v.name.split(":")[0].split("/")[:-1]))


def keys_of(function: Any) -> dict[str, str]:
    """Return what the signature calls the results -> the ops that make them in the frozen graph."""
    structure = function.structured_outputs
    names = [op_of(t.name) for t in function.outputs]
    if not isinstance(structure, dict) or len(structure) != len(names):
        return {}
    return dict(zip(sorted(structure), names, strict=True))


def _called(model: Any) -> Any:
    specs = [
        tf.TensorSpec(i.shape, i.dtype, name=getattr(i, "name", f"input_{n}").split(":")[0])
        for n, i in enumerate(model.inputs)
    ]

    def call(*inputs: Any) -> Any:
        return model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    return tf.function(call).get_concrete_function(*specs)


def of_path(path: str, function: Any, signature: str | None, signatures: Sequence[str]) -> Handed:
    """Return how a SavedModel folder or a Keras file is handed over."""
    if path.endswith((".h5", ".hdf5")):
        return _of_keras(function, (f"model = tf.keras.models.load_model({path!r}, compile=False)",), repr(path))
    if path.endswith(".keras"):
        opened = (f"model = tf.keras.models.load_model({path!r}, compile=False)",)
        handed = _of_keras(function, opened, "model")
        return handed if handed.refused else Handed(handed.argument, opened, _FILE)
    if len(signatures) == 1:
        return Handed(repr(path))
    return Handed(f"[loaded.signatures[{signature!r}]]", (f"loaded = tf.saved_model.load({path!r})",), _SINGLE)


#: What is raised for a graph with functions; some are known already to a process that made or loaded them.
_FUNCTIONS = "AssertionError or NotFoundError, where TensorFlow does not know the functions of the graph yet"


def of_graph_def(path: str, graph_def: Any) -> Handed:
    """Return how a frozen graph is handed over, which lies in a file or is in memory already.

    coremltools looks functions up where TensorFlow keeps those that were called or imported, and not in the graph.
    """
    name = "graph" if path else "model"
    known: tuple[str, ...] = (f"known = tf.compat.v1.wrap_function(lambda: tf.import_graph_def({name}, name=''), [])",)
    known = known if len(graph_def.library.function) else ()
    if not path:
        return Handed(opened=known, refused=_FUNCTIONS if known else "")
    opened = (
        "graph = tf.compat.v1.GraphDef()",
        f"graph.ParseFromString(open({path!r}, 'rb').read())",
    )
    return Handed("graph", (*opened, *known), _FILE)


def of_object(model: Any, function: Any) -> Handed:
    """Return how what a caller has in memory is handed over, and what it calls itself."""
    if isinstance(model, (list, tuple)):
        return of_object(model[0], function) if hasattr(model[0], "layers") else Handed()
    called = getattr(model, "name", None) if hasattr(model, "layers") else getattr(model, "__name__", None)
    return replace(_of_object(model, function), called=called if isinstance(called, str) else "")


def _of_object(model: Any, function: Any) -> Handed:
    if getattr(function, "_bisect_convert_owner", None) is model and hasattr(function, "_bisect_convert_refused"):
        return _of_keras(function, (), "model")
    if function is model:
        return Handed("[model]", (), _FORMAT)
    if hasattr(model, "get_concrete_function"):
        return Handed("[model.get_concrete_function()]", (), _FORMAT)
    signatures = getattr(model, "signatures", None) or {}
    if (name := next((n for n, f in signatures.items() if f is function), None)) is not None:
        return Handed(f"[model.signatures[{name!r}]]", (), _FORMAT)
    names = [n for n in dir(model) if not n.startswith("_") and hasattr(getattr(model, n), "get_concrete_function")]
    return Handed(f"[model.{(names or ['__call__'])[0]}.get_concrete_function()]", (), _FORMAT)


def _of_keras(function: Any, opened: tuple[str, ...], argument: str) -> Handed:
    """A Keras model: as it is where coremltools takes it, else as a functional one, or as a function of its own."""
    refused = getattr(function, "_bisect_convert_refused", "")
    if not refused:
        return Handed(argument, () if argument != "model" else opened)
    model = function._bisect_convert_owner
    try:
        private_api.traced_as_keras(tf.keras.Model(model.inputs, model.outputs))
    except Exception:  # it is not to be had as one of tf.keras: then what was traced here
        specs = ", ".join(f"tf.TensorSpec({tuple(i.shape)}, tf.{tf.as_dtype(i.dtype).name})" for i in model.inputs)
        given = "x" if len(model.inputs) == 1 else "*x"
        called = f"tf.function(lambda {given}: model({'x' if given == 'x' else 'list(x)'}, training=False))"
        return Handed(f"[{called}.get_concrete_function({specs})]", opened, refused, keras=True)
    return Handed("tf.keras.Model(model.inputs, model.outputs)", opened, refused, keras=True)
