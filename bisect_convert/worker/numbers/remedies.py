"""What would help against what float16 does: the model converted in other ways, and compared again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.evaluator import program_of
from bisect_convert.worker.numbers.agreement import agreement
from bisect_convert.worker.numbers.bodies import parted
from bisect_convert.worker.numbers.causes import Cause, Search
from bisect_convert.worker.numbers.comparing import Comparison
from bisect_convert.worker.numbers.converting import converted, in_float32, kept_in_float32
from bisect_convert.worker.numbers.forms import Form, forms, rewritten
from bisect_convert.worker.numbers.original import Original
from bisect_convert.worker.numbers.precision import code, kept, names_of
from bisect_convert.worker.request import Numbers

__all__ = ["Again"]

_BY_PRECISION = frozenset({"overflow", "underflow", "precision"})
#: How many forms are tried for one op: each is a conversion.
_TRIES = 3
#: For how many seconds forms are tried: a large model may have dozens of ops at fault.
_LONGEST = 60.0
#: By how much of their scale a form may change the outputs of the model to be told, where it only changes what is tiny.
_MOST_CHANGED = 0.9


class Again:
    """The model converted in other ways, and compared again."""

    def __init__(self, carved: Any, request: Numbers, done: Comparison, feeds: Sequence[Mapping[str, Any]]) -> None:
        self._carved, self._request, self._done, self._feeds = carved, request, done, feeds
        self._until = math.inf

    def remedies(self, search: Search, causes: Sequence[Cause]) -> list[dict[str, Any]]:
        """Return what would help against what float16 does, each with whether it was seen to."""
        if self._done.precision != "float16" or (self._request.against and not causes):
            return []
        if causes and not any(c.kind in _BY_PRECISION for c in causes):
            return []
        return [*self._kept(search, causes), *self._rewrites(search, causes)]

    def _kept(self, search: Search, causes: Sequence[Cause]) -> list[dict[str, Any]]:
        """The smallest set of ops in float32, or all of them."""
        found: list[dict[str, Any]] = []
        seeds = [c.tensor for c in causes if c.kind in _BY_PRECISION]
        for searched in self._searches(search):
            tensors = kept(searched, seeds)
            names = names_of(searched, tensors or ())
            if not tensors or not names:
                continue
            found = [{
                "kind": "option", "summary": f"keep {len(names)} op{'s' * (len(names) != 1)} in float32{_but(search)}",
                "verified": self._agrees(search, kept_in_float32(names)), "code": code(names), "kept": tensors,
            }]  # fmt: skip
            if found[0]["verified"]:
                break
        if not found or not found[0]["verified"]:
            found.append({
                "kind": "option", "summary": f"compute in float32{_but(search)}",
                "verified": self._agrees(search, in_float32()),
                "code": "compute_precision=ct.precision.FLOAT32", "kept": [],
            })  # fmt: skip
        return found

    def _searches(self, search: Search) -> Iterator[Search]:
        """The search, then the same in the program as it is without float16, whose constants are those of the model."""
        yield search
        if not search.steps.float32 and (program := self.in_float32()) is not None:
            yield replace(search, steps=replace(search.steps, program=program, float32=True))

    def in_float32(self) -> Any:
        """Return the program as it is without float16; None where the model does not convert, as one of a package's may."""
        return self._in(in_float32())

    def _in(self, precision: Any) -> Any:
        try:
            packed = dict(self._request.options)
            return program_of(converted(self._carved, self._request.plan, packed, compute_precision=precision))
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except Exception:
            return None

    def _agrees(self, search: Search, precision: Any) -> bool:
        """Whether all agrees in this precision, but for what is wrong in any: there the original's values are taken."""
        if search.beyond:
            program = self._in(precision)
            steps = None if program is None else replace(search.steps, program=program, float32=False)
            return steps is not None and search.agrees(steps.but((), search.beyond))
        other = self._compared(self._carved.graph_def, self._done.wanted, compute_precision=precision)
        return other is not None and other.agrees

    def _compared(self, graph_def: Any, wanted: Sequence[Mapping[str, Any]], **instead: Any) -> Comparison | None:
        """The graph converted and held against these values; None where it does not convert so, or cannot be evaluated."""
        done, packed = self._done, dict(self._request.options)
        try:
            carved = replace(self._carved, graph_def=graph_def)
            model = converted(carved, self._request.plan, packed, **instead)
            other = Comparison(program_of(model), done.results, done.feeds, wanted, done.tolerance, done.parts)
            other.compare()
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except Exception:
            return None
        return other

    def _rewrites(self, search: Search, causes: Sequence[Cause]) -> list[dict[str, Any]]:
        """Other forms of what the ops at fault are part of: each by itself, and one for each of several causes together."""
        graph_def, values = self._carved.graph_def, search.steps.values
        self._until = time.monotonic() + _LONGEST
        fitting: dict[str, list[Form]] = {}
        for op in dict.fromkeys(c.op for c in causes if c.kind in _BY_PRECISION and not parted(c.op)[0]):
            fitting[op] = _fitting(graph_def, op, lambda tensor: _largest(values.get(tensor)))
        fitting = {op: found for op, found in fitting.items() if found}
        chosen = {
            op: one for op, found in fitting.items() if (one := next(filter(self._helps, found), None)) is not None
        }
        if not chosen and len(fitting) > 1 and self._apart(first := [found[0] for found in fitting.values()])[0]:
            chosen = dict(zip(fitting, first, strict=True))
        told = [_told(op, form, form.summary, True) for op, form in chosen.items()]
        others = [(op, form) for op, found in fitting.items() if op not in chosen for form in found]
        return told + [_told(op, form, said, False) for op, form in others if (said := self._worth(form))]

    def _edited(self, chosen: Sequence[Form]) -> Any:
        graph_def = self._carved.graph_def
        for form in {form.op: form for form in chosen}.values():
            graph_def = rewritten(graph_def, form)
        return graph_def

    def _helps(self, form: Form) -> bool:
        return time.monotonic() < self._until and self._apart([form])[0]

    def _apart(self, chosen: Sequence[Form]) -> tuple[bool, float]:
        """Whether all agrees with these forms in place, and how far it is apart."""
        try:
            other = self._compared(self._edited(chosen), self._done.wanted)
        except (ValueError, TypeError, KeyError, tf.errors.OpError):  # a form that does not fit here
            return False, np.inf
        return (False, np.inf) if other is None else (other.agrees, other.agreement.worst)

    def _worth(self, form: Form) -> str | None:
        """What a form is worth that does not make all agree; None if nothing."""
        if time.monotonic() > self._until:
            return None
        if form.changes:
            return self._changed(form)
        before, (_, after) = self._done.agreement.worst, self._apart([form])
        far = "infinitely much" if np.isinf(before) else f"{before:.2g} of scale"
        return f"{form.summary}: apart by {after:.2g} of scale instead of {far}" if after < before / 4 else None

    def _changed(self, form: Form) -> str | None:
        """What a form that changes the model costs, where float16 computes what TensorFlow makes of it."""
        try:
            edited = self._edited([form])
            wanted = [Original(edited).run(self._done.results, feed) for feed in self._feeds]
            other = self._compared(edited, wanted)
        except (ValueError, TypeError, KeyError, tf.errors.OpError):
            return None
        if other is None or not other.agrees:
            return None
        apart = agreement(self._done.wanted, wanted).worst
        if apart > _MOST_CHANGED:  # another model
            return None
        return f"{form.summary}: both agree then, but the model's own outputs change by {apart:.2g} of scale"


def _but(search: Search) -> str:
    """What such a remedy leaves as it is."""
    ops = [search.original.type_of(tensor.rpartition(":")[0]) for tensor in search.faults]
    return f" (it leaves what is wrong in any precision: {', '.join(dict.fromkeys(ops))})" if ops else ""


def _fitting(graph_def: Any, op: str, largest: Callable[[str], float]) -> list[Form]:
    try:
        return forms(graph_def, op, largest)[:_TRIES]
    except (KeyError, ValueError):  # an edit took the op away
        return []


def _told(op: str, form: Form, summary: str, verified: bool) -> dict[str, Any]:
    code = f"# in the place of {form.op}\n{form.code}"
    return {"kind": "rewrite", "summary": summary, "verified": verified, "code": code, "kept": [], "op": op}


def _largest(value: Any) -> float:
    return float(np.max(np.abs(value))) if value is not None and np.size(value) else 0.0
