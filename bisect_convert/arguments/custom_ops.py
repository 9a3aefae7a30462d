"""Conversions of op types that a caller has registered with coremltools: they belong to how it converts, like arguments.

They travel as cloudpickle, between our own processes only. Nothing here imports coremltools before it is there anyway.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from typing import Any

from bisect_convert.errors import UsageError

__all__ = ["REGISTRY", "registered"]

#: Where coremltools keeps the conversions, under the name `_TF_OPS_REGISTRY`.
REGISTRY = "coremltools.converters.mil.frontend.tensorflow.tf_op_registry"


def registered() -> dict[str, str]:
    """Return the conversions that this process has registered, packed by op type; raises UsageError for one that cannot be."""
    known = getattr(sys.modules.get(REGISTRY), "_TF_OPS_REGISTRY", {})
    return {op: _packed(op, made) for op, made in sorted(known.items()) if not _is_own(made)}


def _is_own(made: Callable[..., Any]) -> bool:
    return str(getattr(made, "__module__", "")).partition(".")[0] == "coremltools"


def _packed(op: str, made: Callable[..., Any]) -> str:
    """By value: the caller's module, a test or a script, is none that a worker could import."""
    import cloudpickle

    home = sys.modules.get(str(made.__module__))
    try:
        if home is not None:
            cloudpickle.register_pickle_by_value(home)
        try:
            return base64.b64encode(cloudpickle.dumps(made)).decode()
        finally:
            if home is not None:
                cloudpickle.unregister_pickle_by_value(home)
    except Exception as error:
        raise UsageError(
            f"the conversion of {op} registered in {made.__module__} cannot be handed to another process: {error}"
        ) from error
