"""The report as one page that needs nothing else: no font or image from elsewhere, one script, which copies code."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from bisect_convert.render import fix_words, overview, words
from bisect_convert.render.comparison import numbers_lines
from bisect_convert.render.drawing import STYLE, svg_of
from bisect_convert.render.model_map import homes, spots
from bisect_convert.render.names import harmless, parse, spell, unwrapped
from bisect_convert.render.picture import Picture, of_arms, of_bodies, of_witness
from bisect_convert.render.times import times_lines
from bisect_convert.report.findings import Body, Finding
from bisect_convert.report.report import Report

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["filled", "html"]

#: Puts a button beside each block of code, and what is blamed into sight where a picture is wider than its frame; the page's
#: policy lets no other script run. No "<" and no "&": the page is XML.
_COPYING = (
    "document.querySelectorAll('pre').forEach(function(code){var button=document.createElement('button');"
    "button.className='copy';button.type='button';button.textContent='copy';button.onclick=function(){"
    "getSelection().selectAllChildren(code);document.execCommand('copy');getSelection().removeAllRanges();"
    "button.textContent='copied'};code.before(button)});"
    "document.querySelectorAll('.scroll').forEach(function(frame){var box=frame.querySelector('.bc-bad');if(box){"
    "var at=box.getBoundingClientRect(),all=frame.getBoundingClientRect();"
    "frame.scrollLeft+=at.left+at.width/2-all.left-all.width/2}})"
)


def html(report: Report) -> str:
    """Return the report as one HTML page that is also well-formed XML; all that comes from the model is escaped."""
    map = spots(None if report.map is None else report.map())
    return filled("report.html", report=report, map=map, homes=homes(map)) + "\n"


def filled(template: str, **values: Any) -> str:
    """Return the template with what the values say in it: harmless and escaped, whatever they hold."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape

    def rows(text: str) -> Markup:
        return escape("\n".join(harmless(row) for row in text.splitlines()))

    def drawn(picture: Picture, label: str) -> Markup:
        return Markup(svg_of(picture, label, style=False))

    environment = Environment(
        loader=PackageLoader("bisect_convert.render"),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else harmless(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "words": words, "overview": overview,
        "fix_words": fix_words, "numbers_lines": numbers_lines, "times_lines": times_lines,
        "parse": parse,
        "copying": Markup(_COPYING), "copying_digest": _digest(_COPYING),
        "witness_of": _witness, "bodies_of": _bodies, "arms_of": _arms, "drawn": drawn, "style": Markup(STYLE),
    }  # fmt: skip
    environment.filters |= {
        "rows": rows,
        "spell": spell,
        "unwrapped": unwrapped,
        "opening": lambda text: text[:1].upper() + text[1:],
    }
    return environment


def _digest(script: str) -> str:
    """What a page's policy knows a script by."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _witness(finding: Finding) -> Picture | None:
    if not finding.witness.ops:
        return None
    return of_witness(finding.witness, finding.culprits, holding=[call.name for call in finding.context.enclosing])


def _bodies(finding: Finding) -> list[tuple[Body, Picture]]:
    return of_bodies(finding.witness, finding.culprits, holding=[call.name for call in finding.context.enclosing])


def _arms(finding: Finding) -> Picture | None:
    return of_arms(finding.context, finding.culprits)
