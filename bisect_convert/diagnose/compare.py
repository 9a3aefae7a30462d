"""`compare`: a model and what it was converted to, wherever that was done."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.model.files import check_path
from bisect_convert.probe.client import Workers
from bisect_convert.report.report import Report

__all__ = ["compare"]


def compare(
    model: Any,
    mlmodel: Any,
    inputs: str | os.PathLike[str] | Mapping[str, Any] = "random",
    *,
    signature: str | None = None,
    tolerance: float | None = None,
    workers: Workers | None = None,
) -> Report:
    """Return a report of how far a converted model is from its original, and which ops make it so; nothing is converted.

    model: as `find` takes it. mlmodel: an `MLModel` or the path of an .mlpackage, an ML program. inputs: arrays by the
    names of the model's inputs, an .npz file or a folder of such, "random" or "zeros". Outputs may be apart by `tolerance`
    of their largest number: without one by 0.02 in float16 and 0.001 in float32.
    Raises UsageError for inputs that do not fit, ModelError for a model that cannot be read.

    >>> compare("saved_model", "model.mlpackage", {"x": x}).verdict
    'differs'
    """
    check_path(model, signature)
    numbers = inputs if isinstance(inputs, Mapping) else os.fspath(inputs)
    with tempfile.TemporaryDirectory(prefix="bisect-convert-") as folder:
        if not isinstance(mlmodel, str | os.PathLike):
            saved = Path(folder, "model.mlpackage")
            mlmodel.save(str(saved))
            mlmodel = saved
        wishes = Wishes(signature=signature, numbers=numbers, tolerance=tolerance, against=os.path.abspath(mlmodel))
        if workers is not None:
            return find_packed(model, {}, wishes, workers)
        with wishes.workers()() as started:
            return find_packed(model, {}, wishes, started)
