"""The Python line that made an op, where the model carries that knowledge.

A SavedModel has it in debug/saved_model_debug_info.pb if it was saved with `SaveOptions(save_debug_info=True)`; a function
in memory has the traceback of each op (both are TensorFlow's own records; nothing is guessed from names).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["finder", "of_function", "of_saved_model"]

_NOT_THE_USERS = (
    "/tensorflow/",
    "/keras/",
    "/tf_keras/",
    "/coremltools/",
    "/bisect_convert/",
    "/importlib/",
    "<frozen",
)


def of_saved_model(folder: str) -> dict[str, str]:
    """Map op names to "file:line" as the SavedModel's debug info has them; empty where there is none."""
    path = Path(folder) / "debug" / "saved_model_debug_info.pb"
    if not path.is_file():
        return {}
    from bisect_convert.worker.private_api import graph_debug_info_pb2

    info = graph_debug_info_pb2.GraphDebugInfo()
    try:
        info.ParseFromString(path.read_bytes())
    except Exception:  # damaged debug info is as good as none
        return {}
    traces = {**dict(info.traces), **{k: info.traces_by_id[v] for k, v in info.name_to_trace_id.items()}}
    frames = {
        key.split("@")[0]: [info.frames_by_id[i] for i in trace.frame_id] or list(trace.file_line_cols)
        for key, trace in traces.items()
    }
    found = {}
    for name, stack in frames.items():
        lines = [(_file(info, frame), frame.line) for frame in reversed(stack)]
        if place := _innermost(lines):
            found[name] = place
    return found


def _file(info: Any, frame: Any) -> str:
    return str(info.files[frame.file_index]) if frame.file_index < len(info.files) else ""


def of_function(function: Any) -> dict[str, str]:
    """Map the names of a concrete function's own ops to "file:line" of the user's innermost frame."""
    found = {}
    for op in function.graph.get_operations():
        try:
            lines = [(frame.filename, frame.lineno) for frame in op.traceback or ()]
        except Exception:  # an op that was imported, not traced, may have no usable record
            continue
        if place := _innermost(reversed(lines)):
            found[op.name] = place
    return found


def _innermost(lines: Iterable[tuple[str, int]]) -> str | None:
    """The first line, innermost first, that is in none of the libraries; what lies outside a call of ours made no op."""
    for file, line in lines:
        if "/bisect_convert/" in file.replace(os.sep, "/"):
            return None
        if file and not any(part in file.replace(os.sep, "/") for part in _NOT_THE_USERS):
            return f"{file}:{line}"
    return None


def finder(sources: Mapping[str, str]) -> Callable[[str], str | None]:
    """Return a look-up that also finds an op by the name it had before its function was inlined."""

    def find(name: str) -> str | None:
        parts = name.split("/")
        for start in range(len(parts)):
            if (place := sources.get("/".join(parts[start:]))) is not None:
                return place
            if not parts[start].startswith(("StatefulPartitionedCall", "PartitionedCall")):
                return None
        return None

    return find
