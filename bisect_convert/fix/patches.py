"""A TensorFlow function of the user's own, to be put in the place of ops."""

from __future__ import annotations

import base64
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from bisect_convert.errors import UsageError

__all__ = ["Patch", "patch_of", "told_apart"]


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


def told_apart(patches: Iterable[Patch], taken: AbstractSet[str]) -> tuple[Patch, ...]:
    """Return the patches, each under a name that is none of these and that no other function has: all get into one script."""
    known: dict[str, str] = {}
    made = []
    for patch in patches:
        name, number = patch.name, 1
        while name in taken or known.get(name, patch.code) != patch.code:
            number += 1
            name = f"{patch.name}_{number}"
        known[name] = patch.code
        source = None if patch.source is None else re.sub(rf"\b{patch.name}\b", name, patch.source)
        made.append(replace(patch, name=name, source=source))
    return tuple(made)


def _source(function: Callable[..., Any], name: str) -> str | None:
    """The text of a function that stands by itself: a `def`, with nothing but its own names."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return None
    return text if text.startswith(f"def {name}(") and not inspect.getclosurevars(function).nonlocals else None
