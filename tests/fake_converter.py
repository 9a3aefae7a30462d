"""A converter that is none: it fails where a set of ops is together; and graphs made by hand for it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from bisect_convert.model.graph import Graph, Model, Op, Tensor
from bisect_convert.model.outcome import Failure, Frame, Outcome, Signature, Stage
from bisect_convert.search.found import Found
from bisect_convert.worker.request import Compare

__all__ = ["CONVERTIBLE", "Cause", "FakeWorkers", "blamed", "model_of"]

CONVERTIBLE = frozenset({"Relu", "Tanh", "AddV2"})


@dataclass(frozen=True)
class Cause:
    """Ops that fail when they are converted together; `hint` is the op that the converter's traceback names."""

    ops: frozenset[str]
    hint: str | None = None
    stage: Stage = Stage.LOWERING

    def failure(self) -> Failure:
        names = " and ".join(sorted(self.ops))
        signature = Signature(self.stage, None, "ValueError", f"cannot convert {names}")
        hint = (Frame("?", self.hint),) if self.hint else ()
        return Failure(signature, "ValueError", f"cannot convert {names}", hint)


class FakeWorkers:
    """Answers as workers do, by the causes alone: the first of them that a section holds is what it fails with."""

    def __init__(self, causes: Iterable[Cause]) -> None:
        self.causes = list(causes)
        self.sections: list[tuple[str, ...]] = []

    def send(self, request: Any) -> Future[dict[str, Any]]:
        future: Future[dict[str, Any]] = Future()
        future.set_result(self.ask(request))
        return future

    def answer(self, future: Future[dict[str, Any]]) -> dict[str, Any]:
        return future.result()

    def insist(self, request: Any) -> dict[str, Any]:
        return self.ask(request)

    def ask(self, request: Any) -> dict[str, Any]:
        if isinstance(request, Compare):
            return {"differs": ""}
        ops = set(request.plan.ops)
        self.sections.append((*sorted(ops), str(request.frontend), str(request.weights)))
        reached = Stage.LOWERING if request.frontend else Stage.BACKEND
        held = [c for c in self.causes if c.ops <= ops and c.stage <= reached]
        return {"outcome": Outcome(held[0].failure() if held else None, reached=reached).to_json()}


def model_of(inputs: list[list[int]], types: dict[str, str] | None = None) -> Model:
    """A model of ops o0, o1, ... that read these earlier ones; those that read none read the model's input."""
    ops = {"in": Op("in", "Placeholder", (), (Tensor("in:0", "float32", (1, 4)),))}
    for number, sources in enumerate(inputs):
        name = f"o{number}"
        kind = (types or {}).get(name, "AddV2" if len(sources) > 1 else "Relu")
        reads = tuple(f"o{s}:0" for s in sources) or ("in:0",)
        ops[name] = Op(name, kind, reads, (Tensor(f"{name}:0", "float32", (1, 4)),), attributes=name)
    read = {t for op in ops.values() for t in op.inputs}
    results = tuple(t.name for op in ops.values() for t in op.outputs if t.name not in read)
    return Model("m", None, {"": Graph("", ops, results)}, "")


def blamed(found: Found) -> frozenset[str]:
    return frozenset(op for _, op in found.culprits)
