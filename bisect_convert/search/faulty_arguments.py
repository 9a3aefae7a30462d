"""Failures that lie in the call and not in the model: which argument of `ct.convert` is at fault, seen by probes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bisect_convert.arguments import input_corrections
from bisect_convert.arguments.corrections import UNSHAPED, Call, changed, constant_strings, corrections, disagrees
from bisect_convert.arguments.input_corrections import fits, spelt
from bisect_convert.errors import UsageError
from bisect_convert.model.cuts import Section, whole
from bisect_convert.model.loaded import Loaded
from bisect_convert.model.names import op_of
from bisect_convert.model.outcome import ARGUMENTS, Failure, Outcome, Stage
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind

__all__ = ["Fault", "call_of", "check", "fault"]

#: Arguments that `ct.convert` checks by themselves, in the order in which they are suspected.
_CHECKED = (
    "inputs", "classifier_config", "outputs", "compute_precision", "minimum_deployment_target", "convert_to",
    "pass_pipeline", "states",
)  # fmt: skip
#: Ways to put one argument right that are probed.
_MOST = 4


@dataclass(frozen=True)
class Fault:
    """An argument at fault, and what to change in the call for the whole model to get past the failure."""

    argument: str
    changes: Mapping[str, Any]


def fault(prober: Prober, section: Section, failure: Failure) -> Fault | None:
    """Return the argument that the section fails on, where a probe with it put right gets past that failure.

    That is for the whole model to tell, but for what `ct.convert` itself objects to.

    An op that fails whatever the arguments are, or only for a format or target that is fine by itself, is no fault of
    the call.
    """
    if section != whole(prober.model) and failure.signature.pass_name != ARGUMENTS:
        return None
    call = call_of(prober)
    for argument in _suspects(call, failure):
        sure = argument in ("inputs", "outputs") and _contradicts(argument, call, failure)
        for correction in corrections(argument, call, failure.message)[:_MOST]:
            options = changed(prober.options, correction.changes)
            outcome = prober.outcome(section, Kind.CALL.asks(correction.summary), options=options)
            if outcome.converted or _later(outcome, failure) or (sure and _other(outcome, failure)):
                return Fault(argument, correction.changes)
    return None


def check(loaded: Loaded, given: Mapping[str, Any]) -> None:
    """Raise UsageError where the call gives an input of the model a shape that cannot fit it."""
    known = {i["name"]: i.get("declared") for i in loaded.inputs}
    for spec in given.get("inputs") or ():
        name = spec.get("name") or (next(iter(known)) if len(known) == 1 else None)
        sizes, own = spec.get("static"), known.get(name)
        if sizes is None or name not in known or fits(sizes, own) or (own == [] and sizes == [1]):
            continue  # coremltools takes a scalar as a list of one
        what = spelt(own) if own else "a scalar"
        raise UsageError(f"shape {spelt(sizes)} does not fit input {name!r}, which is {what}")


def call_of(prober: Prober) -> Call:
    """Return the call as it stands, beside what the model declares."""
    loaded = prober.loaded
    return Call(prober.options, prober.model.main, loaded.inputs, loaded.keys, loaded.refused)


def _suspects(call: Call, failure: Failure) -> Iterator[str]:
    """The arguments that may bring the failure about, the likeliest first."""
    given, stage = call.given, failure.signature.stage
    if failure.signature.pass_name == ARGUMENTS:
        yield from (a for a in _CHECKED if a in given)
        return
    if UNSHAPED.search(failure.message):
        yield "inputs"
        return
    if failure.message.startswith("Conversion for TF op"):
        return
    late = stage > Stage.LOWERING
    if "inputs" in given and (disagrees(call) or _flexible(given["inputs"]) and _narrow(call)):
        yield "inputs"
    text = constant_strings(call.graph, given.get("outputs"))
    unraised = late or not failure.signature.raising
    if (text and (unraised or "cannot have no value" in failure.message)) or ("outputs" in given and unraised):
        yield "outputs"
    if late:
        if "classifier_config" in given:
            yield "classifier_config"
        pipeline = given.get("pass_pipeline")
        if pipeline and failure.signature.pass_name not in pipeline["passes"]:  # what it leaves out may be wanted
            yield "pass_pipeline"
        if isinstance(given.get("compute_precision"), dict):
            yield "compute_precision"
        if "inputs" in given and not disagrees(call) and _special(given["inputs"]):
            yield "inputs"


def _contradicts(argument: str, call: Call, failure: Failure) -> bool:
    if argument == "outputs":
        named = call.given.get("outputs") or ()
        unknown = any(o.get("name") and op_of(o["name"]) not in call.graph.ops for o in named)
        return unknown or bool(constant_strings(call.graph, named))
    given = call.given.get("inputs") or ()
    unlike = input_corrections.images(given, call.inputs) != [dict(i) for i in given]
    return disagrees(call) or unlike or UNSHAPED.search(failure.message) is not None


def _flexible(inputs: list[dict[str, Any]]) -> bool:
    return any("enumerated" in i or not all(isinstance(d, int) for d in i.get("shape", ())) for i in inputs)


def _narrow(call: Call) -> bool:
    """True where the model declares a size for what the call leaves open."""
    known = {i["name"]: i.get("declared") or () for i in call.inputs}
    pairs = [(i.get("static") or (), known.get(i.get("name"), ())) for i in call.given["inputs"]]
    return any(a is None and b is not None for given, own in pairs for a, b in zip(given, own, strict=False))


def _special(inputs: list[dict[str, Any]]) -> bool:
    return any(i.get("kind") == "ImageType" or i.get("dtype") == "fp16" for i in inputs)


def _later(outcome: Outcome, failure: Failure) -> bool:
    """True where the outcome is a failure that shows only once the other one is gone."""
    if outcome.failure is None:
        return False
    was, now = failure.signature, outcome.failure.signature
    return now.stage > was.stage or (was.pass_name == ARGUMENTS != now.pass_name)


def _other(outcome: Outcome, failure: Failure) -> bool:
    """True where the outcome is another failure, of what may come after the first."""
    return (
        outcome.failure is not None
        and outcome.failure.signature != failure.signature
        and outcome.failure.signature.stage >= failure.signature.stage
    )
