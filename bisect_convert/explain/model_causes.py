"""Causes that are no ops but a state that the model is in: left over from training, never frozen, refused as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bisect_convert.explain.case import Case, culprit_of
from bisect_convert.explain.placement import context_of
from bisect_convert.explain.rules import listed
from bisect_convert.explain.switches import of_switches
from bisect_convert.model.cuts import Section, feedable
from bisect_convert.model.facts import DEFAULTS, LEFTOVERS, STATE, Handed, Variant
from bisect_convert.model.graph import Graph, Model
from bisect_convert.model.names import op_of
from bisect_convert.model.outcome import Failure, Outcome
from bisect_convert.report.findings import Finding, Remedy, Witness

__all__ = [
    "SOURCELESS",
    "endless_constant",
    "gone_without",
    "left_out",
    "of_variant",
    "refused_model",
]

#: `ct.convert` tries each framework where it is told of none, and swallows what they say.
SOURCELESS = "Without source='tensorflow' it says only `Unable to determine the type of the model`"
_LISTED = 4


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
