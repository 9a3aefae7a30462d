"""What layers do only while they are trained, and state that a model assigns as it runs: many findings, one cause."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bisect_convert.explain.rules import listed
from bisect_convert.model.graph import Model, Op
from bisect_convert.report.findings import Culprit, Finding, Remedy

__all__ = ["assigned_state", "drawn_in_training", "left_training"]

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
#: What the variables of a layer are called that training makes, and nothing else.
_WEIGHTS = re.compile(r"(kernel|weights?|gamma|beta|bias|embeddings|moving_(mean|variance)|vector_u)(_\d+)?(_in)?$")


def assigned_state(
    findings: Sequence[Finding], given: Sequence[str], model: Model, *, converts: bool | None
) -> list[Finding]:
    """Return the findings with those about assignments as state of the model; given: the inputs that variables were made.

    What training assigns is left to `left_training`. converts: the model with the state as inputs does; None: it was not
    made, as it is not of a caller's own object.
    """
    training = set().union(*_training_layers(model))
    ours = [
        f for f in findings
        if f.culprits and all(_ASSIGNS.match(c.op) and not _scopes(c.layer or "") & training for c in f.culprits)
    ]  # fmt: skip
    return [_of_state(f, given, converts) if f in ours else f for f in findings]


def _of_state(finding: Finding, given: Sequence[str], converts: bool | None) -> Finding:
    layers = list(dict.fromkeys(c.layer for c in finding.culprits if c.layer))
    where = f" in {listed(layers[:_LISTED])}" if layers else ""
    many = "s" * (len(given) > 1)
    if weights := [n.removesuffix("_in") for n in given if _WEIGHTS.search(n)]:
        cause = f"training was left on{where}: {listed(weights[:_LISTED])} {'are' if weights[1:] else 'is'} assigned as it runs"
        summary = "call the model with training=False, or export it without these layers"
        return replace(finding, cause=cause, remedies=(Remedy("rewrite", summary, code=_EXPORT),))
    cause = f"the model assigns state as it runs{where}, and a frozen graph keeps none"
    if converts is None:
        return replace(finding, cause=cause)
    summary = "take the state as an input, and give the new state as an output; --fix OUT.mlpackage makes it so"
    if given:
        summary += f", as the input{many} {listed(list(given[:_LISTED]))}"
    else:
        summary = "leave the assignments out, since no output hangs on them; --fix OUT.mlpackage makes it so"
    return replace(finding, cause=cause, remedies=(Remedy("rewrite", summary, converts, past=not converts),))


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


def drawn_in_training(layer: str, kind: str) -> tuple[str, Remedy]:
    """Return the cause, and what to do, where a converted model draws random numbers in this layer, by ops of this kind."""
    around = [part for part in sorted(_scopes(layer), key=len) if _AUGMENTS.search(part.rpartition("/")[2])]
    if not around or _SAMPLES.search(around[0].rpartition("/")[2]):
        cause = f"`{layer or kind}` draws random numbers at inference ({kind}), and no two runs compute the same"
        return cause, Remedy("rewrite", "make what is drawn an input of the model")
    cause = (
        f"`{around[0]}` draws random numbers at inference ({kind}), as dropout, noise and augmentation do in training"
    )
    return cause, Remedy(
        "rewrite", "call the model with training=False, or export it without these layers", code=_EXPORT
    )
