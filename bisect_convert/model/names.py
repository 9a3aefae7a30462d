"""Names of tensors, ops and dtypes, and the op types that control flow is made of."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

__all__ = ["BRANCHES", "CALLS", "HANDLES", "LOOPS", "NO_VALUES", "bytes_of", "in_core_ml", "op_of"]

LOOPS = frozenset({"While", "StatelessWhile"})
BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
#: The dtypes of tensors that Core ML has none of, and that no input can stand for.
HANDLES = frozenset({"string", "resource", "variant"})
#: The dtypes of constants that end the converter's evaluation of all constants.
NO_VALUES = frozenset(
    {"int4", "uint4", "qint8", "quint8", "qint16", "quint16", "qint32", "complex64", "complex128", "bfloat16"}
    | {"float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz"}
)


def bytes_of(dtype: str, shape: Iterable[int | None] | None) -> int:
    """Return the bytes of a tensor, in which a size that is not known counts as 1, as do those of an unknown rank.

    >>> bytes_of("float32", (2, None, 3)), bytes_of("bool", ()), bytes_of("complex64", None)
    (24, 1, 8)
    """
    width = re.search(r"\d+$", dtype)
    return math.prod(size or 1 for size in shape or ()) * (int(width[0]) if width else 8) // 8


def in_core_ml(name: str) -> str:
    """Return the name as a Core ML model has it: letters, digits and underscores.

    >>> in_core_ml("net/dense:1")
    'net_dense_1'
    """
    return re.sub(r"\W", "_", name)


def op_of(tensor: str) -> str:
    """Return the op that makes the tensor: as graphs ("a:0"), nodes ("a", "^a") or functions ("a:out:0") name it.

    >>> op_of("a/b:0"), op_of("^a"), op_of("a:output:0")
    ('a/b', 'a', 'a')
    """
    return tensor.lstrip("^").partition(":")[0]
