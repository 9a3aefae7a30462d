"""Why it fails, in a sentence or two: from the failure, the culprits and the graph above them, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bisect_convert.explain.control_flow import FLOW_RULES, Facts, listed
from bisect_convert.explain.requirements import NEED_RULES
from bisect_convert.model.graph import Model
from bisect_convert.report.findings import Finding
from bisect_convert.search.hunt import Found

__all__ = ["explain", "unsupported"]

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


def explain(found: Found | None, finding: Finding, model: Model, options: Mapping[str, Any] | None = None) -> str:
    """Return what the failure means for its reader; `options` are those of `ct.convert`, packed."""
    facts = Facts(found, finding, model, options or {})
    for rule in _RULES:
        if (text := rule(facts)) is not None:
            return text
    return _neutral(facts)


def unsupported(message: str) -> str | None:
    """Return the op type that the converter says it has no conversion for, or None."""
    match = _UNSUPPORTED.search(message)
    return match.group(1) if match else None


def _slow(facts: Facts) -> str | None:
    if not facts.finding.slow:
        return None
    return "It converts, with its true weights, but this is where the time goes: the rest takes little."


def _argument(facts: Facts) -> str | None:
    if facts.found is None or facts.found.argument is None:
        return None
    name = facts.found.argument
    if name not in facts.options:
        return (
            _unknown_shape(facts)
            or f"The argument `{name}` of `ct.convert` is missing; no op of the model is at fault."
        )
    value = _short(facts.options.get(name))
    given = f" (here {value})" if value else ""
    return (
        f"The argument `{name}` of `ct.convert`{given} is at fault, no op of the model: without it the conversion "
        f"gets past this error."
    )


def _unknown_shape(facts: Facts) -> str | None:
    match = re.search(r"shape of input: (\S+?)\. ", facts.message)
    return match and (
        f"The rank of the input `{match.group(1)}` is not known, and coremltools needs one: the model gives none, and the "
        "call has no argument `inputs` that does. No op is at fault."
    )


def _short(value: Any) -> str:
    if isinstance(value, list):
        value = ", ".join(_feature(v) for v in value)
    text = str(value) if value is not None else ""
    return f"`{text[:120]}{'...' * (len(text) > 120)}`" if text else ""


def _feature(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    shape = value.get("shape") or value.get("enumerated")
    parts = [value.get("name"), shape and str(shape).replace("'", ""), value.get("dtype")]
    return f"{value.get('kind', '')} {' '.join(str(p) for p in parts if p)}"


def _no_conversion(facts: Facts) -> str | None:
    kind = unsupported(facts.message)
    if kind is None:
        return None
    origin = f"; {_ORIGINS[kind]}" if kind in _ORIGINS else ""
    return f"coremltools has no conversion for the op type `{kind}`{origin}."


def _cast(facts: Facts) -> str | None:
    match = re.search(r"Cast: Provided destination type (\w+) not supported", facts.message)
    casts = [c for c in facts.finding.culprits if c.op == "Cast"]
    if not casts or (match is None and "Unsupported type None" not in facts.message):
        return None
    source = f"{casts[0].inputs[0].dtype} " if casts[0].inputs else ""
    to = match.group(1) if match else casts[0].outputs[0].dtype if casts[0].outputs else "another type"
    return (
        f"It casts computed {source}values to {to}. coremltools casts computed tensors to float16, float32, float64, "
        f"int32 and int64 only; a constant would have been folded before."
    )


def _unknown_rank(facts: Facts) -> str | None:
    inputs = [c for c in facts.finding.culprits if c.op.startswith("Placeholder")]
    if "Unable to determine the shape of input" not in facts.message or not inputs:
        return None
    return (
        f"The rank of the input `{inputs[0].name}` is not known, and coremltools needs one: the model gives none, "
        "nor does the argument `inputs`."
    )


def _table(facts: Facts) -> str | None:
    readers = [c for c in facts.finding.culprits if any(t.dtype == "resource" for t in c.inputs)]
    if "Rank-0" not in facts.message or not readers:
        return None
    return (
        f"`{readers[0].name}` reads a resource that the model captures, such as a lookup table: it becomes an input of "
        f"rank 0, and Core ML has none. coremltools has no conversion for `{readers[0].op}` either."
    )


def _scalar_input(facts: Facts) -> str | None:
    inputs = [c for c in facts.finding.culprits if c.op.startswith("Placeholder")]
    if "Rank-0" not in facts.message or not inputs:
        return None
    (first, *_) = inputs
    kind = first.outputs[0].dtype if first.outputs else ""
    if kind == "resource":
        return (
            f"`{first.name}` is a resource, such as a lookup table, that the model captures: it becomes an input "
            "of rank 0, and Core ML has none."
        )
    return f"The input `{first.name}` is a scalar ({kind}); Core ML inputs have rank 1 to 5."


def _no_value(facts: Facts) -> str | None:
    match = re.search(r"Const node '([^']+)' cannot have no value", facts.message)
    if match is None:
        return None
    return (
        f"coremltools has no value for the constant `{match.group(1)}`: its own evaluation of constants gave it none."
    )


def _assigned(facts: Facts) -> str | None:
    ops = [c for c in facts.finding.culprits if c.op.startswith("Assign")]
    if facts.finding.stage != "load" or not ops:
        return None
    return (
        f"`{ops[0].name}` assigns a variable when the model runs. Freezing turns the variables into constants, and "
        "a constant cannot be assigned."
    )


def _step(facts: Facts) -> str | None:
    finding = facts.finding
    if finding.stage != "optimize" or not finding.culprits:
        return None
    step = facts.options.get("optimize")
    blamed = listed([c.name for c in finding.culprits[: None if finding.interaction else 1]])
    where = f" in the pass `{finding.pass_name}`" if finding.pass_name else ""
    return (
        f"coremltools converts {blamed}{' together' * finding.interaction}; what fails{where} is the step `{step}` "
        "of `coremltools.optimize` that follows, which reads the converted model back for it."
    )


def _pass(facts: Facts) -> str | None:
    finding = facts.finding
    if finding.pass_name in (None, "arguments") or not finding.culprits:
        return None
    what = (
        "the check of the finished program"
        if finding.pass_name == "program check"
        else f"the pass `{finding.pass_name}`"
    )
    if finding.interaction:
        return f"{listed([c.name for c in finding.culprits])} fail only together, in {what} of coremltools."
    return f"coremltools lowers `{finding.culprits[0].name}`, then fails on it in {what}."


def _neutral(facts: Facts) -> str:
    finding = facts.finding
    if not finding.culprits:
        return f"The conversion as a whole fails at the stage `{finding.stage}`; no single op was found to be at fault."
    names = [c.name for c in finding.culprits]
    if facts.found is None:
        return (
            f"It fails at the stage `{finding.stage}`, before anything is converted; {listed(names)} may be at fault."
        )
    if finding.interaction:
        left = ": with any of them left out, this failure is gone" if finding.witness.minimal else ""
        return f"{listed(names)} fail only together, at the stage `{finding.stage}`{left}."
    alone = ", also when it is converted alone" if len(finding.witness.ops) == 1 else ""
    said = re.split(r"(?<=\.)\s|\n", finding.error_message.strip())[0].rstrip(".!")[:200]
    return f"coremltools has a conversion for `{finding.culprits[0].op}`, but it fails for this one{alone}: {said}."


_RULES: tuple[Callable[[Facts], str | None], ...] = (
    _slow, _argument, _no_conversion, _cast, *FLOW_RULES, _assigned, _table, _scalar_input, _unknown_rank, *NEED_RULES,
    _no_value, _step, _pass,
)  # fmt: skip
