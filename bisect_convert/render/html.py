"""The report as one page that needs nothing else: no script, no font, no image from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from bisect_convert.render import words
from bisect_convert.render.drawing import svg_of
from bisect_convert.render.names import Code, Sentence, harmless, parse, spell
from bisect_convert.render.page import page
from bisect_convert.render.picture import of_arms, of_witness
from bisect_convert.report.findings import Culprit, Finding, Remedy, TensorFact
from bisect_convert.report.questions import Probe
from bisect_convert.report.report import Report

__all__ = ["html"]


def html(report: Report) -> str:
    """Return the report as one HTML page that is also well-formed XML; all that comes from the model is escaped."""
    body = [_head(report)]
    body += [f'<p class="note"><b>Note</b> {_sentence(parse(note))}</p>' for note in report.notes]
    if report.verdict not in ("converts", "fails"):
        body.append(f'<ul class="known">{"".join(f"<li>{_safe(row)}</li>" for row in words.known(report))}</ul>')
    if report.findings:
        body.append(_overview(report.findings))
    body += [_finding(finding, number) for number, finding in enumerate(report.findings, 1)]
    body += [_journal(report.journal), _foot(report)]
    return page(_safe(f"{words.name(report)} {words.summary(report)}"), "\n".join(part for part in body if part))


def _safe(text: str) -> str:
    return escape(harmless(text))


def _code(text: str, kind: str = "") -> str:
    return f"<code{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{_safe(text)}</code>"


def _sentence(sentence: Sentence) -> str:
    return "".join(_code(p.name) if isinstance(p, Code) else _safe(p) for p in sentence)


def _head(report: Report) -> str:
    facts = [f"{report.ops} ops"]
    facts += [f"{report.functions} function{'s' * (report.functions != 1)}"] if report.functions else []
    facts += [f"signature {report.signature}"] if report.signature is not None else []
    facts += [f"coremltools {report.coremltools}", f"tensorflow {report.tensorflow}"]
    facts += [options] if (options := words.options(report)) else []
    word = {"converts": "converts", "fails": "fails"}.get(report.verdict, "inconclusive")
    return (
        f'<header><span class="verdict {word}">{word}</span><h1>{_code(words.name(report))}</h1>'
        f'<p class="lead">{_safe(words.summary(report)[:1].upper() + words.summary(report)[1:])}.</p>'
        f'<ul class="facts">{"".join(f"<li>{_safe(fact)}</li>" for fact in facts)}</ul></header>'
    )


def _overview(findings: Iterable[Finding]) -> str:
    rows = []
    for number, finding in enumerate(findings, 1):
        first = _code(finding.culprits[0].name) if finding.culprits else "no op"
        rows.append(
            f'<tr><td><a href="#finding-{number}">{number}</a></td><td><span class="stage">'
            f"{_safe(words.stage(finding))}</span></td><td>{_safe(words.headline(finding))}</td><td>{first}</td>"
            f"<td>{_safe(words.where_short(finding))}</td><td>{_proof(finding)}</td></tr>"
        )
    head = "".join(f"<th>{title}</th>" for title in ("", "Stage", "What", "First op", "Where", "Witness"))
    table = f'<table class="overview"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="scroll">{table}</div>'


def _proof(finding: Finding) -> str:
    witness = finding.witness
    if not witness.ops:
        return "-"
    words_ = [f"{len(witness.ops)} op{'s' * (len(witness.ops) != 1)}"]
    words_ += ["minimal"] if witness.minimal else []
    words_ += ["confirmed"] if witness.confirmed else []
    return ", ".join(words_)


def _finding(finding: Finding, number: int) -> str:
    left = [_culprit(culprit, finding.interaction) for culprit in words.facts_shown(finding)]
    if finding.culprits:
        left.append(
            f'<ul class="place">{"".join(f"<li>{_sentence(s)}</li>" for s in words.place(finding.context))}</ul>'
        )
    if finding.explanation:
        left.append(f"<h3>Why</h3><p>{_sentence(parse(finding.explanation))}</p>")
    left.append(_error(finding))
    if passes := words.passes(finding):
        left.append(f"<p>Passes: {_safe(passes)}</p>")
    left.append(_others(finding))
    if finding.remedies:
        left.append(f'<h3>What helps</h3><ul class="remedies">{"".join(map(_remedy, finding.remedies))}</ul>')
    if finding.culprits:
        left.append(f'<p class="next">Next: {_safe(words.next_step(finding))}</p>')
    drawings = _drawings(finding)
    text = f'<div class="text">{"".join(left)}</div>'
    return (
        f'<section class="finding" id="finding-{number}"><h2><span class="number">{number}</span>'
        f'<span class="stage">{_safe(words.stage(finding))}</span> {_safe(words.headline(finding))}</h2>'
        f'<div class="columns{"" if drawings else " one"}">{text}{drawings}</div></section>'
    )


def _culprit(culprit: Culprit, with_op: bool) -> str:
    rows = [("op", _code(culprit.op))] if with_op else []
    rows.append(("op name", _code(culprit.name, "culprit")))
    for label, fact in (("function", culprit.function), ("layer", culprit.layer), ("source", culprit.source)):
        rows += [(label, _code(fact))] if fact is not None else []
    rows += [("reads", _tensors(culprit.inputs))] if culprit.inputs else []
    rows += [("makes", _tensors(culprit.outputs))] if culprit.outputs else []
    return f'<dl class="culprit">{"".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in rows)}</dl>'


def _tensors(tensors: Iterable[TensorFact]) -> str:
    return "".join(f"<div>{_code(spell(t), 'kind')} {_code(t.tensor, 'dim')}</div>" for t in tensors)


def _error(finding: Finding) -> str:
    shown, _ = words.first_lines(finding.error_message, 1)
    whole = "\n".join(harmless(row) for row in finding.error_message.splitlines())
    return (
        f'<h3>The converter&#8217;s error</h3><details class="error"><summary><b>{_safe(finding.error_type)}</b> '
        f"{_safe(' '.join(shown))}</summary><pre>{escape(whole)}</pre></details>"
    )


def _others(finding: Finding) -> str:
    further = words.others(finding)
    if not further:
        return ""
    rows = "".join(
        f"<li>{_code(c.name)}{f' in {_code(c.function)}' if c.function is not None else ''}</li>" for c in further
    )
    count = f"The same at {len(further)} more place{'s' * (len(further) != 1)}"
    is_open = ' open="open"' if len(further) <= 6 else ""
    return f'<details class="others"{is_open}><summary>{count}</summary><ul>{rows}</ul></details>'


def _remedy(remedy: Remedy) -> str:
    badge = '<span class="badge good">verified</span>' if remedy.verified else '<span class="badge">not tried</span>'
    rows = "\n".join(harmless(row) for row in (remedy.code or "").strip("\n").splitlines())
    return f"<li>{badge} {_sentence(parse(remedy.summary))}{f'<pre>{escape(rows)}</pre>' if rows else ''}</li>"


def _drawings(finding: Finding) -> str:
    figures = []
    if finding.witness.ops:
        holding = [call.name for call in finding.context.enclosing]
        picture = of_witness(finding.witness, finding.culprits, holding=holding)
        more = f" {picture.left_out} more are not drawn." if picture.left_out else ""
        caption = f"<b>Smallest failing section</b> {_safe(words.evidence(finding.witness))}.{more}"
        figures.append(_figure(svg_of(picture, "smallest failing section", style=False), caption))
    if (arms := of_arms(finding.context, finding.culprits)) is not None:
        caption = f"<b>Where it sits</b> {_sentence(words.place(finding.context)[0])}."
        figures.append(_figure(svg_of(arms, "the arms between fork and join", style=False), caption))
    return f'<div class="drawings">{"".join(figures)}</div>' if figures else ""


def _figure(drawing: str, caption: str) -> str:
    return f'<figure><div class="scroll">{drawing}</div><figcaption>{caption}</figcaption></figure>'


def _journal(journal: Iterable[Probe]) -> str:
    rows = "".join(
        f'<tr class="{_safe(p.verdict)}"><td>{i}</td><td>{_safe(p.question)}</td><td>{p.ops}</td>'
        f"<td>{_safe(p.verdict)}</td><td>{_safe(p.detail)}</td>"
        f"<td>{'cache' if p.cached else f'{p.seconds:.2f} s'}</td></tr>"
        for i, p in enumerate(journal, 1)
    )
    head = "".join(f"<th>{title}</th>" for title in ("", "Asked", "Ops", "Verdict", "What came back", "Time"))
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f'<details class="journal"><summary>Every probe</summary>{table}</details>' if rows else ""


def _foot(report: Report) -> str:
    rows = "".join(f"<p>{_safe(row[:1].upper() + row[1:])}.</p>" for row in words.totals(report))
    return f"<footer>{rows}</footer>"
