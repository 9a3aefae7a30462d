"""Compare a converted model with its original, say which ops make them differ, and try what would help. Runs in a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.errors import UsageError
from bisect_convert.evaluator import Unevaluated, program_of
from bisect_convert.evaluator.program import dtype_of
from bisect_convert.evaluator.rounding import LIMIT, half
from bisect_convert.model import facts
from bisect_convert.worker import tracebacks
from bisect_convert.worker.conversion import carved_section, limit_memory
from bisect_convert.worker.numbers import core_ml
from bisect_convert.worker.numbers.agreement import TOLERANCES, Agreement, agree, agreement, by_results, evaluated
from bisect_convert.worker.numbers.causes import Cause, Search
from bisect_convert.worker.numbers.compressed import cost
from bisect_convert.worker.numbers.converting import converted, in_float32, kept_in_float32
from bisect_convert.worker.numbers.inputs import samples
from bisect_convert.worker.numbers.lockstep import Lockstep
from bisect_convert.worker.numbers.original import Original, undefined_in
from bisect_convert.worker.numbers.precision import code, kept, names_of
from bisect_convert.worker.numbers.sections import Alone
from bisect_convert.worker.request import Numbers

__all__ = ["Comparison", "check"]

_BY_PRECISION = frozenset({"overflow", "underflow", "precision"})


def check(request: Numbers) -> dict[str, Any]:
    """Return how far the converted model is from the original, the causes, and what was tried; as JSON data.

    "failed" has what the converter raised; "not_compared" why nothing can be said.
    """
    limit_memory(request.memory)
    folder, packed = Path(request.folder), dict(request.options)
    carved = carved_section(request, True)
    results = _results(folder, request)
    try:
        original = Original(carved.graph_def)
        shapes = {i["name"]: i["static"] for i in packed.get("inputs", ()) if i.get("name") and i.get("static")}
        feeds = samples(original, request.samples, shapes, results)
        wanted = [original.run(results, one) for one in feeds]
    except (tf.errors.OpError, ValueError, TypeError, KeyError) as error:
        refused = undefined_in(error) if isinstance(error, tf.errors.OpError) else None
        if refused is None:
            return {"not_compared": f"TensorFlow cannot run the model: {_line(error)}"}
        return _undefined(original, *refused)
    if any(np.asarray(v).dtype.kind not in "biuf" for v in wanted[0].values()):
        return {"not_compared": "an output is none of numbers"}
    try:
        model = request.against or converted(carved, request.plan, {k: v for k, v in packed.items() if k != "optimize"})
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        failure = tracebacks.classify(error, ())
        return {"failed": f"{failure.type}: {failure.message}"[:500]}
    given = [{name: _pixels(packed, name, value) for name, value in one.items()} for one in feeds]
    try:
        done = Comparison(_program(model, request), results, given, wanted, request.tolerance)
        done.compare()
    except (Unevaluated, ValueError) as error:
        return {"not_compared": _line(error)}
    answer = {**done.to_json(), **_of_nan(results, wanted)}
    answer |= core_ml.told(core_ml.asked(model, given, results), wanted, done.agreement, done.tolerance)
    if packed.get("optimize") and not request.against:
        answer["compression"] = _cost(model, packed["optimize"], done)
    if not done.agrees:
        alone = Alone(folder, carved.graph_def, packed)
        return answer | _explained(done, original, feeds, alone, _Again(carved, request, done))
    return answer if answer.get("device_agrees", True) else answer | _of_device(answer["device"])


def _of_nan(results: Sequence[str], wanted: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Which outputs are no numbers in the original already."""
    none = sorted(n.removesuffix(":0") for n in results if any(_no_number(one[n]) for one in wanted))
    return {"ties": f"{', '.join(none[:3])}: NaN in the original too"} if none else {}


def _of_device(said: str) -> dict[str, Any]:
    """The answer where the program agrees, and what runs it does not."""
    message = f"the program means what the original computes, and Core ML on this machine does not: {said}"
    return {"agrees": False, "message": message, "causes": [], "remedies": []}


def _undefined(original: Original, op: str, said: str) -> dict[str, Any]:
    """The answer where TensorFlow refuses what Core ML takes without a word."""
    kind = original.type_of(op)
    message = f"{kind}: {said}: TensorFlow refuses that, and Core ML promises no result for it"
    cause = {"op": op, "type": kind, "kind": "undefined", "message": message, "confirmed": True}
    return {
        "precision": "", "samples": 1, "tolerance": 0.0, "outputs": [], "headroom": None, "agrees": False,
        "causes": [cause], "remedies": [],
    }  # fmt: skip


def _program(model: Any, request: Numbers) -> Any:
    """The program in it; raises UsageError for a caller's package that has none."""
    try:
        return program_of(model)
    except ValueError as error:
        if request.against:
            raise UsageError(f"--against: {_line(error)}") from error
        raise


def _explained(
    done: Comparison, original: Original, feeds: Sequence[Mapping[str, Any]], alone: Alone, again: _Again
) -> dict[str, Any]:
    """The causes and what would help, where the insides of the original can be looked at."""
    number = done.differing() or 0
    try:
        causes, search = done.causes(number, original, original.inside(feeds[number]), alone)
        if not causes and (picks := search.picks()):
            why = f"{len(picks)} op{'s' * (len(picks) != 1)} such as {picks[0]} pick among values that float16 takes for equal"
            return {"agrees": True, "ties": f"what comes of it: {why}"}
        return {"causes": [_told(c, original) for c in causes], "remedies": again.remedies(search, causes)}
    except (tf.errors.OpError, ValueError, TypeError, KeyError, Unevaluated):
        return {"causes": [], "remedies": []}


def _pixels(packed: Mapping[str, Any], name: str, value: Any) -> Any:
    """What the program takes for an input of the original's: of an image the pixels that it scales by itself."""
    for spec in packed.get("inputs") or ():
        named = spec.get("name") in (name, None)
        if spec.get("kind") != "ImageType" or not named or np.ndim(value) != 4:
            continue
        bias = np.asarray(spec.get("bias") if spec.get("bias") is not None else 0.0, np.float32)
        bias = bias.reshape(-1, 1, 1) if spec.get("channel_first") and bias.ndim else bias
        return ((value - bias) / np.float32(spec.get("scale") or 1.0)).astype(np.float32)
    return value


def _results(folder: Path, request: Numbers) -> list[str]:
    """The tensors to compare: the outputs of the model, or what leaves the section."""
    if request.plan.whole:
        return list(facts.read(folder).graphs[""].results)
    return [e.tensor for e in request.plan.exits]


def _no_number(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f" and bool(np.isnan(value).any())


def _cost(model: Any, wanted: Any, done: Comparison) -> dict[str, Any] | None:
    """What compression costs; None where it fails, which is no matter of numbers."""
    try:
        return cost(model, wanted, done.results, done.feeds, done.outputs, done.tolerance)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except Exception:
        return None


class Comparison:
    """A program beside what the original gives for some feeds; after `compare`, how far they are apart."""

    def __init__(
        self, program: Any, results: Sequence[str], feeds: Sequence[Mapping[str, Any]],
        wanted: Sequence[Mapping[str, Any]], tolerance: float | None,
    ) -> None:  # fmt: skip
        self.program, self.results, self.feeds, self.wanted = program, results, feeds, wanted
        block = program.functions["main"]
        halves = any(dtype_of(v) == "fp16" for op in block.operations for v in op.outputs if op.op_type != "const")
        self.precision = "float16" if halves else "float32"
        self.tolerance = TOLERANCES[self.precision] if tolerance is None else tolerance
        self.outputs: list[dict[str, Any]] = []
        self.headroom: tuple[str, float] | None = None

    def compare(self) -> Agreement:
        """Evaluate the program on all feeds; raises Unevaluated."""
        self.outputs = [evaluated(self.program, one, self.results, self._rounded, _ignored) for one in self.feeds]
        return self.agreement

    @property
    def agreement(self) -> Agreement:
        """How far each output is from the original's."""
        return agreement(self.wanted, self.outputs)

    @property
    def agrees(self) -> bool:
        """Whether all outputs are within the tolerance for all feeds."""
        return self.differing() is None

    def differing(self) -> int | None:
        """Return the number of the first sample for which they differ."""
        for number, (want, got) in enumerate(zip(self.wanted, self.outputs, strict=True)):
            if not all(agree(got[name], value, self.tolerance) for name, value in want.items()):
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
        self, number: int, original: Original, values: Mapping[str, Any], alone: Alone
    ) -> tuple[list[Cause], Search]:
        """Return the causes on a sample that differs, and the search that found them; values: all of the original's."""
        steps = Lockstep(self.program, self.feeds[number], values, source=original.source)

        def named(outputs: Mapping[str, Any]) -> dict[str, Any]:
            return by_results(outputs, self.results)

        search = Search(original, steps, alone, self.wanted[number], named, self.tolerance)
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


class _Again:
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
            program_of(model), search.steps.feeds, search.steps.values, source=search.original.source, float32=True
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


def _told(cause: Cause, original: Original) -> dict[str, Any]:
    return {
        "op": cause.op, "type": original.type_of(cause.op),
        "kind": cause.kind, "message": cause.message, "confirmed": cause.confirmed,
    }  # fmt: skip


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _ignored(op: Any, what: str) -> None:
    return None


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
