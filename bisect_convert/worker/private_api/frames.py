"""What the frames of the converter's traceback tell: names of its functions, and of the locals that hold what is in hand.

Reading frames is the one way to know where it failed; a release that renames one of these would make it unknown without
a word, so `check` holds each name against the code object that has it (`READ`).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any

import coremltools as ct
from coremltools.converters.mil import _deployment_compatibility
from coremltools.converters.mil import converter as mil_converter
from coremltools.converters.mil.frontend.tensorflow import basic_graph_ops, convert_utils
from coremltools.converters.mil.frontend.tensorflow.converter import TFConverter
from coremltools.converters.mil.frontend.tensorflow2.load import TF2Loader
from coremltools.converters.mil.mil import Operation, Program, Var
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.pass_pipeline import PassPipeline, PassPipelineManager
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
from coremltools.models import utils as model_utils

from bisect_convert.model.names import in_core_ml
from bisect_convert.model.outcome import ARGUMENTS, Frame, Stage
from bisect_convert.worker.nodes import called_by_role

__all__ = [
    "READ",
    "UNSORTED",
    "compressed_op",
    "compressing",
    "in_hand",
    "in_mil",
    "loading",
    "lowered",
    "missing",
    "passed",
    "stage_of",
]

#: What the converter says of a graph that it cannot sort.
UNSORTED = "Graph is not a DAG!"
#: Where frames are read: owner, function, and the local that is looked into ("": the function's name alone).
READ: tuple[tuple[Any, str, str], ...] = (
    (TF2Loader, "_run_tf_ssa_passes", "tf_pass"),
    (TF2Loader, "_populate_sub_graph_input_shapes", "graph"),
    (TF2Loader, "_populate_sub_graph_input_shapes", "name"),
    (basic_graph_ops, "topsort", "graph"),
    (basic_graph_ops, "topsort", "ret"),
    (convert_utils, "convert_graph", "node"),
    (convert_utils, "convert_graph", "graph"),
    (TFConverter, "convert_main_graph", "self"),
    (PassPipelineManager, "apply_pipeline", "pass_name"),
    (Program, "_check_early_error_out_for_invalid_program", ""),
    (_deployment_compatibility, "check_deployment_compatibility", ""),
    (model_utils, "_create_mlpackage", ""),
    (mil_converter, "mil_convert", ""),
    (AbstractGraphPass, "set_options", "self"),
    (ct, "convert", ""),
)


def _code(owner: Any, name: str) -> CodeType | None:
    function = getattr(owner, name, None)
    return None if function is None else getattr(inspect.unwrap(function), "__code__", None)


def missing() -> list[str]:
    """Return each function and local of `READ` that is not there, as "function" or "function: local"."""
    gone = []
    for owner, name, local in READ:
        code = _code(owner, name)
        where = f"{getattr(owner, '__name__', owner)}.{name}"
        if code is None:
            gone.append(where)
        elif local and local not in (*code.co_varnames, *code.co_cellvars):
            gone.append(f"{where}: {local}")
    return gone


def stage_of(frames: list[FrameType]) -> tuple[Stage, str | None]:
    """Return how far the conversion had come, and the pass in which it was."""
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


def loading(frames: list[FrameType]) -> Iterator[Frame]:
    """Yield the op whose body was being read at each graph level."""
    for frame in frames:
        if frame.f_code is TF2Loader._populate_sub_graph_input_shapes.__code__:
            name, graph = str(frame.f_locals.get("name")), frame.f_locals["graph"]
            called = (op for op in graph.get_operations() if name in (n for _, n in called_by_role(op.node_def)))
            if (op := next(called, None)) is not None:
                yield Frame(op.type, op.name)


def passed(frames: list[FrameType]) -> Iterator[Frame]:
    """Yield the nodes that a TF graph pass had in hand, those of the innermost call first; of whichever graph they are."""
    seen: set[str] = set()
    for frame in reversed(frames):
        if "tf_graph_pass" not in frame.f_globals.get("__name__", ""):
            continue
        for node in frame.f_locals.values():
            original = getattr(node, "original_node", None)
            if original is not None and original.name not in seen:
                seen.add(original.name)
                yield Frame(original.op, original.name)


def lowered(frames: list[FrameType]) -> Iterator[Frame]:
    """Yield the op being lowered at each graph level: `node` in the frames of `convert_graph`.

    Where that is the converter's own, which takes one of several results, it is the op that makes them. Innermost is the op
    whose results are read more often than its list of readers says, where the graph cannot be sorted for that.
    """
    for frame in frames:
        if frame.f_code is convert_utils.convert_graph.__code__ and (node := frame.f_locals.get("node")) is not None:
            yield _named(node, frame.f_locals["graph"])
    if frames and frames[-1].f_code is basic_graph_ops.topsort.__code__:
        graph, done = frames[-1].f_locals["graph"], set(frames[-1].f_locals.get("ret", ()))
        for name in (n for n in graph if n not in done):
            for maker in graph[name].inputs if done.issuperset(graph[name].inputs) else ():
                if graph[maker].outputs.count(name) < graph[name].inputs.count(maker):
                    yield _named(graph[maker], graph)
                    return


def _named(node: Any, graph: Mapping[str, Any]) -> Frame:
    """The op as the model has it."""
    seen = {node.name}
    while node.op == "get_tuple" and (maker := graph.get(node.inputs[0])) is not None and maker.name not in seen:
        node = maker
        seen.add(node.name)
    original = getattr(node, "original_node", None)
    op = node.op if node.op != "Const" or original is None else original.op  # what it was before it was evaluated
    return Frame(op, original.name if original is not None else node.name)


def compressing(frames: list[FrameType]) -> str | None:
    """Return the pass of the conversion that ends the step, else that of the compression, else the step itself."""
    found = None
    for frame in frames:
        name, owner = frame.f_code.co_name, frame.f_locals.get("self")
        if name == "apply_pipeline":
            return frame.f_locals.get("pass_name") or found
        if isinstance(owner, AbstractGraphPass):
            found = f"compression::{type(owner).__name__}"
        elif found is None and ".optimize.coreml." in frame.f_globals.get("__name__", "") and name != "decorator":
            found = name
    return found


def in_hand(frames: list[FrameType], names: Mapping[str, str]) -> str | None:
    """Return the op of the model that the innermost frame has to do with, by its locals; a constant stands for its reader.

    names: the model's ops by the names that they have in MIL (see `in_mil`).
    """
    for frame in reversed(frames):
        if not frame.f_globals.get("__name__", "").startswith("coremltools.converters.mil."):
            continue
        for value in list(frame.f_locals.values()):
            if (node := getattr(value, "original_node", None)) is not None:
                return str(node.name)
            op = value.op if isinstance(value, Var) else value
            if isinstance(op, Operation) and (found := _origin(op, names)) is not None:
                return found
    return None


def in_mil(names: Iterable[str]) -> dict[str, str]:
    """Return the names of ops by what the converter makes of them in the end."""
    return {in_core_ml(name): name for name in names}


def _origin(op: Operation, names: Mapping[str, str]) -> str | None:
    """The op of the model that an op of MIL, or else what reads it, was made of: the one whose name its own begins with."""
    readers = op.outputs[0].child_ops if op.op_type == "const" and op.outputs else []
    for one in (*readers, op):
        name = in_core_ml(str(getattr(one, "name", "")))
        while name and name not in names:
            name = name.rpartition("_")[0]
        if name:
            return names[name]
    return None


def compressed_op(frames: list[FrameType], names: tuple[str, ...]) -> Iterator[Frame]:
    """Yield the innermost MIL op that is no constant, or that reads the constant: as an op of the model, then as itself."""
    for frame in reversed(frames):
        ops = [value for value in frame.f_locals.values() if isinstance(value, Operation)]
        ops = [reader for op in ops for reader in (op.outputs[0].child_ops if op.op_type == "const" else [op])]
        if ops:
            kind, mil = ops[0].op_type, str(ops[0].name)
            yield Frame(kind, _origin(ops[0], in_mil(names)) or mil)
            yield Frame(kind, mil)
            return
