"""Causes that are no ops but a state that the model is in: left over from training, never frozen, still training."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from bisect_convert.explain.case import Case, culprit_of
from bisect_convert.explain.placement import context_of
from bisect_convert.explain.rules import listed
from bisect_convert.explain.switches import of_switches
from bisect_convert.model.cuts import Section, feedable
from bisect_convert.model.facts import DEFAULTS, LEFTOVERS, STATE, Handed, Variant
from bisect_convert.model.graph import Graph, Model, Op
from bisect_convert.model.names import op_of
from bisect_convert.model.outcome import Failure, Outcome
from bisect_convert.report.findings import Culprit, Finding, Remedy, Witness

__all__ = [
    "SOURCELESS",
    "assigned_state",
    "endless_constant",
    "gone_without",
    "left_out",
    "left_training",
    "of_variant",
    "refused_model",
]

#: `ct.convert` tries each framework where it is told of none, and swallows what they say.
SOURCELESS = "Without source='tensorflow' it says only `Unable to determine the type of the model`"
_LISTED = 4
#: Names of layers that draw at inference, and of those that draw in training.
_SAMPLES = re.compile(r"samp|latent|stochastic|(^|_)z($|_)|vae|noise_source|dropout_mc", re.IGNORECASE)
_AUGMENTS = re.compile(
    r"flip|rotat|zoom|crop|contrast|bright|translat|shear|hue|satur|augment|drop|noise|jitter", re.IGNORECASE
)
_EXPORT = """\
model.export(OUT)  # a Keras model; its serve endpoint is traced with training=False
tf.saved_model.save(module, OUT, signatures=tf.function(lambda x: model(x, training=False)).get_concrete_function(spec))
"""
#: Ops that assign a variable, or rows of it.
_ASSIGNS = re.compile(r"Assign|Resource(Scatter|StridedSliceAssign)")
#: Random ops that layers draw with only while they are trained.
_RANDOM = re.compile(r"^(Stateless|Stateful)?(Random|TruncatedNormal|ParameterizedTruncatedNormal)|^Rng")


def gone_without(before: Outcome, without: Outcome) -> Failure | None:
    """Return a failure of the model that its form without a cause does not have; None where that fails as the model does."""
    first, other = before.failure, without.failure
    if first is None or other is None or other.signature != first.signature:
        return first
    left = {f.hint[-1].name for f in (other, *without.further) if f.hint}
    return next((f for f in (first, *before.further) if f.hint and f.hint[-1].name not in left), None)


def left_out(model: Model, without: Model) -> Section:
    """Return what the model has and its form without a cause has not, or has as something else."""
    main, left = model.main, without.main.ops
    gone = frozenset(n for n in main.atoms if n not in left or left[n].type != main.ops[n].type)
    return Section("", feedable(main, gone, main.atoms)[0])


def of_variant(
    variant: Variant, failure: Failure, model: Model, *, converts: bool, inputs: Sequence[Mapping[str, Any]] = ()
) -> Finding:
    """Return the finding for a cause that was seen to be gone in a form of the model; converts: nothing else is wrong.

    inputs: those that the caller named, as packed.
    """
    graph = model.main
    blamed = [name for name in variant.blamed if name in graph.ops]
    culprits = tuple(culprit_of(graph, name) for name in blamed)
    told = partial(of_switches, inputs=inputs) if variant.kind == DEFAULTS else _CAUSES[variant.kind]
    cause, why, remedy = told(variant, graph, converts)
    return Finding(
        failure.signature.stage.word, failure.signature.pass_name, failure.type, failure.message, culprits,
        context_of(model, "", blamed[0]), Witness(tuple(blamed), types=tuple(c.op for c in culprits)), why, (remedy,),
        places=tuple((c.name,) for c in culprits), cause=cause,
    )  # fmt: skip


def _leftovers(variant: Variant, graph: Graph, converts: bool) -> tuple[str, str, Remedy]:
    wanted = " ".join(f"--output {name}" for name in variant.about)
    cause = f"no output was named, and what is left over from training was taken for outputs: {wanted}"
    why = (
        f"No output was named, so every end of the graph is taken for one. {_some(variant.blamed)} are left over from "
        f"training: gradients, losses, summaries or savers, which no prediction needs. The model itself ends in "
        f"{listed(list(variant.about[:_LISTED]))}."
    )
    specs = [{"kind": "TensorType", "name": name} for name in variant.about]
    code = f"outputs=[{', '.join(f'ct.TensorType(name={name!r})' for name in variant.about)}]\n"
    named = f"name the output{'s' * (len(variant.about) > 1)}: {wanted}"
    return cause, why, Remedy("option", named, converts, code, {"outputs": specs} if converts else None, not converts)


def _state(variant: Variant, graph: Graph, converts: bool) -> tuple[str, str, Remedy]:
    names = list(variant.blamed)
    many = len(names) > 1
    assigned = bool(variant.about)
    what = f"variable{'s' * many} {listed(names[:_LISTED])}{' and others' * (len(names) > _LISTED)}"
    cause = f"the {what} {'were' if many else 'was'} not frozen" + f" and {'are' if many else 'is'} assigned" * assigned
    why = f"The {what} {'are' if many else 'is'} state of the model, which freezing left as it is"
    why += (
        f": {_some(variant.about)} {'write' if len(variant.about) > 1 else 'writes'} to {'them' if many else 'it'}."
        if assigned
        else "."
    )
    why += " Core ML models made from TensorFlow keep no state, and a frozen graph holds no value of a variable."
    if not assigned:
        code = "tf.compat.v1.graph_util.convert_variables_to_constants(session, graph_def, outputs)  # with its checkpoint\n"
        return cause, why, Remedy("rewrite", "freeze the model with its checkpoint, variables and all", code=code)
    inputs = ", ".join(_spec(name, graph) for name in names)
    outputs = ", ".join(f"ct.TensorType(name={name!r})" for name in variant.about)
    code = (
        f"# the variables as placeholders of their names, each Assign as a tf.identity of the value that it assigns:\n"
        f"inputs=[..., {inputs}]  # zeros at first, then what the outputs gave the step before\n"
        f"outputs=[..., {outputs}]\n"
    )
    return (
        cause,
        why,
        Remedy("rewrite", "take the state as an input, and give the new state as an output", converts, code),
    )


_CAUSES = {LEFTOVERS: _leftovers, STATE: _state}


def _spec(name: str, graph: Graph) -> str:
    """The variable as an input; a handle has no shape, what is read of it has."""
    read = [op for op in graph.ops.values() if op.type == "ReadVariableOp" and name in map(op_of, op.inputs)]
    made = next((op.outputs for op in (*read, *filter(None, [graph.ops.get(name)])) if op.outputs), None)
    return f"ct.TensorType(name={name!r}, shape={tuple(made[0].shape or ()) if made else ()})"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return (", ".join(f"`{n}`" for n in names[:_LISTED]) + more) if more else listed(list(names))


def refused_model(handed: Handed, code: str, *, converts: bool) -> Finding:
    """Return the finding for a Keras model that `ct.convert` refuses before it looks at any op; converts: otherwise it does.

    code: the call that hands it over as something else.
    """
    kind, _, message = handed.refused.partition(": ")
    functional = handed.argument.startswith("tf.keras.Model(")
    another = "a functional model" if functional else "a concrete function"
    taken = "takes it" if converts else "gets further"
    why = (
        "`ct.convert` traces a Keras model itself, with attributes that only a functional model of its own Keras has: "
        f"it stops before it looks at any op. {SOURCELESS}."
    )
    summary = f"hand it over as {another} of the same layers"
    return Finding(
        "load", None, kind, message or kind, (), explanation=why,
        remedies=(Remedy("rewrite", summary, converts, code, past=not converts),),
        cause=f"ct.convert refuses the Keras model as it is ({message or kind}); as {another} it {taken}",
    )  # fmt: skip


def assigned_state(findings: Sequence[Finding], given: Sequence[str], model: Model, *, converts: bool) -> list[Finding]:
    """Return the findings with those about assignments as state of the model; given: the inputs that variables were made.

    What training assigns is left to `left_training`. converts: the model with the state as inputs does.
    """
    training = set().union(*_training_layers(model))
    ours = [
        f for f in findings
        if f.culprits and all(_ASSIGNS.match(c.op) and not _scopes(c.layer or "") & training for c in f.culprits)
    ]  # fmt: skip
    return [_of_state(f, given, converts) if f in ours else f for f in findings]


def _of_state(finding: Finding, given: Sequence[str], converts: bool) -> Finding:
    layers = list(dict.fromkeys(c.layer for c in finding.culprits if c.layer))
    where = f" in {listed(layers[:_LISTED])}" if layers else ""
    many = "s" * (len(given) > 1)
    cause = f"the model assigns state as it runs{where}, and a frozen graph keeps none"
    summary = "take the state as an input, and give the new state as an output; --fix OUT.mlpackage makes it so"
    if given:
        summary += f", as the input{many} {listed(list(given[:_LISTED]))}"
    else:
        summary = "leave the assignments out, since no output hangs on them; --fix OUT.mlpackage makes it so"
    return replace(finding, cause=cause, remedies=(Remedy("rewrite", summary, converts, past=not converts),))


def endless_constant(case: Case) -> str:
    """Return the cause where a compression stops at a constant that holds infinity or NaN, else an empty string."""
    words = ("infinity", "NaN", "infs or nans")
    if case.stage != "optimize" or not any(w in case.message for w in words) or not case.culprits:
        return ""
    first = case.culprits[0]
    graph = case.model.graphs[first.function or ""]
    held = next((t for t in first.inputs if (op := graph.ops.get(op_of(t.tensor))) is not None and op.constant), None)
    if held is None:
        return ""
    shape = "x".join(str(s) for s in held.shape or ())
    told = f"the constant `{op_of(held.tensor)}` ({held.dtype} {shape}), which {first.op} reads, holds"
    if "NaN" in case.message and "infinity" not in case.message:
        return f"{told} NaN, which no compression takes; what it makes is NaN without one too"
    return f"{told} infinity or NaN: it is no weight, and is compressed like one"


def left_training(findings: Sequence[Finding], model: Model) -> list[Finding]:
    """Return the findings with those of layers that only work while they are trained as one, where the first of them was."""
    drawing, averaging = _training_layers(model)
    training = drawing | averaging
    ours = [f for f in findings if f.culprits and all(_scopes(c.layer or "") & training for c in f.culprits)]
    if not ours:
        return list(findings)
    merged = _merged(ours, drawing, _drawn(model, drawing))
    return [merged if f is ours[0] else f for f in findings if f is ours[0] or f not in ours]


def _training_layers(model: Model) -> tuple[set[str], set[str]]:
    """The scopes that draw random numbers by a generator whose seed they assign, and those that assign batch statistics."""
    drawn: set[str] = set()
    assigned: set[str] = set()
    averaged: set[str] = set()
    for op in _ops(model):
        layer = op.layer or ""
        if _RANDOM.match(op.type):
            drawn |= _scopes(layer)
        elif op.type.startswith("FusedBatchNorm") or layer.endswith(("/moments", "/AssignMovingAvg")):
            averaged |= _scopes(layer)
        elif _assigns(op):
            assigned.add(layer)
    return assigned & drawn, (assigned & averaged) - drawn


def _assigns(op: Op) -> bool:
    return op.type.startswith("Assign") and op.type.endswith("VariableOp")


def _ops(model: Model) -> Iterator[Op]:
    for graph in model.graphs.values():
        yield from graph.ops.values()


def _drawn(model: Model, layers: set[str]) -> list[str]:
    """The types of the random ops in these layers."""
    found = [op.type for op in _ops(model) if _RANDOM.match(op.type) and _scopes(op.layer or "") & layers]
    return sorted(set(found))


def _scopes(layer: str) -> set[str]:
    parts = layer.split("/")
    return {"/".join(parts[: n + 1]) for n in range(len(parts))}


def _whole_layer(culprit: Culprit, drawing: set[str]) -> str:
    """The layer that draws, where the op stands in a scope of its own in it."""
    around = sorted(_scopes(culprit.layer or "") & drawing, key=len)
    return around[-1] if around else culprit.layer or culprit.name


def _merged(findings: Sequence[Finding], drawing: set[str], drawn: Sequence[str]) -> Finding:
    culprits = tuple(c for f in findings for c in f.culprits)
    layers = list(dict.fromkeys(_whole_layer(c, drawing) for c in culprits))
    short = [re.sub(r"_\d+$", "", n.rpartition("/")[2]) for n in layers]
    shown = listed(short[:_LISTED]) + f" and {len(short) - _LISTED} more" * (len(short) > _LISTED)
    kinds = [*dict.fromkeys(c.op for c in culprits), *drawn]
    many, one = "s" * (len(short) > 1), "s" * (len(short) == 1)
    draws = any(_scopes(c.layer or "") & drawing for c in culprits)
    samples = draws and any(_SAMPLES.search(name) for name in short) and not any(_AUGMENTS.search(n) for n in short)
    if draws:
        cause = f"the layer{many} {shown} draw{one} random numbers and assign{one} the seeds" + ", as in training" * (
            not samples
        )
        said = "Augmentation and dropout do so in training: most likely it was exported with training switched on."
        if samples:
            said = "A layer that samples does so at inference too; augmentation and dropout do so in training."
    else:
        cause = f"training was left on in the layer{many} {shown}"
        said = "The statistics of batches are averaged, and assigned, in training only."
    why = f"{said} Freezing turns variables into constants, and a constant cannot be assigned. Found there: {listed(kinds)}."
    summary = "call the model with training=False, or export it without these layers"
    remedies = [Remedy("rewrite", summary, code=_EXPORT)]
    if draws:
        sampled = (
            "where it is to draw at inference, as a sampling layer does, draw outside of it and make that an input"
        )
        remedies.insert(0 if samples else 1, Remedy("rewrite", sampled))
    return replace(
        findings[0], culprits=culprits, explanation=why, remedies=tuple(remedies), interaction=False,
        places=tuple(place for f in findings for place in f.places) or tuple((c.name,) for c in culprits),
        cause=f"{cause} ({', '.join(kinds)})",
    )  # fmt: skip
