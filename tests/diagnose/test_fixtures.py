"""Each committed fixture, searched with real conversions, against what its cause.json says."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bisect_convert import Report, find
from bisect_convert.probe.client import Workers
from bisect_convert.report.findings import Finding

FIXTURES = Path(__file__).parents[2] / "fixtures"
CAUSES = {p.parent.name: json.loads(p.read_text()) for p in sorted(FIXTURES.glob("*/cause.json"))}
FAILING = [name for name, cause in CAUSES.items() if not cause["converts"]]
CONTROLS = {"the whole model", "the rest"}

each = pytest.mark.parametrize("name", CAUSES)
each_failing = pytest.mark.parametrize("name", FAILING)


@cache
def report_of(name: str, workers: Workers, run: int = 1) -> Report:
    return find(FIXTURES / name / "model", workers=workers, **CAUSES[name]["options"])


def blamed(finding: Finding) -> set[tuple[str, str, str, str]]:
    """Op, name, function without its numbers, and dtype of each culprit."""
    return {(c.op, c.name, _function(c.function), c.outputs[0].dtype) for c in finding.culprits}


def _function(name: str | None) -> str:
    found = re.search(r"(while_body|while_cond|cond_true|cond_false)", name or "")
    return found.group() if found else name or ""


def pairs(name: str, report: Report) -> list[tuple[dict[str, Any], Finding]]:
    """Each true finding beside the reported one that blames the same ops."""
    matched = []
    for truth in CAUSES[name]["findings"]:
        names = {c["name"] for c in truth["culprits"]}
        matched += [(truth, f) for f in report.findings if names == {c.name for c in f.culprits}]
    return matched


def probes_of_the_search(report: Report) -> int:
    """Probes but for the control and those of the rest."""
    return report.asked - sum(p.question in CONTROLS and not p.cached for p in report.journal)


def without_numbers(report: Report) -> str:
    """The report as text without its times, nor the counters in the names that TensorFlow gives to functions."""
    data = report.to_dict()
    del data["seconds"], data["model"]["digest"]
    for probe in data["journal"]:
        del probe["seconds"]
    return re.sub(r"(__inference_\w*?)(_\d+)+\b", r"\1", json.dumps(data, indent=1).replace("_frozen_", "_"))


def test_there_is_a_fixture_for_each_kind_of_failure() -> None:
    stages = {f["stage"] for cause in CAUSES.values() for f in cause["findings"]}
    assert {"graph_pass", "lowering", "mil_pass"} <= stages
    assert any(len(cause["findings"]) > 1 for cause in CAUSES.values())
    assert any(f["interaction"] for cause in CAUSES.values() for f in cause["findings"])


@each
def test_models_are_small(name: str) -> None:
    assert sum(p.stat().st_size for p in (FIXTURES / name).rglob("*") if p.is_file()) < 100_000


@each
def test_the_verdict_is_the_true_one_and_nothing_is_left_open(name: str, workers: Workers) -> None:
    report = report_of(name, workers)
    assert report.verdict == ("converts" if CAUSES[name]["converts"] else "fails")
    assert report.complete


@each
def test_exactly_the_true_culprits_are_blamed(name: str, workers: Workers) -> None:
    expected = [
        {(c["op"], c["name"], c["function"] or "", c["dtype"]) for c in truth["culprits"]}
        for truth in CAUSES[name]["findings"]
    ]
    found = [blamed(f) for f in report_of(name, workers).findings]
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


@each_failing
def test_each_finding_has_the_true_stage_and_error(name: str, workers: Workers) -> None:
    for truth, finding in pairs(name, report_of(name, workers)):
        assert (finding.stage, finding.error_type) == (truth["stage"], truth["error_type"])
        assert re.search(truth["message"], finding.error_message)
        assert finding.interaction == truth["interaction"]


@each_failing
def test_each_witness_is_minimal_and_confirmed(name: str, workers: Workers) -> None:
    for finding in report_of(name, workers).findings:
        assert finding.witness.minimal and finding.witness.confirmed
        assert {c.name for c in finding.culprits} & set(finding.witness.ops)


@each_failing
def test_each_culprit_is_seen_where_it_sits(name: str, workers: Workers) -> None:
    for truth, finding in pairs(name, report_of(name, workers)):
        if truth["role"] is not None:
            assert finding.context.role == truth["role"]
        assert [e.kind for e in finding.context.enclosing] == ([truth["enclosing"]] if truth["enclosing"] else [])


@each_failing
def test_few_probes_are_asked(name: str, workers: Workers) -> None:
    report = report_of(name, workers)
    allowed = sum(3 if truth["hinted"] else 2 * math.log2(report.ops) + 5 for truth in CAUSES[name]["findings"])
    assert probes_of_the_search(report) <= allowed, "\n".join(f"{p.question} {p.cached}" for p in report.journal)


@each
def test_a_second_run_gives_the_same_report(name: str, workers: Workers) -> None:
    assert without_numbers(report_of(name, workers, 2)) == without_numbers(report_of(name, workers, 1))


def test_runs_of_their_own_processes_give_the_same_report_to_the_letter() -> None:
    def run() -> dict[str, Any]:
        data = find(FIXTURES / "keras_lstm" / "model").to_dict()
        del data["seconds"]
        return {**data, "journal": [{**p, "seconds": 0} for p in data["journal"]]}

    assert run() == run()


def test_a_model_with_two_signatures_says_which_was_taken(workers: Workers) -> None:
    report = report_of("two_signatures", workers)
    assert report.signature == "serving_default"
    assert any(CAUSES["two_signatures"]["raw_error"] in note for note in report.notes)
