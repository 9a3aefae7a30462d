"""What the converter warned of, in few and plain lines: the same warning once, with how often, and none about its setup."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

__all__ = ["warning_notes"]

#: What says something about the machine and nothing about the model.
_SETUP = re.compile(
    r"BlobWriter|When both 'convert_to'|has not been tested with|libcoremlpython|Failed to load|deprecated alias|PyTorch"
)
#: What differs between warnings that are the same: names and numbers.
_PARTS = re.compile(r"'[^']*'|\"[^\"]*\"|\b\S*[/_]\S*\b|\d+")
#: What the converter means by some of them.
_PLAIN = (
    (
        re.compile(r"upsample_nearest_neighbor to approximate"),
        "a resize to nearest neighbours is approximated by another op",
    ),
    (re.compile(r"[Ss]aving value type of (\w+) into a builtin type of (\w+)"), "values of \\1 are kept as \\2"),
    (re.compile(r"renamed to"), "names were changed to ones that Core ML takes"),
    (re.compile("set to flexible ranges"), "open sizes of inputs are taken as ranges; --input NAME:SHAPE fixes them"),
    (re.compile(r"[Ss]kipped this op|[Ss]kipping"), "an op was left out of a step"),
)
#: Of what is open in inputs it warns in two ways, of which the one says what comes of it.
_OPEN, _RANGES = 'There is "None" dim', "set to flexible ranges"
_MOST, _LONGEST = 5, 280


def warning_notes(warned: Iterable[str]) -> list[str]:
    """Return the warnings as notes, at most five.

    >>> warning_notes(["Input 'a' renamed to 'a_1'", "Input 'b' renamed to 'b_1'", "Fail to import BlobWriter"])
    ["coremltools warned, 2 times: names were changed to ones that Core ML takes (Input 'a' renamed to 'a_1')"]
    """
    found: dict[str, list[str]] = {}
    told = list(warned)
    for text in told:
        line = " ".join(text.split())
        if line and not _SETUP.search(line) and not (_OPEN in line and any(_RANGES in t for t in told)):
            found.setdefault(_PARTS.sub("#", line), []).append(line)
    return [_note(lines) for lines in list(found.values())[:_MOST]]


def _note(lines: list[str]) -> str:
    first = lines[0]
    shown = textwrap.shorten(first, _LONGEST, placeholder=" ...")
    plain = next((match.expand(words) for known, words in _PLAIN if (match := known.search(first))), "")
    times = f", {len(lines)} times" if len(lines) > 1 else ""
    return f"coremltools warned{times}: {plain + ' (' if plain else ''}{shown}{')' if plain else ''}"
