"""What a program is made of, so that two may be held against each other. Runs in a worker."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

__all__ = ["same_program", "structure"]


def structure(model: Any) -> dict[str, int]:
    """Return how often each kind of op, with the types that it makes, is in the model's program; constants aside."""
    spec = model.get_spec()
    kind = spec.WhichOneof("Type")
    found: Counter[str] = Counter()
    if kind == "mlProgram":
        for function in spec.mlProgram.functions.values():
            for block in function.block_specializations.values():
                _count(block, found)
    else:
        found.update(layer.WhichOneof("layer") for layer in spec.neuralNetwork.layers)
    for feature in (*spec.description.input, *spec.description.output):
        found[f"{feature.name}: {re.sub(r'[^a-zA-Z0-9]+', ' ', str(feature.type))}"] += 1
    return dict(found)


def _count(block: Any, found: Counter[str]) -> None:
    for op in block.operations:
        if op.type != "const":
            found[f"{op.type} {[re.sub(r'[^a-zA-Z0-9]+', ' ', str(o.type)) for o in op.outputs]}"] += 1
        for inner in op.blocks:
            _count(inner, found)


def same_program(path: str, known: Mapping[str, int]) -> bool:
    """Return whether the model at the path has a program of that structure."""
    import coremltools as ct

    return structure(ct.models.MLModel(path, skip_model_load=True)) == dict(known)
