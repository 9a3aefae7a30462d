"""The text of the line of code that made a culprit, where its file is there to be read; else how to have such lines."""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Sequence
from dataclasses import replace

from bisect_convert.model.graph import Model
from bisect_convert.report.findings import Culprit, Finding

__all__ = ["source_note", "with_source_text"]

#: A line of more is no code that one reads at a glance.
_LONGEST = 160
#: What a notebook calls its cells.
_CELLS = ("<ipython-input", "<stdin>")


def with_source_text(finding: Finding) -> Finding:
    """Return the finding with the text of its culprits' lines: of Python files and cells only, since a model names them."""
    return replace(finding, culprits=tuple(_with_text(c) for c in finding.culprits))


def _with_text(culprit: Culprit) -> Culprit:
    file, _, number = (culprit.source or "").rpartition(":")
    if not number.isdigit() or not (file.endswith(".py") or file.startswith(_CELLS) or "ipykernel" in file):
        return culprit
    text = linecache.getline(file, int(number)).strip()
    return replace(culprit, source_text=_excerpt(text, culprit.op) or None)


def _excerpt(text: str, op: str) -> str:
    """The line, or of a long one what is around the call that makes the op.

    >>> _excerpt("x = tf.roll(x, 1, 0)", "Roll")
    'x = tf.roll(x, 1, 0)'
    >>> len(_excerpt("y = f(" + "x, " * 99 + "tf.image.adjust_hue(x, .2))", "AdjustHue"))
    160
    >>> _excerpt("y = f(" + "x, " * 99 + "tf.image.adjust_hue(x, .2))", "AdjustHue")[-42:]
    'x, x, x, x, x, tf.image.adjust_hue(x, .2))'
    """
    if len(text) <= _LONGEST:
        return text
    called = re.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_?", re.escape(op)), text, re.IGNORECASE)
    begin = 0 if called is None else min(max(0, called.start() - _LONGEST // 2), len(text) - _LONGEST)
    ends = begin + _LONGEST
    before, behind = "..." if begin else "", "..." if ends < len(text) else ""
    return before + text[begin + len(before) : ends - len(behind)] + behind


def source_note(model: Model, findings: Sequence[Finding]) -> list[str]:
    """Return how to export a SavedModel so that culprits have their lines, where it has none; as a list of one note."""
    culprits = [c for f in findings for c in f.culprits]
    if not culprits or not os.path.isdir(model.path) or any(c.source for c in culprits):
        return []
    if any(op.source for graph in model.graphs.values() for op in graph.ops.values()):
        return []
    return [
        "to have the line of code that made each op: tf.saved_model.save(model, OUT, "
        "options=tf.saved_model.SaveOptions(save_debug_info=True))"
    ]
