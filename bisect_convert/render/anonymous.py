"""A finding, and the code that shows it, as they may leave the house: no name of the model's ops, layers, files or classes."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from bisect_convert.render.names import unwrapped
from bisect_convert.report.findings import Finding

__all__ = ["anonymous"]

_TOKEN = re.compile(r"[\w.\\/>^-]+")
_QUOTED = re.compile(r"`[^`\n]+`")
#: No word of a sentence has it.
_ODD = re.compile(r"[/_\d]")
_PATH = re.compile(r"(?<![\w.])(?:[A-Za-z]:[\\/]|~?/)[^\s\"'`:,;()]+")
#: What our own code calls its parts, and what it imports.
_OURS = frozenset({"section", "model", "tf", "ct", "np"})
#: Of a name in another spelling so many letters tell enough to be its name.
_TELLING = 8


def anonymous(finding: Finding, code: str | None, known: Iterable[str] = ()) -> tuple[Finding, str | None]:
    """Return the finding and the code with op_1, op_2, ... for each name of the model, the same wherever one name stands.

    known: names of ops, functions, layers, inputs and files of the model, those in the finding beside. The types of ops stay.
    """
    veil = _Veil({*known, *_told(finding)}, {c.op for c in finding.culprits} | set(finding.witness.types))
    message = veil.everywhere(finding.error_message)
    written = None if code is None else veil.code(code)
    remedies = tuple(replace(r, summary=veil.prose(r.summary), code=None) for r in finding.remedies)
    told = replace(finding, error_message=message, explanation=veil.prose(finding.explanation), remedies=remedies)
    return replace(told, cause=veil.prose(finding.cause)), written


def _told(finding: Finding) -> set[str]:
    """The names that the finding itself has."""
    names: set[str | None] = set(finding.witness.ops)
    for c in finding.culprits:
        names |= {c.name, c.layer, c.function, c.source, c.source_text, c.keras_layer, c.keras_class}
        names |= {t.tensor.partition(":")[0] for t in (*c.inputs, *c.outputs)}
    names |= {name for call in finding.context.enclosing for name in (call.name, call.function)}
    return {name for name in names if name}


class _Veil:
    """What stands for each name, numbered as they are met."""

    def __init__(self, names: Collection[str], kinds: Collection[str]) -> None:
        names = {part for name in names for part in (name, unwrapped(name))} - set(kinds) - {""}
        self._names = names
        self._spelt = {re.sub(r"\W", "_", name): name for name in names}
        self._like = sorted((n for n in self._spelt if len(n) >= _TELLING), key=len, reverse=True)
        self._given: dict[str, str] = {}

    def everywhere(self, text: str) -> str:
        """The text of a program, such as an error: each word may be a name, one like any other where it is quoted."""
        text = _PATH.sub(self._path, text)
        plain = re.sub(r"\W", "_", text)
        found = [word for word in self._like if word in plain]

        def said(match: re.Match[str]) -> str:
            quoted = text[match.start() - 1 : match.start()] in ('"', "'", "`")
            return self._word(match[0], found) if quoted or _ODD.search(match[0]) else match[0]

        return _TOKEN.sub(said, text)

    def prose(self, text: str) -> str:
        """A sentence of ours: what stands between backticks may be a name, and so may what no sentence has."""
        text = _QUOTED.sub(lambda m: self.everywhere(m[0]), text)
        return _TOKEN.sub(lambda m: self._word(m[0], ()) if _ODD.search(m[0]) else m[0], text)

    def code(self, text: str) -> str:
        """A program of ours: its variables come from names, and its strings may be some."""
        made: dict[str, None] = {}
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.arg):
                made[node.name if isinstance(node, ast.FunctionDef) else node.arg] = None
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                made[node.id] = None
        ends = {re.sub(r"\W+", "_", name.rpartition("/")[2]).strip("_").lower(): name for name in self._given}
        spelt = {v: self._stand_in(ends.get(v, f"variable {v}")) for v in made if v not in _OURS}
        text = re.sub(r"(?<![\w.])[A-Za-z_]\w*(?![\w=])", lambda m: spelt.get(m[0], m[0]), text)
        return re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", lambda m: self.everywhere(m[0]), text)

    def _word(self, token: str, found: Collection[str]) -> str:
        word = token.strip("^.>-\\")
        if word in self._names:
            return token.replace(word, self._stand_in(word))
        plain = re.sub(r"\W", "_", word)
        for start in found:
            if plain == start or plain.startswith((f"{start}_", f"_{start}_")):
                return token.replace(word, self._stand_in(self._spelt[start]))
        return token

    def _path(self, match: re.Match[str]) -> str:
        return match[0] if match[0].strip("/") in self._names or match[0].count("/") < 2 else "PATH"

    def _stand_in(self, name: str) -> str:
        name = unwrapped(name)
        return self._given.setdefault(name, f"op_{len(self._given) + 1}")
