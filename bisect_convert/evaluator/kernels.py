"""The table of kernels: one small function for each op of an ML program, from its inputs to its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["KERNELS", "Inputs", "Kernel", "kernel"]


class Inputs:
    """The inputs of one op as attributes, None where an optional one is not given; `op` is the op itself.

    Arrays of float16 and float32 come as float32; strings and Python numbers as numpy scalars.
    """

    def __init__(self, op: Any, values: Mapping[str, Any], undefined: Callable[[Any, str], None]) -> None:
        self.op = op
        self.values = values
        self._undefined = undefined

    def __getattr__(self, name: str) -> Any:
        return self.values.get(name)

    def word(self, name: str, default: str = "") -> str:
        """Return an input that is a string."""
        value = self.values.get(name)
        return default if value is None else str(value)

    def undefined(self, what: str) -> None:
        """Say that for these values Core ML promises no result."""
        self._undefined(self.op, what)


Kernel = Callable[[Inputs], Any]
KERNELS: dict[str, Kernel] = {}


def kernel(*names: str) -> Callable[[Kernel], Kernel]:
    """Enter the function as the kernel of the ops of these names."""

    def enter(function: Kernel) -> Kernel:
        KERNELS.update(dict.fromkeys(names, function))
        return function

    return enter
