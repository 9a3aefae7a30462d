"""Convert a carved section with its true weights and return the model, for its program to be evaluated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bisect_convert.model.cuts import Plan
from bisect_convert.model.names import in_core_ml
from bisect_convert.worker import compression, private_api, unpacking
from bisect_convert.worker.conversion import concerning
from bisect_convert.worker.cut.sections import Carved

__all__ = ["converted", "in_float32", "kept_in_float32", "unnumbered"]


def converted(carved: Carved, plan: Plan, packed: Mapping[str, Any], **instead: Any) -> Any:
    """Return the converted model; `instead` replaces arguments of `ct.convert`. Raises whatever the converter does."""
    import coremltools as ct

    private_api.define_functions(carved.functions)
    private_api.reset()
    arguments = {**unpacking.unpack(concerning(carved, plan, packed)), **instead}
    own = unpacking.in_force(packed.get("conversions", {}))
    with own, private_api.shared_symbols(carved.symbols, carved.shapes, {}):
        model = ct.convert(
            private_api.FrozenGraph(carved.graph_def), source="tensorflow", skip_model_load=True, **arguments
        )
    return compression.optimized(model, packed["optimize"]) if packed.get("optimize") else model


def in_float32() -> Any:
    """Return the precision in which nothing is rounded."""
    import coremltools as ct

    return ct.precision.FLOAT32


def unnumbered(name: str) -> str:
    """Return the name of a program's op without the numbers of its function, which each process has its own of.

    >>> unnumbered("net/while/__inference_while_1_body_148_30_while/mul_1")
    'net_while___inference_while_body_while_mul_1'
    >>> unnumbered("while/while_body_6_while/mul_1"), unnumbered("net/dense_1/MatMul")
    ('while_while_body_while_mul_1', 'net_dense_1_MatMul')
    """
    head, mark, tail = in_core_ml(name).partition("__inference_")
    plain = head + mark + re.sub(r"(_\d+)+(?=_)", "", tail)
    return re.sub(r"(_(?:body|cond|true|false))(_\d+)+(?=_)", r"\1", plain)


def kept_in_float32(names: frozenset[str]) -> Any:
    """Return the precision float16 but for the ops of these names, in which all but letters and digits is "_"."""
    import coremltools as ct

    kept = {unnumbered(name) for name in names}
    return ct.transform.FP16ComputePrecision(op_selector=lambda op: unnumbered(op.name) not in kept)
