"""What probes change in coremltools and ask of TensorFlow: file names are relative to coremltools/converters/mil/."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf
from coremltools.converters.mil import converter as mil_converter
from coremltools.converters.mil.frontend.tensorflow import convert_utils
from coremltools.converters.mil.frontend.tensorflow.converter import TFConverter
from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import _TF_OPS_REGISTRY
from coremltools.converters.mil.frontend.tensorflow2.load import TF2Loader
from coremltools.converters.mil.mil import get_new_symbol
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.pass_pipeline import PassPipeline, PassPipelineManager
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
from tensorflow.python.eager import context as eager
from tensorflow.python.eager import wrap_function
from tensorflow.python.framework import function_def_to_graph as function_graphs
from tensorflow.python.framework import op_def_registry

from bisect_convert.model.outcome import Stage
from bisect_convert.worker.private_api import checks

__all__ = [
    "NEEDED",
    "PASS_REGISTRY",
    "AbstractGraphPass",
    "FrozenGraph",
    "PassPipeline",
    "StopAfterFrontend",
    "TFConverter",
    "body_graph",
    "called_flat",
    "convert_utils",
    "convertible_types",
    "define_functions",
    "freeze",
    "flat_names",
    "function_def",
    "function_of",
    "install",
    "installed",
    "own_context",
    "lowering_by",
    "registered",
    "reset",
    "shared_symbols",
    "traced_as_keras",
    "watched",
]


class FrozenGraph:
    """A GraphDef in a wrapping that costs nothing to print: coremltools formats whatever it is given into a log line."""

    def __init__(self, graph_def: Any) -> None:
        self.graph_def = graph_def


#: The private attributes that this module uses.
NEEDED: tuple[tuple[Any, str], ...] = (
    (TF2Loader, "_get_concrete_functions_and_graph_def"),
    (TF2Loader, "_graph_def_from_concrete_fn"),
    (TF2Loader, "_run_tf_ssa_passes"),
    (TFConverter, "_get_placeholder_shape_from_tf_graph"),
    (PassPipelineManager, "apply_pipeline"),
    (PassPipeline, "DEFAULT"),
    (PassPipeline, "get_options"),
    (wrap_function.WrappedFunction, "_call_flat"),
    (AbstractGraphPass, "set_options"),
    (convert_utils, "convert_graph"),
    (convert_utils, "_TF_OPS_REGISTRY"),
    (convert_utils, "check_output_shapes"),
    (mil_converter, "_reset_conversion_state"),
    (wrap_function, "function_from_graph_def"),
    (eager, "get_function_def"),
    (eager, "_reset_context"),
    (eager, "_set_context"),
    (eager, "context_safe"),
    (function_graphs, "function_def_to_graph"),
    (op_def_registry, "get"),
)

_original_loading = TF2Loader._get_concrete_functions_and_graph_def


def _get_graph_def(self: Any) -> Any:
    """Let `TF2Loader` take a `FrozenGraph` wherever it takes a GraphDef (frontend/tensorflow2/load.py)."""
    if isinstance(self.model, FrozenGraph):
        return None, self.model.graph_def
    return _original_loading(self)


def install() -> None:
    """Let `ct.convert` take a `FrozenGraph` in this process; for workers only."""
    TF2Loader._get_concrete_functions_and_graph_def = _get_graph_def


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Within, `ct.convert` takes a `FrozenGraph`."""
    before = TF2Loader._get_concrete_functions_and_graph_def
    install()
    try:
        yield
    finally:
        TF2Loader._get_concrete_functions_and_graph_def = before


@contextlib.contextmanager
def own_context() -> Iterator[None]:
    """Within, TensorFlow's eager context is a new one: the functions of the one before stay in that, and come back with it."""
    before = eager.context_safe()
    eager._set_context(eager.Context())
    try:
        yield
    finally:
        eager._set_context(before if before is not None else eager.Context())


class StopAfterFrontend(BaseException):
    """Raised in place of the first MIL pass: the frontend is done, and nothing behind it is wanted."""


@contextlib.contextmanager
def watched(told: Callable[[Stage, str | None], None], ends: Callable[[], bool]) -> Iterator[None]:
    """Within, `told` hears how far a conversion has come: the stage, and the MIL pass at work.

    ends: says, once the MIL program of the frontend stands, whether it ends there, with StopAfterFrontend.
    """
    graph_passes, lower = TF2Loader._run_tf_ssa_passes, TFConverter.convert
    pipeline, options = PassPipelineManager.__dict__["apply_pipeline"], PassPipeline.get_options

    def run_graph_passes(self: Any) -> Any:
        told(Stage.GRAPH_PASS, None)
        return graph_passes(self)

    def convert(self: Any) -> Any:
        told(Stage.LOWERING, None)
        return lower(self)

    def apply_pipeline(prog: Any, pass_pipeline: Any) -> None:
        if ends():
            raise StopAfterFrontend
        told(Stage.MIL_PASS, None)
        with checks.not_formatted():
            pipeline.__func__(prog, pass_pipeline)
        told(Stage.BACKEND, None)

    def get_options(self: Any, pass_name: str) -> Any:
        told(Stage.MIL_PASS, pass_name)
        return options(self, pass_name)

    TF2Loader._run_tf_ssa_passes, TFConverter.convert = run_graph_passes, convert
    PassPipelineManager.apply_pipeline, PassPipeline.get_options = staticmethod(apply_pipeline), get_options
    try:
        with checks.sooner():
            yield
    finally:
        TF2Loader._run_tf_ssa_passes, TFConverter.convert = graph_passes, lower
        PassPipelineManager.apply_pipeline, PassPipeline.get_options = pipeline, options


@contextlib.contextmanager
def shared_symbols(
    names: Mapping[str, tuple[str, ...]], shapes: Mapping[str, list[int | None]], known: Mapping[str, Any]
) -> Iterator[None]:
    """Within, inputs whose dimensions bear the same symbol's name get the same MIL symbol.

    names: input -> one symbol name a dimension ("" where the size is known); known: symbols that the caller's own
    RangeDims have made already.
    """
    made: dict[str, Any] = dict(known)
    original = TFConverter._get_placeholder_shape_from_tf_graph

    def shape_of(self: Any, tfgraph: Any, name: str) -> Any:
        if name not in names or name not in shapes:
            return original(self, tfgraph, name)
        return [
            made.setdefault(symbol, get_new_symbol()) if symbol else size
            for symbol, size in zip(names[name], shapes[name], strict=True)
        ]

    TFConverter._get_placeholder_shape_from_tf_graph = shape_of
    try:
        yield
    finally:
        TFConverter._get_placeholder_shape_from_tf_graph = original


def reset() -> None:
    """Forget what an earlier, failed conversion left behind (coremltools does so after one that succeeds)."""
    mil_converter._reset_conversion_state()


def registered(op: str) -> bool:
    """Return whether this TensorFlow knows the op type."""
    return op_def_registry.get(op) is not None


@contextlib.contextmanager
def lowering_by(wrapped: Callable[[Any], Any]) -> Iterator[None]:
    """Within, the frontend looks up conversions in what `wrapped` makes of its registry."""
    known = convert_utils._TF_OPS_REGISTRY
    convert_utils._TF_OPS_REGISTRY = wrapped(known)
    try:
        yield
    finally:
        convert_utils._TF_OPS_REGISTRY = known


def convertible_types() -> frozenset[str]:
    """Every op type that the frontend has a conversion for."""
    return frozenset(_TF_OPS_REGISTRY)


def freeze(concrete_function: Any) -> Any:
    """Return the GraphDef that coremltools itself would convert: variables frozen, functions inlined, Grappler run."""
    loader = TF2Loader([concrete_function])
    return loader._graph_def_from_concrete_fn([concrete_function])


def traced_as_keras(model: Any) -> Any:
    """Return the concrete function that coremltools itself makes of a Keras model; raises what it raises.

    Source: TF2Loader._get_concrete_functions_and_graph_def, without the freezing that follows there.
    """
    loader = TF2Loader(model)
    loader._graph_def_from_concrete_fn = lambda functions: None
    functions, _ = _original_loading(loader)
    return functions[0]


def function_of(
    graph_def: Any, inputs: list[str], outputs: list[str], captured: Mapping[str, Any], variables: Any
) -> Any:
    """Return the GraphDef as a concrete function that captures variables' handles as the nodes of these names."""
    function = wrap_function.function_from_graph_def(graph_def, inputs, outputs, dict(captured))
    function.graph.variables = variables
    return function


def function_def(name: str) -> Any | None:
    """Return the function as TensorFlow's eager context has it, which is where coremltools reads bodies; or None."""
    eager.ensure_initialized()
    try:
        return eager.get_function_def(name)
    except (tf.errors.NotFoundError, ValueError):
        return None


def define_functions(functions: Iterable[Any]) -> None:
    """Make these FunctionDefs known to TensorFlow's eager context, in place of others of the same names.

    A function that was used cannot be replaced ("Attempting to add a duplicate function"): then the context is made anew.
    """
    functions = list(functions)
    if not _same_functions(functions):
        eager._reset_context()
        for function in functions:
            eager.context().add_function_def(function)


def _same_functions(functions: list[Any]) -> bool:
    """Add those that are missing; False where one of another definition is there already."""
    context = eager.context()
    context.ensure_initialized()
    for function in functions:
        name = function.signature.name
        if not context.has_function(name):
            context.add_function_def(function)
        elif context.get_function_def(name) != function:
            return False
    return True


def body_graph(function: Any, input_shapes: list[Any] | None) -> Any:
    """Return the FuncGraph of a FunctionDef, shapes inferred from those of its call."""
    return function_graphs.function_def_to_graph(function, input_shapes=input_shapes)


def called_flat(function: Any, tensors: Iterable[Any]) -> list[Any]:
    """Call a wrapped function without captures, a quarter of the time of a call, which spells out what it is given."""
    return list(function._call_flat(list(tensors), []))


def flat_names(function: Any) -> dict[str, str]:
    """Map "node:output_arg:index" as FunctionDefs write it to "node:index" as GraphDefs do, for its own nodes."""
    flat: dict[str, str] = {}
    for node in function.node_def:
        definition = op_def_registry.get(node.op)
        position = 0
        for argument in definition.output_arg if definition is not None else ():
            count = 1
            if argument.number_attr:
                count = node.attr[argument.number_attr].i
            elif argument.type_list_attr:
                count = len(node.attr[argument.type_list_attr].list.type)
            for index in range(count):
                flat[f"{node.name}:{argument.name}:{index}"] = f"{node.name}:{position}"
                position += 1
    return flat
