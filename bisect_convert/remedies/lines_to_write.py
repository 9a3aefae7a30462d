"""Where a rewrite goes: the line of the model's code that makes the op, and as it is to be; else how it is called there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bisect_convert.recipes import Recipe
from bisect_convert.report.findings import Culprit

__all__ = ["shown_code"]

#: A file of more bytes is no code that a person wrote.
_MOST = 2_000_000
#: So many lines are said at most: each is looked up in its file.
_LINES = 8


def shown_code(recipe: Recipe, culprits: Sequence[Culprit], call: str | None) -> str:
    """Return the recipe's code, and under it the lines to write; else the call with the first op's arguments.

    >>> from bisect_convert.recipes import recipes_of
    >>> print(shown_code(recipes_of("Erfc")[0], [Culprit("erfc", "Erfc")], "erfc(x)"), end="")
    import tensorflow as tf
    <BLANKLINE>
    <BLANKLINE>
    def erfc(x, name=None):
        return 1.0 - tf.math.erf(x)
    <BLANKLINE>
    <BLANKLINE>
    # in place of tf.math.erfc: erfc(x)
    """
    lines = list(dict.fromkeys(line for culprit in culprits[:_LINES] if (line := _line(recipe, culprit)) is not None))
    if not lines and call is not None:
        lines = [f"in place of {recipe.replaces}: {call}"]
    return recipe.code + "\n\n" * bool(lines) + "".join(f"# {line}\n" for line in lines)


def _line(recipe: Recipe, culprit: Culprit) -> str | None:
    """`file:line: the call  ->  the call to write`, where the line has one call of what the recipe replaces."""
    if culprit.source is None:
        return None
    file, _, number = culprit.source.rpartition(":")
    path = Path(file)
    try:
        if not number.isdigit() or path.stat().st_size > _MOST:
            return None
        text = path.read_text(encoding="utf-8")
        found = list(_calls(text, int(number), recipe.replaces.rpartition(".")[2]))
    except (OSError, ValueError, SyntaxError):  # not here, or changed since
        return None
    if len(found) > 1 and culprit.outputs:  # casts within casts: by the type that they are to
        found = [call for call in found if re.search(rf"\b{culprit.outputs[0].dtype}\b", ast.unparse(call.args[-1]))]
    if len(found) != 1:
        return None
    (call,) = found
    written, function = ast.unparse(call), ast.unparse(call.func)
    return f"{path.name}:{number}: {written}  ->  {recipe.function}{written[len(function) :]}"


def _calls(text: str, number: int, name: str) -> Iterator[ast.Call]:
    """The calls of a function of TensorFlow of that name on the line."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not node.lineno <= number <= (node.end_lineno or 0):
            continue
        if node.args and isinstance(node.func, ast.Attribute) and node.func.attr == name:
            yield node
