"""A SavedModel or a Keras file frozen without what its large weights hold. Runs in a worker."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from bisect_convert.worker.read import handing, source_lines
from bisect_convert.worker.read.defaults import switches, with_default_values
from bisect_convert.worker.read.edges import without_edges
from bisect_convert.worker.read.reading import Reading
from bisect_convert.worker.read.saved_variables import HeldVariables, SavedVariables, Unusual, stamp
from bisect_convert.worker.read.stand_ins import Freezing
from bisect_convert.worker.read.writing import write_facts
from bisect_convert.worker.request import Load
from bisect_convert.worker.tracebacks import one_line

__all__ = ["read_unloaded", "written_without"]


def read_unloaded(request: Load, reading: Reading) -> dict[str, Any] | None:
    """Write the facts of the model as `read_model` does; None where it is not sure that they would be the same."""
    try:
        files = stamp(request.path)
        saved = SavedVariables(request.path, request.signature)
        made, function = Freezing(saved), saved.function()
        graph_def = made.frozen(function)
        _refuse_variants(graph_def, reading)
        reading = replace(
            reading, signature=saved.signature, signatures=tuple(saved.signatures), keys=handing.keys_of(function),
            sources=source_lines.of_saved_model(request.path), left=made.left(graph_def, files),
            handed=handing.of_path(request.path, function, saved.signature, saved.signatures), named=saved.named,
        )  # fmt: skip
        reading = replace(reading, sources=reading.sources or source_lines.of_function(function))
        return write_facts(graph_def, Path(request.folder), reading)
    except Exception as reason:  # what is wrong with a model is for loading it to say
        _tell("loaded", reason)
        return None


def written_without(function: Any, folder: Path, reading: Reading) -> dict[str, Any] | None:
    """Write the facts of a function whose variables are in memory as `freeze_and_write` does; None as above."""
    try:
        files = stamp(reading.path)
        made = Freezing(HeldVariables(function))
        graph_def = made.frozen(function)
        _refuse_variants(graph_def, reading)
        keys = handing.keys_of(function)
        return write_facts(graph_def, folder, replace(reading, keys=keys, left=made.left(graph_def, files)))
    except Exception as reason:  # what is wrong with a model is for freezing it to say
        _tell("frozen", reason)
        return None


def _refuse_variants(graph_def: Any, reading: Reading) -> None:
    """Raise Unusual where there may be a cause that is no op, whose forms of the model are made of one with all its weights."""
    if without_edges(graph_def, list(reading.outputs)) is not None:
        raise Unusual("it works with strings")
    if with_default_values(graph_def) or switches(graph_def):
        raise Unusual("it has scalar inputs that switch training on")


def _tell(what: str, reason: Exception) -> None:
    if os.environ.get("BISECT_CONVERT_VERBOSE") == "1":
        logger = logging.getLogger("bisect_convert")
        logger.warning("the model is %s with all its weights: %s", what, one_line(reason))
