"""Convert a model, with edits where it needs them: the package, the script that makes it, and what was changed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bisect_convert.arguments.as_code import argument_code
from bisect_convert.diagnose.diagnosis import Diagnosis
from bisect_convert.errors import EnvironmentError_
from bisect_convert.fix.alone import Alone, Sooner
from bisect_convert.fix.destination import Destination
from bisect_convert.fix.patches import Patch, told_apart
from bisect_convert.fix.reading_code import Source
from bisect_convert.fix.script import names_taken, script
from bisect_convert.fix.step import Step
from bisect_convert.model import facts
from bisect_convert.model.facts import DEFAULTS, EDGES, STATE
from bisect_convert.model.files import STATELESS
from bisect_convert.report.findings import Finding
from bisect_convert.report.fix import Agreement, Edit, Fix, State
from bisect_convert.worker.request import Fix as Request
from bisect_convert.worker.request import Same

__all__ = ["fixed"]

#: Seconds that the search for edits, and the script by itself, may take at most.
_LIMIT = 7200.0
#: The folder in which the script runs that is begun before it is sure.
_SOONER = "sooner"
#: What is done with variables that are no state.
_UNASSIGNED = (
    "Assignments that no output hangs on, or seeds of random numbers only, are left out; "
    "what loops gather from is a constant"
)
#: What an app has to do with state.
_HANDED = "the app hands the state that it got out of one call to the next; what the variables held at first, at first"


def fixed(
    run: Diagnosis, destination: Destination | None, patches: tuple[Patch, ...] = (), *, search: bool = True
) -> Fix:
    """Return what came of editing the diagnosed model; written is the package and the script, or nothing.

    Without a destination the model is converted and nothing is kept. patches: functions of the user's own, put in place
    first; search: look for edits that help. Raises OSError where a file cannot be written.
    """
    model, patches = _program(run), told_apart(patches, names_taken())
    if not model.is_dir():
        return Fix(False, remaining=_all(run.findings), reasons=("TensorFlow cannot freeze it as it is",))
    source, options = _source(run, patches), _options(run)
    alone = None if source is None or destination is None else Alone(source.modules)
    with tempfile.TemporaryDirectory(dir=run.folder) as folder, alone or contextlib.nullcontext():
        out = "" if source is not None or destination is None else _package(folder, destination)
        request = Request(
            str(model), options, out, no_run=run.wishes.no_run, timeout=_LIMIT,
            patches=tuple(p.to_json() for p in patches), search=search, foreseen=str(Path(folder) / "foreseen.json"),
        )  # fmt: skip

        def begin(program: Mapping[str, Any]) -> None:
            if source is not None and destination is not None and alone is not None:
                text = _text(program, source, options, run, destination, patches)
                _begun(alone, text, source, destination, Path(folder) / _SOONER)

        try:
            with Sooner(Path(request.foreseen), begin):
                answer = run.workers.insist(request)
        except EnvironmentError_ as fault:  # of ours: what was found stands all the same
            return Fix(False, remaining=_all(run.findings), reasons=(str(fault),))
        if "fix" not in answer:
            return Fix(False, remaining=_all(run.findings), reasons=(f"the worker ended: {answer.get('death')}",))
        made = _facts(answer["fix"], run)
        if not made.converted or destination is None:
            return made
        if source is None or alone is None:
            return destination.filled(made, Path(request.out), None, answer["fix"]["labels"])
        text = _text(answer["fix"], source, options, run, destination, patches)
        return _by_script(made, answer["fix"], text, source, options, run, destination, Path(folder), alone)


def _options(run: Diagnosis) -> dict[str, Any]:
    """The caller's arguments, with those changes of them that were seen to get past a finding."""
    options = dict(run.packed)
    for _, changes in _changes(run):
        options |= changes
    return {name: value for name, value in options.items() if value is not None}


def _changes(run: Diagnosis) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, (found, finding) in enumerate(zip(run.found, run.findings, strict=True), 1):
        tried = [r.changes for r in finding.remedies if (r.verified or r.past) and r.changes]
        if found is not None and found.changes:
            yield number, found.changes
        elif tried:
            yield number, tried[0]


def _chosen_options(run: Diagnosis) -> Iterator[Edit]:
    """The changes of arguments, as edits."""
    for number, changes in _changes(run):
        said = ", ".join(f"{n}={argument_code(n, v)}" for n, v in changes.items() if v is not None)
        gone = ", ".join(n for n, v in changes.items() if v is None)
        summary = " and ".join([*([f"convert with {said}"] if said else []), *([f"leave out {gone}"] if gone else [])])
        at = tuple(c.name for c in run.findings[number - 1].culprits)
        yield Edit(number, "option", at, "option", summary)


def _program(run: Diagnosis) -> Path:
    """The folder of the graph that is edited: without causes that are no ops, or with the state as inputs."""
    return run.searched.folder if run.loaded.failure is None else run.loaded.folder / STATELESS


def _given(run: Diagnosis) -> tuple[str, ...]:
    """The variables of a frozen graph that are given in."""
    return _blamed(run, STATE)


def _blamed(run: Diagnosis, kind: str) -> tuple[str, ...]:
    """What a cause of this kind that is no op blames, where the graph is edited without it, and those before it."""
    variants, folder = [v for v in run.loaded.variants if v.kind != EDGES], run.searched.folder.name
    until = next((n for n, v in enumerate(variants) if v.folder == folder), -1)
    return next((v.blamed for v in variants[: until + 1] if v.kind == kind), ())


def _defaults(run: Diagnosis) -> Iterator[Edit]:
    """The inputs that are constants of their defaults."""
    if names := _blamed(run, DEFAULTS):
        number = next((n for n, f in enumerate(run.findings, 1) if set(names) & {c.name for c in f.culprits}), 1)
        summary = "a constant in its place, of its default or of what inference takes"
        yield Edit(number, "rewrite", names, "with_defaults", summary, caution="the app cannot give it any more")


def _handed_on(run: Diagnosis) -> tuple[State, ...]:
    """What the app hands on from call to call."""
    return facts.read(_program(run)).state if run.loaded.failure is not None or _given(run) else ()


def _state(run: Diagnosis) -> Iterator[Edit]:
    """The variables that the model assigns, as inputs and outputs; or, where no output hangs on them, left out."""
    inputs = list(_given(run))
    if run.loaded.failure is not None:
        known = facts.read(run.loaded.folder / STATELESS).graphs[""]
        inputs = [op.name for op in known.ops.values() if op.type == "Placeholder" and op.name.endswith("_in")]
    elif not inputs:
        return
    number = next((n for n, f in enumerate(run.findings, 1) if set(inputs) & {c.name for c in f.culprits}), 1)
    at = tuple(c.name for c in run.findings[number - 1].culprits)
    if not inputs:
        summary = _UNASSIGNED
        yield Edit(number, "rewrite", at, "stateless", summary)
        return
    summary = f"The state that the model assigns is given in, as {', '.join(inputs)}, and the new one out"
    yield Edit(number, "boundary", at, "stateless", summary, caution=_HANDED)


def _package(folder: str, destination: Destination) -> str:
    return str(Path(folder) / f"model{destination.path.suffix}")


def _source(run: Diagnosis, patches: tuple[Patch, ...]) -> Source | None:
    """What a script may read the model from; None where it is in memory, or needs what has no text."""
    path = run.loaded.model.path
    modules = run.workers.imports
    if not path or not os.path.exists(path) or (run.packed.get("conversions") and not modules):
        return None
    if any(patch.source is None for patch in patches):
        return None
    kind = "saved_model" if os.path.isdir(path) else "pb" if path.endswith(".pb") else "keras"
    state, code = run.loaded.failure is not None, run.wishes.allow_code
    return Source(
        os.path.abspath(path),
        kind,
        run.loaded.model.signature,
        code,
        state,
        _given(run),
        modules,
        run.loaded.handed.keras,
        _blamed(run, DEFAULTS),
    )


def _text(
    program: Mapping[str, Any], source: Source, options: Mapping[str, Any], run: Diagnosis, destination: Destination,
    patches: tuple[Patch, ...],
) -> str:  # fmt: skip
    """The script that makes this program of the model."""
    kept = {name: value for name, value in {**options, **program["options"]}.items() if value is not None}
    return script(
        source, [_step(e) for e in program["edits"]], program["results"], kept, destination.script.name,
        destination.path.name, {p.name: p.source or "" for p in patches}, program["originals"], _handed_on(run),
    )  # fmt: skip


def _files(destination: Destination, folder: Path) -> tuple[Path, Path]:
    """The script in the folder, and the package that it writes there."""
    return folder / destination.script.name, folder / f"model{destination.path.suffix}"


def _begun(alone: Alone, text: str, source: Source, destination: Destination, folder: Path) -> Path:
    """Have the script run in the folder, which is returned."""
    folder.mkdir(exist_ok=True)
    written, package = _files(destination, folder)
    written.write_text(text, encoding="utf-8")
    alone.begin(written, [source.path, str(package)])
    return folder


def _by_script(
    made: Fix, answer: Mapping[str, Any], text: str, source: Source, options: Mapping[str, Any], run: Diagnosis,
    destination: Destination, folder: Path, alone: Alone,
) -> Fix:  # fmt: skip
    """Let the script make the package, in a process where this package is not to be had, and see that it is the same."""
    if alone.begun != text:
        folder = _begun(alone, text, source, destination, folder)
    else:
        folder /= _SOONER
    written, package = _files(destination, folder)
    status, said = alone.ended(_LIMIT)
    if status == 0 and package.exists():
        same = run.workers.ask(Same(str(package), answer["structure"], timeout=600.0)).get("same", False)
        tables = sorted(folder.glob(f"{package.stem}.table*.tsv"))
        return destination.filled(replace(made, verified=same), package, written, answer["labels"], tables)
    reason = (said.strip().splitlines() or ["it ended without a word"])[-1][:300]
    shutil.rmtree(package, ignore_errors=True)
    request = Request(str(_program(run)), options, str(package), no_run=True, timeout=_LIMIT)
    if "fix" not in run.workers.ask(request) or not package.exists():
        raise EnvironmentError_(f"the fixed model could not be written: {reason}")
    return destination.filled(
        replace(made, reasons=(f"its script does not run by itself: {reason}",)), package, None, answer["labels"]
    )


def _step(edit: Mapping[str, Any]) -> Step:
    path = tuple((name, role) for name, role in edit["path"])
    return Step(path, edit["op"], edit["recipe"], edit["spliced"], edit["summary"], edit["attributes"])


def _facts(answer: Mapping[str, Any], run: Diagnosis) -> Fix:
    edits = (*_chosen_options(run), *_defaults(run), *_state(run), *(_edit(e, run) for e in answer["edits"]))
    mended = {e.finding for e in edits}
    remaining = [n for n in _all(run.findings) if n not in mended] if answer["remaining"] else []
    left = {name for f in answer["remaining"] for name in f["at"][-1:]}
    remaining += [
        n for n, f in enumerate(run.findings, 1) if n not in remaining and left & {c.name for c in f.culprits}
    ]
    said = [_still(failure) for failure in answer["remaining"][:5]]
    said += [f"{r['recipe']} at {r['at']}: {r['reason']}" for r in answer["refused"][:5]] if answer["remaining"] else []
    said += [f"values were not compared: {answer['unseen']}"] if answer["unseen"] else []
    fixed_sizes = " ".join(f"--input {name}:{'x'.join(map(str, sizes))}" for name, sizes in answer["fits"].items())
    said = [f"it converts with a fixed batch: {fixed_sizes}", *said] if fixed_sizes else said
    whole = answer["agreement"]
    return Fix(
        not answer["remaining"], edits=edits, remaining=tuple(sorted(remaining)),
        agreement=None if whole is None else Agreement(**whole), reasons=tuple(said), state=_handed_on(run),
    )  # fmt: skip


def _still(failure: Mapping[str, Any]) -> str:
    """What is left of a failure: where the converter ends, and with which words."""
    if failure["stage"] == "numbers":
        return str(failure["message"])
    at = f"at `{failure['at'][-1]}` " if failure["at"] else ""
    return f"{at}the converter still ends with {failure['type']}: {failure['message']}"


def _edit(edit: Mapping[str, Any], run: Diagnosis) -> Edit:
    names = {edit["op"], *(name for name, _ in edit["path"])}
    if edit["recipe"] == "as_classifier" and edit["op"] in run.loaded.model.main.order:  # the output of the culprit
        names |= run.loaded.model.main.upstream({edit["op"]}, 3)
    unseen = "its values were not compared: TensorFlow does not run it on inputs made up for it"
    drawn = "its numbers are random, and others than TensorFlow's"
    caution = (
        edit["boundary"]
        or (drawn if edit["draws"] and not edit["exact"] else None)
        or (unseen if edit["equal"] is None and not edit["exact"] else None)
        or (f"it differs on {', '.join(edit['apart'])}" if edit["apart"] else None)
    )
    equal = edit["equal"]
    return Edit(
        _finding(names, run.findings), edit["kind"], ("/".join([*(n for n, _ in edit["path"]), edit["op"]]),), edit["recipe"],
        edit["summary"], None if equal is None else Agreement(**equal), caution,
    )  # fmt: skip


def _finding(names: set[str], findings: list[Finding]) -> int | None:
    """The finding that has one of these ops among its culprits, the innermost first."""
    for number, finding in enumerate(findings, 1):
        if names & {c.name for c in finding.culprits}:
            return number
    return next((n for n, f in enumerate(findings, 1) if names & set(f.witness.ops)), None)


def _all(findings: list[Finding]) -> tuple[int, ...]:
    return tuple(range(1, len(findings) + 1))
