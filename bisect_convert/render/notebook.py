"""Reports and findings where HTML is shown inside another page, as in a notebook: nothing of theirs leaks into it."""

from __future__ import annotations

from html import escape

from bisect_convert.render import words
from bisect_convert.render.drawing import svg
from bisect_convert.render.html import html
from bisect_convert.render.names import Code, Sentence, harmless, parse, spell
from bisect_convert.report.findings import Culprit, Finding
from bisect_convert.report.report import Report

__all__ = ["card", "frame", "picture"]


def frame(report: Report) -> str:
    """Return the whole report as a page in a frame of its own."""
    height = 340 if not report.findings else 640
    return (
        f'<iframe sandbox="" title="bisect-convert report" srcdoc="{escape(html(report))}"'
        f' style="width:100%;height:{height}px;border:0;resize:vertical"></iframe>'
    )


def card(finding: Finding) -> str:
    """Return one finding: what fails, where and why, what helps, and its picture."""
    rows = [f"<b>{_safe(words.stage(finding))}: {_safe(words.headline(finding))}</b>"]
    rows += [_culprit(culprit) for culprit in words.facts_shown(finding)]
    if finding.culprits:
        rows += [_sentence(sentence) for sentence in words.place(finding.context)]
    said, _ = words.first_lines(finding.error_message, 1)
    rows.append(f"<code>{_safe(finding.error_type)}: {_safe(' '.join(said))}</code>")
    rows += [_sentence(parse(finding.explanation))] if finding.explanation else []
    if further := words.others(finding):
        rows.append(
            f"the same at {len(further)} more: " + ", ".join(f"<code>{_safe(c.name)}</code>" for c in further[:5])
        )
    for remedy in finding.remedies:
        rows.append(f"{'verified' if remedy.verified else 'not tried'}: {_sentence(parse(remedy.summary))}")
    return f"<div>{''.join(f'<div>{row}</div>' for row in rows)}{picture(finding)}</div>"


def picture(finding: Finding) -> str:
    """Return the smallest failing section as SVG, or nothing where there is none."""
    if not finding.witness.ops:
        return ""
    return svg(finding.witness, finding.culprits, holding=[call.name for call in finding.context.enclosing])


def _culprit(culprit: Culprit) -> str:
    reads = ", ".join(spell(t) for t in culprit.inputs)
    makes = ", ".join(spell(t) for t in culprit.outputs)
    where = f" in <code>{_safe(culprit.function)}</code>" if culprit.function is not None else ""
    return f"{_safe(culprit.op)} <code>{_safe(culprit.name)}</code>{where}, {_safe(reads)} &#8594; {_safe(makes)}"


def _sentence(sentence: Sentence) -> str:
    return "".join(f"<code>{_safe(p.name)}</code>" if isinstance(p, Code) else _safe(p) for p in sentence)


def _safe(text: str) -> str:
    return escape(harmless(text))
