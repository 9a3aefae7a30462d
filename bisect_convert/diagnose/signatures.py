"""A SavedModel of several signatures, none of which is the usual one: does another convert?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bisect_convert.diagnose.diagnosis import Diagnosis
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.errors import BisectConvertError
from bisect_convert.model.cuts import whole
from bisect_convert.model.loaded import Loaded
from bisect_convert.probe.client import Workers
from bisect_convert.report.questions import Kind

__all__ = ["others_tried"]

_USUAL = "serving_default"
_MOST = 4


def others_tried(run: Diagnosis, model: Any, packed: Mapping[str, Any], wishes: Wishes, workers: Workers) -> list[str]:
    """Return what came of converting the other signatures, as notes: asked where the choice was ours, and fails."""
    known = run.loaded.model.signatures
    if wishes.signature is not None or not run.findings or len(known) < 2 or _USUAL in known:
        return []
    others = [name for name in known if name != run.loaded.model.signature][:_MOST]
    good = [
        name for name in others if _converts(model, packed, replace(wishes, signature=name, numbers="off"), workers)
    ]
    if not good:
        return []
    return [f"tried: of the other signatures {', '.join(good)} convert{'s' * (len(good) == 1)} (--signature {good[0]})"]


def _converts(model: Any, packed: Mapping[str, Any], wishes: Wishes, workers: Workers) -> bool:
    try:
        other = Diagnosis(model, packed, workers, wishes, [])
    except BisectConvertError:  # what keeps it from being read keeps it from being converted
        return False
    try:
        return _seen(other.loaded, wishes, workers, other.packed)
    finally:
        other.close()


def _seen(loaded: Loaded, wishes: Wishes, workers: Workers, packed: Mapping[str, Any]) -> bool:
    if loaded.failure is not None:
        return False
    return wishes.prober(loaded, workers, packed, None).outcome(whole(loaded.model), Kind.WHOLE.asks()).converted
