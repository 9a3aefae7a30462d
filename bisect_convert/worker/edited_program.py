"""A program that was edited, converted as `ct.convert` would. Runs in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from bisect_convert.errors import BisectConvertError
from bisect_convert.model.names import op_of
from bisect_convert.model.outcome import Failure, Stage
from bisect_convert.worker import compression, private_api, tracebacks, unpacking
from bisect_convert.worker.read.writing import slim
from bisect_convert.worker.rewrite.levels import levels
from bisect_convert.worker.structure import structure
from bisect_convert.worker.survey import Survey, surveying

__all__ = ["Converter", "still_there"]


def still_there(options: Mapping[str, Any], program: Any) -> dict[str, Any]:
    """Return the packed arguments without those inputs and outputs that the program does not have any more."""
    names = {n.name for n in program.node}
    left = {
        key: [i for i in options.get(key) or () if i.get("name") is None or op_of(i["name"]) in names]
        for key in ("inputs", "outputs")
    }
    return {name: left.get(name, value) for name, value in options.items() if left.get(name, True)}


class Converter:
    """Converts programs with their large weights as repeated values; `structure`: of the one that converted last.

    lowered: is called where all of a program was lowered, and its passes begin.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.structure: dict[str, int] = {}
        self.options = options
        self.lowered: Callable[[], None] = lambda: None

    def failures(self, program: Any) -> list[Failure]:
        """Return what fails in the conversion of the program: all ops in lowering, else the one failure behind it."""
        import coremltools as ct

        made = tf.compat.v1.GraphDef()
        made.CopyFrom(program)
        slim(made, distinct=True)
        survey = _survey(program)
        private_api.define_functions(made.library.function)
        private_api.reset()
        try:
            own = unpacking.in_force(self.options.get("conversions", {}))
            ends = private_api.watched(self._reached, lambda: bool(survey.failures))
            with own, surveying(survey), ends:
                model = ct.convert(
                    private_api.FrozenGraph(made), source="tensorflow", skip_model_load=True,
                    **unpacking.unpack(still_there(self.options, program)),
                )  # fmt: skip
            if "optimize" in self.options:
                model = compression.optimized(model, self.options["optimize"])
            self.structure = structure(model)
        except private_api.StopAfterFrontend:
            return survey.failures
        except (KeyboardInterrupt, SystemExit, BisectConvertError):
            raise
        except BaseException as error:
            return survey.failures or [tracebacks.classify(error, survey.names)]
        return survey.failures

    def _reached(self, stage: Stage, pass_name: str | None) -> None:
        if stage is Stage.MIL_PASS and pass_name is None:
            self.lowered()

    def save(self, program: Any, out: str) -> None:
        """Convert the program with its true weights, and save the model."""
        import coremltools as ct

        private_api.define_functions(program.library.function)
        private_api.reset()
        with unpacking.in_force(self.options.get("conversions", {})):
            model = ct.convert(
                private_api.FrozenGraph(program), source="tensorflow", skip_model_load=True,
                **unpacking.unpack(still_there(self.options, program)),
            )  # fmt: skip
        if "optimize" in self.options:
            model = compression.optimized(model, self.options["optimize"])
        model.save(out)


def _survey(program: Any) -> Survey:
    known: dict[str, Any] = {}
    for _, _, graph in levels(program):
        for op in graph.get_operations():
            known[op.name] = tuple(
                (t.dtype.name, None if t.shape.rank is None else tuple(t.shape.as_list())) for t in op.outputs
            )
    return Survey(known, tuple(known))
