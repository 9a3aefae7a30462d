"""Models that never freeze: which ops of the graph as it was loaded keep it from being frozen."""

from __future__ import annotations

from bisect_convert.model import Loaded
from bisect_convert.report import Culprit, Finding

__all__ = ["load_causes"]


def load_causes(loaded: Loaded) -> list[Finding]:
    """Return the finding for a failure of the stage "load"."""
    outcome = loaded.failure
    assert outcome is not None and outcome.failure is not None
    failure = outcome.failure
    culprits = [
        Culprit(op.name, op.type, graph.name or None, op.layer)
        for graph in loaded.model.graphs.values()
        for op in graph.ops.values()
        if op.type.startswith("Assign") and op.type.endswith("VariableOp")
    ]
    return [Finding("load", failure.signature.pass_name, failure.type, failure.message, tuple(culprits))]
