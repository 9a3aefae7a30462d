"""The private parts of coremltools and TensorFlow that probes lean on: all of them are in this module.

Imported in workers only: it imports tensorflow and coremltools. `check` tells in one line what to install where a part
is missing. File names below are relative to coremltools/converters/mil/.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType
from typing import Any

import coremltools as ct
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

from bisect_convert.errors import EnvironmentError_
from bisect_convert.verdict import ARGUMENTS, Failure, Frame, Signature, Stage, scrub

__all__ = [
    "FrozenGraph",
    "StopAfterFrontend",
    "body_graph",
    "check",
    "classify",
    "convertible_types",
    "define_functions",
    "failure_of",
    "freeze",
    "flat_names",
    "function_def",
    "function_of",
    "install",
    "registered",
    "reset",
    "shared_symbols",
    "stop_after_frontend",
]

_INSTALL = "install tensorflow>=2.16 and coremltools>=8.3 (known to work: tensorflow 2.21, coremltools 9.0)"


class FrozenGraph:
    """A GraphDef in a wrapping that costs nothing to print: coremltools formats whatever it is given into a log line."""

    def __init__(self, graph_def: Any) -> None:
        self.graph_def = graph_def


def check() -> None:
    """Raise EnvironmentError_ unless every private part used here is where it was."""
    parts: list[tuple[Any, str]] = [
        (TF2Loader, "_get_concrete_functions_and_graph_def"),
        (TF2Loader, "_graph_def_from_concrete_fn"),
        (TF2Loader, "_run_tf_ssa_passes"),
        (TFConverter, "_get_placeholder_shape_from_tf_graph"),
        (PassPipelineManager, "apply_pipeline"),
        (PassPipeline, "DEFAULT"),
        (AbstractGraphPass, "set_options"),
        (convert_utils, "convert_graph"),
        (mil_converter, "_reset_conversion_state"),
        (wrap_function, "function_from_graph_def"),
        (eager, "get_function_def"),
        (eager, "_reset_context"),
        (function_graphs, "function_def_to_graph"),
        (op_def_registry, "get"),
    ]
    for owner, name in parts:
        if not hasattr(owner, name):
            raise EnvironmentError_(
                f"coremltools {ct.__version__} with tensorflow {tf.__version__} has no "
                f"{getattr(owner, '__name__', owner)}.{name}: {_INSTALL}"
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


class StopAfterFrontend(BaseException):
    """Raised in place of the first MIL pass: the frontend is done, and nothing behind it is wanted."""


@contextlib.contextmanager
def stop_after_frontend() -> Iterator[None]:
    """Within, a conversion ends with StopAfterFrontend once the MIL program of the frontend stands."""

    def stop(prog: Any, pass_pipeline: Any) -> None:
        raise StopAfterFrontend

    original = PassPipelineManager.__dict__["apply_pipeline"]
    PassPipelineManager.apply_pipeline = staticmethod(stop)
    try:
        yield
    finally:
        PassPipelineManager.apply_pipeline = original


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


def convertible_types() -> frozenset[str]:
    """Every op type that the frontend has a conversion for."""
    return frozenset(_TF_OPS_REGISTRY)


def freeze(concrete_function: Any) -> Any:
    """Return the GraphDef that coremltools itself would convert: variables frozen, functions inlined, Grappler run."""
    loader = TF2Loader([concrete_function])
    return loader._graph_def_from_concrete_fn([concrete_function])


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


def classify(error: BaseException, names: Iterable[str]) -> Failure:
    """Return the failure that an exception out of `ct.convert` stands for; `names` are scrubbed from its message."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    stage, pass_name = _stage(frames)
    named = {Stage.GRAPH_PASS: _passed, Stage.LOWERING: _lowered}.get(stage)
    return failure_of(error, names, stage, pass_name, () if named is None else tuple(named(frames)))


def failure_of(
    error: BaseException, names: Iterable[str], stage: Stage, pass_name: str | None, hint: tuple[Frame, ...]
) -> Failure:
    """Return the failure of this exception at this stage; `names` are scrubbed from its message."""
    message = str(error)
    if isinstance(error, RecursionError):
        message = "maximum recursion depth exceeded"
    if isinstance(error, MemoryError) and not message:
        message = "the conversion ran over its memory limit"
    raising = tuple(frame.op for frame in hint) if stage is Stage.LOWERING else ()
    signature = Signature(stage, pass_name, type(error).__name__, scrub(message, names), raising)
    text = "".join(traceback.format_exception(error))[-20_000:]
    return Failure(signature, type(error).__name__, message, hint, text)


def _stage(frames: list[FrameType]) -> tuple[Stage, str | None]:
    stage, pass_name = Stage.LOAD, None
    for frame in frames:
        name, module = frame.f_code.co_name, frame.f_globals.get("__name__", "")
        if not module.startswith("coremltools."):
            continue
        if name == "_run_tf_ssa_passes":
            stage, pass_name = Stage.GRAPH_PASS, getattr(frame.f_locals.get("tf_pass"), "__name__", None)
        elif name in {"convert_graph", "convert_main_graph"} or isinstance(frame.f_locals.get("self"), TFConverter):
            stage, pass_name = Stage.LOWERING, None
        elif name == "apply_pipeline":
            stage, pass_name = Stage.MIL_PASS, frame.f_locals.get("pass_name")
        elif name == "_check_early_error_out_for_invalid_program":
            stage, pass_name = Stage.MIL_PASS, "program check"
        elif ".mil.backend." in module or name in {"check_deployment_compatibility", "_create_mlpackage"}:
            stage, pass_name = Stage.BACKEND, None
    if (stage is Stage.LOAD and _in_arguments(frames)) or _in_pipeline(frames):
        pass_name = ARGUMENTS
    return stage, pass_name


def _in_arguments(frames: list[FrameType]) -> bool:
    """True where `ct.convert` itself objects to what it was given, before it looks at the model or after it is done."""
    ours = {(f.f_globals.get("__name__"), f.f_code.co_name) for f in frames}
    entry = (ct.convert.__module__, ct.convert.__name__)
    return entry in ours and not any(name == "mil_convert" for _, name in ours)


def _in_pipeline(frames: list[FrameType]) -> bool:
    """True where the pipeline itself is refused: a pass that there is not, options of none or that it does not have."""
    last = next((f for f in reversed(frames) if f.f_globals.get("__name__", "").startswith("coremltools.")), None)
    owner = None if last is None else last.f_locals.get("self")
    return isinstance(owner, (PassPipeline, type(PASS_REGISTRY))) or (
        isinstance(owner, AbstractGraphPass) and last is not None and last.f_code.co_name == "set_options"
    )


def _passed(frames: list[FrameType]) -> Iterator[Frame]:
    """The nodes that a TF graph pass had in hand, those of the innermost call first; of whichever graph they are."""
    seen: set[str] = set()
    for frame in reversed(frames):
        if "tf_graph_pass" not in frame.f_globals.get("__name__", ""):
            continue
        for node in frame.f_locals.values():
            original = getattr(node, "original_node", None)
            if original is not None and original.name not in seen:
                seen.add(original.name)
                yield Frame(original.op, original.name)


def _lowered(frames: list[FrameType]) -> Iterator[Frame]:
    """The op being lowered at each graph level: `node` in the frames of `convert_graph`."""
    for frame in frames:
        if frame.f_code is convert_utils.convert_graph.__code__ and (node := frame.f_locals.get("node")) is not None:
            original = getattr(node, "original_node", None)
            yield Frame(node.op, original.name if original is not None else node.name)
