"""Arguments of `ct.convert` put right: for each that may be at fault, what to give in its place, the likeliest first."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bisect_convert.arguments import input_corrections
from bisect_convert.arguments.likely_shapes import likely_shapes
from bisect_convert.model.graph import Graph, Tensor
from bisect_convert.model.names import op_of
from bisect_convert.render.names import unwrapped

__all__ = ["UNSHAPED", "Call", "Correction", "changed", "constant_strings", "corrections", "disagrees", "values_of"]

#: What coremltools says where neither the model nor the call gives the rank of an input, which it names.
UNSHAPED = re.compile(r"Unable to determine the shape of input: (\S+?)\. ")
#: Sizes that networks which halve their input some times can take are multiples of these.
_UNITS = (8, 32)
_WHOLE = frozenset({"ClassifierConfig", "TensorType"})


@dataclass(frozen=True)
class Call:
    """What the caller gave and what the model declares; `keys` maps the signature's names of results to op names.

    `refused`: TensorFlow itself finds that the model cannot work on the given shapes.
    """

    given: Mapping[str, Any]
    graph: Graph
    inputs: tuple[Mapping[str, Any], ...] = ()
    keys: Mapping[str, str] | None = None
    refused: bool = False


@dataclass(frozen=True)
class Correction:
    """Arguments to give in place of the caller's; one that is None is left out."""

    summary: str
    changes: Mapping[str, Any]


def changed(given: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with the changes made."""
    return {k: v for k, v in {**given, **changes}.items() if v is not None}


def corrections(argument: str, call: Call, message: str) -> list[Correction]:
    """Return what to give in place of the argument, other than what was given; leaving it out comes last."""
    found = list(_CORRECTIONS.get(argument, _none)(call, message))
    if argument in call.given:
        found.append(Correction(f"leave the argument `{argument}` out", {argument: None}))
    kept = [m for m in found if changed(call.given, m.changes) != call.given]
    return [m for i, m in enumerate(kept) if m.changes not in [k.changes for k in kept[:i]]]


def disagrees(call: Call) -> bool:
    """Return whether the argument `inputs` contradicts what the model declares: a name, a kind of number, a size."""
    given = [dict(i) for i in call.given.get("inputs") or ()]
    if len(given) == len(call.inputs) == 1 and given[0].get("name") is None:
        given[0]["name"] = call.inputs[0]["name"]
    return call.refused or input_corrections.corrected(given, call.inputs) != given


def _none(call: Call, message: str) -> Iterator[Correction]:
    yield from ()


def _inputs(call: Call, message: str) -> Iterator[Correction]:
    given = list(call.given.get("inputs") or ())
    if (match := UNSHAPED.search(message)) is not None:
        yield from _unshaped(match.group(1), given, call)
        return
    if "infinite upper_bound" in message:
        yield Correction("give each range of sizes an end, here 2048", {"inputs": input_corrections.ended(given)})
    if any(i.get("dtype") == "fp16" for i in given):
        yield Correction("take the target iOS16, the first with float16 inputs", {"minimum_deployment_target": "iOS16"})
        plain = [{**i, "dtype": "fp32"} if i.get("dtype") == "fp16" else i for i in given]
        yield Correction("take float32 inputs", {"inputs": plain})
    if sum("enumerated" in i for i in given) > 1:
        summary = "take the target iOS18, the first with several inputs of enumerated shapes"
        yield Correction(summary, {"minimum_deployment_target": "iOS18"})
    right = input_corrections.corrected(given, call.inputs) or given
    if right != given:
        yield Correction(input_corrections.described(given, right, call.inputs), {"inputs": right})
    elif call.refused:
        for unit in _UNITS:
            sizes = input_corrections.rounded(input_corrections.fixed(right, call.inputs), call.inputs, unit)
            yield Correction(f"give sizes that are multiples of {unit}", {"inputs": sizes})
    if any(i.get("kind") == "ImageType" for i in given):
        summary = "say of the image what its shape has: its colours, where its channels are, one scale for all"
        yield Correction(summary, {"inputs": input_corrections.images(right, call.inputs)})
        yield Correction("take a TensorType in place of the ImageType", {"inputs": input_corrections.as_tensors(right)})
    yield Correction("give each input one fixed shape", {"inputs": input_corrections.fixed(right, call.inputs)})


def _unshaped(name: str, given: list[Mapping[str, Any]], call: Call) -> Iterator[Correction]:
    others = [i for i in given if i.get("name") != name]
    for shape in likely_shapes(call.graph, name):
        spec = {"kind": "TensorType", "name": name, "shape": shape, "static": shape}
        words = "x".join(map(str, shape))
        yield Correction(f"say the shape of the input `{name}`, such as {words}", {"inputs": [*others, spec]})


def constant_strings(graph: Graph, outputs: Iterable[Mapping[str, Any]] | None) -> list[str]:
    """Return the ops of these outputs, packed, or of all that the model has, which are strings that follow from constants."""
    named = [op_of(str(o.get("name"))) for o in outputs or ()] or [op_of(result) for result in graph.results]
    ends = [graph.ops[n] for n in dict.fromkeys(named) if n in graph.ops]
    return [op.name for op in ends if op.constant and all(t.dtype == "string" for t in op.outputs)]


def _outputs(call: Call, message: str) -> Iterator[Correction]:
    given = list(call.given.get("outputs") or ())
    if strings := constant_strings(call.graph, given):
        ends = dict.fromkeys(op_of(result) for result in call.graph.results)
        wanted = given or [{"kind": "TensorType", "name": name} for name in ends]
        if left := [o for o in wanted if op_of(str(o.get("name"))) not in strings]:
            yield Correction("take the other outputs, and have the app hold that text", {"outputs": left})
    named = [{**o, "name": _output(o["name"], call)} if o.get("name") else o for o in given]
    if named != given:
        yield Correction("name the outputs as the frozen graph does", {"outputs": named})
    if any(o.get("dtype") == "fp16" for o in given):
        yield Correction(
            "take the target iOS16, the first with float16 outputs", {"minimum_deployment_target": "iOS16"}
        )
        plain = [{**o, "dtype": "fp32"} if o.get("dtype") == "fp16" else o for o in named]
        yield Correction("take float32 outputs", {"outputs": plain})
    if any(o.get("kind") == "ImageType" for o in given):
        summary = "take a TensorType in place of the ImageType"
        yield Correction(summary, {"outputs": [{"kind": "TensorType", "name": o.get("name")} for o in named]})


def _output(name: str, call: Call) -> str:
    """The op that is likeliest meant by the name of an output."""
    plain = op_of(name)
    results = [op_of(r) for r in call.graph.results]
    if plain in call.graph.ops:
        return plain
    if plain in (call.keys or {}):
        return (call.keys or {})[plain]
    bare = unwrapped(plain)
    ends = [n for n in call.graph.ops if n.endswith(f"/{bare}")] + _ends_of_layer(bare, call.graph)
    similar = difflib.get_close_matches(plain, [*results, *call.graph.ops], 1)
    return next(iter([*ends, *(results if len(results) == 1 else []), *similar, *results]), name)


def _ends_of_layer(name: str, graph: Graph) -> list[str]:
    """The last op of the layer of that name, whatever number Keras has put behind it."""
    layer = re.compile(rf"(^|/){re.escape(name)}(_\d+)?$")
    return [n for n in graph.order if layer.search(graph.ops[n].layer or "") and not graph.ops[n].constant][-1:]


def _classifier(call: Call, message: str) -> Iterator[Correction]:
    config = call.given["classifier_config"]
    results = [call.graph.tensors[r] for r in call.graph.results if r in call.graph.tensors]
    labels = config.get("class_labels")
    for tensor in results if isinstance(labels, list) and len(results) > 1 else ():
        if values_of(tensor) == len(labels):
            summary = f"say that `{tensor.op}` has the probabilities: it has as many values as there are labels"
            yield _config(call, summary, predicted_probabilities_output=tensor.op)
    wanted = config.get("predicted_probabilities_output")
    if wanted and results:
        meant = _output(wanted, call)
        yield _config(call, f"say `{meant}` for the output of probabilities", predicted_probabilities_output=meant)
        yield _config(call, "do not name the output of probabilities", predicted_probabilities_output=None)


def values_of(tensor: Tensor) -> int | None:
    """Return how many values the tensor has for one item of a batch; None where that is open."""
    if tensor.shape is None or any(size is None for size in tensor.shape[1:]):
        return None
    sizes = [size for size in tensor.shape[1:] or tensor.shape if size is not None]
    return math.prod(sizes) if len(sizes) == len(tensor.shape[1:] or tensor.shape) else None


def _config(call: Call, summary: str, **changes: Any) -> Correction:
    return Correction(summary, {"classifier_config": {**call.given["classifier_config"], **changes}})


def _precision(call: Call, message: str) -> Iterator[Correction]:
    if isinstance(call.given["compute_precision"], dict):
        yield Correction("let all ops compute in float16, without a selector", {"compute_precision": "FLOAT16"})


def _target(call: Call, message: str) -> Iterator[Correction]:
    if call.given.get("convert_to") == "neuralnetwork":
        yield Correction("take the format mlprogram", {"convert_to": "mlprogram"})
    elif call.given.get("convert_to") in (None, "mlprogram"):
        yield Correction("take iOS15, the lowest target for an mlprogram", {"minimum_deployment_target": "iOS15"})


def _format(call: Call, message: str) -> Iterator[Correction]:
    if call.given.get("convert_to") not in ("neuralnetwork", "milinternal"):
        return
    yield Correction("take the format mlprogram", {"convert_to": "mlprogram"})
    if call.given.get("minimum_deployment_target") in ("iOS13", "iOS14"):
        both = {"convert_to": "mlprogram", "minimum_deployment_target": "iOS15"}
        yield Correction("take the format mlprogram, and iOS15, the lowest target for it", both)


def _states(call: Call, message: str) -> Iterator[Correction]:
    summary = (
        "leave `states` out, which is for models of PyTorch: what this one assigns can be inputs and outputs (--fix)"
    )
    yield Correction(summary, {"states": None})


_CORRECTIONS = {
    "inputs": _inputs, "outputs": _outputs, "classifier_config": _classifier, "compute_precision": _precision,
    "minimum_deployment_target": _target, "convert_to": _format, "states": _states,
}  # fmt: skip
