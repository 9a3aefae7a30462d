"""What can be said of a model's path without tensorflow, and so at once."""

from __future__ import annotations

import glob
import os
import re
import zipfile

from bisect_convert.errors import ModelError, UsageError

__all__ = ["REST", "check_path", "damage"]

#: The folder, beside the facts of a model that never froze, with those of what freezes without the ops at fault.
REST = "rest"

_FILES = (".pb", ".keras", ".h5", ".hdf5")
_PATTERN = re.compile(r"[\[\]*?]")
_HDF5 = b"\x89HDF\r\n\x1a\n"


def check_path(model: object, signature: str | None = None) -> None:
    """Raise ModelError or UsageError for a path, or a signature of it, that needs no tensorflow to be refused.

    What is no path is left to who reads it.
    """
    if not isinstance(model, (str, os.PathLike)):
        return
    path = os.fspath(model)
    if not os.path.lexists(path):
        raise ModelError(f"no such file or folder: {path}")
    try:
        if os.path.isdir(path):
            return _check_folder(path)
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    if not path.endswith(_FILES):
        raise ModelError(f"{path} is none of: a SavedModel folder, a .keras, .h5 or .hdf5 file, a frozen .pb")
    if os.path.basename(path) == "saved_model.pb":
        raise ModelError(f"{path} is part of a SavedModel; pass its folder")
    if not head:
        raise ModelError(f"{path} is empty; save the model again")
    if path.endswith(".keras") and not zipfile.is_zipfile(path):
        raise ModelError(f"{path} is no Keras file: it is damaged or was cut short; save the model again")
    if path.endswith((".h5", ".hdf5")) and head != _HDF5:
        raise ModelError(f"{path} is no HDF5 file; save the model again")
    if signature is not None:
        raise UsageError(f"only a SavedModel folder has signatures; leave out --signature {signature}")


def _check_folder(path: str) -> None:
    names = os.listdir(path)
    for name in ("saved_model.pb", "saved_model.pbtxt"):
        if name in names:
            with open(os.path.join(path, name), "rb") as file:
                if file.read(1):
                    return
            raise ModelError(f"{path} is no SavedModel: its {name} is empty; export the model again")
    raise ModelError(f"{path} is no SavedModel: there is no saved_model.pb in it")


def damage(path: str, message: str) -> str:
    """Return the message that reading the model ended with; of a folder, in words that say which of its files it is.

    Only once reading has failed: a SavedModel may well be without variables.
    """
    if not os.path.isdir(path):
        return message
    if _PATTERN.search(path) and "/variables/variables" in message:
        return (
            f"{path} cannot be read: TensorFlow takes [ ] * and ? in a path for a pattern; rename the folder, or pass it "
            "by a link without them"
        )
    parts = ("variables.index", "variables.data-*")
    missing = [
        f"variables/{part}" for part in parts if not glob.glob(os.path.join(glob.escape(path), "variables", part))
    ]
    if "/variables/variables" in message and missing:
        fault = f"its {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    elif "Permission denied" in message:
        return f"{path} cannot be read: Permission denied for a file in its variables/"
    elif "parse" in message or "MetaGraph" in message:
        fault = "its saved_model.pb is damaged or was cut short"
    elif "Read less bytes than requested" in message or "checksum" in message:
        fault = "a file in its variables/ is damaged or was cut short"
    else:
        return message
    return f"{path} cannot be read: {fault}; export the model again"
