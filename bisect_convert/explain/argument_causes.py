"""The cause in a line where an argument of `ct.convert` is at fault: a wrong name, a wrong count, or the argument by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bisect_convert.arguments import input_corrections
from bisect_convert.arguments.corrections import constant_strings, values_of
from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import listed
from bisect_convert.model.graph import Graph, Tensor
from bisect_convert.model.names import op_of

__all__ = ["argument_cause", "channels_last", "label_notes", "miscounted"]

_LISTED = 4


def argument_cause(
    case: Case, declared: Sequence[Mapping[str, Any]] = (), keys: Mapping[str, str] | None = None
) -> str:
    """Return the cause as a headline, or an empty string where no argument is at fault or nothing is known of it.

    declared: the inputs as the model has them; keys: what the signature calls its results -> the ops that make them.
    """
    name = case.found.argument
    if name == "outputs" and (text := constant_strings(case.model.main, case.options.get("outputs"))):
        one = len(text) == 1
        made = f"{'the output' if one else 'the outputs'} {listed(text[:_LISTED])}"
        return f"{made} {'is text that is' if one else 'are texts that are'} always the same; Core ML has no strings"
    if name is None or name not in case.options:
        return ""
    renamed = _unknown_probabilities(case, keys or {}) if name == "classifier_config" else ""
    if (counted := miscounted(case, keys)) is not None or renamed:
        return "; ".join(filter(None, (renamed, counted)))
    if (image := channels_last(case)) is not None:
        return (
            f"the output `{image.op}` has its channels last ({_spelt(image)}); as an image of Core ML it has them first"
        )
    if name in ("inputs", "outputs") and (wrong := _misnamed(case, name)):
        return wrong
    return _unlike(case, declared) if name == "inputs" else ""


def _unlike(case: Case, declared: Sequence[Mapping[str, Any]]) -> str:
    """How the inputs are not as the model has them."""
    given, known = case.options["inputs"], {d["name"]: d for d in declared}
    right = input_corrections.images(input_corrections.corrected(given, declared) or given, declared)
    found = []
    for old, new in zip(given, right, strict=False):
        model = known.get(new.get("name"), {})
        if old.get("channel_first") != new.get("channel_first"):
            found.append(
                f"the image `{new['name']}` has its channels {'first' if new.get('channel_first') else 'last'}"
            )
        elif old.get("color_layout") != new.get("color_layout"):
            found.append(f"the image `{new['name']}` is {new['color_layout']}, not {old.get('color_layout')}")
        elif old.get("bias") != new.get("bias"):
            many = isinstance(new.get("bias"), (list, tuple))
            found.append(
                f"the image `{new['name']}` has {'three colours' if many else 'one channel'}, and wants "
                f"{'a bias for each' if many else 'one bias'}"
            )
        elif old.get("dtype") != new.get("dtype") and model:
            was = str(old.get("dtype")).replace("fp", "float")
            found.append(f"the input `{new['name']}` is {model.get('dtype')} in the model, and {was} was given")
    return "; ".join(found[:_LISTED])


def _misnamed(case: Case, argument: str) -> str:
    """Names that the model does not have, each with the one that was meant."""
    given = [v.get("name") for v in case.options[argument]]
    right = [v.get("name") for v in (case.found.changes or {}).get(argument) or ()]
    pairs = [(a, b) for a, b in zip(given, right, strict=False) if a and b and op_of(a) != op_of(b)]
    if not pairs or len(given) != len(right):
        return ""
    (wrong, meant), *others = pairs
    more = f" (and {len(others)} more)" if others else ""
    return f"the model has no {argument[:-1]} `{wrong}`; the likeliest is `{meant}`{more}"


def channels_last(case: Case) -> Tensor | None:
    """Return the output that is to be an image and has its channels last, as TensorFlow's images have; None for any other."""
    wanted = re.search(r"(?:image|Image) output, '([^']+)', must be of kind \(1, ([13]),", case.message)
    if case.found.argument != "outputs" or wanted is None:
        return None
    graph = case.model.main
    ends = [graph.tensors[r] for r in graph.results if r in graph.tensors]
    fit = [t for t in ends if len(t.shape or ()) == 4 and (t.shape or ())[-1] == int(wanted[2])]
    return next((t for t in fit if t.op == wanted[1]), fit[0] if len(fit) == 1 else None)


def _unknown_probabilities(case: Case, keys: Mapping[str, str]) -> str:
    """That no output has the name which the labels' one is given by, and what it is called."""
    wanted = (case.options["classifier_config"] or {}).get("predicted_probabilities_output")
    results = [op_of(r) for r in case.model.main.results]
    if not wanted or op_of(wanted) in results:
        return ""
    meant = keys.get(op_of(wanted))
    known = f"`{meant}` is what the signature calls so" if meant else f"it has {listed(results[:_LISTED])}"
    return f"the model has no output `{wanted}`; {known}"


def miscounted(case: Case, keys: Mapping[str, str] | None = None) -> str | None:
    """Return how many labels were given, how many values the output has, and which outputs there are; None if they agree."""
    if case.found.argument != "classifier_config":
        return None
    return _miscounted(case.options.get("classifier_config") or {}, case.model.main, keys or {})


def label_notes(config: Mapping[str, Any] | None, graph: Graph, keys: Mapping[str, str] | None = None) -> list[str]:
    """Return as a note that the labels are not as many as the values, which no conversion counts where the batch is open."""
    counted = _miscounted(config or {}, graph, keys or {})
    return (
        [f"{counted}; coremltools does not count them where a size is open, the app's own calls do"] if counted else []
    )


def _miscounted(config: Mapping[str, Any], graph: Graph, keys: Mapping[str, str]) -> str | None:
    labels = config.get("class_labels")
    if not isinstance(labels, list):
        return None
    results = [graph.tensors[r] for r in graph.results if r in graph.tensors]
    wanted = config.get("predicted_probabilities_output")
    wanted = wanted and keys.get(op_of(wanted), op_of(wanted))
    taken = next((t for t in results if not wanted or t.op == wanted), None)
    count = taken and values_of(taken)
    if taken is None or count is None or count == len(labels):
        return None
    others = [f"{t.op} {_spelt(t)}" for t in results if t is not taken]
    beside = f"; it also has {listed(others[:_LISTED])}" if others else ""
    return f"{len(labels)} labels were given, and the output `{taken.op}` has {count} value{'s' * (count != 1)}{beside}"


def _spelt(tensor: Tensor) -> str:
    return f"[{', '.join('?' if s is None else str(s) for s in tensor.shape or ())}]"
