"""Which ops there are in coremltools' own registry, of any target, and which of them have no kernel here."""

from __future__ import annotations

import bisect_convert.evaluator.ops  # noqa: F401 - the kernels enter themselves
from bisect_convert.evaluator.kernels import KERNELS

__all__ = ["all_ops", "missing"]

#: What the program itself runs, not a kernel.
_BY_THE_PROGRAM = frozenset({"cond", "const", "while_loop"})
#: What never leaves coremltools' frontend: lowered by its passes, or made by its own tests only.
_INSIDE = frozenset({"_const_symbolic"})


def all_ops() -> frozenset[str]:
    """Return the kinds of ops that an ML program can be made of, from iOS15 to the newest target."""
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    return frozenset(SSAOpRegistry.core_ops) | {"coreml_update_state"} - _INSIDE


def missing() -> list[str]:
    """Return the kinds of ops that cannot be evaluated.

    >>> missing()
    ['conv_quantized']
    """
    return sorted(all_ops() - KERNELS.keys() - _BY_THE_PROGRAM - _INSIDE)
