"""Which ops make a converted model compute something else: those whose own result is wrong, and matters."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bisect_convert.evaluator.rounding import LIMIT
from bisect_convert.worker.numbers.agreement import agree
from bisect_convert.worker.numbers.bodies import parted
from bisect_convert.worker.numbers.kinds import RANDOM, exact_kind, rounding_kind
from bisect_convert.worker.numbers.local import Local, largest, passed_on, uneven
from bisect_convert.worker.numbers.lockstep import Lockstep
from bisect_convert.worker.numbers.original import Original
from bisect_convert.worker.numbers.parts import Parts
from bisect_convert.worker.numbers.sections import Alone

__all__ = ["Cause", "Search"]

#: How wrong a result is to be before it is looked at: in float32; of its own in float16, by scale and by element.
_EXACT, _PART = 1e-2, 0.05
#: Ops that pick or decide, and those that make whole numbers, which is a decision as long as numbers are not too large.
_PICKS = re.compile(r"ArgM|TopK|Greater|Less|Equal|NotEqual|NonMax|InTopK|Unique|Where$")
_STEPS, _COARSE = re.compile(r"Cast$|Floor$|Ceil$|Round$|Rint$"), 512.0
#: At how many ops one looks at most: the worst.
_MOST = 40
#: How long one looks at the ops of loops one by one: each of them is a run of the whole program.
_SECONDS = 20.0


@dataclass(frozen=True)
class Cause:
    """One op at fault; confirmed: converted alone it comes out wrong as well."""

    tensor: str
    kind: str
    message: str
    confirmed: bool
    inside: str | None = None
    """The op to blame, where that is one before the one that makes the tensor, without a name in the program."""

    @property
    def op(self) -> str:
        """The op to blame."""
        return self.inside or self.tensor.rpartition(":")[0]


@dataclass
class Search:
    """A search for what makes the outputs differ on one sample, whose `values` the original has; `wanted` are its outputs."""

    original: Original
    steps: Lockstep
    alone: Alone
    wanted: Mapping[str, Any]
    evaluated: Any
    tolerance: float
    parts: Mapping[str, Parts] = field(default_factory=dict)
    """What outputs were joined of."""
    in_float32: Callable[[], Lockstep | None] = lambda: None
    """Makes the same of the program as it is without float16, whose constants are those of the model."""
    faults: dict[str, Local] = field(default_factory=dict)
    rounded: dict[str, Local] = field(default_factory=dict)
    drawn: dict[str, str] = field(default_factory=dict)
    inheriting: set[str] = field(default_factory=set)
    """Tensors made of what the program cannot hold in any precision."""
    strangers: list[str] = field(default_factory=list)
    """Tensors by whose names the program has something else than a conversion of their op gives."""

    def causes(self) -> list[Cause]:
        """Return the causes in the program's order; none where no single op is at fault."""
        if constants := self._beyond_float16():
            return constants
        self._look_in_float32()
        if not self.agrees(self.steps.alone([], self.beyond)) and (exact := self.in_float32()) is not None:
            self.steps = exact  # the constants alone make it differ: any op would seem to
            self._look_in_float32()
        self.rounded = {t: one for t, one in self.steps.local(rounded=True).items() if t not in self.faults}
        suspects = {t: one for t, one in self.rounded.items() if not one.inherited and self._is_off(t, one)}
        if self.drawn:  # no two runs are alike behind a draw, so that nothing shows there that a small error matters
            suspects = {t: one for t, one in suspects.items() if one.error > self.tolerance / 5}
        worst = sorted(suspects, key=lambda t: -max(suspects[t].error, suspects[t].part / 10))[:_MOST]
        found = [self._exact(t, self.faults[t]) for t in self.faults if self._matters(t, rounded=False)]
        matter = self._mattering([t for t in suspects if t in worst])
        found += [self._by_rounding(t, suspects[t]) for t in matter if not self._reads_what_is_lost(t, matter)]
        return found or self._repeated() or self._of_float64()

    def _mattering(self, tensors: Iterable[str]) -> list[str]:
        """Those that by themselves make the outputs differ; where there is none, those that come near to it."""
        outputs = {t: self._alone(t, rounded=True) for t in tensors}
        near = {t: one for t, one in outputs.items() if not self.agrees(one, self.tolerance / 2)}
        return [t for t, one in near.items() if not self.agrees(one)] or list(near)

    def _reads_what_is_lost(self, tensor: str, matter: Sequence[str]) -> bool:
        """Whether it is wrong for numbers that float16 loses where they are made, which is told already."""
        if self.rounded[tensor].reached > LIMIT:
            return False
        before = [t for t in self.steps.before(tensor) if t in matter]
        return any(passed_on(self.rounded[tensor].wrong, self.steps.around(tensor).get(t)) for t in before)

    @property
    def beyond(self) -> frozenset[str]:
        """The tensors that are wrong in any precision, and those made of what the program cannot hold at all."""
        return frozenset(self.faults) | self._inheriting(self.faults)

    def _inheriting(self, faults: Iterable[str]) -> frozenset[str]:
        """The tensors that pass on what one of these makes: one that the program cannot hold, and so cannot be put right."""
        found, todo = set(faults), True
        while todo:
            more = {t for t in self.inheriting - found if self.steps.known(t) and self.steps.before(t) & found}
            found |= more
            todo = bool(more)
        return frozenset(found - set(faults))

    def _repeated(self) -> list[Cause]:
        """The ops of loops whose error is small each time that they run, and adds up."""
        inside = {t: one for t, one in self.rounded.items() if parted(t)[0] and not one.inherited and one.error > 0}
        found: list[str] = []
        end = time.monotonic() + _SECONDS
        for tensor in sorted(inside, key=lambda t: -inside[t].error)[:_MOST]:
            if self._matters(tensor, rounded=True):
                found.append(tensor)
            if time.monotonic() > end:
                break
        return [self._by_rounding(t, inside[t]) for t in inside if t in found]

    def _of_float64(self) -> list[Cause]:
        """The ops whose result is wrong because what they read loses its last digits in float32, as a time in seconds does."""
        found = []
        for tensor in self.steps.values:
            op = tensor.rpartition(":")[0]
            reads, makes = self.original.dtypes(op)
            if "float64" not in reads or not self.alone.is_op(op):
                continue
            error = self.alone.error(op, self.steps.values, float32=True)
            if error is not None and error > _EXACT:
                kind = self.original.type_of(op)
                value = max((float(np.max(np.abs(self.steps.values[t]))) for t in self.original.read_by(op)
                             if t in self.steps.values and np.size(self.steps.values[t])), default=0.0)  # fmt: skip
                message = (
                    f"{kind} reads {value:.12g} in float64, of which float32 keeps 7 digits: its result is off by "
                    f"{error:.2g} of scale"
                )
                found.append(Cause(tensor, "float64", message, True))
        return found

    def _beyond_float16(self) -> list[Cause]:
        """The readers of constants that float16 does not reach, where the program differs with nothing else rounded.

        What these make of the values would hide what every other op does.
        """
        readers: dict[str, tuple[str, float]] = {}
        for tensor in self.steps.values:
            op = tensor.rpartition(":")[0]
            for read in self.original.read_by(op):
                value = self.original.constant(read)
                if value is None or value.dtype.kind != "f" or not value.size:
                    continue
                worst = float(value.flat[np.argmax(np.abs(value))])
                if LIMIT < abs(worst) < np.inf:
                    readers.setdefault(op, (read.rpartition(":")[0], worst))
        if not readers or self.agrees(self.steps.alone([], set()), self.tolerance / 2):
            return []
        found = []
        for op, (constant, worst) in readers.items():
            error = self.alone.error(op, self.steps.values, float32=False)
            fine = error is not None and error <= self.tolerance / 5
            if fine or (self.alone.error(op, self.steps.values, float32=True) or 0) > _EXACT:
                continue  # the constant does no harm here, or it is not float16 that does
            message = (
                f"{self.original.type_of(op)} reads the constant {constant} of {worst:.4g}; float16 ends at {LIMIT:.0f}, so "
                f"that it is {'-' * (worst < 0)}inf there, and NaN times zero"
            )
            found.append(Cause(f"{op}:0", "overflow", message, error is not None))
        return found

    def agrees(self, outputs: Mapping[str, Any], tolerance: float | None = None) -> bool:
        """Whether the program's outputs are those of the original, within the tolerance."""
        got = self.evaluated(outputs)
        most = self.tolerance if tolerance is None else tolerance
        return all(agree(got[name], want, most, self.parts.get(name)) for name, want in self.wanted.items())

    def unrounded(self) -> bool:
        """Whether the program's outputs are those of the original as long as nothing is rounded."""
        return self.agrees(self.steps.alone([], set()))

    def _look_in_float32(self) -> None:
        """Find what is wrong without any rounding, and forget names that stand for something else in the program."""
        for _ in range(3):
            exact = self.steps.local(rounded=False)
            self.inheriting = {t for t, one in exact.items() if one.inherited}
            wrong = [t for t, one in exact.items() if not one.inherited and self._is_wrong(t, one)][:_MOST]
            strangers = []
            self.faults = {}
            for tensor in wrong:
                op, values = tensor.rpartition(":")[0], self.steps.around(tensor)
                if (drawn := self._drawn_before(op)) is not None:
                    self.faults[tensor], self.drawn[tensor] = exact[tensor], drawn
                    continue
                if not self.alone.is_op(op):
                    strangers.append(tensor)
                    continue
                error = self.alone.error(op, values, float32=True)
                if error is None or error > _EXACT:
                    self.faults[tensor] = exact[tensor]
                elif not (self.alone.error(op, values, float32=False) or 0) > self.tolerance / 5:
                    strangers.append(tensor)
            self.steps.forget(strangers)
            self.strangers += strangers
            if not strangers:
                return

    def _drawn_before(self, op: str) -> str | None:
        """The op that draws random numbers between this op and what the program has by name: it may have become a constant."""
        todo, seen = [op], {op}
        while todo:
            name = todo.pop()
            if RANDOM.search(self.original.type_of(name)):
                return name
            before = [t.rpartition(":")[0] for t in self.original.read_by(name) if not self.steps.known(t)]
            todo += [n for n in before if n not in seen]
            seen.update(before)
        return None

    def _is_wrong(self, tensor: str, local: Local) -> bool:
        if self._is_whole(tensor):
            return local.error > 0
        return local.error > _EXACT

    def _uneven_before(self, op: str) -> str | None:
        """The first op that makes whole numbers that float16 does not have, of those without a name in the program."""
        for tensor in self.original.read_by(op):
            value = self.steps.value(tensor)
            if value is not None and not self.steps.known(tensor) and uneven(value):
                before = tensor.rpartition(":")[0]
                return self._uneven_before(before) or before
        return None

    def _value(self, read: str, tensor: str) -> Any:
        """What the op that makes the tensor reads, in the run that went worst."""
        value = self.steps.around(tensor).get(read)
        return self.original.constant(read) if value is None else value

    def _too_large_before(self, op: str) -> tuple[str, float] | None:
        """The first op that makes numbers beyond float16, held in float32 until this op reads them, and how large they are."""
        for tensor in self.original.read_by(op):
            value, before = self.steps.value(tensor), tensor.rpartition(":")[0]
            if value is None or self.original.type_of(before).startswith("Placeholder"):
                continue
            if np.asarray(value).dtype.kind == "f" and LIMIT < (most := largest(value)):
                return self._too_large_before(before) or (before, most)
        return None

    def _is_whole(self, tensor: str) -> bool:
        return np.asarray(self.steps.value(tensor)).dtype.kind in "biu"

    def picks(self) -> list[str]:
        """Return the ops that pick otherwise than the original, among values that float16 takes for equal, and matter."""
        near = [t for t, one in self.rounded.items() if not one.inherited and one.error > 0 and self._is_pick(t, one)]
        return [t.rpartition(":")[0] for t in near[:_MOST] if self._matters(t, rounded=True)]

    def _is_pick(self, tensor: str, local: Local) -> bool:
        """Whether it can differ only where values are equal but for float16's rounding: a tie, which is nobody's fault."""
        kind = self.original.type_of(tensor.rpartition(":")[0])
        return bool(_PICKS.match(kind)) or (bool(_STEPS.match(kind)) and local.reached < _COARSE)

    def _is_off(self, tensor: str, local: Local) -> bool:
        if self._is_pick(tensor, local):
            return False
        return local.error > (0 if self._is_whole(tensor) else self.tolerance / 5) or local.part > _PART or local.uneven

    def _matters(self, tensor: str, rounded: bool) -> bool:
        return not self.agrees(self._alone(tensor, rounded), self.tolerance / 2)

    def _alone(self, tensor: str, rounded: bool) -> dict[str, Any]:
        """The outputs where this one is wrong, and nothing else that is known to be."""
        others = set(self.faults) - {tensor}
        passed = self._inheriting(others) - (self._inheriting([tensor]) if tensor in self.faults else {tensor})
        return self.steps.alone([tensor], others | passed if rounded or tensor in self.faults else set(), rounded)

    def _exact(self, tensor: str, local: Local) -> Cause:
        op = tensor.rpartition(":")[0]
        if (drawn := self.drawn.get(tensor)) is not None:
            kind, message = exact_kind(drawn, self.original, local, self.steps.around(tensor), None)
            return Cause(tensor, kind, message, False, drawn)
        said = [self.steps.undefined[name] for name in self.steps.ops_of(tensor) if name in self.steps.undefined]
        kind, message = exact_kind(op, self.original, local, self.steps.around(tensor), said[0] if said else None)
        error = self.alone.error(op, self.steps.around(tensor), float32=True)
        return Cause(tensor, kind, message, error is not None and error > _EXACT)

    def _by_rounding(self, tensor: str, local: Local) -> Cause:
        op = tensor.rpartition(":")[0]
        if local.reached > LIMIT and (large := self._too_large_before(op)) is not None:
            maker, value = large
            message = f"{self.original.type_of(maker)} reaches {value:.6g}; float16 ends at {LIMIT:.0f}"
            return Cause(tensor, "overflow", message, False, maker)
        first = self._uneven_before(op) if local.uneven else None
        read = [v for t in self.original.read_by(op) if (v := self._value(t, tensor)) is not None]
        kind, message = rounding_kind(self.original.type_of(first or op), local, read)
        error = self.alone.error(op, self.steps.around(tensor), float32=False) if self.alone.is_op(op) else None
        least = 0 if local.uneven or self._is_whole(tensor) else self.tolerance / 5
        return Cause(tensor, kind, message, error is not None and error > least, first)
