"""Random numbers that a program draws."""

from __future__ import annotations

import re
from typing import Any

from bisect_convert.model.names import op_of

__all__ = ["DRAWN", "DRAWS", "drawn_in"]

#: Ops that draw random numbers, by their type.
DRAWS = re.compile(r"Random|Multinomial|Rng|Shuffle|TruncatedNormal")
#: Those of them that draw the same numbers by the same seed.
DRAWN = re.compile(r"Stateless(RandomUniform|RandomNormal|RandomGamma|TruncatedNormal)")


def drawn_in(program: Any) -> set[str]:
    """Return the names of the ops that hang on random numbers, drawn in the main graph or in a function below it."""
    functions = {f.signature.name: f.node_def for f in program.library.function}

    def draws(node: Any, seen: frozenset[str] = frozenset()) -> bool:
        names = {value.func.name for value in node.attr.values()} & functions.keys() - seen
        inner = (n for name in names for n in functions[name])
        return bool(DRAWS.search(node.op)) or any(draws(n, seen | names) for n in inner)

    found = {node.name for node in program.node if draws(node)}
    todo = list(found)
    readers: dict[str, list[str]] = {}
    for node in program.node:
        for name in node.input:
            readers.setdefault(op_of(name), []).append(node.name)
    while todo:
        fresh = set(readers.get(todo.pop(), ())) - found
        found |= fresh
        todo += fresh
    return found
