"""Reading a model: in a worker where it is a file, here where it is in memory; and what is said of how it was handed over."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bisect_convert.errors import ModelError, UsageError
from bisect_convert.explain.model_causes import SOURCELESS
from bisect_convert.model.files import damage, size
from bisect_convert.model.loaded import Loaded, read_facts
from bisect_convert.probe.client import Workers
from bisect_convert.worker.request import Load

__all__ = ["LOAD_LIMIT", "handed_notes", "load", "reading"]

#: Seconds that TensorFlow may take to read a model and freeze it, and how often that is tried where its process dies.
LOAD_LIMIT, _LOADS = 1800.0, 3


def load(model: Any, workers: Workers, request: Load) -> Loaded:
    """Read the model in a worker, or here where it is in memory: its tensorflow is imported already then."""
    path, folder = request.path, Path(request.folder)
    if path:
        try:
            answer = workers.insist(request, _LOADS)
        except ModelError as error:
            raise ModelError(damage(path, str(error))) from error
        if answer.get("death") == "timeout":
            raise ModelError(f"{path} cannot be loaded: TensorFlow did not come to an end within {LOAD_LIMIT:.0f} s")
        if "death" in answer or "memory" in answer:
            raise ModelError(f"{path} cannot be loaded: loading it ended the process ({answer.get('death', 'memory')})")
        return read_facts(folder)
    if "tensorflow" not in sys.modules:
        raise UsageError(
            f"cannot convert a {type(model).__name__}; pass a path, a Keras model, a tf.function or a GraphDef"
        )
    from bisect_convert.worker import private_api
    from bisect_convert.worker.read import handing, opening, writing
    from bisect_convert.worker.read.reading import Reading

    private_api.check()
    reading = Reading(
        signature=request.signature, inputs=request.inputs, outputs=request.outputs, no_run=request.no_run
    )
    if type(model).__name__ == "GraphDef":
        opening.write_graph(writing.shaped(model), folder, replace(reading, handed=handing.of_graph_def("", model)))
    else:
        function = opening.concrete_function(model)
        opening.freeze_and_write(function, folder, replace(reading, handed=handing.of_object(model, function)))
    return read_facts(folder)


def reading(model: Any) -> str:
    """Return that the model is being read, with its name and the size of its files: `reading model.keras (120 MB)`."""
    if not isinstance(model, (str, os.PathLike)):
        return "reading the model"
    path = os.path.abspath(model)
    count = size(path)
    mega = count / 1e6
    said = f"{mega:.0f} MB" if mega >= 10 else f"{mega:.1f} MB" if mega >= 0.1 else f"{count / 1e3:.0f} kB"
    return f"reading {os.path.basename(path)} ({said})"


def handed_notes(loaded: Loaded, verdict: str, *, chosen: bool) -> list[str]:
    """Return what is to be said where the caller's own `ct.convert` fails on what was handed over, as notes.

    chosen: the caller named the signature.
    """
    model, refused = loaded.model, loaded.handed.refused
    if len(model.signatures) > 1 and model.signature is not None and not chosen:
        others = ", ".join(s for s in model.signatures if s != model.signature)
        return [
            f"signature {model.signature} was taken, of {len(model.signatures)} (also {others}: --signature NAME), as "
            f"ct.convert itself refuses the folder: {refused}"
        ]
    if not refused or loaded.handed.keras or chosen:
        return []
    if verdict not in ("converts", "differs"):
        return _refused(loaded)
    called = f"ct.convert({model.path or 'model'}, source='tensorflow')"
    return [f"{called} itself fails: {refused}. {SOURCELESS}. The call below converts"]


def _refused(loaded: Loaded) -> list[str]:
    """That `ct.convert` does not take the model as it was given, in a line above what fails in it; and how it is taken."""
    handed = loaded.handed
    kind = f"a {os.path.splitext(loaded.model.path)[1]} file" if loaded.model.path else "the model as it was passed"
    lines = "; ".join((*handed.opened, f"ct.convert({handed.argument}, source='tensorflow')"))
    how = f"it was handed over so, since ct.convert says of it {handed.refused}: {lines}"
    if not loaded.model.path and handed.opened:  # it takes the form, and does not know what a graph in it calls
        return [how]
    return [f"ct.convert itself refuses {kind}, whatever is in it; this is of the model in it", how]
