"""Renderings of a report: pure functions from `Report` to text for people and for programs."""

from __future__ import annotations

from collections.abc import Callable

from bisect_convert.errors import UsageError
from bisect_convert.render import html, markdown, text
from bisect_convert.render.names import harmless_json
from bisect_convert.report.report import Report

__all__ = ["FORMATS", "render"]

_RENDERERS: dict[str, Callable[[Report], str]] = {
    "text": text.text,
    "json": lambda report: harmless_json(report.to_json()) + "\n",
    "markdown": markdown.markdown,
    "html": html.html,
}
FORMATS = tuple(_RENDERERS)


def render(report: Report, format: str) -> str:
    """Return the report in one of `FORMATS`, ending in one newline; raises UsageError for another format."""
    if format not in _RENDERERS:
        raise UsageError(f"no such format: {format!r}; choose from {', '.join(FORMATS)}")
    return _RENDERERS[format](report)
