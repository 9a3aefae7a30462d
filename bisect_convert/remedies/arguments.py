"""Where an argument of `ct.convert` is at fault: what to give in its place, probed on the whole model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bisect_convert.hunt import Found
from bisect_convert.prober import Prober
from bisect_convert.remedies.code import argument_code
from bisect_convert.report import Remedy

__all__ = ["argument_remedies"]

_MOST = 3
#: What an ImageType and a TensorType have in common.
_SHAPED = ("name", "shape", "static", "enumerated", "default")
#: An end for a range of sizes that has none.
_END = 2048


def argument_remedies(found: Found, prober: Prober) -> tuple[Remedy, ...]:
    """Return what to give in place of the argument, or to leave it out; `verified` where the whole then converted."""
    assert found.argument is not None
    name, given = found.argument, prober.options
    message = found.failure.message
    made = []
    for summary, changes in list(_changes(name, given, message))[:_MOST]:
        options = {k: v for k, v in {**given, **changes}.items() if v is not None}
        outcome = prober.trial(found.witness, f"remedy: {summary}", options=options)
        code = ", ".join(f"{k}={argument_code(k, v)}" for k, v in changes.items() if v is not None) or None
        if outcome.converted:
            made.append(Remedy("option", summary, True, code))
    if made:
        return tuple(made)
    return (Remedy("option", f"leave the argument `{name}` out, or give another value: with it, nothing converts"),)


def _changes(name: str, given: Mapping[str, Any], message: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (summary, changed arguments), the likeliest first; a change to None leaves the argument out."""
    if name == "inputs":
        yield from _input_changes(given, message)
    if name == "minimum_deployment_target" and given.get("convert_to") == "neuralnetwork":
        yield "take the format mlprogram", {"convert_to": "mlprogram"}
    if name == "minimum_deployment_target" and given.get("convert_to") in (None, "mlprogram"):
        yield "take iOS15, the lowest target for an mlprogram", {"minimum_deployment_target": "iOS15"}
    if name == "convert_to" and given.get("convert_to") in ("neuralnetwork", "milinternal"):
        yield "take the format mlprogram", {"convert_to": "mlprogram"}
        if given.get("minimum_deployment_target") in ("iOS13", "iOS14"):
            both = {"convert_to": "mlprogram", "minimum_deployment_target": "iOS15"}
            yield "take the format mlprogram, and iOS15, the lowest target for it", both
    yield f"leave the argument `{name}` out", {name: None}


def _input_changes(given: Mapping[str, Any], message: str) -> Iterator[tuple[str, dict[str, Any]]]:
    inputs = given.get("inputs") or []
    if "infinite upper_bound" in message:
        ended = [{**i, "shape": [_ended(d) for d in i["shape"]]} if "shape" in i else i for i in inputs]
        yield f"give each range of sizes an end, here {_END}", {"inputs": ended}
    if any(i.get("dtype") == "fp16" for i in inputs):
        yield "take the target iOS16, the first with float16 inputs", {"minimum_deployment_target": "iOS16"}
        plain = [{**i, "dtype": "fp32"} if i.get("dtype") == "fp16" else i for i in inputs]
        yield "take float32 inputs", {"inputs": plain}
    if sum("enumerated" in i for i in inputs) > 1:
        yield (
            "take the target iOS18, the first with several inputs of enumerated shapes",
            {"minimum_deployment_target": "iOS18"},
        )
    if any(i.get("kind") == "ImageType" for i in inputs):
        tensors = [
            {"kind": "TensorType", **{k: v for k, v in i.items() if k in _SHAPED}}
            if i.get("kind") == "ImageType" else i for i in inputs
        ]  # fmt: skip
        yield "take a TensorType in place of the ImageType", {"inputs": tensors}


def _ended(dimension: Any) -> Any:
    if isinstance(dimension, dict) and "range" in dimension and dimension["range"][1] < 0:
        low, _, default = dimension["range"]
        return {**dimension, "range": [low, _END, default]}
    return dimension
