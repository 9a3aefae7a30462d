"""Where an argument of `ct.convert` is at fault: what to give in its place, probed on the whole model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bisect_convert.arguments.as_code import argument_code
from bisect_convert.arguments.corrections import Correction, changed, corrections
from bisect_convert.explain.argument_causes import channels_last, miscounted
from bisect_convert.explain.case import Case
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import Remedy
from bisect_convert.report.questions import Kind
from bisect_convert.search.faulty_arguments import call_of

__all__ = ["argument_remedies"]

_MOST = 5
_TWO = "y = tf.concat([1.0 - y, y], -1)  # y: the probability of the second label\n"
_ENOUGH = 3


def argument_remedies(case: Case, prober: Prober) -> tuple[Remedy, ...]:
    """Return what to give in place of the argument, or to leave it out; `verified` where the whole then converted.

    Where nothing makes the whole convert, since more is wrong with it, what gets past this failure is named.
    """
    found = case.found
    assert found.argument is not None
    made: list[Remedy] = []
    if (counted := miscounted(case, prober.loaded.keys)) is not None:
        return _of_labels(case, counted, prober)
    made += _channels_first(case, prober)
    for correction in corrections(found.argument, call_of(prober), found.failure.message)[:_MOST]:
        options = changed(prober.options, correction.changes)
        if (
            len(made) < _ENOUGH
            and prober.trial(found.witness, Kind.REMEDY.asks(correction.summary), options=options).converted
        ):
            made.append(_remedy(correction, verified=True))
    if made:
        return tuple(made)
    if found.changes:
        past = next(
            m for m in corrections(found.argument, call_of(prober), found.failure.message) if m.changes == found.changes
        )
        return (replace(_remedy(past, verified=False), past=True),)
    summary = f"leave the argument `{found.argument}` out, or give another value: with it, nothing converts"
    return (Remedy("option", summary),)


def _of_labels(case: Case, counted: str, prober: Prober) -> tuple[Remedy, ...]:
    """The output that has as many values, tried; else what may be wrong with the labels: nothing is made up."""
    labels = case.options["classifier_config"]["class_labels"]
    for correction in corrections("classifier_config", call_of(prober), case.message):
        config = correction.changes.get("classifier_config") or {}
        if config.get("predicted_probabilities_output"):
            options = changed(prober.options, correction.changes)
            asked = Kind.REMEDY.asks(correction.summary)
            if prober.trial(case.found.witness, asked, options=options).converted:
                return (_remedy(correction, verified=True),)
    values = int(found[1]) if (found := re.search(r"has (\d+) value", counted)) else 0
    if values == len(labels) + 1:
        summary = "most often it is a background class in front, which has no label: if so, put it there. Only you know"
        return (Remedy("option", f"{counted}: {summary}", code="labels = ['background', *labels]\n"),)
    if (values, len(labels)) == (1, 2):
        summary = (
            "one value is the probability of one of two classes, as a sigmoid gives it, and Core ML wants one for each "
            "label: make it two at the end of the model"
        )
        return (Remedy("rewrite", f"{counted}: {summary}", code=_TWO),)
    if values == len(labels) - 1:
        summary = (
            "one label too many, most often one of a background class in front, or an empty last line. Only you know"
        )
        return (Remedy("option", f"{counted}: {summary}"),)
    summary = "a classifier has one output with a value for each label; a detector is none: leave the labels out"
    return (Remedy("option", f"{counted}: {summary}"),)


def _channels_first(case: Case, prober: Prober) -> list[Remedy]:
    """The transpose that keeps an output an image, tried on the whole model."""
    output = channels_last(case)
    if output is None:
        return []
    asked = Kind.REMEDY.asks("channels first")
    if not prober.trial(case.found.witness, asked, op=output.op, recipe="channels_first").converted:
        return []
    summary = f"put the channels of `{output.op}` first at the end of the model, so that it stays an image"
    return [Remedy("rewrite", summary, True, "y = tf.transpose(y, (0, 3, 1, 2))  # y: what the output is\n")]


def _remedy(correction: Correction, *, verified: bool) -> Remedy:
    code = ", ".join(f"{k}={_code(k, v)}" for k, v in correction.changes.items() if v is not None) or None
    return Remedy("option", correction.summary, verified, code)


def _code(name: str, value: Any) -> str | None:
    """The code of the argument; the user has the labels, of which there may be thousands."""
    if name == "classifier_config" and isinstance(value, Mapping) and isinstance(value.get("class_labels"), list):
        code = argument_code(name, {**value, "class_labels": None}) or ""
        return code.replace("ClassifierConfig(", "ClassifierConfig(labels, ").replace(", )", ")")
    return argument_code(name, value)
