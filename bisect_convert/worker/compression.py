"""The compression of a converted model's weights that may follow a conversion: one step of `coremltools.optimize`."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as cto
from coremltools.converters.mil.mil import Operation
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass

from bisect_convert.arguments.packing import step_of
from bisect_convert.errors import EnvironmentError_
from bisect_convert.model.outcome import ARGUMENTS, Failure, Frame, Stage
from bisect_convert.worker import tracebacks

__all__ = ["classify", "compressible", "optimized"]

_STEPS: Mapping[str, tuple[Callable[..., Any], Callable[[], Any]]] = {
    "linear8": (cto.linear_quantize_weights, lambda: cto.OpLinearQuantizerConfig(mode="linear_symmetric")),
    "palettize4": (cto.palettize_weights, lambda: cto.OpPalettizerConfig(mode="kmeans", nbits=4)),
    "prune": (cto.prune_weights, lambda: cto.OpMagnitudePrunerConfig(target_sparsity=0.5)),
}


def compressible(model: Any) -> bool:
    """Return whether the step takes what `ct.convert` returned: an mlprogram, nothing else."""
    return isinstance(model, ct.models.MLModel) and model.get_spec().WhichOneof("Type") == "mlProgram"


def optimized(model: Any, wanted: Any) -> Any:
    """Return the model with its weights compressed as the packed argument `optimize` says; raises as the step does.

    Raises EnvironmentError_ where the step needs scikit-learn, which coremltools does not install.
    """
    step, left_out = step_of(wanted)
    compress, config = _STEPS[step]
    try:
        return compress(model, cto.OptimizationConfig(global_config=config(), op_name_configs=dict.fromkeys(left_out)))
    except ModuleNotFoundError as error:
        if "scikit-learn" not in str(error):
            raise
        raise EnvironmentError_(f"{step} needs scikit-learn for these weights: pip install scikit-learn") from error


def classify(error: BaseException, names: Iterable[str], compressible: bool) -> Failure:
    """Return the failure that an exception out of a step of `coremltools.optimize` stands for.

    Its pass is the pass in hand. Where the converted model is not `compressible`, the arguments of the call are at
    fault. Its hint is the op of the model, then the MIL op, both with the type of the latter.
    """
    names = tuple(names)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    pass_name = _compressing(frames) if compressible else ARGUMENTS
    hint = tuple(_in_hand(frames, names)) if compressible else ()
    return tracebacks.failure_of(error, names, Stage.OPTIMIZE, pass_name, hint)


def _compressing(frames: list[FrameType]) -> str | None:
    """The pass of the conversion that ends the step, else that of the compression, else the step itself."""
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


def _in_hand(frames: list[FrameType], names: tuple[str, ...]) -> Iterator[Frame]:
    """The innermost MIL op that is no constant, or that reads the constant: as an op of the model, then as itself."""
    for frame in reversed(frames):
        ops = [value for value in frame.f_locals.values() if isinstance(value, Operation)]
        ops = [reader for op in ops for reader in (op.outputs[0].child_ops if op.op_type == "const" else [op])]
        if ops:
            kind, mil = ops[0].op_type, str(ops[0].name)
            plain = {re.sub(r"\W", "_", name): name for name in names}
            begun = [p for p in plain if mil == p or mil.startswith(f"{p}_")]
            yield Frame(kind, plain[max(begun, key=len)] if begun else mil)
            yield Frame(kind, mil)
            return
