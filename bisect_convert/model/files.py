"""What can be said of a model's path without tensorflow, and so at once."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import zipfile
from pathlib import Path

from bisect_convert.errors import ModelError, UsageError

__all__ = ["EDITED", "MOVED", "REST", "STATELESS", "check_path", "damage", "digest", "models_in", "size"]

#: The folder, beside the facts of a model that never froze, with those of what freezes without the ops at fault.
REST = "rest"
#: The folder, beside the facts of a model that assigns its variables, with those of the model that has them as inputs.
STATELESS = "stateless"
#: The folder, beside the facts of a model that was fixed, with those of what is between boundaries that moved.
MOVED = "moved"
#: The file, beside the facts of a model that was fixed, with the graph that was written.
EDITED = "edited.pb"

_FILES = (".pb", ".keras", ".h5", ".hdf5")
#: Files that are often taken for models of TensorFlow that one can convert, and what to do.
_OTHERS = {
    ".pbtxt": "a graph as text; write it in binary, as .pb, or pass the SavedModel folder that it lies in",
    ".tflite": "a model of TensorFlow Lite, which coremltools does not take: pass the model that it was made from",
    ".onnx": "an ONNX model, which coremltools does not take any more: pass the TensorFlow model that it was made from",
    ".pt": "a PyTorch model; this is for TensorFlow",
    ".ckpt": "a checkpoint, which holds weights only: restore it into the model, and save that",
    ".index": "part of a checkpoint, which holds weights only: restore it into the model, and save that",
}
#: The file that makes a folder a SavedModel.
_SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
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
        if not os.path.isfile(path):  # a pipe or a device, at which reading may wait for good
            raise ModelError(f"{path} is neither a file nor a folder")
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    if (other := _OTHERS.get(os.path.splitext(path)[1])) is not None:
        raise ModelError(f"{path} is {other}")
    if not path.endswith(_FILES):
        raise ModelError(f"{path} is none of: a SavedModel folder, a .keras, .h5 or .hdf5 file, a frozen .pb")
    if os.path.basename(path) == "saved_model.pb":
        raise ModelError(f"{path} is part of a SavedModel; pass its folder")
    if path.endswith(".pb") and re.match(rb"(node|library|versions)\b", head):
        raise ModelError(f"{path} is a GraphDef as text; write it in binary: graph_def.SerializeToString()")
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
    for name in _SAVED_MODEL:
        if name in names:
            if not os.path.isfile(os.path.join(path, name)):
                raise ModelError(f"{path} is no SavedModel: its {name} is no file; export the model again")
            if (odd := _no_file_in(path)) is not None:
                raise ModelError(f"{path} is no SavedModel: its {odd} is no file; export the model again")
            with open(os.path.join(path, name), "rb") as file:
                if file.read(1):
                    return
            raise ModelError(f"{path} is no SavedModel: its {name} is empty; export the model again")
    if "checkpoint" in names or any(name.endswith(".index") for name in names):
        raise ModelError(f"{path} holds a checkpoint, weights only: restore it into the model, and save that")
    raise ModelError(f"{path} is no SavedModel: there is no saved_model.pb in it")


def _no_file_in(folder: str) -> str | None:
    """What is neither a file nor a folder, and would be waited for for good, by its path in the folder."""
    for home, _, names in os.walk(folder):
        for path in (os.path.join(home, name) for name in sorted(names)):
            if os.path.exists(path) and not os.path.isfile(path):
                return os.path.relpath(path, folder)
    return None


def models_in(folder: str, depth: int = 4) -> list[str]:
    """Return the paths of the models in a folder, by their names, in folders so deep; a SavedModel is one, and holds none."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    if set(names) & set(_SAVED_MODEL):
        return [folder]
    found: list[str] = []
    for path in (os.path.join(folder, name) for name in names if not name.startswith(".")):
        if os.path.isdir(path):
            found += models_in(path, depth - 1) if depth else []
        elif path.endswith(_FILES):
            found.append(path)
    return found


def digest(path: str) -> str:
    """Return a digest of the content of the model's files, and of their names; raises OSError where one cannot be read."""
    made = hashlib.blake2b()
    root = Path(path)
    for file in sorted(root.rglob("*")) if root.is_dir() else [root]:
        if file.is_file():
            made.update(str(file.relative_to(root)).encode())
            with open(file, "rb") as opened:
                while part := opened.read(2**20):
                    made.update(part)
    return made.hexdigest()


def size(path: str) -> int:
    """Return how many bytes the model's files have; those that cannot be looked at count nothing."""
    root, count = Path(path), 0
    for file in root.rglob("*") if root.is_dir() else [root]:
        with contextlib.suppress(OSError):
            count += file.stat().st_size if file.is_file() else 0
    return count


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
