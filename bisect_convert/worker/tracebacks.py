"""What the exception of a failing conversion tells: the stage, the pass, the ops at work, all from its traceback's frames.

Imported in workers only. File names are relative to coremltools/converters/mil/.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from types import FrameType

import coremltools as ct

from bisect_convert.model.outcome import ARGUMENTS, Failure, Frame, Signature, Stage, scrub
from bisect_convert.worker.private_api import PASS_REGISTRY, AbstractGraphPass, PassPipeline, TFConverter, convert_utils

__all__ = ["classify", "failure_of"]


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
