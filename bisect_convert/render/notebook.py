"""Reports and findings where HTML is shown inside another page, as in a notebook: nothing of theirs leaks into it."""

from __future__ import annotations

from bisect_convert.render.drawing import svg
from bisect_convert.render.html import filled, html
from bisect_convert.report.findings import Finding
from bisect_convert.report.report import Report

__all__ = ["card", "frame", "picture"]


def frame(report: Report) -> str:
    """Return the whole report as a page in a frame of its own."""
    from markupsafe import escape

    height = 340 if not report.findings else 640
    return (
        f'<iframe sandbox="" title="bisect-convert report" srcdoc="{escape(html(report))}"'
        f' style="width:100%;height:{height}px;border:0;resize:vertical"></iframe>'
    )


def card(finding: Finding) -> str:
    """Return one finding: what fails, where and why, what helps, and its picture."""
    from markupsafe import Markup

    return filled("card.html", finding=finding, picture=Markup(picture(finding)))


def picture(finding: Finding) -> str:
    """Return the smallest failing section as SVG, or nothing where there is none."""
    if not finding.witness.ops:
        return ""
    return svg(finding.witness, finding.culprits, holding=[call.name for call in finding.context.enclosing])
