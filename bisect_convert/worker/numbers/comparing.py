"""A program beside its original on some samples: evaluated, its distance, its headroom, what makes it differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bisect_convert.evaluator.program import all_ops, dtype_of
from bisect_convert.evaluator.rounding import LIMIT, half
from bisect_convert.worker.numbers.agreement import TOLERANCES, Agreement, agree, agreement, by_results, evaluated
from bisect_convert.worker.numbers.bodies import Inside
from bisect_convert.worker.numbers.causes import Cause, Search
from bisect_convert.worker.numbers.lockstep import Lockstep
from bisect_convert.worker.numbers.original import Original
from bisect_convert.worker.numbers.parts import Parts
from bisect_convert.worker.numbers.sections import Alone

__all__ = ["Comparison"]


class Comparison:
    """A program beside what the original gives for some feeds; after `compare`, how far they are apart."""

    def __init__(
        self, program: Any, results: Sequence[str], feeds: Sequence[Mapping[str, Any]],
        wanted: Sequence[Mapping[str, Any]], tolerance: float | None, parts: Mapping[str, Parts] | None = None,
    ) -> None:  # fmt: skip
        self.program, self.results, self.feeds, self.wanted = program, results, feeds, wanted
        block = program.functions["main"]
        halves = any(dtype_of(v) == "fp16" for op in all_ops(block) for v in op.outputs if op.op_type != "const")
        self.precision = "float16" if halves else "float32"
        self.tolerance = TOLERANCES[self.precision] if tolerance is None else tolerance
        self.parts = parts or {}
        self.outputs: list[dict[str, Any]] = []
        self.headroom: tuple[str, float] | None = None

    def compare(self, *, fewer: bool = False) -> Agreement:
        """Evaluate the program on all feeds; raises Unevaluated.

        fewer: it may lack some of the original's outputs, such as checks, which are not compared then.
        """
        self.outputs = [evaluated(self.program, one, self.results, self._rounded, _ignored) for one in self.feeds]
        there = [name for name in self.results if not self.outputs or name in self.outputs[0]]
        if fewer and there:
            self.results = there
            self.wanted = [{name: one[name] for name in there} for one in self.wanted]
        return self.agreement

    @property
    def agreement(self) -> Agreement:
        """How far each output is from the original's."""
        return agreement(self.wanted, self.outputs, self.parts)

    @property
    def agrees(self) -> bool:
        """Whether all outputs are within the tolerance for all feeds."""
        return self.differing() is None

    def differing(self) -> int | None:
        """Return the number of the first sample for which they differ."""
        for number, (want, got) in enumerate(zip(self.wanted, self.outputs, strict=True)):
            if not all(
                name in got and agree(got[name], v, self.tolerance, self.parts.get(name)) for name, v in want.items()
            ):
                return number
        return None

    def _rounded(self, op: Any, var: Any, value: Any) -> Any:
        if dtype_of(var) != "fp16" or not isinstance(value, np.ndarray | np.generic):
            return value
        if np.size(value):
            reached = float(np.max(np.abs(value)))
            if self.headroom is None or reached > self.headroom[1]:
                self.headroom = var.name, reached
        return half(value)

    def causes(
        self,
        number: int,
        original: Original,
        feeds: Mapping[str, Any],
        alone: Alone,
        in_float32: Callable[[], Any] = lambda: None,
    ) -> tuple[list[Cause], Search]:
        """Return the causes on a sample that differs, and the search that found them; feeds: the original's.

        in_float32: gives the program as it is without float16, or None.
        """
        values = original.inside(feeds)
        inside = original.bodies.inside(feeds) if original.bodies else Inside()
        steps = Lockstep(self.program, self.feeds[number], values, inside, source=original.source)

        def named(outputs: Mapping[str, Any]) -> dict[str, Any]:
            return by_results(outputs, self.results)

        def exact() -> Lockstep | None:
            program = in_float32()
            return None if program is None else replace(steps, program=program, float32=True)

        search = Search(original, steps, alone, self.wanted[number], named, self.tolerance, self.parts, exact)
        return search.causes(), search

    def to_json(self) -> dict[str, Any]:
        """Return what there is to say, as plain data; infinite distances as null."""
        apart = self.agreement
        outputs = [
            {
                "name": name.removesuffix(":0"),
                "max_abs": _finite(d.max_abs),
                "max_rel": _finite(d.max_rel),
                "scale": _finite(d.scale),
            }
            for name, d in apart.outputs.items()
        ]
        room = (
            None
            if self.headroom is None
            else {"op": self.headroom[0], "reached": _finite(self.headroom[1]), "limit": LIMIT}
        )
        return {
            "precision": self.precision, "samples": apart.samples, "tolerance": self.tolerance, "outputs": outputs,
            "headroom": room, "agrees": self.agrees,
        }  # fmt: skip


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _ignored(op: Any, what: str) -> None:
    return None
