"""The report as GitHub-flavoured Markdown, to be pasted into an issue."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from bisect_convert.render import fix_words, words
from bisect_convert.render.comparison import numbers_lines, proof_of
from bisect_convert.render.drawing import lines
from bisect_convert.render.names import Code, Sentence, bare, harmless, parse, spell
from bisect_convert.render.picture import of_bodies, of_witness
from bisect_convert.render.times import times_lines
from bisect_convert.report.findings import Culprit, Finding, Remedy, TensorFact
from bisect_convert.report.fix import Fix
from bisect_convert.report.report import Report

__all__ = ["cell", "code", "escaped", "fenced", "markdown"]

_LISTED = 20
_SPECIAL = re.compile(r"([\\`*_\[\]#|~$]|^[-+>]|(?<=^\d)[.)])")


def markdown(report: Report) -> str:
    """Return the report as Markdown in which nothing that comes from the model is markup, a link or a mention."""
    name = code(report.path) if report.path else words.name(report)
    blocks = [f"## {name} {escaped(words.summary(report))}", _facts(report)]
    blocks += [f"> **Note:** {_sentence(parse(note))}" for note in report.notes]
    blocks += [fenced(words.call(report), "python")] if words.call(report) else []
    blocks.append("\n".join(f"> **Numbers:** {escaped(row)}  " for row in numbers_lines(report)))
    blocks.append("\n".join(f"> **Time:** {escaped(row)}  " for row in times_lines(report)))
    if len(report.findings) > 1:
        blocks.append(_overview(report.findings))
    for number, finding in enumerate(report.findings, 1):
        blocks += _finding(finding, number)
    if report.fix is not None:
        blocks += _fix(report.fix)
    if report.verdict not in ("converts", "fails", "differs"):
        blocks.append("\n".join(f"- {escaped(row)}" for row in words.known(report)))
    blocks.append("\n".join(f"*{escaped(row)}*  " for row in words.totals(report)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _fix(fix: Fix) -> list[str]:
    """What came of editing the model."""
    lines = [f"- {_sentence(parse(line))}" for line in fix_words.edit_lines(fix)]
    lines += [f"- state: {_sentence(parse(line))}" for line in fix_words.state_lines(fix)]
    files = [f"- {label}: {code(path)}" for path, label in ((fix.model, "model"), (fix.script, "script")) if path]
    reasons = [f"- {'note' if fix.converted else 'because'}: {_sentence(parse(reason))}" for reason in fix.reasons]
    equal = [f"- {escaped(fix_words.agreement_line(fix))}"] if fix.converted and fix.edits else []
    return [f"### {escaped(fix_words.fix_headline(fix))}", "\n".join([*files, *lines, *equal, *reasons])]


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is."""
    text = _SPECIAL.sub(r"\\\1", harmless(text).replace("&", "&amp;").replace("<", "&lt;"))
    return re.sub(r"@|:(?=//)|www(?=\.)", r"\g<0>&#8203;", text)


def code(text: str) -> str:
    """Return the text as a code span, whatever backticks it holds; for use outside tables."""
    text = harmless(text) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def cell(text: str) -> str:
    """Return the text as a code span for a cell of a table, where a bar would end the cell."""
    return code(text).replace("|", "\\|")


def fenced(rows: Iterable[str], language: str = "") -> str:
    """Return the rows as a code block that none of them can end."""
    body = [harmless(row) for row in rows]
    fence = "`" * max(3, 1 + max((len(run) for row in body for run in re.findall("`+", row)), default=0))
    return "\n".join([fence + language, *body, fence])


def _sentence(sentence: Sentence) -> str:
    return "".join(code(p.name) if isinstance(p, Code) else escaped(p) for p in sentence)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}", *body]) if body else ""


def _facts(report: Report) -> str:
    rows = [["ops", str(report.ops)], ["functions", str(report.functions)]]
    rows += [["signature", cell(report.signature)]] if report.signature is not None else []
    rows += [["coremltools", cell(report.coremltools)], ["tensorflow", cell(report.tensorflow)]]
    rows += [["options", cell(options)]] if (options := words.options(report)) else []
    return _table(["model", ""], rows)


def _overview(findings: Iterable[Finding]) -> str:
    rows = []
    for number, finding in enumerate(findings, 1):
        first = cell(words.unwrapped(finding.culprits[0].name)) if finding.culprits else "-"
        rows.append([str(number), cell(words.stage(finding)), escaped(words.headline(finding)), first,
                     str(max(1, len(finding.places))), escaped(words.where_short(finding)), words.helped(finding)])  # fmt: skip
    return _table(["", "stage", "what", "first op", "places", "where", "remedy"], rows)


def _finding(finding: Finding, number: int) -> list[str]:
    blocks = [f"### {number}. {code(words.label(finding))} {escaped(words.headline(finding))}"]
    blocks += [_culprit(culprit) for culprit in words.facts_shown(finding)]
    if finding.culprits:
        blocks.append("\n".join(f"- {_sentence(bare(s))}" for s in words.place(finding.context)))
    if finding.explanation:
        blocks.append(f"**Why:** {_sentence(bare(parse(finding.explanation)))}")
    blocks.append(_error(finding))
    if passes := words.passes(finding):
        blocks.append(f"**Passes:** {escaped(passes)}")
    if finding.witness.ops:
        holding = [call.name for call in finding.context.enclosing]
        picture = of_witness(finding.witness, finding.culprits, limit=20, holding=holding)
        blocks += [f"**Smallest failing section:** {escaped(words.evidence(finding))}", fenced(lines(picture))]
        for body, inside in of_bodies(finding.witness, finding.culprits, holding=holding):
            blocks += [_sentence(bare(words.body(body))), fenced(lines(inside))]
    blocks += _others(finding)
    blocks += [block for remedy in finding.remedies for block in _remedy(remedy, proof_of(remedy, finding))]
    return [*blocks, f"**Next:** {_sentence((words.next_step(finding),))}"] if finding.repro else blocks


def _culprit(culprit: Culprit) -> str:
    rows = [["op", cell(culprit.op)], ["name", cell(culprit.name)]]
    for label, fact in (
        ("function", culprit.function),
        ("layer", words.layer(culprit)),
        ("source", words.source(culprit)),
    ):
        rows += [[label, cell(fact)]] if fact is not None else []
    rows += _tensors("reads", culprit.inputs) + _tensors("makes", culprit.outputs)
    return _table(["culprit", ""], rows)


def _tensors(label: str, tensors: Iterable[TensorFact]) -> list[list[str]]:
    return [[label, f"{cell(spell(t))} {cell(t.tensor)}"] for t in tensors]


def _error(finding: Finding) -> str:
    shown, _ = words.first_lines(finding.error_message, 1)
    first = f"{finding.error_type}: {' '.join(shown)}".strip()
    whole = fenced(f"{finding.error_type}: {finding.error_message}".splitlines())
    head = first if len(first) <= 160 else first[:157] + "..."
    summary = f"The converter's error: <code>{escape(harmless(head))}</code>"
    return f"<details><summary>{summary}</summary>\n\n{whole}\n\n</details>"


def _others(finding: Finding) -> list[str]:
    further = words.others(finding)
    if not further:
        return []
    rows = [f"- {code(c.name)}{f' in {code(c.function)}' if c.function is not None else ''}" for c in further[:_LISTED]]
    rows += [f"- and {len(further) - _LISTED} more"] if len(further) > _LISTED else []
    return [f"**The same at {words.more_places(finding)}:**", "\n".join(rows)]


def _remedy(remedy: Remedy, proof: str) -> list[str]:
    language = "python" if remedy.kind == "rewrite" else ""
    blocks = [f"**Help** ({proof}): {_sentence(parse(remedy.summary))}"]
    return [*blocks, fenced(remedy.code.strip("\n").splitlines(), language)] if remedy.code else blocks
