"""The summary of many models: as text, as an HTML page, and as JUnit XML for a build server."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

from bisect_convert.render.html import filled
from bisect_convert.render.names import harmless, shorten
from bisect_convert.report.summary import ModelRow, Summary

__all__ = ["html", "junit", "text"]

_NAME, _CAUSE = 44, 44
#: Verdicts of one model and of several.
_VERDICTS = {
    "converts": ("converts", "convert"),
    "fails": ("fails", "fail"),
    "differs": ("differs", "differ"),
    "inconclusive": ("is inconclusive", "are inconclusive"),
    "unread": ("was not read", "were not read"),
}


def text(summary: Summary) -> str:
    """Return the tables of models and of causes, for a terminal."""
    verdicts = Counter(row.verdict for row in summary.rows)
    said = ", ".join(f"{count} {_VERDICTS[verdict][count > 1]}" for verdict, count in verdicts.items())
    lines = [f"{len(summary.rows)} models: {said}", ""]
    width = min(_NAME, max((len(row.model) for row in summary.rows), default=5))
    lines += [f"  {'model':{width}}  {'verdict':12}  {'seconds':>7}  causes"]
    for row in summary.rows:
        told = ", ".join(_short(cause, 60) for cause in row.causes) or row.why or ""
        lines.append(
            f"  {_short(row.model, width):{width}}  {row.verdict:12}  {row.seconds:7.1f}  {_short(told, 140)}".rstrip()
        )
    if summary.causes:
        wide = min(_CAUSE, max(len(row.cause) for row in summary.causes))
        lines += ["", f"  {'cause':{wide}}  models  places  with a verified remedy"]
        lines += [
            f"  {_short(row.cause, wide):{wide}}  {len(row.models):6}  {row.places:6}  {row.helped:6}"
            for row in summary.causes
        ]
    return "\n".join(lines) + "\n"


def _short(words: str, width: int) -> str:
    return shorten(harmless(words), width)


def html(summary: Summary) -> str:
    """Return a page with both tables; every name in it is escaped."""
    return filled("summary.html", summary=summary) + "\n"


def junit(summary: Summary) -> str:
    """Return one test case for each model: failed where it has findings, in error where it could not be judged."""
    failed = sum(row.verdict in ("fails", "differs") for row in summary.rows)
    wrong = sum(row.verdict in ("unread", "inconclusive") for row in summary.rows)
    suite = ElementTree.Element(
        "testsuite", name="bisect-convert", tests=str(len(summary.rows)), failures=str(failed), errors=str(wrong)
    )
    for row in summary.rows:
        case = ElementTree.SubElement(
            suite, "testcase", classname="bisect-convert", name=_xml(row.model), time=f"{row.seconds:.1f}"
        )
        if row.verdict != "converts":
            kind = "failure" if row.verdict in ("fails", "differs") else "error"
            ElementTree.SubElement(case, kind, message=_xml(_told(row)))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _told(row: ModelRow) -> str:
    return f"{row.verdict}: {', '.join(row.causes) or row.why or 'no op could be singled out'}"


def _xml(words: str) -> str:
    """The words without what XML has no way to write."""
    return harmless(words)
