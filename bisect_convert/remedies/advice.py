"""Rewrites that are known to help but are not probed: they change the model further up than its graph shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bisect_convert.explain.control_flow import BRANCHES, LOOPS
from bisect_convert.explain.why import unsupported
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import Finding, Remedy
from bisect_convert.search.hunt import Found

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
_UNROLL = "keras.layers.{layer}(units, unroll=True)  # or GRU, SimpleRNN; the length of the sequence must be known\n"
_COUNTED = """\
# without maximum_iterations: count in the loop's own condition
tf.while_loop(lambda i, *state: i < n, body, [tf.constant(0), *state])
"""
_WHERE = "y = tf.where(condition, one_branch(x), other_branch(x))  # both are computed, no conditional is left\n"

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
class _Case:
    found: Found
    finding: Finding
    kinds: frozenset[str]


def advice(found: Found, finding: Finding, prober: Prober, *, solved: bool) -> list[Remedy]:
    """Return unverified rewrites for the finding; where something is verified already, only those that are simpler."""
    case = _Case(found, finding, frozenset(c.op for c in finding.culprits))
    special = [remedy for rule in _RULES if (remedy := rule(case)) is not None]
    if solved:
        return [r for r in special if r.code is not None][:1]
    kind = unsupported(finding.error_message)
    if kind is not None and kind not in LOOPS | BRANCHES and "PartitionedCall" not in kind and finding.culprits:
        special.append(_composite(kind, len(finding.culprits[0].inputs)))
    return special


def _composite(kind: str, inputs: int) -> Remedy:
    names = ["x", "y", "z", "u", "v", "w"][: max(1, inputs)]
    summary = f"give coremltools a conversion of its own for `{kind}`, before you call ct.convert"
    listed = ", ".join(names) + "," * (len(names) == 1) if inputs <= 6 else "inputs"
    valid = kind.isidentifier()
    code = _COMPOSITE.format(op=kind, names=listed, first=names[0] if inputs <= 6 else "inputs") if valid else None
    return Remedy("rewrite", summary, code=code)


def _gelu(case: _Case) -> Remedy | None:
    if case.kinds != {"Erfc"}:
        return None
    code = "tf.nn.gelu(x, approximate=True)  # in Keras: keras.activations.gelu(x, approximate=True)\n"
    return Remedy("rewrite", "use the approximate GELU, whose values differ by less than 0.001", code=code)


def _jit(case: _Case) -> Remedy | None:
    if not any("PartitionedCall" in k for k in case.kinds):
        return None
    code = (
        "@tf.function(jit_compile=False)\n"
        "# a grouped convolution: layers with groups=1 on tf.split(x, groups, -1), joined again\n"
    )
    return Remedy(
        "rewrite", "build and export the model without jit_compile, so that the function is inlined", code=code
    )


def _loop(case: _Case) -> Remedy | None:
    calls = case.finding.context.enclosing
    if not calls or calls[-1].kind != "loop_cond" or "list index out of range" not in case.finding.error_message:
        return None
    name = calls[-1].name.lower()
    layer = next(
        (w for w in ("ConvLSTM", "LSTM", "GRU", "SimpleRNN") if re.search(w.lower().replace("conv", "conv_?"), name)),
        None,
    )
    if layer in ("LSTM", "GRU", "SimpleRNN"):
        return Remedy("rewrite", "unroll the layer, so that there is no loop", code=_UNROLL.format(layer=layer))
    return Remedy(
        "rewrite", "unroll the loop, work on the whole batch at once, or give no maximum_iterations", code=_COUNTED
    )


def _nested(case: _Case) -> Remedy | None:
    inner = case.kinds & (BRANCHES | LOOPS)
    if case.finding.stage != "graph_pass" or case.finding.interaction or not inner & BRANCHES:
        return None
    return Remedy("rewrite", "compute both branches and choose with tf.where", code=_WHERE)


def _renamed(case: _Case) -> Remedy | None:
    if (
        case.finding.stage != "graph_pass"
        or not case.finding.interaction
        or "is how the name" not in case.finding.explanation
    ):
        return None
    return Remedy("rewrite", "rename one of the two, so that neither name starts with the other", code=None)


def _by_type(case: _Case) -> Remedy | None:
    for kind in sorted(case.kinds):
        if kind in _BY_TYPE:
            summary, code = _BY_TYPE[kind]
            return Remedy("rewrite", summary, code=code)
    return None


def _strings(case: _Case) -> Remedy | None:
    dtypes = {t.dtype for c in case.finding.culprits for t in (*c.inputs, *c.outputs)}
    if "string" in dtypes:
        return Remedy(
            "rewrite", "keep strings outside the model: give it ids, and look the names of its results up afterwards"
        )
    if "resource" in dtypes:
        return Remedy("rewrite", "keep lookup tables outside the model: look up before it, and give it the ids")
    return None


def _scalar(case: _Case) -> Remedy | None:
    if "Rank-0" not in case.finding.error_message or not case.finding.culprits:
        return None
    name = case.finding.culprits[0].name
    if not case.kinds <= {"Placeholder"} or any(t.dtype == "resource" for t in case.finding.culprits[0].outputs):
        return None
    return Remedy(
        "rewrite", f"give the input `{name}` a shape of (1,) and take its element in the model", code="x = x[0]\n"
    )


def _rank(case: _Case) -> Remedy | None:
    if "rank <= 5" not in case.finding.error_message:
        return None
    return Remedy(
        "rewrite",
        "merge dimensions that stay next to each other, so that no tensor has more than 5, and reshape back after",
    )


def _given_shape(case: _Case) -> Remedy | None:
    if "Unable to determine the shape" not in case.finding.error_message or not case.finding.culprits:
        return None
    code = f"inputs=[ct.TensorType(name={case.finding.culprits[0].name!r}, shape=(...))]"
    return Remedy("option", "say the shape of the input", code=code)


def _split(case: _Case) -> Remedy | None:
    if "leaves one of its sizes" not in case.finding.explanation:
        return None
    return Remedy(
        "rewrite",
        "write all sizes of the split out, with no -1 among them",
        code="tf.split(x, [a, b, n - a - b], axis)\n",
    )


def _constant(case: _Case) -> Remedy | None:
    match = re.search(r"needs the value of its input `(\w+)`", case.finding.explanation)
    if match is None:
        return None
    return Remedy(
        "rewrite", f"make `{match.group(1)}` a constant of the model: a Python value or a tf.constant, not a tensor"
    )


_RULES: tuple[Callable[[_Case], Remedy | None], ...] = (
    _gelu, _jit, _loop, _nested, _renamed, _by_type, _strings, _scalar, _rank, _given_shape, _split,
    _constant,
)  # fmt: skip
