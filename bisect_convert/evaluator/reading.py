"""From what a caller has to the program in it: a model in memory, or a saved package by coremltools' own reader."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

__all__ = ["program_of"]


def program_of(model: Any) -> Any:
    """Return the ML program of an `MLModel`, of an .mlpackage (path), or a program itself; raises ValueError otherwise.

    >>> sorted(program_of("model.mlpackage").functions)
    ['main']
    """
    if hasattr(model, "functions"):
        return model
    import coremltools as ct

    if isinstance(model, str | os.PathLike):
        path = Path(model)
        if not path.exists():
            raise ValueError(f"no such file or folder: {path}")
        try:
            model = ct.models.MLModel(str(path), skip_model_load=True)
        except Exception as error:  # coremltools raises whatever its readers do
            raise ValueError(f"{path} cannot be read as a Core ML model: {_first_line(error)}") from error
    if getattr(model, "_mil_program", None) is not None:
        return model._mil_program
    spec = getattr(model, "_spec", None)
    if spec is None or spec.WhichOneof("Type") != "mlProgram":
        raise ValueError("this is no ML program: neural networks and pipelines cannot be evaluated")
    from coremltools.converters.mil.frontend.milproto import load

    try:
        return load.load(spec, spec.specificationVersion, model.weights_dir or "")
    except AssertionError as error:  # what it infers is not what the program declares
        raise ValueError(f"coremltools itself cannot read the program back: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
