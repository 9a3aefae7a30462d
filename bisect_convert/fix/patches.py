"""A TensorFlow function of the user's own, to be put in the place of ops."""

from __future__ import annotations

import base64
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bisect_convert.errors import UsageError

__all__ = ["Patch", "patch_of"]


@dataclass(frozen=True)
class Patch:
    """What to put where: `target` is an op's name or an op type; `code` the pickled function, `source` its text if known."""

    target: str
    name: str
    code: str
    source: str | None = None

    def to_json(self) -> dict[str, str]:
        """Return what a worker needs to know."""
        return {"target": self.target, "name": self.name, "code": self.code}


def patch_of(target: str, function: Callable[..., Any]) -> Patch:
    """Return the patch; raises UsageError for what is no function, or cannot be handed to another process."""
    if not callable(function):
        raise UsageError(f"a patch is a function of the op's inputs, not {function!r}")
    name = getattr(function, "__name__", "")
    if not name.isidentifier():
        name = "patch"
    try:
        import cloudpickle

        code = base64.b64encode(cloudpickle.dumps(function)).decode()
    except Exception as error:  # whatever keeps it from being pickled
        raise UsageError(f"{name} cannot be handed to another process: {error}") from error
    return Patch(target, name, code, _source(function, name))


def _source(function: Callable[..., Any], name: str) -> str | None:
    """The text of a function that stands by itself: a `def`, with nothing but its own names."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return None
    return text if text.startswith(f"def {name}(") and not inspect.getclosurevars(function).nonlocals else None
