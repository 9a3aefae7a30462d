"""Run a program block by block: each value is freed after its last reader, each result handed to who rounds or watches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from bisect_convert.evaluator.kernels import KERNELS, Inputs

__all__ = ["Result", "Unevaluated", "all_ops", "dtype_of", "run", "unknown_ops"]

#: What is done with a result before anybody reads it: rounded, looked at, replaced.
Result = Callable[[Any, Any, Any], Any]
#: How values of a type are held: float16 as float32, which holds it, for arithmetic in float16 is slow in numpy.
_HELD = {
    "fp16": np.float32, "fp32": np.float32, "fp64": np.float64, "int32": np.int32, "int64": np.int32, "bool": np.bool_,
    "int16": np.int16, "uint16": np.uint16, "int8": np.int8, "uint8": np.uint8, "uint32": np.uint32,
}  # fmt: skip

#: How large a constant is kept between the turns of a loop.
_SMALL = 4096


class Unevaluated(Exception):
    """There is no evaluation of an op, or none for the way it is used; `op` is its kind."""

    def __init__(self, op: str, why: str = "") -> None:
        super().__init__(f"no evaluation of `{op}`" + (f": {why}" if why else ""))
        self.op = op


def run(
    program: Any,
    inputs: Mapping[str, Any],
    result: Result = lambda op, var, value: value,
    *,
    operand: Result | None = None,
    function: str = "main",
    undefined: Callable[[Any, str], None] = lambda op, what: None,
) -> dict[str, Any]:
    """Return the program's outputs by name, given arrays for its inputs by name.

    program: coremltools' own form of an ML program. `result` gets each op, what it puts out and the value, and returns
    the value that goes on; for what enters the program or the body of a loop it gets no op. `operand` gets each op, what
    it reads and the value, and returns the value that it reads. `undefined` hears of values for which Core ML promises no
    result.
    Raises Unevaluated for an op that there is no kernel of, ValueError for inputs that do not fit.
    """
    block = program.functions[function]
    if unknown := unknown_ops(block):
        raise Unevaluated(unknown[0])
    values: dict[Any, Any] = {}
    for name, var in block.inputs.items():
        if dtype_of(var) == "state":
            values[var] = _state(var)
            continue
        if name not in inputs:
            raise ValueError(f"there is no value for the input {name}")
        values[var] = result(None, var, _held(var, np.asarray(inputs[name])))
    with np.errstate(all="ignore"):
        outputs = _Run(result, operand, undefined).block(block, values)
    return {var.name: value for var, value in zip(block.outputs, outputs, strict=True)}


def unknown_ops(block: Any) -> list[str]:
    """Return the kinds of ops in the block and those within that have no kernel, sorted.

    >>> unknown_ops(program.functions["main"])
    []
    """
    kinds = {op.op_type for op in all_ops(block)} - {"const", "while_loop", "cond"}
    return sorted(kinds - KERNELS.keys())


def dtype_of(var: Any) -> str:
    """Return the name of the var's element type: "fp16", "int32", "bool"; "list" or "state" for what is no tensor.

    >>> dtype_of(program.functions["main"].inputs["x"])
    'fp32'
    """
    return "list" if type(var).__name__ == "ListVar" else _dtype_of(var._sym_type)


@lru_cache(maxsize=4096)
def _dtype_of(kind: Any) -> str:
    """The same of a type, which is a class that coremltools makes once for all vars of a size."""
    if hasattr(kind, "wrapped_type"):
        return "state"
    primitive = kind.get_primitive() if hasattr(kind, "get_primitive") else kind
    info = getattr(primitive, "__type_info__", None)
    return str(primitive) if info is None else str(info().name)


def all_ops(block: Any) -> Iterator[Any]:
    """Yield the ops of the block and of those within."""
    for op in block.operations:
        yield op
        for inner in op.blocks:
            yield from all_ops(inner)


def _held(var: Any, value: Any) -> Any:
    dtype = _HELD.get(dtype_of(var))
    if dtype is None or not isinstance(value, np.ndarray | np.generic | float | int) or value is None:
        return value
    array = np.asarray(value)
    return array if array.dtype.kind not in "biuf" else array.astype(dtype, copy=False)


def _state(var: Any) -> list[Any]:
    """A state holds one value, zeros at first, that ops change in place."""
    wrapped = var._sym_type.wrapped_type() if hasattr(var._sym_type, "wrapped_type") else var._sym_type
    return [np.zeros(tuple(int(n) for n in wrapped.get_shape()), np.float32)]


class _Run:
    """One run: who gets the results, and how often each var of a block is still to be read."""

    def __init__(self, result: Result, operand: Result | None, undefined: Callable[[Any, str], None]) -> None:
        self._result = result
        self._operand = operand
        self._undefined = undefined
        self._last: dict[int, dict[Any, list[Any]]] = {}
        self._inputs: dict[Any, tuple[list[Any], list[Any]]] = {}
        self._constants: dict[Any, Any] = {}

    def block(self, block: Any, values: dict[Any, Any]) -> list[Any]:
        last = self._last.get(id(block))
        if last is None:
            last = self._last[id(block)] = _last_reads(block)
        for op in block.operations:
            if op.op_type == "const":
                values[op.outputs[0]] = self._constant(op.outputs[0])
                continue
            results = self._results(op, values)
            for var, value in zip(op.outputs, results, strict=True):
                held = _held(var, value)
                if (odd := _unlike_declared(var, held)) is not None:
                    raise Unevaluated(op.op_type, f"{op.name} {odd}")
                values[var] = self._result(op, var, held)
            for var in last.get(op, ()):
                values.pop(var, None)
        return [_value(var, values) for var in block.outputs]

    def _results(self, op: Any, values: dict[Any, Any]) -> list[Any]:
        if op.op_type == "cond":
            chosen = op.blocks[0] if bool(_value(op.inputs["pred"], values)) else op.blocks[1]
            return self.block(chosen, values)
        if op.op_type == "while_loop":
            return self._loop(op, values)
        if op not in self._inputs:  # both are made anew each time that they are asked for
            self._inputs[op] = list(op.inputs.items()), list(op.default_inputs().items())
        inputs, defaults = self._inputs[op]
        given = {name: self._read(op, var, values) for name, var in inputs}
        for name, default in defaults:
            if given.get(name) is None and default is not None:
                given[name] = _read(default, values)
        try:
            got = KERNELS[op.op_type](Inputs(op, given, self._undefined))
        except Unevaluated:
            raise
        except (ValueError, TypeError, IndexError, KeyError, NotImplementedError) as error:
            raise Unevaluated(op.op_type, f"{op.name}: {type(error).__name__}: {error}"[:200]) from error
        return list(got) if isinstance(got, tuple) else [got]

    def _read(self, op: Any, var: Any, values: dict[Any, Any]) -> Any:
        if self._operand is None:
            return _read(var, values)
        if isinstance(var, list | tuple):
            return [self._read(op, v, values) for v in var]
        return self._operand(op, var, _read(var, values))

    def _constant(self, var: Any) -> Any:
        """The value of a constant; a small one, of which the bodies of loops have many, is kept."""
        if var in self._constants:
            return self._constants[var]
        value = _constant(var)
        if np.size(value) <= _SMALL:
            self._constants[var] = value
        return value

    def _loop(self, op: Any, values: dict[Any, Any]) -> list[Any]:
        condition, body = op.blocks
        state = [_value(var, values) for var in op.inputs["loop_vars"]]
        while True:
            values.update(self._entering(condition, state))
            if not bool(self.block(condition, values)[0]):
                return state
            values.update(self._entering(body, state))
            state = self.block(body, values)

    def _entering(self, block: Any, state: list[Any]) -> dict[Any, Any]:
        return {var: self._result(None, var, value) for var, value in zip(block.inputs, state, strict=True)}


def _unlike_declared(var: Any, value: Any) -> str | None:
    """How the value is not as large as the program says, by which Core ML goes; None where it is, or sizes are open."""
    if type(var).__name__ == "ListVar" or not isinstance(value, np.ndarray | np.generic):
        return None
    declared = _declared(var._sym_type)
    if declared is None or math.prod(declared) == value.size:
        return None
    return f"is declared as {declared} and comes out as {np.shape(value)}"


@lru_cache(maxsize=4096)
def _declared(kind: Any) -> tuple[int, ...] | None:
    """The sizes of a type; None where some are open."""
    wrapped = kind.wrapped_type() if hasattr(kind, "wrapped_type") else kind
    declared = wrapped.get_shape() if hasattr(wrapped, "get_shape") else ()
    return tuple(int(n) for n in declared) if all(isinstance(n, int | np.integer) for n in declared) else None


def _last_reads(block: Any) -> dict[Any, list[Any]]:
    """For each op of the block, the vars made in the block that nobody reads after it."""
    reader: dict[Any, Any] = {}
    made = set(block.inputs.values() if hasattr(block.inputs, "values") else block.inputs)
    for op in block.operations:
        made.update(op.outputs)
        for var in _reads(op):
            reader[var] = op
        for var in op.outputs:
            reader.setdefault(var, op)
    last: dict[Any, list[Any]] = {}
    kept = set(block.outputs)
    for var, op in reader.items():
        if var in made and var not in kept and op.op_type != "const":
            last.setdefault(op, []).append(var)
    return last


def _reads(op: Any) -> Iterator[Any]:
    for var in op.inputs.values():
        yield from var if isinstance(var, list | tuple) else [var]
    for block in op.blocks:
        yield from block.outputs
        for inner in block.operations:
            yield from _reads(inner)


def _read(var: Any, values: dict[Any, Any]) -> Any:
    if isinstance(var, list | tuple):
        return [_read(v, values) for v in var]
    return _value(var, values) if hasattr(var, "sym_type") else _plain(var)


def _value(var: Any, values: dict[Any, Any]) -> Any:
    if var in values:
        return values[var]
    return _constant(var)


def _constant(var: Any) -> Any:
    return _plain(var.val)


def _plain(value: Any) -> Any:
    if isinstance(value, float | int | bool | range):
        return np.asarray(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype == np.float16:
        return np.asarray(value).astype(np.float32)
    return value
