"""Drop-in rewrites, each a function of TensorFlow code in this package, named after the op type that it stands in for.

`Op` is a recipe for any use of the op, `Op__word_word` one for uses where a word is a dtype at the op or stands in the
error. Parameters are the op's inputs, keyword-only ones its attributes; the docstring is the summary. The modules with
the functions import tensorflow, so only workers import them: here they are read as text, and shown under the name and the
parameters of the function of TensorFlow that they replace (see `replaced`).
"""

from __future__ import annotations

import ast
import textwrap
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bisect_convert.recipes.replaced import REPLACED

__all__ = ["MODULES", "UNFIT", "Recipe", "all_recipes", "recipes_of"]

#: How the reason begins for which a recipe was not probed: it refused the op.
UNFIT = "the rewrite does not fit"
#: What is longer than so many characters stands on lines of its own.
_WIDE = 110
MODULES = (
    "elementwise", "gradients", "tensors", "segments", "values", "images", "detection", "linear", "factors", "fourier",
    "draws", "older",
    "sparse",
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """One rewrite: for which op type and under which words, what it does, and its code as it is shown.

    replaces: the function of TensorFlow's interface; function: the code's own, which is called like it.
    """

    name: str
    op: str
    words: tuple[str, ...]
    summary: str
    code: str
    replaces: str = ""
    function: str = ""


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
        code = _code([_shown(f, lines) for f in needed.values()])
        summary, path = ast.get_docstring(function) or "", REPLACED[name].path
        found.append(Recipe(name, op, tuple(words.split("_")) if words else (), summary, code, path, _called(name)))
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
    if any("np." in f for f in functions):
        imports = imports.replace("import tensorflow", "import numpy as np\nimport tensorflow")
    return "\n\n".join([imports, *functions])


def _shown(function: ast.FunctionDef, lines: list[str]) -> str:
    """The function's own text, without docstring; a recipe's with the name and the parameters of what it replaces."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    first = body[0].lineno - 1
    while lines[first - 1].lstrip().startswith("#"):
        first -= 1
    head = lines[function.lineno - 1 : function.body[0].lineno - 1]
    if not function.name.startswith("_"):
        replaced = REPLACED[function.name]
        head = [f"def {_called(function.name)}({replaced.parameters}):"]
        if len(head[0]) > _WIDE:
            rows = textwrap.wrap(f"{replaced.parameters},", _WIDE - 4, break_long_words=False, break_on_hyphens=False)
            head = [f"def {_called(function.name)}(", *(f"    {row}" for row in rows), "):"]
        head += [f"    {line}" for line in replaced.lines]
    text = "\n".join([*head, *lines[first : function.end_lineno]])
    return text.replace("  # fmt: skip", "") + "\n"


def _called(recipe: str) -> str:
    """The name of the function that it replaces; of an op without a public one, the op type in Python's spelling."""
    name = REPLACED[recipe].name
    if name.islower():
        return name
    spoken = ""
    for before, letter in zip(" " + name, name, strict=False):
        spoken += "_" * (letter.isupper() and before.islower()) + letter.lower()
    return spoken
