"""Models that TensorFlow cannot read or freeze: which of their ops are at fault, why, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bisect_convert.explain.case import culprit_of
from bisect_convert.explain.placement import context_of
from bisect_convert.model.graph import Graph, Model, Op
from bisect_convert.model.loaded import Loaded
from bisect_convert.model.outcome import Failure
from bisect_convert.report.findings import Finding, Remedy, Witness

__all__ = ["load_causes"]

_UNREGISTERED = re.compile(r"Op type not registered '([^']+)'")
_RANDOM = ("Rng", "Stateful", "NonDeterministic")

#: Where ops that TensorFlow itself does not have come from: by the start of their type, the package to import.
_PACKAGES = {
    "Addons>": "tensorflow_addons", "SimpleML": "tensorflow_decision_forests", "TFText>": "tensorflow_text",
    "Sentencepiece": "tensorflow_text", "Wordpiece": "tensorflow_text", "Whitespace": "tensorflow_text",
    "Unicode": "tensorflow_text", "FastWordpiece": "tensorflow_text", "FastBert": "tensorflow_text",
    "RegexSplit": "tensorflow_text", "CaseFold": "tensorflow_text", "NormalizeUTF8": "tensorflow_text",
    "Horovod": "horovod.tensorflow", "IO>": "tensorflow_io",
}  # fmt: skip


#: What can be done about a variable that is too large for a constant.
_OF_LARGE = (
    (
        "keep it in float16, which halves it, and cast what is read of it",
        "table = tf.Variable(tf.cast(table, tf.float16))\ntf.cast(tf.gather(table, ids), tf.float32)\n",
    ),
    (
        "look up outside of the model, and give it the rows as an input",
        "model(rows)  # rows = table[ids], read by the app\n",
    ),
    ("split it among several models: in one, all constants together have the same limit", ""),
)


@dataclass(frozen=True)
class _Kind:
    """The ops of one type that are at fault; `missing`: the functions that they call and the model does not
    have; `large`: the variable that they read, where that is too large."""

    op: str
    places: tuple[tuple[Graph, Op], ...]
    message: str
    missing: tuple[str, ...] = ()
    large: str = ""

    @property
    def unregistered(self) -> bool:
        return bool(_UNREGISTERED.search(self.message)) and not self.missing


def load_causes(loaded: Loaded) -> list[Finding]:
    """Return the findings for a failure of the stage "load", one for each type of op, those that the error names first.

    They are found by reading, not by probes: there is no frozen graph to cut, so nothing is called confirmed or minimal.
    """
    outcome = loaded.failure
    assert outcome is not None and outcome.failure is not None
    failure = outcome.failure
    kinds = _kinds(loaded, failure.message)
    return [_finding(failure, loaded, kind) for kind in kinds] or [_no_op(failure, loaded.model)]


def _kinds(loaded: Loaded, message: str) -> list[_Kind]:
    by_type: dict[tuple[str, str], list[tuple[Graph, Op]]] = {}
    for name, op in loaded.blamed:
        graph = loaded.model.graphs[name]
        by_type.setdefault((graph.ops[op].type, loaded.large.get(op, "")), []).append((graph, graph.ops[op]))
    kinds = [
        _Kind(
            kind, tuple(places), message,
            tuple(sorted({f for _, op in places for _, f in op.functions if f not in loaded.model.graphs})),
            large,
        )
        for (kind, large), places in by_type.items()
    ]  # fmt: skip
    return sorted(kinds, key=lambda k: not any(k.op in message or op.name in message for _, op in k.places))


def _finding(failure: Failure, loaded: Loaded, kind: _Kind) -> Finding:
    culprits = tuple(culprit_of(graph, op.name) for graph, op in kind.places)
    graph, first = kind.places[0]
    return Finding(
        failure.signature.stage.word, failure.signature.pass_name, failure.type, failure.message, culprits,
        context_of(loaded.model, graph.name, first.name),
        Witness(tuple(c.name for c in culprits), types=tuple(c.op for c in culprits)), _explanation(kind),
        _remedies(kind), places=tuple((c.name,) for c in culprits),
        cause=f"the variable {kind.large} is too large for a constant" if kind.large else "",
    )  # fmt: skip


def _no_op(failure: Failure, model: Model) -> Finding:
    explanation = (
        "TensorFlow could not freeze the model, so there is no graph to convert; no op of it could be singled out."
    )
    remedies: tuple[Remedy, ...] = ()
    if not model.ops and model.signatures:
        names = ", ".join(f"`{name}`" for name in model.signatures)
        said = "The SavedModel has no signature, so coremltools finds no function in it; no op is at fault."
        explanation = f"{said} It has {names}."
        code = (
            f"model = tf.saved_model.load({model.path!r})\n"
            f"ct.convert([model.{model.signatures[0]}.concrete_functions[0]], source='tensorflow')\n"
        )
        summary = "convert one of its functions by itself, or save it with tf.saved_model.save(..., signatures=...)"
        remedies = (Remedy("rewrite", summary, code=code),)
    return Finding(
        failure.signature.stage.word, failure.signature.pass_name, failure.type, failure.message, (),
        explanation=explanation, remedies=remedies,
    )  # fmt: skip


def _explanation(kind: _Kind) -> str:
    name = kind.places[0][1].name
    if kind.large:
        return (
            f"`{name}` reads the variable {kind.large}. Freezing turns variables into constants, and TensorFlow makes none "
            "of more than 2 GB: that is the limit of one protobuf message."
        )
    if kind.missing:
        return (
            f"`{name}` calls the function `{kind.missing[0]}`, which the model's library does not hold: the file is "
            "incomplete, or was edited after it was saved."
        )
    if kind.unregistered:
        return (
            f"TensorFlow has no op type `{kind.op}`: it is a custom op, of a library that is not loaded, so the model "
            "cannot even be read. coremltools has no conversion for it either."
        )
    if kind.op.startswith("Assign"):
        return (
            f"`{name}` assigns a variable when the model runs. Freezing turns the variables into constants, and a "
            "constant cannot be assigned."
        )
    if kind.op.startswith(_RANDOM):
        return (
            f"`{name}` keeps the state of a random generator in a variable. Freezing turns the variables into constants, "
            "and the state of the generator cannot be one."
        )
    if kind.op.startswith("ResourceGather"):
        return (
            f"`{name}` gathers from a variable's handle in the body of a loop. Freezing turns the variable into a "
            "constant outside, and there is no handle left to read."
        )
    return (
        f"`{name}` works on the variable itself, not on its value. Freezing turns the variables into constants, and a "
        "constant has no handle to write to."
    )


def _remedies(kind: _Kind) -> tuple[Remedy, ...]:
    if kind.large:
        return tuple(Remedy("rewrite", summary, code=code or None) for summary, code in _OF_LARGE)
    if kind.missing:
        return (Remedy("rewrite", "export the model again, from the code that made it"),)
    if kind.unregistered:
        return _of_custom_op(kind.op)
    if kind.op.startswith("Assign"):
        summary = "call the model with training=False, or return the new state as an output instead of assigning it"
        return (Remedy("rewrite", summary, code="tf.function(lambda x: model(x, training=False))"),)
    if kind.op.startswith(_RANDOM):
        return (Remedy("rewrite", "draw the random numbers outside the model, and give them to it as an input"),)
    if kind.op.startswith("ResourceGather"):
        summary = "read the variable before the loop and gather from the tensor"
        return (Remedy("rewrite", summary, code="table = tf.identity(variable)  # outside the loop"),)
    summary = (
        "take the state as an input, and return what becomes of it as an output: tf.where updates rows of a tensor"
    )
    return (Remedy("rewrite", summary),)


def _of_custom_op(op: str) -> tuple[Remedy, ...]:
    package = next((p for start, p in _PACKAGES.items() if op.startswith(start)), None)
    load = f"import {package}" if package else "tf.load_op_library('its_library.so')"
    instead = Remedy(
        "rewrite", "export the model without it: end it before this op, or write it in TensorFlow's own ops"
    )
    if op.startswith("TFLite_"):
        summary = "export the model for TensorFlow, not for TensorFlow Lite, whose converter puts this op in"
        return (Remedy("rewrite", summary), instead)
    summary = "load its library before ct.convert, and register a conversion of your own for it"
    return (instead, Remedy("rewrite", summary, code=f"{load}\n"))
