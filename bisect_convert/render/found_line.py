"""A finding in one line, said while the search goes on."""

from __future__ import annotations

from bisect_convert.render import words
from bisect_convert.render.names import dtypes, harmless, shorten, unwrapped
from bisect_convert.report.findings import NUMBERS, Finding

__all__ = ["found_line"]

#: Names may be of any length.
_NAME = 100


def found_line(finding: Finding) -> str:
    """Return what was found and where in one line: `Erfc (float32) in layer ffn/gelu, 12 places`."""
    if finding.cause or finding.slow or not finding.culprits:
        return harmless(words.headline(finding))
    shown = words.facts_shown(finding)
    first, ops = shown[0], list(dict.fromkeys(c.op for c in shown))
    kind = f" ({dtypes(first.inputs, first.outputs)})" if len(ops) == 1 else ""
    layer = first.keras_layer or first.layer
    where = f"in layer {shorten(layer, _NAME)}" if layer else f"at {shorten(unwrapped(first.name), _NAME)}"
    count = len(finding.places) or (1 if finding.interaction else len(finding.culprits))
    differs = ", which computes something else" if finding.stage == NUMBERS else ""
    return harmless(
        f"{shorten(' with '.join(ops), _NAME)}{kind} {where}{differs}{f', {count} places' if count > 1 else ''}"
    )
