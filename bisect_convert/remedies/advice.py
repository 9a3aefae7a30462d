"""Rewrites that are known to help but are not probed: they change the model further up than its graph shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import Rule, Why
from bisect_convert.explain.stored_types import WAITS, placeholder_code
from bisect_convert.explain.why import unsupported
from bisect_convert.model.names import BRANCHES, LOOPS, NO_VALUES
from bisect_convert.model.origins import computed_inputs
from bisect_convert.report.findings import Remedy

__all__ = ["advice"]

_COMPOSITE = """\
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import register_tf_op


@register_tf_op
def {op}(context, node):
    {names} = [context[name] for name in node.inputs]
    result = ...  # made of {first} with mb.add, mb.mul, ...; the last one with name=node.name
    context.add(node.name, result)
"""

#: Advice for op types that no recipe rewrites: (summary, code).
_BY_TYPE: dict[str, tuple[str, str | None]] = {
    "CombinedNonMaxSuppression": (
        "end the model before the suppression, or use tf.image.non_max_suppression class by class", None),
    "NonMaxSuppressionV4": ("use tf.image.non_max_suppression, without padding the result", None),
    "_SwitchN": (
        "compute all branches and choose among them", "y = tf.gather(tf.stack([f(x) for f in branches]), index)\n"),
    "TensorListConcatV2": (
        "stack the tensors and reshape: TensorArray.stack converts",
        "rows = array.stack()\ny = tf.reshape(rows, [-1, *rows.shape[2:]])\n",
    ),
    "Bitcast": ("do the bit work before the model, and give it the result as an input", None),
    "Svd": ("decompose outside the model; a constant matrix is folded by itself", None),
    "LookupTableFindV2": ("look the tokens up before the model, and give it the ids as an input", None),
}  # fmt: skip
_BY_TYPE["Merge"] = _BY_TYPE["_SwitchN"]
for _kind in ("SelfAdjointEigV2", "Eig", "Qr"):
    _BY_TYPE[_kind] = _BY_TYPE["Svd"]
for _kind in ("TruncatedNormal", "StatelessRandomNormalV2", "StatelessRandomUniformV2", "StatelessTruncatedNormalV2",
              "RandomGammaV2", "StatelessRandomUniformIntV2", "RandomShuffle"):  # fmt: skip
    _BY_TYPE[_kind] = ("draw the random numbers outside the model, and give them to it as an input", None)
for _kind in ("CTCGreedyDecoder", "CTCBeamSearchDecoder"):
    _BY_TYPE[_kind] = ("end the model before the decoder, and decode its output outside", None)
for _kind in ("EagerPyFunc", "PyFunc", "PyFuncStateless"):
    _BY_TYPE[_kind] = ("write the Python function in TensorFlow ops, or do its work outside the model", None)


@dataclass(frozen=True)
class _Advised:
    """What advice is given on: the case, the rule that explains it, and the types of its culprits."""

    case: Case
    why: Why
    kinds: frozenset[str]


def advice(case: Case, why: Why, *, solved: bool) -> list[Remedy]:
    """Return unverified rewrites for the finding; where something is verified already, only those that are simpler."""
    advised = _Advised(case, why, frozenset(c.op for c in case.culprits))
    special = [remedy for rule in _RULES if (remedy := rule(advised)) is not None]
    if solved:
        return [r for r in special if r.code is not None][:1]
    kind = unsupported(case.message)
    if kind is not None and kind not in LOOPS | BRANCHES and "PartitionedCall" not in kind and case.culprits:
        special.append(_composite(kind, len(case.culprits[0].inputs)))
    return special


def _composite(kind: str, inputs: int) -> Remedy:
    names = ["x", "y", "z", "u", "v", "w"][: max(1, inputs)]
    summary = f"give coremltools a conversion of its own for `{kind}`, before you call ct.convert"
    listed = ", ".join(names) + "," * (len(names) == 1) if inputs <= 6 else "inputs"
    valid = kind.isidentifier()
    code = _COMPOSITE.format(op=kind, names=listed, first=names[0] if inputs <= 6 else "inputs") if valid else None
    return Remedy("rewrite", summary, code=code)


def _gelu(advised: _Advised) -> Remedy | None:
    if advised.kinds != {"Erfc"}:
        return None
    code = "tf.nn.gelu(x, approximate=True)  # in Keras: keras.activations.gelu(x, approximate=True)\n"
    return Remedy("rewrite", "use the approximate GELU, whose values differ by less than 0.001", code=code)


def _jit(advised: _Advised) -> Remedy | None:
    if not any("PartitionedCall" in k for k in advised.kinds):
        return None
    code = (
        "@tf.function(jit_compile=False)\n"
        "# a grouped convolution: layers with groups=1 on tf.split(x, groups, -1), joined again\n"
    )
    return Remedy(
        "rewrite", "build and export the model without jit_compile, so that the function is inlined", code=code
    )


def _renamed(advised: _Advised) -> Remedy | None:
    if advised.case.stage != "graph_pass" or not advised.case.interaction or advised.why.rule is not Rule.NAMES:
        return None
    return Remedy("rewrite", "rename one of the two, so that neither name starts with the other", code=None)


def _by_type(advised: _Advised) -> Remedy | None:
    for kind in sorted(advised.kinds):
        if kind in _BY_TYPE:
            summary, code = _BY_TYPE[kind]
            return Remedy("rewrite", summary, code=code)
    return None


def _data(advised: _Advised) -> Remedy | None:
    waiting = next((c for c in advised.case.culprits if WAITS.match(c.op)), None)
    if waiting is None:
        return None
    code = placeholder_code(waiting.name)
    return Remedy("rewrite", f"put an input in the place of `{waiting.name}`, before you freeze or convert", code=code)


def _quantized(advised: _Advised) -> Remedy | None:
    dtypes = {t.dtype for c in advised.case.culprits for t in (*c.inputs, *c.outputs)}
    if not any(d in NO_VALUES and "int" in d for d in dtypes) or advised.why.rule is Rule.CONSTANT:
        return None
    return Remedy(
        "rewrite",
        "convert the graph of floats that it was made of, and compress the weights afterwards: --optimize linear8",
    )


def _strings(advised: _Advised) -> Remedy | None:
    if any(WAITS.match(c.op) for c in advised.case.culprits):
        return None
    dtypes = {t.dtype for c in advised.case.culprits for t in (*c.inputs, *c.outputs)}
    if "string" in dtypes:
        return Remedy(
            "rewrite", "keep strings outside the model: give it ids, and look the names of its results up afterwards"
        )
    if "resource" in dtypes:
        return Remedy("rewrite", "keep lookup tables outside the model: look up before it, and give it the ids")
    return None


def _scalar(advised: _Advised) -> Remedy | None:
    if "Rank-0" not in advised.case.message or not advised.case.culprits:
        return None
    name = advised.case.culprits[0].name
    if not advised.kinds <= {"Placeholder"} or any(t.dtype == "resource" for t in advised.case.culprits[0].outputs):
        return None
    return Remedy(
        "rewrite", f"give the input `{name}` a shape of (1,) and take its element in the model", code="x = x[0]\n"
    )


def _given_shape(advised: _Advised) -> Remedy | None:
    if "Unable to determine the shape" not in advised.case.message or not advised.case.culprits:
        return None
    code = f"inputs=[ct.TensorType(name={advised.case.culprits[0].name!r}, shape=(...))]"
    return Remedy("option", "say the shape of the input", code=code)


def _constant(advised: _Advised) -> Remedy | None:
    if advised.why.rule is not Rule.VALUE_WANTED or _of_an_input(advised):
        return None
    return Remedy(
        "rewrite", f"make `{advised.why.about}` a constant of the model: a Python value or a tf.constant, not a tensor"
    )


def _of_an_input(advised: _Advised) -> bool:
    """True where the value depends on what the model is given: nobody can make a constant of that."""
    return any(
        graph.ops[computed.path[0]].type.startswith("Placeholder")
        for graph, op in advised.case.ops
        for computed in computed_inputs(graph, op)
        if computed.name == advised.why.about
    )


_RULES: tuple[Callable[[_Advised], Remedy | None], ...] = (
    _gelu, _jit, _renamed, _by_type, _data, _quantized, _strings, _scalar, _given_shape, _constant,
)  # fmt: skip
