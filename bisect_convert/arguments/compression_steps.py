"""The steps of `coremltools.optimize` that may follow a conversion: the argument `optimize`, which is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["STEPS", "Step", "step_of"]


@dataclass(frozen=True)
class Step:
    """A step, by the names that `coremltools.optimize.coreml` has for its function and its configuration of an op."""

    function: str
    config: str
    settings: Mapping[str, Any]


STEPS: Mapping[str, Step] = {
    "linear8": Step("linear_quantize_weights", "OpLinearQuantizerConfig", {"mode": "linear_symmetric"}),
    "palettize4": Step("palettize_weights", "OpPalettizerConfig", {"mode": "kmeans", "nbits": 4}),
    "prune": Step("prune_weights", "OpMagnitudePrunerConfig", {"target_sparsity": 0.5}),
}


def step_of(packed: Any) -> tuple[str, tuple[str, ...]]:
    """Return the step of a packed `optimize`, and the names of the MIL ops whose weights it leaves as they are.

    >>> step_of("prune"), step_of({"step": "prune", "without": ["conv"]})
    (('prune', ()), ('prune', ('conv',)))
    """
    return (packed, ()) if isinstance(packed, str) else (packed["step"], tuple(packed["without"]))
