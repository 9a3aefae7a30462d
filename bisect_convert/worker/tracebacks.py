"""What the exception of a failing conversion tells: the stage, the pass, the ops at work, all from its traceback's frames.

Imported in workers only.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable

from bisect_convert.model.outcome import Failure, Frame, Signature, Stage, scrub
from bisect_convert.worker.private_api.frames import UNSORTED, in_hand, in_mil, loading, lowered, passed, stage_of

__all__ = ["classify", "failure_of", "one_line"]


def classify(error: BaseException, names: Iterable[str]) -> Failure:
    """Return the failure that an exception out of `ct.convert` stands for; `names` are scrubbed from its message."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    stage, pass_name = stage_of(frames)
    if stage in (Stage.MIL_PASS, Stage.BACKEND):  # an op of MIL, which is named after the one that it was made of
        names = tuple(names)
        found = in_hand(frames, in_mil(names))
        return failure_of(error, names, stage, pass_name, () if found is None else (Frame("", found),))
    named = {Stage.LOAD: loading, Stage.GRAPH_PASS: passed, Stage.LOWERING: lowered}.get(stage)
    return failure_of(error, names, stage, pass_name, () if named is None else tuple(named(frames)))


def failure_of(
    error: BaseException, names: Iterable[str], stage: Stage, pass_name: str | None, hint: tuple[Frame, ...]
) -> Failure:
    """Return the failure of this exception at this stage; `names` are scrubbed from its message."""
    message = str(error)
    if isinstance(error, RecursionError):
        message = "maximum recursion depth exceeded"
    if isinstance(error, MemoryError) and not message:
        message = "the conversion ran over its memory limit"
    sorting = message == UNSORTED  # which of several ops it is over depends on where the section ends
    raising = tuple(frame.op for frame in hint) if stage is Stage.LOWERING and not sorting else ()
    signature = Signature(stage, pass_name, type(error).__name__, scrub(message, names), raising)
    text = "".join(traceback.format_exception(error))[-20_000:]
    return Failure(signature, type(error).__name__, message, hint, text)


def one_line(error: BaseException) -> str:
    """Return the first line of what the exception says, else its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
