"""What would help against what float16 does: the model converted in other ways, and compared again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bisect_convert.evaluator import program_of
from bisect_convert.worker.numbers.causes import Cause, Search
from bisect_convert.worker.numbers.comparing import Comparison
from bisect_convert.worker.numbers.converting import converted, in_float32, kept_in_float32
from bisect_convert.worker.numbers.lockstep import Lockstep
from bisect_convert.worker.numbers.precision import code, kept, names_of
from bisect_convert.worker.request import Numbers

__all__ = ["Again"]

_BY_PRECISION = frozenset({"overflow", "underflow", "precision"})


class Again:
    """The model converted in other ways, and compared again."""

    def __init__(self, carved: Any, request: Numbers, done: Comparison) -> None:
        self._carved, self._request, self._done = carved, request, done

    def remedies(self, search: Search, causes: Sequence[Cause]) -> list[dict[str, Any]]:
        """Return what would help against what float16 does, each with whether it was seen to."""
        if self._done.precision != "float16" or self._request.against:
            return []
        if causes and not any(c.kind in _BY_PRECISION for c in causes):
            return []
        found: list[dict[str, Any]] = []
        seeds = [c.tensor for c in causes if c.kind in _BY_PRECISION]
        for searched in self._searches(search):
            tensors = kept(searched, seeds)
            if not tensors:
                continue
            names = names_of(searched, tensors)
            found = [{
                "kind": "option", "summary": f"keep {len(names)} op{'s' * (len(names) != 1)} in float32",
                "verified": self._agrees(kept_in_float32(names)), "code": code(names), "kept": tensors,
            }]  # fmt: skip
            if found[0]["verified"]:
                break
        if not found or not found[0]["verified"]:
            found.append({
                "kind": "option", "summary": "compute in float32", "verified": self._agrees(in_float32()),
                "code": "compute_precision=ct.precision.FLOAT32", "kept": [],
            })  # fmt: skip
        return found

    def _searches(self, search: Search) -> Iterator[Search]:
        """The search, then the same in the program as it is without float16, whose constants are those of the model."""
        yield search
        model = converted(self._carved, self._request.plan, dict(self._request.options), compute_precision=in_float32())
        steps = Lockstep(
            program_of(model),
            search.steps.feeds,
            search.steps.values,
            search.steps.inside,
            source=search.original.source,
            float32=True,
        )
        yield replace(search, steps=steps)

    def _agrees(self, precision: Any) -> bool:
        done, packed = self._done, dict(self._request.options)
        try:
            model = converted(self._carved, self._request.plan, packed, compute_precision=precision)
            other = Comparison(program_of(model), done.results, done.feeds, done.wanted, done.tolerance)
            other.compare()
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except Exception:  # it does not convert so, or cannot be evaluated
            return False
        return other.agrees
