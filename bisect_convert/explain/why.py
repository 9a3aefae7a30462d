"""Why it fails, in a sentence or two: from the failure, the culprits and the graph above them, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bisect_convert.arguments.corrections import constant_strings
from bisect_convert.explain.case import Case
from bisect_convert.explain.control_flow import FLOW_RULES
from bisect_convert.explain.requirements import NEED_RULES
from bisect_convert.explain.rules import Rule, Said, Why, listed
from bisect_convert.model.names import BRANCHES, NO_VALUES, bytes_of, op_of
from bisect_convert.report.findings import TensorFact

__all__ = ["RULES", "explain", "unsupported"]

_UNSUPPORTED = re.compile(r"Conversion for TF op '([^']+)' not implemented")

#: What an op type usually comes from, where its name does not say so.
_ORIGINS = {
    "Erfc": "an exact GELU (`approximate=False`) is computed with it",
    "Roll": "`tf.roll` makes it, as shifted windows use it",
    "PartitionedCall": "it is a call of a function that freezing leaves in the graph, as `jit_compile=True` and "
    "Keras's grouped convolutions make them",
    "_SwitchN": "freezing takes `tf.switch_case` apart into such ops, and conditionals of TensorFlow 1 are made of them",
    "Merge": "freezing takes `tf.switch_case` apart into such ops, and conditionals of TensorFlow 1 are made of them",
    "Switch": "conditionals of TensorFlow 1 are made of such ops; `tf.compat.v1.enable_control_flow_v2()` makes others",
    "ComplexAbs": "`tf.abs` of complex numbers makes it, as a spectrogram does",
    "Angle": "`tf.math.angle` makes it",
    "EnsureShape": "`tf.ensure_shape` makes it",
    "TensorListConcatV2": "`TensorArray.concat` makes it",
    "CombinedNonMaxSuppression": "`tf.image.combined_non_max_suppression` makes it",
    "ScaleAndTranslate": "`tf.image.resize` with `antialias=True` makes it",
    "EagerPyFunc": "`tf.py_function` makes it: Python code that no converter can see into",
    "PyFunc": "`tf.numpy_function` makes it: Python code that no converter can see into",
}
_ORIGINS["StatefulPartitionedCall"] = _ORIGINS["PartitionedCall"]
_ORIGINS["StatelessCase"] = _ORIGINS["Case"] = "`tf.switch_case` makes it"


#: MiB from which on a tensor's size is worth a word.
_LARGE = 32.0


def explain(case: Case) -> Why:
    """Return what the failure means for its reader, and the rule by which that was recognised."""
    for rule, says in RULES.items():
        if (said := says(case)) is not None:
            text, about = (said, "") if isinstance(said, str) else said
            return Why(rule, text, about)
    return Why(Rule.NEUTRAL, _neutral(case))


def unsupported(message: str) -> str | None:
    """Return the op type that the converter says it has no conversion for, or None."""
    match = _UNSUPPORTED.search(message)
    return match.group(1) if match else None


def _slow(case: Case) -> str | None:
    if not case.slow:
        return None
    said = "It converts, but this is where the time goes."
    constants = [t for op in case.culprits for t in op.inputs if _mebibytes(t) >= _LARGE]
    largest = max(constants, key=_mebibytes, default=None)
    if largest is not None:
        said += (
            f" It reads `{largest.tensor}`, which has {_mebibytes(largest):,.0f} MiB; each pass that evaluates, rounds or "
            f"writes constants has them in hand."
        )
    return said


def _mebibytes(tensor: TensorFact) -> float:
    return bytes_of(tensor.dtype, tensor.shape) / 2**20


def _argument(case: Case) -> str | None:
    if case.found.argument is None:
        return None
    name = case.found.argument
    if name == "outputs" and constant_strings(case.model.main, case.options.get("outputs")):
        return "The converter has no way to write text; `outputs` names what the model is to end in. No op is at fault."
    if name not in case.options:
        return (
            _unknown_shape(case) or f"The argument `{name}` of `ct.convert` is missing; no op of the model is at fault."
        )
    value = _short(case.options.get(name))
    given = f" (here {value})" if value else ""
    return (
        f"The argument `{name}` of `ct.convert`{given} is at fault, no op of the model: without it the conversion "
        f"gets past this error."
    )


def _unknown_shape(case: Case) -> str | None:
    match = re.search(r"shape of input: (\S+?)\. ", case.message)
    return match and (
        f"The rank of the input `{match.group(1)}` is not known, and coremltools needs one: the model gives none, and the "
        "call has no argument `inputs` that does. No op is at fault."
    )


def _short(value: Any) -> str:
    if isinstance(value, list):
        value = ", ".join(_feature(v) for v in value)
    if isinstance(value, Mapping) and isinstance(labels := value.get("class_labels"), list):
        value = f"{len(labels)} labels"
    text = str(value) if value is not None else ""
    return f"`{text[:120]}{'...' * (len(text) > 120)}`" if text else ""


def _feature(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    shape = value.get("shape") or value.get("enumerated")
    parts = [value.get("name"), shape and str(shape).replace("'", ""), value.get("dtype")]
    return f"{value.get('kind', '')} {' '.join(str(p) for p in parts if p)}"


def _no_conversion(case: Case) -> str | None:
    kind = unsupported(case.message)
    if kind is None:
        return None
    origin = f"; {_ORIGINS[kind]}" if kind in _ORIGINS else ""
    return f"coremltools has no conversion for the op type `{kind}`{origin}."


def _check(case: Case) -> tuple[str, str] | None:
    """A check that the model makes of its values: an assertion, in a conditional or bare."""
    for graph, op in case.ops:
        guarded = [
            body
            for _, body in case.model.bodies(graph.name, op.name)
            if "Assert" in {o.type for o in body.ops.values()}
        ]
        if op.type not in ("Assert", "CheckNumerics", "CheckNumericsV2") and not guarded:
            continue
        layer = f" of the layer `{_of_check(op.layer)}`" if op.layer else ""
        read = "" if list(graph.dag.successors(op.name)) else ", and nothing reads what it gives"
        return (
            f"`{op.name}` is a check{layer}, not a part of what it computes: it stops the model on bad values{read}.",
            op.name,
        )
    return None


def _of_check(layer: str) -> str:
    """The layer without the scopes that `tf.debugging` opens in it."""
    scopes = layer.split("/")
    own = next(
        (n for n, scope in enumerate(scopes) if scope.lower().startswith(("assert", "check", "cond"))), len(scopes)
    )
    return "/".join(scopes[: max(own, 1)])


def _constant(case: Case) -> tuple[str, str] | None:
    """What follows from constants, and coremltools does not get; whoever reads it is not at fault."""
    made = next(((graph, op) for graph, op in case.ops if op.foldable), None)
    if made is None:
        return None
    graph, op = made
    read = next((t for name in op.inputs if (t := graph.tensors[name]).dtype in NO_VALUES), None)
    dtype = read.dtype if read is not None else op.outputs[0].dtype
    if len(op.outputs) > 1 and dtype not in NO_VALUES:
        return (
            f"`{op.name}` makes {len(op.outputs)} results from constants. coremltools evaluates what follows from "
            "constants, but of several results it takes the first for them all. What reads them is not at fault.",
            op.name,
        )
    return (
        f"`{op.name}` makes its value from a constant of {dtype}, which coremltools has no type for: its evaluation of "
        "the model's constants ends there. What reads the value is not at fault.",
        op.name,
    )


def _cast(case: Case) -> str | None:
    match = re.search(r"Cast: Provided destination type (\w+) not supported", case.message)
    casts = [c for c in case.culprits if c.op == "Cast"]
    if not casts or (match is None and "Unsupported type None" not in case.message):
        return None
    source = f"{casts[0].inputs[0].dtype} " if casts[0].inputs else ""
    to = match.group(1) if match else casts[0].outputs[0].dtype if casts[0].outputs else "another type"
    return (
        f"It casts computed {source}values to {to}. coremltools casts computed tensors to float16, float32, float64, "
        f"int32 and int64 only; a constant would have been folded before."
    )


def _unknown_rank(case: Case) -> str | None:
    inputs = [c for c in case.culprits if c.op.startswith("Placeholder")]
    if "Unable to determine the shape of input" not in case.message or not inputs:
        return None
    return (
        f"The rank of the input `{inputs[0].name}` is not known, and coremltools needs one: the model gives none, "
        "nor does the argument `inputs`."
    )


def _table(case: Case) -> str | None:
    readers = [c for c in case.culprits if any(t.dtype == "resource" for t in c.inputs)]
    if "Rank-0" not in case.message or not readers:
        return None
    return (
        f"`{readers[0].name}` reads a resource that the model captures, such as a lookup table: it becomes an input of "
        f"rank 0, and Core ML has none. coremltools has no conversion for `{readers[0].op}` either."
    )


def _scalar_input(case: Case) -> str | None:
    inputs = [c for c in case.culprits if c.op.startswith("Placeholder")]
    if "Rank-0" not in case.message or not inputs:
        return None
    (first, *_) = inputs
    kind = first.outputs[0].dtype if first.outputs else ""
    if kind == "resource":
        return (
            f"`{first.name}` is a resource, such as a lookup table, that the model captures: it becomes an input "
            "of rank 0, and Core ML has none."
        )
    return f"The input `{first.name}` is a scalar ({kind}); Core ML inputs have rank 1 to 5."


def _no_value(case: Case) -> str | None:
    match = re.search(r"Const node '([^']+)' cannot have no value", case.message)
    if match is None:
        return None
    fixed = next((c for c in case.culprits if c.op in BRANCHES and _follows(case, c.name)), None)
    if fixed is not None:
        return (
            f"All that the conditional `{fixed.name}` reads follows from constants. coremltools evaluates what follows from "
            "constants in a session that has no functions: it fails there, and then no constant of the model has a value."
        )
    return (
        f"coremltools has no value for the constant `{match.group(1)}`: its own evaluation of constants gave it none."
    )


def _follows(case: Case, name: str) -> bool:
    """True where the culprit reads nothing but constants."""
    graph = next((graph for graph, op in case.ops if op.name == name), None)
    return graph is not None and all(graph.ops[op_of(t)].constant for t in graph.ops[name].inputs)


def _step(case: Case) -> str | None:
    if case.stage != "optimize" or not case.culprits:
        return None
    step = case.options.get("optimize")
    blamed = listed([c.name for c in case.culprits[: None if case.interaction else 1]])
    where = f" in the pass `{case.pass_name}`" if case.pass_name else ""
    return (
        f"coremltools converts {blamed}{' together' * case.interaction}; what fails{where} is the step `{step}` "
        "of `coremltools.optimize` that follows, which reads the converted model back for it."
    )


def _pass(case: Case) -> str | None:
    if case.pass_name in (None, "arguments") or not case.culprits:
        return None
    what = "the check of the finished program" if case.pass_name == "program check" else f"the pass `{case.pass_name}`"
    if case.interaction and len(case.culprits) > 1:
        return f"{listed([c.name for c in case.culprits])} fail only together, in {what} of coremltools."
    return f"coremltools lowers `{case.culprits[0].name}`, then fails on it in {what}."


def _neutral(case: Case) -> str:
    if not case.culprits:
        return f"The conversion as a whole fails at the stage `{case.stage}`; no single op was found to be at fault."
    names = [c.name for c in case.culprits]
    if case.interaction and len(case.culprits) > 1:
        left = ": with any of them left out, this failure is gone" if case.witness.minimal else ""
        return f"{listed(names)} fail only together, at the stage `{case.stage}`{left}."
    odd = next((t.dtype for c in case.culprits for t in (*c.inputs, *c.outputs) if t.dtype in NO_VALUES), None)
    if odd is not None and "__name__" in case.message:
        return f"`{names[0]}` works with {odd}, which coremltools has no type for: it ends while it reads the graph."
    alone = ", also when it is converted alone" if len(case.witness.ops) == 1 else ""
    said = re.split(r"(?<=\.)\s|\n", case.message.strip())[0].rstrip(".!")[:200]
    return f"coremltools has a conversion for `{case.culprits[0].op}`, but it fails for this one{alone}: {said}."


#: In the order in which they are tried.
RULES: dict[Rule, Said] = {
    Rule.SLOW: _slow,
    Rule.ARGUMENT: _argument,
    Rule.CHECK: _check,
    Rule.CONSTANT: _constant,
    Rule.NO_CONVERSION: _no_conversion,
    Rule.CAST: _cast,
    **FLOW_RULES,
    Rule.TABLE: _table,
    Rule.SCALAR_INPUT: _scalar_input,
    Rule.UNKNOWN_RANK: _unknown_rank,
    **NEED_RULES,
    Rule.NO_VALUE: _no_value,
    Rule.STEP: _step,
    Rule.PASS: _pass,
}
