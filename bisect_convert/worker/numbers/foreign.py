"""A package that was made elsewhere, and not of this model: what tells so, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bisect_convert.worker.numbers.agreement import fed
from bisect_convert.worker.numbers.causes import Search
from bisect_convert.worker.numbers.original import Original

__all__ = ["of_another_model", "other_values", "unlike_inputs"]


def unlike_inputs(program: Any, feeds: Mapping[str, Any]) -> str:
    """Return that the program asks for inputs that the model has not, or ""."""
    block = program.functions["main"]
    missing = [name for name in block.inputs if name not in fed(block, feeds)]
    if not missing:
        return ""
    own = ", ".join(name.removesuffix(":0") for name in feeds)
    return (
        f"the package asks for the input {', '.join(missing)}, and the model has {own}: it was made of something else"
    )


def other_values(search: Search, original: Original) -> str:
    """Return where the package computes something else, given the model's own inputs there, as far as that is known."""
    said = "the package computes something else in float32 too"
    if not search.strangers:
        return said
    op = search.strangers[0].rpartition(":")[0]
    return f"{said}, such as at {original.type_of(op)} {op}, and a conversion of the model does not"


def of_another_model(message: str) -> dict[str, Any]:
    """Return the causes of the answer where no op is at fault but the package as a whole."""
    return {"causes": [], "remedies": [], "kind": "package", "message": message}
