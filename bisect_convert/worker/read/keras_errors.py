"""Why a Keras file cannot be read or called, in the words of what raised it first. Runs in a worker."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np

from bisect_convert.errors import ModelError

__all__ = ["lost_names", "root", "unbuilt", "unread"]

_CLASS = re.compile(r"(?:Unknown layer: |Could not locate class )'?([\w>]+)'?")
_FUNCTION = re.compile(r"(?:Could not locate function|Unknown activation function:?) '?(\w+)'?")
_OWNER = re.compile(r"deserializing class '(\w+)' using config=\{'name': '([^']*)'")
#: The configuration of a dtype in that of a layer, which has a name of its own.
_POLICY = re.compile(r"\{[^{}]*'class_name': 'DTypePolicy', 'config': \{[^{}]*\}[^{}]*\}")
_LONGEST = 300
#: A step of a trace that autograph writes into its message: the line of code follows it.
_STEP = re.compile(r"File \"([^\"]*)\", line (\d+), in ")
_CALLED = re.compile(r"Exception encountered when calling (\w+)\.call\(\)")
#: Lines that Keras and autograph put around what was said.
_AROUND = re.compile(r"(\w+: )?Exception encountered|Arguments received|in user code:|File \"|raise |\^+$")


def unread(path: str, error: BaseException) -> ModelError:
    """Return the error to show for a Keras file that does not load: the class that is missing, else Keras's own words."""
    for each in _chain(error):
        if (found := _CLASS.search(str(each))) is not None:
            said = _POLICY.sub("''", str(each))
            name = re.search(rf"'class_name': '{re.escape(found[1])}'.*?'name': '([^']*)'", said, re.DOTALL)
            layer = f"the layer {name[1]!r} of the class {found[1]}" if name else f"a layer of the class {found[1]}"
            return ModelError(
                f"{path} holds {layer}, whose code is not in the file: name the module that defines it, --import MODULE; or "
                "load the model in Python, where that class is imported, and pass the model to bisect_convert.find; or export "
                "it as a SavedModel"
            )
        if (found := _FUNCTION.search(str(each))) is not None:
            return _without_function(path, found[1], str(error))
    if "No model config found" in str(error):
        return ModelError(
            f"{path} holds weights only, as save_weights writes them: save the model whole, with model.save"
        )
    if _of_keras_2(path):
        return ModelError(
            f"{path} was saved by Keras 2, and this Keras cannot read it ({root(error)}): pip install tf_keras, and set "
            "TF_USE_LEGACY_KERAS=1; or export it there as a SavedModel"
        )
    return ModelError(f"{path} cannot be read: {root(error)}; save the model again")


def _without_function(path: str, name: str, message: str) -> ModelError:
    """That the file names a function, such as an activation, of the user's own."""
    owner = _OWNER.search(message)
    where = f"in the layer {owner[2]!r} of the class {owner[1]} " if owner else ""
    return ModelError(
        f"{path} uses {where}the function {name}, whose code is not in the file: name the module that defines it, --import "
        "MODULE; or load the model in Python, with custom_objects, and pass it to bisect_convert.find"
    )


def _of_keras_2(path: str) -> bool:
    """Whether the file says that Keras 2 wrote it."""
    if not path.endswith((".h5", ".hdf5")):
        return False
    import h5py

    try:
        with h5py.File(path) as file:
            version = file.attrs.get("keras_version", b"")
    except OSError:
        return False
    return str(version if isinstance(version, str) else bytes(version).decode(errors="replace")).startswith("2.")


def root(error: BaseException) -> str:
    """Return the type and first line of what was raised first, without what Keras wraps around it, at whole words.

    What autograph has put into the message is told as that: the class of the layer, and the last line of code.
    """
    first = list(_chain(error))[-1]
    lines = [re.sub(r"\x1b\[\d*m", "", line).strip() for line in str(first).splitlines() if line.strip()]
    steps = [n for n, line in enumerate(lines) if _STEP.match(line)]
    behind = lines[steps[-1] + 2 :] if steps else lines
    told = [line for line in behind if not _AROUND.match(line)] or [line for line in lines if not _AROUND.match(line)]
    told = told or lines
    said = textwrap.shorten(told[0], _LONGEST, placeholder=" ...") if told else ""
    said = said if said.endswith("...") else said.rstrip(".")
    said = said.removeprefix(f"{type(first).__name__}: ")  # autograph puts it in front itself
    where = _where(str(first), lines, steps)
    return (f"{type(first).__name__}: {said}" if said else type(first).__name__) + where


def _where(message: str, lines: list[str], steps: list[int]) -> str:
    """Which layer was called, and at which line, where autograph's trace has that."""
    if not steps or (step := _STEP.match(lines[steps[-1]])) is None:
        return ""
    called = _CALLED.search(message)
    of = f"a layer of the class {called[1]}, " if called else ""
    return f" (in {of}{os.path.basename(step[1])}:{step[2]})"


def lost_names(error: BaseException) -> bool:
    """Return whether a Lambda layer fails on a name: its code is saved without the module that it stood in."""
    text = f"{type(error).__name__} {error}"
    return "Lambda.call()" in text and any(kind in text for kind in ("NameError", "AttributeError", "KeyError"))


def unbuilt(model: Any) -> str | None:
    """Return what a model that Keras left without inputs raises when it is called; None where it says its shape nowhere."""
    shapes = [getattr(layer, "batch_shape", None) for layer in getattr(model, "_layers", ())]
    shape = next((s for s in shapes if s is not None), None)
    if shape is None:
        return None
    try:
        model(np.zeros([1 if size is None else size for size in shape], np.float32))
    except Exception as error:  # whatever its code raises
        return root(error)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was raised from."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
