"""One edit of a model, as a script makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Step"]


@dataclass(frozen=True)
class Step:
    """One edit: the path of its level, the op, the name of the recipe, and whether that is a function of the op's inputs."""

    path: tuple[tuple[str, str], ...]
    op: str
    recipe: str
    spliced: bool
    summary: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Name -> Python code of the value."""

    @property
    def at(self) -> str:
        """The op with the ops on the way to it."""
        return "/".join([*(name for name, _ in self.path), self.op])
