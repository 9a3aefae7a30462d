"""One lowering that does not stop: an op that fails is noted, and a stand-in of its type and shape takes its place.

The first failure is the one that the converter stops at by itself. Those after it are hints: what needs the *value* of a
failing op fails behind a stand-in too, and is innocent. Runs in a worker; how a stand-in has to look was measured:
`random_uniform` is folded by no pass, and a tensor must bear its node's name.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Builder as mb

from bisect_convert.model.names import HANDLES
from bisect_convert.model.outcome import Failure
from bisect_convert.worker import private_api, tracebacks

__all__ = ["MOST", "Made", "Survey", "surveying"]

#: How many failures are noted before the lowering ends: past that, a model fails as a whole.
MOST = 400
#: How coremltools names the nodes that take one of several results; for ops it does not know it may make none.
_TUPLE = "gto_"
Made = tuple[str, "Sequence[int | None] | None"]


class _Unfillable(Exception):
    """No stand-in can be made: the lowering ends here."""


class Survey:
    """The failures met in one lowering, in the converter's order; `outputs`: op name -> dtype and shape of each output."""

    def __init__(self, outputs: Mapping[str, Sequence[Made]], names: tuple[str, ...]) -> None:
        self.failures: list[Failure] = []
        self._outputs = outputs
        self.names = names

    def lower(self, add_op: Callable[[Any, Any], None] | None, context: Any, node: Any) -> None:
        """Lower the node as the converter does, or note why that fails and go on with a stand-in."""
        depth = len(context.func_input_stack)
        try:
            if add_op is None:
                message = f"Conversion for TF op '{node.op}' not implemented.\n \n{node.original_node}"
                raise NotImplementedError(message)
            add_op(context, node)
            if node.outputs:
                private_api.convert_utils.check_output_shapes(context[node.name], node)
        except (MemoryError, RecursionError):
            raise
        except Exception as error:
            self._note(error, sys._getframe(2))
            del context.func_input_stack[depth:]
            try:
                self._fill(context, node)
            except Exception:
                raise error from None

    def _note(self, error: Exception, frame: FrameType) -> None:
        """Classify the error as if it had gone up through all frames of the converter, which it is kept from."""
        inner = None if error.__traceback__ is None else error.__traceback__.tb_next
        around: FrameType | None = frame
        while around is not None:
            module = around.f_globals.get("__name__", "")
            if module.startswith("bisect_convert.") and module != __name__:
                break
            if module != __name__:
                inner = TracebackType(inner, around, around.f_lasti, around.f_lineno)
            around = around.f_back
        self.failures.append(tracebacks.classify(error.with_traceback(inner), self.names))
        if len(self.failures) >= MOST:
            raise error

    def _fill(self, context: Any, node: Any) -> None:
        name = node.original_node.name if node.original_node is not None else node.name
        outputs = self._outputs.get(name)
        if not outputs:
            raise _Unfillable(name)
        given = [context[i] for i in node.inputs if i in context]
        apart = len(outputs) > 1 and all(reader.startswith(_TUPLE) for reader in node.outputs)
        made = [
            _stand_in(dtype, shape, given, None if apart or index else node.name)
            for index, (dtype, shape) in enumerate(outputs)
        ]
        context.add(node.name, tuple(made) if apart else made[0])
        if not apart:
            context.context.update({f"{node.name}:{index}": var for index, var in enumerate(made)})


class _Tolerant:
    """The converter's registry of op types, each with a lowering that does not raise."""

    def __init__(self, known: Mapping[str, Any], survey: Survey) -> None:
        self._known = known
        self._survey = survey

    def get(self, op: str, default: Any = None) -> Callable[[Any, Any], None]:
        add_op = self._known.get(op)
        return lambda context, node: self._survey.lower(add_op, context, node)


def surveying(survey: Survey) -> contextlib.AbstractContextManager[None]:
    """Within, ops that fail in lowering are noted in the survey, and the conversion goes on behind them."""
    return private_api.lowering_by(lambda known: _Tolerant(known, survey))


def _stand_in(dtype: str, shape: Sequence[int | None] | None, given: Sequence[Any], name: str | None) -> Any:
    """A tensor of that dtype and shape that no pass can know the value of; handles and strings, that MIL lacks, as a number."""
    if dtype in HANDLES:
        dtype, shape = "float32", ()
    if shape is None:
        raise _Unfillable(dtype)
    named = {} if name is None else {"name": name}
    sizes = _sizes(shape or [1], given)
    if dtype.startswith("complex"):
        real, imaginary = (mb.random_uniform(shape=sizes) for _ in range(2))
        return mb.complex(real_data=real, imag_data=imaginary, **named)
    flat, whole = not shape, dtype.startswith(("float", "bfloat", "half"))
    made = mb.random_uniform(shape=sizes, **(named if whole and not flat else {}))
    if flat:
        made = mb.squeeze(x=made, axes=[0], **(named if whole else {}))
    return made if whole else mb.cast(x=made, dtype="bool" if dtype == "bool" else "int32", **named)


def _sizes(shape: Sequence[int | None], given: Sequence[Any]) -> Any:
    """The shape as the converter takes it; a size that is not known is read off an input that has one there."""
    if None not in shape:
        return np.array(shape, np.int32)
    parts = [[s] if s is not None else _open_size(i, len(shape), given) for i, s in enumerate(shape)]
    return mb.concat(values=parts, axis=0)


def _open_size(index: int, rank: int, given: Sequence[Any]) -> Any:
    """The size that a tensor of the same rank has at that place, or else the first that is open in any."""
    shaped = [v for v in given if getattr(v, "shape", None)]
    places = [(v, index) for v in shaped if len(v.shape) == rank]
    places += [(v, i) for v in shaped for i, s in enumerate(v.shape) if not isinstance(s, (int, np.integer))]
    if not places:
        raise _Unfillable("a size")
    var, at = places[0]
    return mb.slice_by_index(x=mb.shape(x=var), begin=[at], end=[at + 1])
