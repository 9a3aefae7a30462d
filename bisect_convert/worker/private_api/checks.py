"""What coremltools does to the whole program around each of a hundred passes, done sooner: checks, and what is never shown.

Each is told by a look that costs less where it is sure of the answer; else coremltools' own code is asked, and says, or raises,
what it does. File names are relative to coremltools/converters/mil/mil/.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Block, Function, Program, types
from coremltools.converters.mil.mil.passes.defs.cleanup import remove_redundant_ops as redundant
from coremltools.converters.mil.mil.passes.defs.quantization import FP16ComputePrecision
from coremltools.converters.mil.mil.var import InternalVar, Var

__all__ = ["NEEDED", "not_formatted", "sooner"]

#: The private attributes that this module uses.
NEEDED: tuple[tuple[Any, str], ...] = (
    (Block, "validate"),
    (Block, "_internal_vars"),
    (Block, "_propagate_nonreplaceable_vars"),
    (Block, "_check_has_scope_info"),
    (Var, "_op"),
    (Var, "_child_ops"),
    (Var, "_nonreplaceable_vars_upstream"),
    (Var, "_set_nonreplaceable_vars_upstream"),
    (FP16ComputePrecision, "fp16_overflow"),
    (types, "is_compatible_type"),
    (redundant, "_get_candidate_ops_lists_from_var"),
    (redundant, "_try_to_remove_ops"),
    (redundant, "_try_to_transform"),
)
#: Constants of fewer elements are compared by value.
_SMALL = 100
#: The largest number of float16.
_LARGEST = 65504


@contextlib.contextmanager
def sooner() -> Iterator[None]:
    """Within, blocks are checked, float16 casts decided, and ops that are there twice found, as ever but sooner."""
    validate, propagate, transform = Block.validate, Block._propagate_nonreplaceable_vars, redundant._try_to_transform
    overflow = FP16ComputePrecision.__dict__["fp16_overflow"]

    def validated(self: Any, force_validate: bool | None = False, check_essential_scope: bool | None = False) -> None:
        if not force_validate or not isinstance(self, Function) or not _holds(self):
            validate(self, force_validate=force_validate, check_essential_scope=check_essential_scope)
        elif check_essential_scope:
            self._check_has_scope_info()

    compatible = types.is_compatible_type

    def fits_itself(type1: Any, type2: Any) -> bool:
        return type1 is type2 or bool(compatible(type1, type2))

    def overflows(op: Any) -> bool:
        return not _fits(op) and bool(overflow.__func__(op))

    Block.validate, Block._propagate_nonreplaceable_vars = validated, _propagate
    FP16ComputePrecision.fp16_overflow = staticmethod(overflows)
    redundant._try_to_transform, types.is_compatible_type = _transformed, fits_itself
    try:
        yield
    finally:
        types.is_compatible_type = compatible
        redundant._try_to_transform = transform
        Block.validate, Block._propagate_nonreplaceable_vars = validate, propagate
        FP16ComputePrecision.fp16_overflow = overflow


@contextlib.contextmanager
def not_formatted() -> Iterator[None]:
    """Within, programs are nothing in f-strings: those that a pipeline logs are formatted whether or not they are shown."""
    Program.__format__ = lambda self, spec: ""
    try:
        yield
    finally:
        del Program.__format__


def _holds(function: Any) -> bool:
    """Whether `Block.validate` has nothing to object to: who reads what, what is visible, what blocks give (block.py).

    Where each read of a var is listed with it, as many lists as there are reads leave no room for others.
    """
    given: set[Any] = set()
    listed = read = 0

    def holds(block: Any, outside: set[Any], own: Any) -> bool:
        nonlocal listed, read
        visible, internal, known = {*outside, *own}, set(), block._internal_vars
        given.update(own)
        for op in block.operations:
            outputs = op.outputs
            if outputs is None or not all(holds(b, visible, b.inputs) for b in op.blocks):
                return False
            inputs: list[Any] = []
            for value in op._input_vars.values():
                if isinstance(value, InternalVar):
                    internal.add(value)
                elif isinstance(value, (list, tuple)):
                    inputs.extend(value)
                elif value is not None:
                    inputs.append(value)
            for var, times in collections.Counter(inputs).items():
                if (var not in visible and var not in known) or var._child_ops.count(op) != times:
                    return False
                read += times * (var not in given)
            for var in outputs:
                listed += len(var._child_ops)
                if var.consuming_blocks and not all(var in b.outputs for b in var.consuming_blocks):
                    return False
                visible.add(var)
        return internal == known and all(block in var.consuming_blocks for var in block.outputs)

    return holds(function, set(), function.inputs.values()) and listed == read


def _propagate(block: Any) -> None:
    """Do what `Block._propagate_nonreplaceable_vars` does (block.py), reading what each op reads once."""
    for op in block.operations:
        for inner in op.blocks:
            _propagate(inner)
        kind = type(op).__name__
        for var in op.outputs or ():
            var._nonreplaceable_vars_upstream = found = set()
            if var._op is not op or kind.startswith("constexpr_"):
                var._set_nonreplaceable_vars_upstream()
            elif kind != "shape":
                for value in op._input_vars.values():
                    for read in value if isinstance(value, (list, tuple)) else (value,):
                        if read is not None and read._nonreplaceable_vars_upstream:
                            found |= read._nonreplaceable_vars_upstream


def _fits(op: Any) -> bool:
    """Whether it is sure that no float32 constant that the op reads goes beyond float16: no number at all does."""
    return all(
        var.op is None
        or var.op.op_type != "const"
        or not var.is_tensor_or_scalar_of(dtype="fp32")
        or (np.size(held := var.op.val.val) and -_LARGEST <= np.min(held) and np.max(held) <= _LARGEST)
        for value in op.inputs.values()
        for var in (value if isinstance(value, (list, tuple)) else (value,))
    )


def _transformed(self: Any, parent_var: Any) -> bool:
    """Do what `remove_redundant_ops._try_to_transform` does, comparing only ops whose constants do not tell them apart.

    It compares each reader of a var with each behind it; a gather with a batch makes thousands (passes/defs/cleanup/).
    """
    changed = False
    for ops in self._get_candidate_ops_lists_from_var(parent_var):
        keys = [_constants(op) for op in ops]
        alike: dict[Any, list[Any]] = {}
        for op, key in zip(ops, keys, strict=True):
            alike.setdefault(key, []).append(op)
        begun = dict.fromkeys(alike, 0)
        for key in keys:  # in its order: what is removed may make what comes later alike
            changed |= bool(redundant._try_to_remove_ops(alike[key][begun[key] :]))
            begun[key] += 1
    return changed


def _constants(op: Any) -> Any:
    """What identical ops have in common: how many inputs, and what the small constants among them are."""
    found: list[Any] = []
    for name, value in sorted(op.inputs.items()):
        for var in value if isinstance(value, (list, tuple)) else (value,):
            held = getattr(var, "val", None)
            if isinstance(held, np.ndarray) and held.dtype.kind in "biu" and held.size < _SMALL:
                held = tuple(held.ravel().tolist())
            found.append((name, held if isinstance(held, (bool, int, str, tuple)) else None))
    return tuple(found)
