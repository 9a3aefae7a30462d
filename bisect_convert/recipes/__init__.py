"""Drop-in rewrites, each a function of TensorFlow code in this package, named after the op type that it stands in for.

`Op` is a recipe for any use of the op, `Op__word_word` one for uses where a word is a dtype at the op or stands in the
error. Parameters are the op's inputs, keyword-only ones its attributes; the docstring is the summary. The modules with
the functions import tensorflow, so only workers import them: here they are read as text.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["MODULES", "UNFIT", "Recipe", "all_recipes", "recipes_of"]

#: How the reason begins for which a recipe was not probed: it refused the op.
UNFIT = "the rewrite does not fit"
MODULES = ("elementwise", "tensors", "images", "linear")


@dataclass(frozen=True)
class Recipe:
    """One rewrite: for which op type and under which words, what it does, and its code as it is shown."""

    name: str
    op: str
    words: tuple[str, ...]
    summary: str
    code: str


def recipes_of(op: str) -> tuple[Recipe, ...]:
    """Return the recipes for an op type, those with words first."""
    return tuple(sorted((r for r in all_recipes() if r.op == op), key=lambda r: not r.words))


@lru_cache(maxsize=1)
def all_recipes() -> tuple[Recipe, ...]:
    """Return every recipe of the package."""
    return tuple(recipe for module in MODULES for recipe in _read(module))


def _read(module: str) -> list[Recipe]:
    text = (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    functions = {n.name: n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)}
    lines = text.splitlines()
    found = []
    for name, function in functions.items():
        if name.startswith("_"):
            continue
        op, _, words = name.partition("__")
        needed: dict[str, ast.FunctionDef] = {}
        _collect(function, functions, needed)
        code = _code([_shown(f, lines) for f in reversed(needed.values())])
        found.append(
            Recipe(name, op, tuple(words.split("_")) if words else (), ast.get_docstring(function) or "", code)
        )
    return found


def _collect(
    function: ast.FunctionDef, functions: dict[str, ast.FunctionDef], needed: dict[str, ast.FunctionDef]
) -> None:
    """Add the function and those of the module that it calls, callers first."""
    needed.setdefault(function.name, function)
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in functions and node.id not in needed:
            _collect(functions[node.id], functions, needed)


def _code(functions: list[str]) -> str:
    imports = "import tensorflow as tf\n"
    if any("math." in f.replace("tf.math.", "") for f in functions):
        imports = "import math\n\n" + imports
    return "\n\n".join([imports, *functions])


def _shown(function: ast.FunctionDef, lines: list[str]) -> str:
    """The function's own text, without docstring, under a name as Python has them."""
    doc = function.body[0] if ast.get_docstring(function) else None
    gone = range(doc.lineno, (doc.end_lineno or 0) + 1) if doc else range(0)
    kept = [lines[n - 1] for n in range(function.lineno, (function.end_lineno or 0) + 1) if n not in gone]
    text = "\n".join(kept).replace("  # fmt: skip", "") + "\n"
    return (
        text
        if function.name.startswith("_")
        else text.replace(function.name, _spoken(function.name.partition("__")[0]), 1)
    )


def _spoken(op: str) -> str:
    """The op type as the name of a Python function: `MaxPoolWithArgmax` as `max_pool_with_argmax`."""
    spoken = ""
    for before, letter in zip(" " + op, op, strict=False):
        spoken += "_" * (letter.isupper() and before.islower()) + letter.lower()
    return spoken
