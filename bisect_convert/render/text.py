"""The report on a terminal: one screen for one finding, spelt like a compiler's error."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from bisect_convert.render import fix_words, words
from bisect_convert.render.comparison import numbers_lines, proof_of
from bisect_convert.render.drawing import lines
from bisect_convert.render.names import bare, harmless, parse, plain, shorten, spell, unwrapped
from bisect_convert.render.picture import Picture, of_bodies, of_witness
from bisect_convert.render.times import times_lines
from bisect_convert.report.findings import NUMBERS, Culprit, Finding, Remedy, TensorFact
from bisect_convert.report.fix import Fix
from bisect_convert.report.report import Report

__all__ = ["text"]

_OPS_DRAWN = 8
_LISTED = 5
_CODE_LINES = 36
_WHOLE = "report.findings[i].remedies[j].code"
_EDITS_SHOWN = 12
_LABEL = 9
_BOLD, _RED, _GREEN, _YELLOW, _CYAN, _DIM = "1", "1;31", "1;32", "33", "36", "2"


def text(report: Report, width: int = 100, color: bool = False, *, outlook: bool = True) -> str:
    """Return the report as text of about `width` columns; only the names of culprits, which are whole, may be wider.

    outlook: say at the end how to go on with the command.
    No character of it but line breaks, and colours where asked for, is a control character.
    """
    pen = _Pen(max(width, 40), color)
    blocks = [
        _head(report, pen),
        _measured("numbers:", numbers_lines(report), pen),
        _measured("time:", times_lines(report), pen),
        _table(report, pen),
        *(_finding(f, pen) for f in report.findings),
    ]
    if report.verdict not in ("converts", "fails", "differs"):
        blocks.append([r for i, row in enumerate(words.known(report)) for r in pen.entry("" if i else "known", row)])
    blocks.append(_notes(words.notes_behind(report), pen))
    if report.fix is not None:
        blocks.append(_fix(report.fix, pen))
    blocks.append(_tail(report, pen, outlook))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


class _Pen:
    """How lines are wrapped and coloured."""

    def __init__(self, width: int, color: bool) -> None:
        self.width = width
        self.color = color

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text

    def entry(self, label: str, text: str, code: str = _CYAN, indent: int = 2) -> list[str]:
        """Return `label  text`, wrapped under itself; words longer than a line are left whole."""
        lead = " " * (indent + max(_LABEL, len(label) + 1))
        wrapped = textwrap.wrap(
            text, max(self.width - len(lead), 20), break_long_words=False, break_on_hyphens=False
        ) or [""]  # fmt: skip
        gap = " " * (len(lead) - indent - len(label))
        return [
            f"{' ' * indent}{self.paint(label, code)}{gap}{wrapped[0]}".rstrip(),
            *(lead + row for row in wrapped[1:]),
        ]


def _head(report: Report, pen: _Pen) -> list[str]:
    code = {"converts": _GREEN, "fails": _RED, "differs": _RED}.get(report.verdict, _YELLOW)
    facts = [f"{report.ops} ops"]
    if report.functions:
        facts.append(f"{report.functions} function{'s' * (report.functions != 1)}")
    if report.signature is not None:
        facts.append(f"signature {shorten(report.signature, pen.width // 2)}")
    facts += [f"coremltools {harmless(report.coremltools)}", f"tensorflow {harmless(report.tensorflow)}"]
    rows = [f"{pen.paint(words.name(report), _BOLD)} {pen.paint(words.summary(report), code)}"]
    rows.append(pen.paint(", ".join(facts), _DIM))
    if chosen := words.options(report):
        rows.append(pen.paint(shorten(f"options: {chosen}", pen.width), _DIM))
    rows += _notes(words.notes_before(report), pen)
    return rows + [
        f"{pen.paint(('' if i else 'call:').ljust(_LABEL), _YELLOW)}{line}" for i, line in enumerate(words.call(report))
    ]


def _notes(notes: Iterable[str], pen: _Pen) -> list[str]:
    return [line for note in notes for line in pen.entry("note:", plain(parse(note)), _YELLOW, indent=0)]


def _measured(label: str, rows: Sequence[str], pen: _Pen) -> list[str]:
    """How far original and converted model are apart, or where the time goes."""
    return [line for i, row in enumerate(rows) for line in pen.entry("" if i else label, row, indent=0)]


def _table(report: Report, pen: _Pen) -> list[str]:
    """What was found, at a glance, where there is more than one finding."""
    if len(report.findings) < 2:
        return []
    rows = [("#", "ops", "places", "layer", "remedy"), *words.table(report)]
    limits = (4, 34, 6, max(pen.width - 64, 16), 9)
    cells = [[shorten(cell, limit) for cell, limit in zip(row, limits, strict=True)] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(limits))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [f"  {pen.paint(line, _DIM) if not i else line}" for i, line in enumerate(lines)]


def _finding(finding: Finding, pen: _Pen) -> list[str]:
    shown = words.facts_shown(finding)
    rows = [f"{pen.paint(f'{words.label(finding)}:', _RED)} {pen.paint(words.headline(finding), _BOLD)}"]
    remedies = [line for remedy in finding.remedies for line in _remedy(remedy, pen, proof_of(remedy, finding))]
    if finding.cause:  # what to do about it before what shows it: the ops are evidence
        rows, remedies = [*rows, *remedies, *([""] if remedies else [])], []
    for culprit in shown[:_LISTED]:
        rows += _culprit(culprit, pen)
    rows += [_more(len(shown) - _LISTED, "op")] if len(shown) > _LISTED else []
    if shown:
        for i, sentence in enumerate(words.place(finding.context)):
            rows += pen.entry("" if i else "where", plain(bare(sentence), pen.width - 30))
    rows += _error(finding, pen) if not finding.slow else []
    if passes := words.passes(finding):
        rows += pen.entry("passes", passes)
    if finding.explanation:
        rows += ["", *pen.entry("why", plain(bare(parse(finding.explanation))))]
    rows += _witness(finding, pen)
    rows += _others(finding, pen)
    if finding.repro:
        remedies += pen.entry("next:", words.next_step(finding), _CYAN)
    return rows + ([""] if remedies else []) + remedies


def _culprit(culprit: Culprit, pen: _Pen) -> list[str]:
    rows = [f"  {pen.paint('-->', _CYAN)} {harmless(culprit.op)} {pen.paint(harmless(culprit.name), _BOLD)}"]
    for label, fact in (
        ("function", culprit.function),
        ("layer", words.layer(culprit)),
        ("source", words.source(culprit)),
    ):
        if fact is not None:
            rows += pen.entry(label, shorten(fact, pen.width - 12))
    rows += _tensors("reads", culprit.inputs, pen)
    return rows + _tensors("makes", culprit.outputs, pen)


def _tensors(label: str, tensors: Iterable[TensorFact], pen: _Pen) -> list[str]:
    row = [(spell(t), t.tensor) for t in tensors]
    rows = []
    for i, (kind, name) in enumerate(row[:4]):
        rest = f", and {len(row) - 4} more" if i == 3 and len(row) > 4 else ""
        shown = shorten(unwrapped(name), max(pen.width - len(kind) - len(rest) - 15, 16))
        rows += [
            f"  {pen.paint('' if i else label, _CYAN)}{' ' * (_LABEL - (0 if i else len(label)))}{kind}  {shown}{rest}"
        ]
    return rows


def _error(finding: Finding, pen: _Pen) -> list[str]:
    shown, more = words.first_lines(finding.error_message, 2)
    first, *rest = shown or ("(no message)",)
    said = [shorten(f"{finding.error_type}: {first}", 2 * pen.width), *(shorten(row, pen.width - 12) for row in rest)]
    if more:
        said[-1] += f" (+{more} line{'s' * (more != 1)})"
    rows = pen.entry("error", said[0])
    return rows + [line for row in said[1:] for line in pen.entry("", row)]


def _witness(finding: Finding, pen: _Pen) -> list[str]:
    witness = finding.witness
    if not witness.ops:
        return []
    holding = [call.name for call in finding.context.enclosing]
    picture = of_witness(witness, finding.culprits, limit=_OPS_DRAWN, holding=holding)
    rows = ["", *pen.entry("slow section:" if finding.slow else "smallest failing section:", words.evidence(finding))]
    rows += _drawn(picture, pen)
    for body, inside in of_bodies(witness, finding.culprits, limit=_OPS_DRAWN, holding=holding):
        rows += [f"    {plain(bare(words.body(body)), pen.width - 6)}:", *_drawn(inside, pen)]
    return rows


def _drawn(picture: Picture, pen: _Pen) -> list[str]:
    rows = []
    for line in lines(picture, width=pen.width - 4):
        drawn, arrow, mark = line.rpartition("  <-- culprit")
        rows.append("    " + (drawn + pen.paint(arrow + mark, _RED) if arrow else line))
    return rows


def _others(finding: Finding, pen: _Pen) -> list[str]:
    further = words.others(finding)
    if not further:
        return []
    count = len(further) if len(further) == _LISTED + 1 else _LISTED
    rows = ["", f"  {pen.paint('the same at:', _CYAN)}"]
    if len(further) > count:
        rows += pen.entry("layers", ", ".join(words.layers(finding)[:_LISTED]), indent=4)
    for culprit in further[:count]:
        rows.append(f"    {harmless(culprit.name)}")
        if culprit.function is not None:
            rows[-1] += f"  in {shorten(culprit.function, 40)}"
    return rows + ([_more(len(further) - count, "place")] if len(further) > count else [])


def _more(count: int, what: str) -> str:
    return f"    and {count} more {what}{'s' * (count != 1)} (all of them in --format json)"


def _remedy(remedy: Remedy, pen: _Pen, proof: str) -> list[str]:
    rows = pen.entry("help:", f"{plain(parse(remedy.summary))} [{proof}]", _GREEN if remedy.verified else _CYAN)
    code = [harmless(line) for line in (remedy.code or "").strip("\n").splitlines()]
    if len(code) > _CODE_LINES:  # how it is called stands last
        last = [line for line in code if line.startswith("# ")][-_LISTED:]
        first = code[: _CODE_LINES - 1 - len(last)]
        left = len(code) - len(first) - len(last)
        code = [*first, f"... {left} more lines: the whole is in report.md of --out, in Python {_WHOLE}", *last]
    return rows + [f"{' ' * (_LABEL + 4)}{pen.paint(line, _DIM)}" if line else "" for line in code]


def _fix(fix: Fix, pen: _Pen) -> list[str]:
    rows = [pen.paint(fix_words.fix_headline(fix), _GREEN if fix.converted else _RED)]
    for path, label in ((fix.model, "model"), (fix.script, "script")):
        rows += pen.entry(label, path) if path is not None else []
    if fix.script is not None:
        proof = "run by itself it made the same program" if fix.verified else "run by itself it made another program"
        rows += pen.entry("", f"{proof}: python {fix.script} MODEL OUT")
    edits = fix_words.edit_lines(fix)
    for line in edits[:_EDITS_SHOWN]:
        rows += pen.entry("edit" if fix.converted else "tried", plain(parse(line)))
    rows += [_more(len(edits) - _EDITS_SHOWN, "kind")] if len(edits) > _EDITS_SHOWN else []
    for line in fix_words.state_lines(fix)[:_EDITS_SHOWN]:
        rows += pen.entry("state", plain(parse(line)))
    rows += pen.entry("equal", fix_words.agreement_line(fix)) if fix.edits and fix.converted else []
    for reason in fix.reasons:
        rows += pen.entry("because" if not fix.converted else "note", plain(parse(reason)))
    return rows


def _tail(report: Report, pen: _Pen, outlook: bool) -> list[str]:
    rows = list(words.totals(report))
    wanting = [f for f in report.findings if f.witness.ops and not f.repro and f.stage != NUMBERS and not f.slow]
    if wanting and outlook:
        edits = "add --fix OUT.mlpackage (in Python bisect_convert.convert) to have it edited until it converts; "
        rows.append(f"next: {f'{edits}or ' if report.fix is None else ''}{words.next_step(wanting[0])}")
    return [line for row in rows for line in textwrap.wrap(row, pen.width, break_long_words=False)]
