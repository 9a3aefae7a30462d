"""The cause in a line where numbers are kept or computed in a type that Core ML lacks: quantised graphs, odd constants."""

from __future__ import annotations

import re

from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import listed
from bisect_convert.model.names import NO_VALUES

__all__ = ["WAITS", "placeholder_code", "type_cause"]

#: What quantization-aware training puts behind weights and activations.
_FAKE = re.compile(r"(FakeQuant|QuantizeAndDequantize)")
#: Ops that wait for data which a session that trains puts in.
WAITS = re.compile(r"Queue\w*Dequeue|ReaderRead")


def type_cause(case: Case) -> str:
    """Return the cause as a headline, or an empty string where no type of number, and no wait for data, is at fault."""
    if not case.culprits:
        return ""
    kinds = listed(list(dict.fromkeys(c.op for c in case.culprits)))
    first = case.culprits[0]
    if any(WAITS.match(c.op) for c in case.culprits):
        told = f"`{first.name}` waits for the data of its training, and the model should start behind it"
        hangs = ": the converter runs what hangs on no input, and waits too"
        return told + hangs * (case.error_type == "timeout" or "time limit" in case.message)
    if all(_FAKE.match(c.op) for c in case.culprits):
        return f"{kinds} is left in from quantization-aware training, and coremltools does not convert it"
    odd = [t.dtype for c in case.culprits for t in (*c.inputs, *c.outputs) if t.dtype in NO_VALUES and "int" in t.dtype]
    if not odd:
        return ""
    if all(op.foldable for _, op in case.ops):
        return f"weights are kept as {odd[0]} behind {kinds}, a type that Core ML has no constants of"
    return (
        f"the graph computes in {listed(list(dict.fromkeys(odd)))} ({kinds}), types that Core ML lacks: take the graph "
        "before it was quantized"
    )


def placeholder_code(name: str) -> str:
    """Return the lines that put an input in the place of what hands data on in a frozen graph."""
    return (
        "with tf.Graph().as_default() as graph:\n"
        "    x = tf.compat.v1.placeholder(tf.float32, SHAPE, 'x')\n"
        f"    tf.import_graph_def(graph_def, name='', input_map={{{name + ':0'!r}: x}})\n"
    )
