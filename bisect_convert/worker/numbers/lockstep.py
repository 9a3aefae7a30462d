"""The program beside the original, value by value: an op is at fault if its result is wrong given the original's inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bisect_convert.evaluator import run
from bisect_convert.evaluator.program import all_ops, dtype_of
from bisect_convert.evaluator.rounding import LIMIT, half
from bisect_convert.worker.numbers.agreement import distance, fed
from bisect_convert.worker.numbers.bodies import Inside, parted
from bisect_convert.worker.numbers.names import correspondence, fitted

__all__ = ["Local", "Lockstep", "uneven"]

#: The part of a tensor that rounding may take away before what reads it is no longer to blame for its own result: four
#: times what it takes of numbers in float16's normal range.
_GONE = 2e-3
#: What a single number may lose of itself.
_SMALL = 0.02
_INT = -(2**31), 2**31 - 1


@dataclass
class Local:
    """How one of the original's tensors comes out of the program, given the original's own inputs.

    error: in parts of its `scale`; unrounded: the same before the result itself was rounded; part: of its worst element;
    reached: the largest number before rounding, which may be inside; lost: numbers inside became zero; inherited: an input
    is none that the program can hold, so that the error is passed on; uneven: whole numbers that float16 does not have; got
    and want: where they are furthest apart; small: the same
    of the element that is furthest off in parts of itself; run: in a body, the run that this is of, which is the worst.
    """

    tensor: str
    error: float
    unrounded: float
    part: float
    scale: float
    reached: float
    lost: bool
    inherited: bool
    uneven: bool
    got: float
    want: float
    small: tuple[float, float] = (0.0, 0.0)
    run: int = 0


@dataclass
class Lockstep:
    """A program and all values of the original on one sample, those `inside` of its bodies too.

    `vars` has the tensor for each var of the program.
    """

    program: Any
    feeds: Mapping[str, Any]
    values: Mapping[str, Any]
    inside: Inside = field(default_factory=Inside)
    vars: dict[Any, str] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)
    source: Callable[[str], str] = str
    """From a tensor to the one that it is the same as."""
    float32: bool = False
    """The program is one in float32, and stands for the same in float16."""

    def __post_init__(self) -> None:
        self.block = self.program.functions["main"]
        self.vars = {}
        for var, tensor in correspondence(self.block, self.values, self.inside.names).items():
            source = tensor if parted(tensor)[0] else self.source(tensor)
            if source not in self.vars.values():
                self.vars[var] = source
        self._of = {tensor: var for var, tensor in self.vars.items()}
        self._made = {var: op for op in all_ops(self.block) for var in op.outputs}
        self._runs: dict[str, int] = {}

    def forget(self, tensors: Iterable[str]) -> None:
        """Take these tensors for none of the program's vars."""
        for tensor in tensors:
            self.vars.pop(self._of.pop(tensor), None)

    def known(self, tensor: str) -> bool:
        """Whether a var of the program is this tensor."""
        return tensor in self._of

    def region(self, tensor: str) -> tuple[set[Any], set[Any]]:
        """Return the vars from which, and those by which, the tensor is made: back to the next that are known."""
        inner, border, todo = {self._of[tensor]}, set(), [self._of[tensor]]
        while todo:
            op = self._made.get(todo.pop())
            for var in _read(op) if op is not None else ():
                if var in self.vars:
                    border.add(var)
                elif var not in inner and self._made.get(var) is not None and self._made[var].op_type != "const":
                    inner.add(var)
                    todo.append(var)
        return inner, border

    def local(self, rounded: bool) -> dict[str, Local]:
        """Return how each known tensor comes out given the original's inputs, by name, in the program's order."""
        found: dict[str, Local] = {}
        spoiled: dict[Any, bool] = {}
        reached: dict[Any, float] = {}
        lost: dict[Any, bool] = {}
        runs: Counter[str] = Counter()
        outer = set(self.block.inputs.values())

        def result(op: Any, var: Any, value: Any) -> Any:
            read = [] if op is None else list(_read(op))
            spoiled[var] = any(spoiled.get(v, False) for v in read)
            if not isinstance(value, np.ndarray | np.generic):
                return value
            if op is None and var not in outer:
                spoiled[var] = _beyond(value, rounded)
                return value
            inner = [v for v in read if v not in self.vars]
            rounds = rounded and dtype_of(var) == "fp16"
            got = half(value) if rounds else value
            reached[var] = max([_largest(value), *(reached.get(v, 0.0) for v in inner)])
            lost[var] = _vanishes(value) or any(lost.get(v, False) for v in inner) if rounds else False
            tensor = self.vars.get(var)
            want = None if tensor is None else self._true(tensor, runs, got)
            if tensor is None or want is None:
                return got
            told = _told(tensor, value, got, want, (reached[var], lost[var], spoiled[var]))
            found[tensor] = _worse(found.get(tensor), replace(told, run=max(runs[tensor] - 1, 0)))
            true = np.asarray(want).astype(np.asarray(got).dtype)
            spoiled[var] = _beyond(want, rounds)
            return _rounded(true) if rounds and not spoiled[var] else true

        self._run(result)
        self._runs |= {t: one.run for t, one in found.items() if one.run}
        return found

    def around(self, tensor: str) -> Mapping[str, Any]:
        """Return the values of the graph level that the tensor is in: of a body those of the run that went worst."""
        function, _ = parted(tensor)
        if not function:
            return self.values
        run, levels = self._runs.get(tensor, 0), self.inside.values
        return {t: v[min(run, len(v) - 1)] for t, v in levels.items() if parted(t)[0] == function}

    def value(self, tensor: str) -> Any:
        """Return the original's value, in a body that of the first run; None for a tensor without one."""
        return self.inside.values[tensor][0] if tensor in self.inside.values else self.values.get(tensor)

    def _true(self, tensor: str, runs: Counter[str], got: Any) -> Any:
        """The original's value as the program lays it out; of a body that of the next run."""
        if (each := self.inside.values.get(tensor)) is None:
            return fitted(self.values[tensor], got)
        runs[tensor] += 1
        return fitted(each[runs[tensor] - 1], got) if runs[tensor] <= len(each) else None

    def alone(self, chosen: Iterable[str], true: Iterable[str], rounded: bool = True) -> dict[str, Any]:
        """Return the outputs where only these tensors are made in float16, and those in `true` are the original's."""
        halves = {var for tensor in (chosen if rounded else ()) for var in self.region(tensor)[0]}
        return self._mixed(halves, set(true))

    def but(self, kept: Iterable[str]) -> dict[str, Any]:
        """Return the outputs where these tensors are made in float32, and all others as the program says."""
        single = {var for tensor in kept for var in self.region(tensor)[0]}
        return self._mixed(self._made.keys() - single, set())

    def before(self, tensor: str) -> set[str]:
        """Return the known tensors from which this one is made."""
        return {self.vars[var] for var in self.region(tensor)[1]}

    def _mixed(self, halves: Iterable[Any], true: set[str]) -> dict[str, Any]:
        """The outputs where the ops that make `halves` read and give float16, and all others float32."""
        halves = {var for var in halves if (op := self._made.get(var)) is None or not op.blocks}
        runs: Counter[str] = Counter()

        def given(op: Any, var: Any, value: Any) -> Any:
            widens = op.op_type == "cast" and dtype_of(op.outputs[0]) == "fp32"
            reads = any(v in halves for v in op.outputs) and isinstance(value, np.ndarray | np.generic) and not widens
            return half(value) if reads and self._is_half(var, value) else value

        def result(op: Any, var: Any, value: Any) -> Any:
            tensor = self.vars.get(var)
            if tensor is not None and tensor in true and (want := self._true(tensor, runs, value)) is not None:
                return np.asarray(want).astype(np.asarray(value).dtype)
            return half(value) if var in halves and self._is_half(var, value) else value

        return self._run(result, given)

    def ops_of(self, tensor: str) -> set[str]:
        """Return the names of the program's ops that make the tensor, but for changes of dtype."""
        made = [self._made[var] for var in self.region(tensor)[0] if var in self._made]
        return {op.name for op in made if not op.blocks and op.op_type != "cast"}

    def _is_half(self, var: Any, value: Any) -> bool:
        kinds = ("fp16", "fp32") if self.float32 else ("fp16",)
        return isinstance(value, np.ndarray | np.generic) and dtype_of(var) in kinds

    def _run(self, result: Any, operand: Any = None) -> dict[str, Any]:
        def undefined(op: Any, what: str) -> None:
            self.undefined.setdefault(op.name, what)

        return run(self.program, fed(self.block, self.feeds), result, operand=operand, undefined=undefined)


def _read(op: Any) -> Iterator[Any]:
    for var in op.inputs.values():
        yield from var if isinstance(var, list | tuple) else [var]
    for block in op.blocks:
        yield from block.outputs
        for inner in block.operations:
            yield from _read(inner)


def _told(tensor: str, value: Any, got: Any, want: Any, inside: tuple[float, bool, bool]) -> Local:
    apart = distance(got, want)
    a, b = np.asarray(got, np.float64).ravel(), np.asarray(want, np.float64).ravel()
    with np.errstate(all="ignore"):
        off = np.nan_to_num(np.where(a == b, 0.0, np.abs(a - b)), nan=np.inf)
    at = int(np.argmax(off)) if off.size else None
    reached, lost, spoiled = inside
    part, worst = _part(a, b)
    return Local(
        tensor, apart.max_rel, distance(value, want).max_rel, part, apart.scale, reached, lost, spoiled,
        uneven(want) and apart.max_abs > 0,
        0.0 if at is None else float(a[at]), 0.0 if at is None else float(b[at]), worst,
    )  # fmt: skip


def _worse(one: Local | None, other: Local) -> Local:
    """The one that says more of two runs: what is its own fault before what it inherits, then the larger error."""
    if one is None or one.inherited != other.inherited:
        return other if one is None or one.inherited else one
    return max(one, other, key=lambda local: (local.error, local.part))


def _beyond(want: Any, rounds: bool) -> bool:
    """Whether the original's value is none that the program can hold."""
    array = np.asarray(want)
    if array.dtype.kind in "iu":
        return bool(array.size) and bool(((array > _INT[1]) | (array < _INT[0])).any())
    if not rounds or array.dtype.kind != "f":
        return False
    finite = array[np.isfinite(array)]
    if (np.abs(finite) > LIMIT).any() or uneven(finite):
        return True
    finite = finite.astype(np.float32)
    gone = np.abs(half(finite) - finite).sum(dtype=np.float64)
    return bool(gone > _GONE * np.abs(finite).sum(dtype=np.float64))


def uneven(want: Any) -> bool:
    """Return whether these are whole numbers of which float16 does not have all: above 2048 it has the even ones only."""
    array = np.asarray(want)
    if array.dtype.kind != "f" or not array.size or not np.isfinite(array).all():
        return False
    return bool((array == np.floor(array)).all()) and not bool((half(array.astype(np.float32)) == array).all())


def _rounded(true: Any) -> Any:
    """Rounded but for numbers so small that float16 loses them: that they are lost is their maker's fault, not the reader's."""
    value = half(true)
    return (
        np.where(np.abs(value - true) > _SMALL * np.abs(true), true, value)
        if np.asarray(true).dtype.kind == "f"
        else value
    )


def _largest(value: Any) -> float:
    array = np.asarray(value)
    if array.dtype.kind != "f" or not array.size:
        return 0.0
    numbers = np.abs(array[np.isfinite(array)])
    return float(numbers.max()) if numbers.size else 0.0


def _vanishes(true: Any) -> bool:
    """Whether all that is there becomes zero in float16."""
    return np.asarray(true).dtype.kind == "f" and bool(np.any(true != 0)) and not bool(np.any(half(true)))


def _part(a: Any, b: Any) -> tuple[float, tuple[float, float]]:
    """The largest error of an element in parts of itself, and that element: what it is, and what it is to be."""
    there = (b != 0) & np.isfinite(b) if a.shape == b.shape else np.zeros(0, bool)
    if not there.any():
        return (np.inf if a.shape != b.shape else 0.0), (0.0, 0.0)
    a, b = a[there], b[there]
    with np.errstate(all="ignore"):
        parts = np.nan_to_num(np.abs(a - b) / np.abs(b), nan=np.inf)
    at = int(np.argmax(parts))
    return float(parts[at]), (float(a[at]), float(b[at]))
