"""Whether a Keras file holds Python code, from its configuration alone: nothing of it is loaded for that.

Keras' own `safe_mode` does not hold for .h5 files in each of its releases.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py

__all__ = ["holds_code"]

#: The keys under which the class of a layer, or the kind of a function, stands.
_KINDS = ("class_name", "registered_name", "function_type")


def holds_code(path: str) -> bool:
    """Return whether a layer of the model, nested ones too, is made of Python code (a Lambda layer).

    Raises what json, zipfile or h5py raise for a file that is damaged.
    """
    return any(_is_code(word) for word in _kinds(json.loads(_config(path))))


def _config(path: str) -> str | bytes:
    """The model's configuration: in a .keras file, which is a zip file, or an attribute of an HDF5 file."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            return parts.read("config.json") if "config.json" in parts.namelist() else "{}"
    with h5py.File(path, "r") as file:
        found: Any = file.attrs.get("model_config", "{}")
        return found if isinstance(found, (str, bytes)) else str(found)


def _kinds(config: Any) -> Iterator[str]:
    todo = [config]
    while todo:
        at = todo.pop()
        if isinstance(at, dict):
            yield from (at[key] for key in _KINDS if isinstance(at.get(key), str))
            todo += at.values()
        elif isinstance(at, list):
            todo += at


def _is_code(word: str) -> bool:
    """True for a Lambda layer, whatever package it is registered for, and for a function written out as bytes."""
    return word.replace(">", ".").rpartition(".")[2].strip("_").lower() == "lambda"
