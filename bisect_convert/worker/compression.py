"""The compression of a converted model's weights that may follow a conversion: one step of `coremltools.optimize`."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as cto

from bisect_convert.arguments.compression_steps import STEPS, step_of
from bisect_convert.errors import EnvironmentError_
from bisect_convert.model.outcome import ARGUMENTS, Failure, Stage
from bisect_convert.worker import tracebacks
from bisect_convert.worker.private_api.frames import compressed_op, compressing

__all__ = ["classify", "compressible", "optimized"]


def compressible(model: Any) -> bool:
    """Return whether the step takes what `ct.convert` returned: an mlprogram, nothing else."""
    return isinstance(model, ct.models.MLModel) and model.get_spec().WhichOneof("Type") == "mlProgram"


def optimized(model: Any, wanted: Any) -> Any:
    """Return the model with its weights compressed as the packed argument `optimize` says; raises as the step does.

    Raises EnvironmentError_ where the step needs scikit-learn, which coremltools does not install.
    """
    step, left_out = step_of(wanted)
    compress = getattr(cto, STEPS[step].function)
    config = getattr(cto, STEPS[step].config)(**STEPS[step].settings)
    try:
        return compress(model, cto.OptimizationConfig(global_config=config, op_name_configs=dict.fromkeys(left_out)))
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
    pass_name = compressing(frames) if compressible else ARGUMENTS
    hint = tuple(compressed_op(frames, names)) if compressible else ()
    return tracebacks.failure_of(error, names, Stage.OPTIMIZE, pass_name, hint)
