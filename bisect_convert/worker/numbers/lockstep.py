"""The program beside the original, value by value: an op is at fault if its result is wrong given the original's inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bisect_convert.evaluator import run
from bisect_convert.evaluator.program import all_ops, dtype_of
from bisect_convert.evaluator.rounding import half
from bisect_convert.worker.numbers.agreement import fed
from bisect_convert.worker.numbers.bodies import Inside, parted
from bisect_convert.worker.numbers.local import (
    Local,
    beyond,
    largest,
    no_worse,
    rounded_but_small,
    told,
    vanishes,
    worse,
)
from bisect_convert.worker.numbers.names import correspondence, fitted

__all__ = ["Lockstep"]

#: The smallest number of float16; what coremltools takes for it, in constants of less than so many numbers.
_LEAST, _NOTHING, _SEVERAL = np.float32(5.9604645e-08), 2e-45, 400


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
        unlike: set[Any] = set()  # an edit may give a tensor's name to one of another size
        outer = set(self.block.inputs.values())

        def result(op: Any, var: Any, value: Any) -> Any:
            read = [] if op is None else list(_read(op))
            spoiled[var] = any(spoiled.get(v, False) for v in read)
            if not isinstance(value, np.ndarray | np.generic):
                return value
            if op is None and var not in outer:
                spoiled[var] = beyond(value, rounded)
                return value
            rounds = rounded and self._is_half(var, value)
            got = half(value) if rounds else value
            reached[var], gone = self._passed((largest(value), rounds and vanishes(value)), read, reached, lost)
            lost[var] = gone and rounds
            tensor = self.vars.get(var)
            want = None if tensor is None else self._true(tensor, runs, got)
            if tensor is None or want is None:
                spoiled[var] = spoiled[var] or tensor in self.inside.values  # its runs with a value are over
                unlike.update({tensor} - {None} - self.inside.values.keys())
                return got
            if not no_worse(found.get(tensor), got, want, spoiled[var]):
                one = told(tensor, value, got, want, (reached[var], lost[var], spoiled[var]))
                found[tensor] = worse(found.get(tensor), replace(one, run=max(runs[tensor] - 1, 0)))
            true = np.asarray(want).astype(np.asarray(got).dtype)
            spoiled[var] = beyond(want, rounds)
            return rounded_but_small(true) if rounds and not spoiled[var] else true

        self._run(result, self._given if rounded and self.float32 else None)
        if unlike:
            self.forget(unlike)
            return self.local(rounded)
        self._runs |= {t: one.run for t, one in found.items() if one.run}
        return found

    def _passed(
        self, own: tuple[float, bool], read: Iterable[Any], reached: Mapping[Any, float], lost: Mapping[Any, bool]
    ) -> tuple[float, bool]:
        """The largest number, and whether all is lost, of a value and of those inside of its op that it is made of."""
        inner = [v for v in read if v not in self.vars]
        most = max([own[0], *(reached.get(v, 0.0) for v in inner)])
        return most, own[1] or any(lost.get(v, False) for v in inner)

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
        """Return the outputs where only these tensors are made in float16, and those in `true` are the original's.

        What they read is rounded too, but for numbers so small that whoever makes them in float16 would lose them.
        """
        halves = {var for tensor in (chosen if rounded else ()) for var in self.region(tensor)[0]}
        return self._mixed(halves, set(true), self.vars)

    def but(self, kept: Iterable[str], true: Iterable[str] = ()) -> dict[str, Any]:
        """Return the outputs where these tensors are made in float32, all others as the program says; `true`: as in `alone`."""
        single = {var for tensor in kept for var in self.region(tensor)[0]}
        return self._mixed(self._made.keys() - single, set(true))

    def before(self, tensor: str) -> set[str]:
        """Return the known tensors from which this one is made."""
        return {self.vars[var] for var in self.region(tensor)[1]}

    def _mixed(self, halves: Iterable[Any], true: set[str], told: Container[Any] = ()) -> dict[str, Any]:
        """The outputs where the ops that make `halves` read and give float16, and all others float32."""
        halves = {var for var in halves if (op := self._made.get(var)) is None or not op.blocks}
        makers = {self._made[var] for var in halves if var in self._made}
        reading = {op for op in makers if op.op_type != "cast" or dtype_of(op.outputs[0]) != "fp32"}
        runs: Counter[str] = Counter()

        def given(op: Any, var: Any, value: Any) -> Any:
            if op not in reading or not self._is_half(var, value):
                return value
            return rounded_but_small(value) if var in told else self._as_read(var, value)

        def result(op: Any, var: Any, value: Any) -> Any:
            tensor = self.vars.get(var) if true else None
            if tensor is not None and tensor in true and (want := self._true(tensor, runs, value)) is not None:
                return np.asarray(want).astype(np.asarray(value).dtype)
            return half(value) if var in halves and self._is_half(var, value) else value

        return self._run(result, given)

    def _given(self, op: Any, var: Any, value: Any) -> Any:
        """What no op of the program makes, as an op of a program in float16 reads it."""
        made = self._made.get(var)
        computed = made is not None and made.op_type != "const"
        return value if computed or not self._is_half(var, value) else self._as_read(var, value)

    def _as_read(self, var: Any, value: Any) -> Any:
        """A number as float16 has it; of a small constant, which a conversion rounds, none becomes zero but next to nothing."""
        read, made = half(value), self._made.get(var)
        if not self.float32 or made is None or made.op_type != "const" or np.size(value) >= _SEVERAL:
            return read
        return np.where((read == 0) & (np.abs(value) > _NOTHING), np.copysign(_LEAST, value), read)

    def ops_of(self, tensor: str) -> set[str]:
        """Return the names of the program's ops that make the tensor, but for changes of dtype."""
        made = [self._made[var] for var in self.region(tensor)[0] if var in self._made]
        # passes move transposes after precision was chosen: until then an op had the name of what it makes
        return {
            op.outputs[0].name if op.op_type == "transpose" else op.name
            for op in made
            if not op.blocks and op.op_type != "cast"
        }

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
