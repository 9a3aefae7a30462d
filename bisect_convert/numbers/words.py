"""Why a kind of difference comes about, and what is known to help against it, as sentences."""

from __future__ import annotations

from bisect_convert.report.findings import Remedy

__all__ = ["advice", "why"]

_WHY = {
    "overflow": "an ML program computes in float16 unless it is told otherwise, and float16 has no number above 65504: "
    "what is larger becomes infinite, and infinities make NaN further down",
    "underflow": "float16 has no number between 0 and 6e-08, and fewer digits below 6.1e-05: what is smaller is lost",
    "precision": "float16 has 11 bits: of numbers near 1000 it tells those apart that differ by 0.5, and what two large "
    "numbers differ by is gone once they are rounded",
    "integer": "Core ML has no int64: what is beyond int32 wraps or is cut off",
    "wraps": "Core ML computes small integers in int32, where nothing wraps",
    "float64": "Core ML has no float64: such ops are converted to float32",
    "random": "the numbers are drawn anew each time, by Core ML in its own way",
    "converter": "coremltools converts this op to something that computes other values, in any precision",
    "package": "the package was made of another model, of another training of this one, or with other options: a conversion "
    "of this model, as it is, does not compute what the package does",
    "undefined": "Core ML promises no result for such values: on one device it may be this, on another that",
}
_REWRITES = {
    (
        "Exp",
        "overflow",
    ): "tf.nn.softplus(x) for log(1 + exp(x)), tf.nn.log_softmax or tf.reduce_logsumexp for sums of exp: "
    "they never make the large number",
    ("Square", "overflow"): "divide before squaring: the mean of (x / c)**2, times c**2",
    ("Mul", "overflow"): "scale before multiplying, and back behind it",
    ("Sum", "overflow"): "tf.reduce_mean, or scale before the sum",
    (
        "Sub",
        "precision",
    ): "subtract before the numbers get large, or in what feeds the model; of a mean of squares: tf.math.reduce_variance",
    ("Prod", "underflow"): "the sum of logarithms for the logarithm of a product",
    ("Square", "underflow"): "scale before squaring, and an epsilon that float16 holds (above 6e-08)",
}
_ADVICE = {
    "integer": "look the ids up, or hash them, before the model: it gets small numbers then",
    "wraps": "cast to int32 before, and wrap by hand behind it: tf.math.floormod(x, 256)",
    "random": "make what is drawn an input of the model",
    "converter": "write the op in other words, and report it to coremltools",
    "undefined": "keep the values inside of the range: tf.clip_by_value before it",
    "float64": "compute it before the model, or see whether float32 will do",
}


def why(kind: str) -> str:
    """Return why this kind of difference comes about."""
    return _WHY.get(kind, "")


def advice(op: str, kind: str) -> list[Remedy]:
    """Return what is known to help for an op of this type, as rewrites that nobody has tried.

    >>> advice("Sub", "wraps")[0].verified
    False
    """
    text = _REWRITES.get((op, kind)) or _ADVICE.get(kind)
    return [] if text is None else [Remedy("rewrite", text)]
