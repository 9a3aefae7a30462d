"""What a report says, as sentences without markup: every rendering puts these same words in its own dress."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from bisect_convert.render.comparison import compared_headline
from bisect_convert.render.grouping import grouped
from bisect_convert.render.names import dtypes, harmless, shorten, unwrapped
from bisect_convert.render.place_words import body, place, role, where_short
from bisect_convert.report.findings import NUMBERS, Culprit, Finding, Witness
from bisect_convert.report.report import Report

__all__ = [
    "body",
    "call", "evidence", "facts", "facts_shown", "first_lines", "headline", "helped", "known", "label", "layer", "layers",
    "more_places", "name",
    "next_step", "notes_before", "notes_behind", "options", "others", "passes", "place", "proof", "role", "source",
    "stage", "summary", "table", "totals", "where_short",
    "unwrapped",
]  # fmt: skip

#: Notes about the call itself.
_ON_TOP = re.compile(r"itself (fails|refuses)|^tried: |^stopped")
#: A cause in a headline has so many characters at most: names may be of any length.
_LONGEST = 300
#: A line of code has so many.
_LINE = 390


def name(report: Report) -> str:
    """Return what to call the model: its path, for one in memory its name, else "the model"."""
    return harmless(report.path or report.name) or "the model"


def summary(report: Report) -> str:
    """Return what became of the conversion and how much is known, in one line without the model's path."""
    count = len(report.findings)
    if report.verdict == "differs" or (report.numbers is not None and report.numbers.against is not None):
        return compared_headline(report)
    if report.verdict == "converts" and count:
        return f"converts with coremltools {harmless(report.coremltools)}, and this is where its time goes"
    if report.verdict == "converts":
        return f"converts with coremltools {harmless(report.coremltools)}"
    found = f"{count} finding{'s' * (count != 1)}"
    if report.verdict != "fails":
        return f"is inconclusive: {found if count else 'no cause'} confirmed"
    if not count:
        return "does not convert, and no cause was found"
    if not report.complete:
        return f"does not convert: {found} so far, there may be more"
    if doubtful := sum(map(_doubtful, report.findings)):
        which = f"{doubtful} of them " if count > 1 else ""
        return f"does not convert: {found}, {which}not confirmed; without {'it' if count == 1 else 'them'} the rest converts"
    return f"does not convert: {found}, and {'that is all' if count == 1 else 'these are all'}"


def options(report: Report) -> str:
    """Return the options of the conversion as `name=value, ...`, or an empty string."""
    given = {name: _counted(value) for name, value in report.options.items() if value is not None}
    return ", ".join(harmless(f"{name}={value}") for name, value in given.items())


def _counted(value: object) -> object:
    """The labels of a classifier by their number: there may be thousands."""
    labels = value.get("class_labels") if isinstance(value, Mapping) else None
    return f"{len(labels)} labels" if isinstance(labels, list) else value


def facts(report: Report) -> tuple[str, ...]:
    """Return how large the model is and what it was converted with, options among it."""
    functions = f"{report.functions} function{'s' * (report.functions != 1)}" if report.functions else ""
    signature = f"signature {report.signature}" if report.signature is not None else ""
    versions = (f"coremltools {report.coremltools}", f"tensorflow {report.tensorflow}")
    return tuple(filter(None, (f"{report.ops} ops", functions, signature, *versions, options(report))))


def call(report: Report) -> tuple[str, ...]:
    """Return the lines of the call that converts, where the model converts; what is too long for a line is cut off."""
    if report.verdict not in ("converts", "differs") or not report.call:
        return ()
    return tuple(shorten(harmless(line), _LINE) for line in report.call.splitlines())


def notes_before(report: Report) -> tuple[str, ...]:
    """Return the notes that say what was converted, and all where nothing was found: they stand at the top."""
    return tuple(n for n in report.notes if not report.findings or _ON_TOP.search(n))


def notes_behind(report: Report) -> tuple[str, ...]:
    """Return the notes that stand behind the findings."""
    return tuple(n for n in report.notes if n not in notes_before(report))


def stage(finding: Finding) -> str:
    """Return the stage, with the pass where one is known."""
    return harmless(finding.stage + (f": {finding.pass_name}" if finding.pass_name else ""))


def label(finding: Finding) -> str:
    """Return what kind of finding it is, with its stage, as a compiler would head it."""
    return f"{'slow' if finding.slow else 'differs' if finding.stage == NUMBERS else 'error'}[{stage(finding)}]"


def passes(finding: Finding) -> str:
    """Return which passes the failure needs, or an empty string where that is not known."""
    if finding.passes is None:
        return ""
    needed = _listed([f"{harmless(name)}" for name in finding.passes.needed]) if finding.passes.needed else ""
    name = harmless(finding.pass_name) if finding.pass_name and "::" in finding.pass_name else ""
    if finding.passes.alone:
        return f"{name} fails alone" if name else "no pass has a part in it: it fails without any"
    if not needed:
        return f"{name or 'it'} does not fail without others before it"
    return f"{name} needs {needed} before it" if name else f"it needs {needed}"


def _at_places(finding: Finding) -> str:
    """At how many places it is, where the cause is about ops of one type and names that."""
    kinds = {c.op for c in finding.culprits}
    about = len(kinds) == 1 and f"`{next(iter(kinds))}`" in finding.cause
    return f", at {len(finding.places)} places" if about and len(finding.places) > 1 else ""


def headline(finding: Finding) -> str:
    """Return what fails in a few words: op types and dtypes, how many instances, or that no op is to blame."""
    culprits = finding.culprits
    if finding.cause:
        return shorten(finding.cause + _at_places(finding), _LONGEST)
    if not culprits:
        if finding.stage == NUMBERS:
            return "no op by itself makes the difference"
        return "no op is at fault, the call or the model as a whole is"
    if finding.slow:
        return finding.error_message
    if finding.interaction and len(facts_shown(finding)) > 1:
        kinds = Counter(c.op for c in facts_shown(finding))
        names = [op if n == 1 else f"{n} {op} ops" for op, n in kinds.items()]
        times = f", at {len(finding.places)} places" if len(finding.places) > 1 else ""
        return harmless(f"{_listed(names)} fail only together{times}")
    names = list(dict.fromkeys(c.op for c in culprits))
    kind = dtypes(culprits[0].inputs, culprits[0].outputs) if len(names) == 1 else ""
    verb = "does not convert" if len(names) == 1 else "do not convert"
    if finding.stage == NUMBERS:
        verb = "computes something else" if len(names) == 1 else "compute something else"
    elif finding.stage == "optimize":
        verb = "converts and then fails" if len(names) == 1 else "convert and then fail"
    times = f", at {len(culprits)} places" if len(culprits) > 1 else ""
    return harmless(f"{_listed(names)}{f' ({kind})' if kind else ''} {verb}{times}")


def facts_shown(finding: Finding) -> tuple[Culprit, ...]:
    """Return the culprits worth describing in full: all that fail together, else the first of several alike."""
    count = len(finding.places[0]) if len(finding.places) > 1 else len(finding.culprits)
    return finding.culprits[:count] if finding.interaction else finding.culprits[:1]


def others(finding: Finding) -> tuple[Culprit, ...]:
    """Return the further instances of the same cause."""
    return finding.culprits[len(facts_shown(finding)) :]


def more_places(finding: Finding) -> str:
    """Return at how many further places the cause is: one has several ops where they fail only together."""
    together = finding.interaction and len(finding.places) > 1
    count = len(finding.places) - 1 if together else len(others(finding))
    return f"{count} more place{'s' * (count != 1)}"


def layers(finding: Finding) -> list[str]:
    """Return the layers of the culprits, or their names where there are none; those alike as one."""
    return [harmless(name) for name in grouped(c.keras_layer or c.layer or unwrapped(c.name) for c in finding.culprits)]


def layer(culprit: Culprit) -> str | None:
    """Return the layer as Keras has it, with its class and, of Keras's own, its arguments; else the scope in the graph."""
    if culprit.keras_layer is None:
        return culprit.layer
    arguments = f"({culprit.keras_arguments})" if culprit.keras_arguments else ""
    return f"{culprit.keras_layer}, class {culprit.keras_class}{arguments}"


def source(culprit: Culprit) -> str | None:
    """Return the line of the model's code that made the op, with its text where that is known."""
    return f"{culprit.source}: {culprit.source_text}" if culprit.source and culprit.source_text else culprit.source


def table(report: Report) -> list[tuple[str, ...]]:
    """Return a row for each finding: its number, the ops, how many places, the layers, whether a remedy is verified."""
    rows: list[tuple[str, ...]] = []
    for number, finding in enumerate(report.findings, 1):
        ops = ", ".join(dict.fromkeys(c.op for c in finding.culprits)) or "the call or the model"
        shown = layers(finding)
        where = ", ".join(shown[:2]) + (f" and {len(shown) - 2} more" if len(shown) > 2 else "")
        rows.append((str(number), harmless(ops), str(max(1, len(finding.places))), where or "-", helped(finding)))
    return rows


def helped(finding: Finding) -> str:
    """Return whether there is a remedy: "verified", "gets past", "not tried" or "none"."""
    for known, said in (("verified", "verified"), ("gets past this failure", "gets past")):
        if any(r.tried == known for r in finding.remedies):
            return said
    return "not tried" if finding.remedies else "none"


def evidence(finding: Finding) -> str:
    """Return how small the witness is and how well it was probed."""
    witness = finding.witness
    size = f"{len(witness.ops)} op{'s' * (len(witness.ops) != 1)}"
    if finding.slow:
        return f"{size}, as measured in one conversion of the whole model"
    if finding.interaction and len(facts_shown(finding)) > len(witness.ops):
        minimal = "which holds those that fail together"
    elif len(witness.ops) == 1:
        minimal = "which fails by itself"
    else:
        minimal = "none of which can be left out" if witness.minimal else "the smallest found"
    if not witness.confirmed and not _doubtful(finding):
        return f"{size}, {minimal}"
    tried = "seen to fail" if witness.confirmed else "not confirmed: it was not seen to fail"
    return f"{size}, {minimal}, {tried} with the model's own weights{' and values' * (not witness.confirmed)}"


def _doubtful(finding: Finding) -> bool:
    """True where a section was blamed by probes, and the last one of them did not bear it out."""
    known = bool(finding.cause) or finding.slow or finding.stage in (NUMBERS, "load")
    return bool(finding.witness.ops) and not finding.witness.confirmed and not known


def proof(witness: Witness) -> str:
    """Return the same in a few words, for a table."""
    if not witness.ops:
        return "-"
    size = f"{len(witness.ops)} op{'s' * (len(witness.ops) != 1)}"
    return ", ".join([size, *["minimal"] * witness.minimal, *["confirmed"] * witness.confirmed])


def first_lines(message: str, count: int) -> tuple[tuple[str, ...], int]:
    """Return the first lines of an error's first paragraph, made harmless, and how many lines follow in all."""
    lines = [harmless(line.strip()) for line in message.strip().splitlines()]
    paragraph = lines[: lines.index("")] if "" in lines else lines
    return tuple(paragraph[:count]), sum(map(bool, lines)) - len(paragraph[:count])


def known(report: Report) -> tuple[str, ...]:
    """Return what the probes of a run without a clear end have shown."""
    if not report.journal:
        return ("no probe was answered",) if not report.asked else ()
    verdicts = Counter(p.verdict for p in report.journal)
    counts = ", ".join(f"{n} {harmless(v)}" for v, n in sorted(verdicts.items()))
    rows = [f"probes by verdict: {counts}"]
    for probe in report.journal[-3:]:
        detail = "" if probe.detail in ("", probe.verdict) else f" ({' '.join(first_lines(probe.detail, 1)[0])})"
        rows.append(f"asked {harmless(probe.question)}, {probe.ops} ops: {harmless(probe.verdict)}{detail}")
    return tuple(rows)


def next_step(finding: Finding) -> str:
    """Return what to do next: where the repro is, or how to get one."""
    if finding.repro:
        return f"reproduce it alone: {harmless(finding.repro)}"
    return (
        'add --out DIR (in Python out="DIR") to have a model of just this section and a script that shows the failure'
    )


def totals(report: Report) -> tuple[str, ...]:
    """Return whether the findings are all, and what the run cost."""
    cached = f" ({report.cached} from the cache)" if report.cached else ""
    cost = f"{report.asked} probe{'s' * (report.asked != 1)}{cached}"
    if (seconds := report.seconds.get("total")) is not None:
        cost += f" in {seconds:.1f} s"
    if report.verdict in ("converts", "differs"):
        return (cost,)
    return (_completeness(report), cost)


def _completeness(report: Report) -> str:
    culprits = sum(len(f.culprits) for f in report.findings)
    if report.complete and culprits:
        blamed = "the op" if culprits == 1 else f"the {culprits} ops"
        return f"complete: without {blamed} blamed above, the rest of the model converts"
    if report.complete:
        return "complete: nothing else in the model fails"
    if report.verdict == "fails" and report.findings:
        return "not complete: the rest of the model was not seen to convert, so there may be further causes"
    return "not complete: the search ended before it could blame anything further"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
