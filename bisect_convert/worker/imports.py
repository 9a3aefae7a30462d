"""Modules of the user's own, imported where models are read and converted: their layers and conversions are known then."""

from __future__ import annotations

import importlib
import json
import os
import sys
from functools import lru_cache
from typing import Any

from bisect_convert.errors import UsageError

__all__ = ["VARIABLE", "custom_objects", "import_wanted"]

#: What names the modules to import: JSON of the folder to look in first, and of their names.
VARIABLE = "BISECT_CONVERT_IMPORT"


@lru_cache(maxsize=1)
def import_wanted() -> tuple[Any, ...]:
    """Import the modules once in this process, and return them; raises UsageError where their code fails."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return ()
    folder, names = json.loads(wanted)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return tuple(_imported(name) for name in names)


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except BaseException as error:  # a stranger's module may raise anything, or exit
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise UsageError(f"--import {name}: there is no such module here") from error
        said = (str(error).strip().splitlines() or [""])[0][:200]
        raise UsageError(f"--import {name}: its code fails with {type(error).__name__}: {said}") from error


def custom_objects() -> dict[str, Any]:
    """Return the classes of Keras objects, and the functions, that these modules define, by their names."""
    import tensorflow as tf

    kinds = (tf.keras.layers.Layer, tf.keras.Model, tf.keras.initializers.Initializer)
    found: dict[str, Any] = {}
    for module in import_wanted():
        for name, value in vars(module).items():
            ours = getattr(value, "__module__", None) == module.__name__
            if ours and (issubclass(value, kinds) if isinstance(value, type) else callable(value)):
                found[name] = value
    return found
