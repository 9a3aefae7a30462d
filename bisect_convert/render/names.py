"""Names come from strangers' models: how they are made harmless and short, and how tensors and sentences are spelt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from bisect_convert.report.findings import TensorFact

__all__ = [
    "Code", "Sentence", "bare", "dtypes", "harmless", "harmless_json", "parse", "plain", "shorten", "spell", "unwrapped",
]  # fmt: skip

#: What stands before all names of a SavedModel.
_WRAPPING = re.compile(r"^(?:(?:Stateful)?PartitionedCall/)+")


@dataclass(frozen=True)
class Code:
    """A name inside a sentence, kept apart from the prose so that each rendering can mark and escape it its own way."""

    name: str


Sentence = tuple["str | Code", ...]

_QUOTED = re.compile(r"`([^`\n]+)`")


def harmless(text: str) -> str:
    r"""Return the text with each character that does not print (controls, escapes, bidi marks) spelt out, as \x1b."""
    return "".join(c if c.isprintable() else _spelt_out(c) for c in text)


def harmless_json(text: str) -> str:
    """Return the same JSON with what a terminal might obey escaped; it parses to the same data."""
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def shorten(name: str, room: int) -> str:
    """Return the name made harmless and, where it is longer than `room`, with its middle left out."""
    name = harmless(name)
    if len(name) <= room:
        return name
    head = max((room - 3) // 3, 1)
    return f"{name[:head]}...{name[len(name) - max(room - 3 - head, 1) :]}"


def spell(tensor: TensorFact) -> str:
    """Return dtype and shape as in `float32[1, ?, 8]`."""
    if tensor.shape is None:
        return harmless(f"{tensor.dtype} of unknown rank")
    if not tensor.shape:
        return harmless(f"{tensor.dtype} scalar")
    return harmless(f"{tensor.dtype}[{', '.join('?' if n is None else str(n) for n in tensor.shape)}]")


def dtypes(inputs: Iterable[TensorFact], outputs: Iterable[TensorFact]) -> str:
    """Return the dtypes an op reads and makes, each once: `float32`, or `float32 -> bool`."""
    read = list(dict.fromkeys(t.dtype for t in inputs))
    made = list(dict.fromkeys(t.dtype for t in outputs))
    if not read or not made or read == made:
        return harmless(", ".join(read or made))
    return harmless(f"{', '.join(read)} -> {', '.join(made)}")


def parse(prose: str) -> Sentence:
    """Return prose as a sentence: what stands between backticks is a name, and each run of white space is one blank."""
    pieces = _QUOTED.split(prose)
    return tuple(Code(p) if i % 2 else re.sub(r"\s+", " ", p) for i, p in enumerate(pieces) if p)


def plain(sentence: Sentence, room: int | None = None) -> str:
    """Return a sentence as text with its names in backticks, each shortened to `room` where that is given."""

    def spelt(name: str) -> str:
        return f"`{harmless(name) if room is None else shorten(name, room)}`"

    return "".join(spelt(p.name) if isinstance(p, Code) else harmless(p) for p in sentence)


def bare(sentence: Sentence) -> Sentence:
    """Return the sentence with its names `unwrapped`."""
    return tuple(Code(unwrapped(p.name)) if isinstance(p, Code) else p for p in sentence)


def _spelt_out(char: str) -> str:
    escaped = char.encode("unicode_escape").decode("ascii")
    return escaped if escaped != char else f"\\x{ord(char):02x}"


def unwrapped(name: str) -> str:
    """Return the name without the calls that all names of a SavedModel begin with.

    >>> unwrapped("StatefulPartitionedCall/StatefulPartitionedCall/act/Erfc"), unwrapped("PartitionedCall")
    ('act/Erfc', 'PartitionedCall')
    """
    return _WRAPPING.sub("", name) or name
