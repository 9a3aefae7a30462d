"""What Core ML itself makes of the same inputs, where it is there: on a Mac."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bisect_convert.worker.numbers.agreement import Agreement, agree, agreement, by_results

__all__ = ["asked", "told"]


def _loaded(model: Any) -> Any:
    """The model as Core ML runs it; None where there is no Core ML."""
    if sys.platform != "darwin":
        return None
    import coremltools as ct

    if isinstance(model, str):
        return ct.models.MLModel(model)
    return ct.models.MLModel(model.get_spec(), weights_dir=model.weights_dir)


def asked(
    model: Any, feeds: Sequence[Mapping[str, Any]], results: Sequence[str], load: Callable[[Any], Any] = _loaded
) -> list[dict[str, Any]] | str | None:
    """Return what Core ML gives for the feeds, by the names of the original's results; why it gives none; None without it.

    model: an MLModel that was not loaded, or the path of a package.
    """
    try:
        if (loaded := load(model)) is None:
            return None
        return [by_results(loaded.predict(_arrays(one)), results) for one in feeds]
    except Exception as error:  # it refuses a program, or an input that is an image
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _arrays(feed: Mapping[str, Any]) -> dict[str, Any]:
    """Core ML takes float32 and int32."""
    kinds = {"f": np.float32, "i": np.int32, "u": np.int32, "b": np.int32}
    return {name: np.asarray(value, kinds.get(np.asarray(value).dtype.kind)) for name, value in feed.items()}


def told(
    device: list[dict[str, Any]] | str | None,
    wanted: Sequence[Mapping[str, Any]],
    evaluated: Agreement,
    tolerance: float,
) -> dict[str, Any]:
    """Return what to add to an answer: who ran the model, how far Core ML and the evaluator are from the original."""
    if device is None:
        return {}
    if isinstance(device, str):
        return {"device": f"Core ML itself did not run it: {device}"}
    apart = agreement(wanted, device)
    close = all(agree(got[n], v, tolerance) for want, got in zip(wanted, device, strict=True) for n, v in want.items())
    said = f"Core ML itself: {apart.worst:.2g} of scale; the evaluator: {evaluated.worst:.2g}"
    return {"by": "core ml", "device": said, "device_agrees": close}
