"""The report as one page that needs nothing else: no script, no font, no image from elsewhere."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from bisect_convert.render import fix_words, words
from bisect_convert.render.comparison import numbers_lines
from bisect_convert.render.drawing import STYLE, svg_of
from bisect_convert.render.model_map import homes, spots
from bisect_convert.render.names import harmless, parse, spell
from bisect_convert.render.picture import Picture, of_arms, of_witness
from bisect_convert.render.times import times_lines
from bisect_convert.report.findings import Finding
from bisect_convert.report.report import Report

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["filled", "html"]


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
        "words": words, "fix_words": fix_words, "numbers_lines": numbers_lines, "times_lines": times_lines,
        "parse": parse, "witness_of": _witness, "arms_of": _arms, "drawn": drawn, "style": Markup(STYLE),
    }  # fmt: skip
    environment.filters |= {"rows": rows, "spell": spell, "opening": lambda text: text[:1].upper() + text[1:]}
    return environment


def _witness(finding: Finding) -> Picture | None:
    if not finding.witness.ops:
        return None
    return of_witness(finding.witness, finding.culprits, holding=[call.name for call in finding.context.enclosing])


def _arms(finding: Finding) -> Picture | None:
    return of_arms(finding.context, finding.culprits)
