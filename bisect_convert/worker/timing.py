"""One conversion, watched: how long the converter was at each of its steps, and at each op of the model."""

from __future__ import annotations

import time
from pathlib import Path
from types import FrameType
from typing import Any

import coremltools as ct

from bisect_convert.model.outcome import Stage
from bisect_convert.worker import private_api, unpacking
from bisect_convert.worker.conversion import carved_section, concerning, known_of, limit_memory
from bisect_convert.worker.private_api.frames import in_hand, in_mil, stage_of
from bisect_convert.worker.request import Time
from bisect_convert.worker.sampling import sampled

__all__ = ["times"]


def times(request: Time) -> dict[str, Any]:
    """Convert the section and return its seconds: under "parts" as [stage, pass, op, seconds], under "total" in all.

    A stage is a number of `Stage`; pass and op are None where there is none. "failed": why there is nothing to tell.
    """
    limit_memory(request.memory)
    carved = carved_section(request, True)
    private_api.define_functions(carved.functions)
    private_api.reset()
    names = in_mil(known_of(Path(request.folder)).names)

    def seen(frames: list[FrameType]) -> tuple[Stage, str | None, str | None]:
        return *stage_of(frames), in_hand(frames, names)

    arguments = unpacking.unpack(concerning(carved, request.plan, request.options))
    source = private_api.FrozenGraph(carved.graph_def)
    try:
        with unpacking.in_force(request.options.get("conversions", {})):
            began = time.perf_counter()
            with sampled(seen) as seconds:
                ct.convert(source, source="tensorflow", skip_model_load=True, **arguments)
            total = time.perf_counter() - began
    except Exception as error:  # also the ValueError of a thread that is not the main one
        return {"failed": f"{type(error).__name__}: {error}"}
    return {"total": total, "parts": [[int(stage), passed, op, took] for (stage, passed, op), took in seconds.items()]}
