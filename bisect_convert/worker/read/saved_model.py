"""A SavedModel opened, and the one of its signatures that is meant. Runs in a worker."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

import tensorflow as tf

from bisect_convert.errors import ModelError, UsageError
from bisect_convert.worker.tracebacks import one_line

__all__ = ["DEFAULT_SIGNATURE", "NoSignature", "chosen", "opened"]

DEFAULT_SIGNATURE = "serving_default"
#: What the signature to serve is called where none is the default.
_SERVING = ("serve", "predict", "inference", "infer", "call", "__call__", "default")


class NoSignature(ModelError):
    """The SavedModel has functions, but none of them is a signature."""

    def __init__(self, functions: list[str]) -> None:
        super().__init__("it has no signatures")
        self.functions = functions


def opened(path: str, wanted: str | None, *, restored: bool = True) -> tuple[Any, list[str], str]:
    """Return the concrete function of the signature that is meant, the signatures there are, and which one was taken.

    restored: its variables get their values. Raises ModelError, UsageError.
    """
    if not any(os.path.exists(os.path.join(path, f"saved_model.{end}")) for end in ("pb", "pbtxt")):
        raise ModelError(f"{path} is no SavedModel: there is no saved_model.pb in it")
    try:
        loaded = _loaded(path, restored)
    except Exception as error:  # a damaged model may raise nearly anything
        raise ModelError(f"{path} cannot be read: {one_line(error)}; export the model again") from error
    signatures = dict(getattr(loaded, "signatures", {}))
    if not signatures:
        functions = [n for n in vars(loaded) if getattr(getattr(loaded, n), "concrete_functions", None)]
        if functions and wanted is None:
            raise NoSignature(sorted(functions))
        raise ModelError(f"{path} has no signatures; save it with tf.saved_model.save(..., signatures=...)")
    name = chosen(signatures, wanted, path)
    function = signatures[name]
    function._bisect_convert_owner = loaded  # its variables live as long as the loaded object does
    return function, sorted(signatures), name


def chosen(signatures: Collection[str], wanted: str | None, path: str) -> str:
    """Return the one that is wanted, or that is there to serve; raises UsageError where it is not there."""
    name = wanted or next(n for n in (DEFAULT_SIGNATURE, *_SERVING, *sorted(signatures)) if n in signatures)
    if name not in signatures:
        raise UsageError(f"{path} has no signature {name!r}; it has: {', '.join(sorted(signatures))}")
    return name


def _loaded(path: str, restored: bool) -> Any:
    """The SavedModel; of several graphs that differ by tags the one to serve."""
    options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=not restored)
    try:
        return tf.saved_model.load(path, options=options)
    except ValueError as error:
        if "tags" not in str(error) or "MetaGraph" not in str(error):
            raise
        return tf.saved_model.load(path, tags=["serve"], options=options)
