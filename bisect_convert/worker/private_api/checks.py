"""What coremltools does to the whole program around each of a hundred passes, done sooner: checks, and what is never shown.

Each is told by a look that costs less where it is sure of the answer; else coremltools' own code is asked, and says, or raises,
what it does. File names are relative to coremltools/converters/mil/mil/.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Block, Function, Program
from coremltools.converters.mil.mil.passes.defs.quantization import FP16ComputePrecision
from coremltools.converters.mil.mil.var import InternalVar

__all__ = ["NEEDED", "not_formatted", "sooner"]

#: The private attributes that this module uses; those of instances are slots or are asked for as they are met.
NEEDED: tuple[tuple[Any, str], ...] = (
    (Block, "validate"),
    (Block, "_internal_vars"),
    (Block, "_propagate_nonreplaceable_vars"),
    (Block, "_check_has_scope_info"),
    (FP16ComputePrecision, "fp16_overflow"),
)
#: The largest number of float16.
_LARGEST = 65504


@contextlib.contextmanager
def sooner() -> Iterator[None]:
    """Within, blocks are checked, and float16 casts decided, as ever but sooner."""
    validate, propagate = Block.validate, Block._propagate_nonreplaceable_vars
    overflow = FP16ComputePrecision.__dict__["fp16_overflow"]

    def validated(self: Any, force_validate: bool | None = False, check_essential_scope: bool | None = False) -> None:
        if not force_validate or not isinstance(self, Function) or not _holds(self):
            validate(self, force_validate=force_validate, check_essential_scope=check_essential_scope)
        elif check_essential_scope:
            self._check_has_scope_info()

    def overflows(op: Any) -> bool:
        return not _fits(op) and bool(overflow.__func__(op))

    Block.validate, Block._propagate_nonreplaceable_vars = validated, _propagate
    FP16ComputePrecision.fp16_overflow = staticmethod(overflows)
    try:
        yield
    finally:
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


def _flat(op: Any) -> list[Any]:
    """What the op reads, as `Operation.get_flattened_inputs` has it."""
    found: list[Any] = []
    for value in op._input_vars.values():
        if value is None or isinstance(value, InternalVar):
            continue
        if isinstance(value, (list, tuple)):
            found.extend(value)
        else:
            found.append(value)
    return found


def _holds(function: Any) -> bool:
    """Whether `Block.validate` has nothing to object to: who reads what, what is visible, what blocks give (block.py)."""
    read: dict[Any, list[Any]] = {}

    def reads(op: Any) -> list[Any]:
        if (found := read.get(op)) is None:
            found = read[op] = _flat(op)
        return found

    def holds(block: Any, outside: set[Any], given: Any) -> bool:
        visible: set[Any] = {*outside, *given}
        internal: set[Any] = set()
        for op in block.operations:
            if op.outputs is None or not all(holds(b, visible, b.inputs) for b in op.blocks):
                return False
            internal.update(var for var in op._input_vars.values() if isinstance(var, InternalVar))
            for var in (inputs := reads(op)):
                if var not in visible and var not in block._internal_vars:
                    return False
                if var.child_ops.count(op) != inputs.count(var):
                    return False
            for var in op.outputs:
                if any(reads(child).count(var) != var.child_ops.count(child) for child in var.child_ops):
                    return False
                if not all(var in b.outputs for b in var.consuming_blocks):
                    return False
            visible.update(op.outputs)
        return internal == block._internal_vars and all(block in var.consuming_blocks for var in block.outputs)

    return holds(function, set(), function.inputs.values())


def _propagate(block: Any) -> None:
    """Do what `Block._propagate_nonreplaceable_vars` does (block.py), reading what each op reads once."""
    for op in block.operations:
        for inner in op.blocks:
            _propagate(inner)
        for var in op.outputs or ():
            var.nonreplaceable_vars_upstream = set()
            if op.op_type.startswith("constexpr_") or var.op is not op:
                var._set_nonreplaceable_vars_upstream()
            elif op.op_type != "shape":
                for read in _flat(op):
                    var.nonreplaceable_vars_upstream |= read.nonreplaceable_vars_upstream


def _fits(op: Any) -> bool:
    """Whether it is sure that no float32 constant that the op reads goes beyond float16: no number at all does."""
    return all(
        var.op is None
        or var.op.op_type != "const"
        or not var.is_tensor_or_scalar_of(dtype="fp32")
        or (np.size(value := var.op.val.val) and -_LARGEST <= np.min(value) and np.max(value) <= _LARGEST)
        for var in _flat(op)
    )
