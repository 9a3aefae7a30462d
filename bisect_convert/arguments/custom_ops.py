"""Conversions of op types that a caller has registered with coremltools: they belong to how it converts, like arguments.

They travel as cloudpickle, between our own processes only. Nothing here imports coremltools before it is there anyway.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from bisect_convert.errors import UsageError

__all__ = ["REGISTRY", "digests", "registered"]

#: Where coremltools keeps the conversions, under the name `_TF_OPS_REGISTRY`.
REGISTRY = "coremltools.converters.mil.frontend.tensorflow.tf_op_registry"


def registered() -> dict[str, dict[str, str]]:
    """Return the conversions that this process has registered, packed by op type, with their digests.

    Raises UsageError for one that cannot be packed.
    """
    known = getattr(sys.modules.get(REGISTRY), "_TF_OPS_REGISTRY", {})
    return {
        op: {"pickled": _packed(op, made), "digest": _digest(made)}
        for op, made in sorted(known.items())
        if not _is_own(made)
    }


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


def digests(packed: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what makes packed conversions the same in another process: their pickles differ from run to run."""
    return {op: made["digest"] for op, made in sorted(packed.items())}


def _digest(made: Any) -> str:
    """A digest of what the function does: its code and that of the functions it reaches in its own module, and their values."""
    parts: list[str] = []
    seen: set[int] = set()

    def tell(value: Any, home: str) -> None:
        value = getattr(value, "__wrapped__", value)
        if isinstance(value, FunctionType) and value.__module__ == home:
            if id(value) not in seen:
                seen.add(id(value))
                names = list(_told(value.__code__, parts))
                for inner in (*(value.__defaults__ or ()), *sorted((value.__kwdefaults__ or {}).items())):
                    tell(inner, home)
                for cell in value.__closure__ or ():
                    tell(cell.cell_contents, home)
                for name in sorted(set(names) & value.__globals__.keys()):
                    parts.append(name)
                    tell(value.__globals__[name], home)
        elif isinstance(value, (FunctionType, type, ModuleType)):
            parts.append(f"{getattr(value, '__module__', '')}.{value.__name__}")
        else:
            parts.append(_written(value))

    tell(made, str(getattr(made, "__module__", "")))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _told(code: CodeType, parts: list[str]) -> Iterator[str]:
    """Note what the code does, and yield the names that it looks up."""
    parts.append(code.co_code.hex())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _told(constant, parts)
        else:
            parts.append(_written(constant))
    parts.extend(code.co_names)
    yield from code.co_names


def _written(value: Any) -> str:
    """The value in words that are the same in each process, or those of its type where it has none."""
    if isinstance(value, (set, frozenset)):
        return str(sorted(map(_written, value)))
    if isinstance(value, dict):
        return str([(_written(k), _written(v)) for k, v in value.items()])
    if isinstance(value, (list, tuple)):
        return str([_written(v) for v in value])
    tobytes = getattr(value, "tobytes", None)
    if callable(tobytes) and hasattr(value, "dtype"):
        return f"{value.dtype} {getattr(value, 'shape', ())} {tobytes().hex()}"
    return type(value).__qualname__ if " at 0x" in (text := repr(value)) else text
