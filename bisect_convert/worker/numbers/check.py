"""Compare a converted model with its original, say which ops make them differ, and try what would help. Runs in a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.errors import UsageError
from bisect_convert.evaluator import Unevaluated, program_of
from bisect_convert.model import facts
from bisect_convert.model.files import EDITED
from bisect_convert.worker import tracebacks
from bisect_convert.worker.conversion import carved_section, limit_memory
from bisect_convert.worker.cut.sections import Carved
from bisect_convert.worker.numbers import core_ml
from bisect_convert.worker.numbers.agreement import resized
from bisect_convert.worker.numbers.bodies import parted
from bisect_convert.worker.numbers.causes import Cause
from bisect_convert.worker.numbers.comparing import Comparison
from bisect_convert.worker.numbers.compressed import cost
from bisect_convert.worker.numbers.converting import converted
from bisect_convert.worker.numbers.foreign import of_another_model, other_values, unlike_inputs
from bisect_convert.worker.numbers.inputs import samples
from bisect_convert.worker.numbers.original import Original, undefined_in
from bisect_convert.worker.numbers.remedies import Again
from bisect_convert.worker.numbers.sections import Alone
from bisect_convert.worker.request import Numbers

__all__ = ["check"]


def check(request: Numbers) -> dict[str, Any]:
    """Return how far the converted model is from the original, the causes, and what was tried; as JSON data.

    "failed" has what the converter raised; "not_compared" why nothing can be said.
    """
    limit_memory(request.memory)
    folder, packed, carved = Path(request.folder), dict(request.options), carved_section(request, True)
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
    if not _numbers(wanted[0]):
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
        parts = original.parts(results)
        done = Comparison(_program(model, request), results, given, wanted, request.tolerance, parts)
        if request.against and (missing := unlike_inputs(done.program, given[0])):
            return {"not_compared": missing}
        done.compare(fewer=(folder / EDITED).is_file())
    except (Unevaluated, ValueError) as error:
        return {"not_compared": _line(error)}
    answer = {**done.to_json(), **(nan := _of_nan(done.results, done.wanted, original))}
    answer |= core_ml.told(core_ml.asked(model, given, done.results), done.wanted, done.agreement, done.tolerance)
    if packed.get("optimize") and not request.against:
        answer["compression"] = _cost(model, packed["optimize"], done)
    if not done.agrees and nan.get("no_numbers"):  # what comes of no number is nobody's fault but the constant's
        return answer | {"agrees": True}
    if not done.agrees:
        return answer | _parted(request, carved, done, original, feeds)
    return answer if answer.get("device_agrees", True) else answer | _of_device(answer["device"])


def _numbers(values: Mapping[str, Any]) -> bool:
    return all(np.asarray(value).dtype.kind in "biuf" for value in values.values())


def _parted(
    request: Numbers, carved: Carved, done: Comparison, original: Original, feeds: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What there is to say of a program that does not agree."""
    folder = Path(request.folder)
    foreign = bool(request.against) and not (folder / EDITED).is_file()
    if sizes := resized(done.wanted[0], done.outputs[0]):
        said = "; ".join(list(sizes.values())[:3])
        return {"outputs": []} | (of_another_model(said) if foreign else _of_size(original, next(iter(sizes)), said))
    alone = Alone(folder, carved.graph_def, dict(request.options))
    again = Again(_written(carved, folder, request), request, done, feeds)
    return _explained(done, original, feeds, alone, again, foreign=foreign)


def _of_size(original: Original, output: str, said: str) -> dict[str, Any]:
    """The answer where the converter makes an output of another size: what makes it is at fault."""
    op = output.rpartition(":")[0]
    while original.type_of(op) == "Identity" and (read := original.read_by(op)):
        op = read[0].rpartition(":")[0]
    cause = {
        "op": op,
        "function": "",
        "type": original.type_of(op),
        "kind": "converter",
        "message": said,
        "confirmed": False,
    }
    return {"causes": [cause], "remedies": []}


def _written(carved: Carved, folder: Path, request: Numbers) -> Carved:
    """What is converted again where something would help: the model, or what a fix made of it and wrote."""
    edited = folder / EDITED
    if not request.against or not edited.is_file():
        return carved
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(edited.read_bytes())
    return replace(carved, graph_def=graph_def, functions=list(graph_def.library.function))


def _of_nan(results: Sequence[str], wanted: Sequence[Mapping[str, Any]], original: Original) -> dict[str, Any]:
    """Which outputs are no numbers in the original already, and which constants hold none."""
    none = sorted(n.removesuffix(":0") for n in results if any(_no_number(one[n]) for one in wanted))
    if not none:
        return {}
    said, held = f"{', '.join(none[:3])}: NaN in the original too", original.no_numbers()
    if held:
        said += f", whose constant{'s' * (len(held) > 1)} {', '.join(held[:3])} hold{'s' * (len(held) == 1)} NaN"
    return {"ties": said, "no_numbers": bool(held)}


def _of_device(said: str) -> dict[str, Any]:
    """The answer where the program agrees, and what runs it does not."""
    message = f"the program means what the original computes, and Core ML on this machine does not: {said}"
    return {"agrees": False, "message": message, "causes": [], "remedies": []}


def _undefined(original: Original, op: str, said: str) -> dict[str, Any]:
    """The answer where TensorFlow refuses what Core ML takes without a word."""
    kind = original.type_of(op)
    message = f"{kind}: {said}: TensorFlow refuses that, and Core ML promises no result for it"
    cause = {"op": op, "function": "", "type": kind, "kind": "undefined", "message": message, "confirmed": True}
    return {
        "precision": "", "samples": 1, "tolerance": 0.0, "outputs": [], "headroom": None, "agrees": False,
        "causes": [cause], "remedies": [],
    }  # fmt: skip


def _program(model: Any, request: Numbers) -> Any:
    """The program in it; raises UsageError for a caller's package that has none."""
    try:
        return program_of(model)
    except ValueError as error:
        if request.against and not (Path(request.folder) / EDITED).is_file():
            raise UsageError(f"--against: {_line(error)}") from error
        raise


def _explained(
    done: Comparison,
    original: Original,
    feeds: Sequence[Mapping[str, Any]],
    alone: Alone,
    again: Again,
    *,
    foreign: bool,
) -> dict[str, Any]:
    """The causes and what would help, where the insides of the original can be looked at.

    foreign: the program was made elsewhere, perhaps of something else.
    """
    number = done.differing() or 0
    try:
        in_float32 = (lambda: None) if foreign or done.precision != "float16" else again.in_float32
        causes, search = done.causes(number, original, feeds[number], alone, in_float32)
        if not causes and (picks := search.picks()):
            why = f"{len(picks)} op{'s' * (len(picks) != 1)} such as {picks[0]} pick among values that float16 takes for equal"
            return {"agrees": True, "ties": f"what comes of it: {why}"}
        if foreign and not causes and not search.unrounded():
            return of_another_model(other_values(search, original))
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


def _told(cause: Cause, original: Original) -> dict[str, Any]:
    function, op = parted(cause.op)
    return {
        "op": op, "function": function, "type": original.type_of(cause.op),
        "kind": cause.kind, "message": cause.message, "confirmed": cause.confirmed,
    }  # fmt: skip


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
