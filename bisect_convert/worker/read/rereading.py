"""A model frozen once more, with all its weights, where some of their values follow only from that. Runs in a worker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bisect_convert.errors import EnvironmentError_
from bisect_convert.model import facts
from bisect_convert.worker import private_api
from bisect_convert.worker.read.opening import keras_function
from bisect_convert.worker.read.saved_variables import SavedVariables, stamp
from bisect_convert.worker.read.stand_ins import Freezing
from bisect_convert.worker.read.writing import COMPLETE, slim

__all__ = ["write_weights"]


def write_weights(folder: Path) -> None:
    """Write the true values of all large weights of the model that was written into the folder, as far as they are not there.

    Raises EnvironmentError_ where its files are others by now.
    """
    known = facts.read(folder)
    if known.unread is None or (folder / COMPLETE).exists():
        return
    weights = slim(_frozen(known, known.unread.allow_code))
    names = {node.name for node in weights.node}
    if (
        stamp(known.path) != known.unread.files
        or len(names) != known.slim
        or not names.issuperset(known.unread.derived)
    ):
        raise EnvironmentError_(f"{known.path} was changed while it was being looked at; start again")
    part = folder / f"{COMPLETE}.{os.getpid()}"
    part.write_bytes(weights.SerializeToString())
    part.rename(folder / COMPLETE)


def _frozen(known: facts.Facts, allow_code: bool) -> Any:
    if not os.path.isdir(known.path):
        return private_api.freeze(keras_function(known.path, allow_code))
    saved = SavedVariables(known.path, known.signature)
    return Freezing(saved, whole=True).frozen(saved.function())
