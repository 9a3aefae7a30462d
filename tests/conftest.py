"""What tests share: one conversion server for all of a process; how many processes there are, and which tests are quick."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bisect_convert.probe.client import Workers

TESTS = Path(__file__).parent
#: What `pytest -m quick` runs: folders, files and tests, by how they begin.
QUICK = (
    "arguments/", "model/test_cuts.py", "model/test_graph.py", "model/test_outcome.py", "render/", "test_house.py",
    "explain/test_placement.py", "explain/test_why.py", "probe/test_cache.py", "probe/test_flakiness.py",
    "search/test_bisection.py", "search/test_hunt.py",
    "pytest_plugin/test_plugin.py::test_a_list_", "pytest_plugin/test_plugin.py::test_a_file_that_cannot_be_understood",
    "remedies/test_remedies.py::test_a_trial_is_asked_once_and_not_counted",
    # One conversion of each kind: in lowering, in a body, in passes of either side, two at once; and what converts.
    *(f"diagnose/test_fixtures.py::test_exactly_the_true_culprits_are_blamed[{name}]" for name in (
        "exact_gelu", "erfc_in_cond", "pair_only", "string_label_pass", "two_culprits", "residual_ok",
    )),
    # A process that dies, the call at fault, a step after it, a model that cannot be read; the command and a session.
    "probe/test_faults.py::test_however_a_conversion_ends_its_op_is_found[segfault]",
    "search/test_faulty_arguments.py::test_scalars_of_one_element",
    "worker/test_compression.py::test_the_code_shown_is_what_the_probes_do",
    "explain/test_unloadable.py::test_an_op_that_tensorflow_does_not_know",
    "cli/test_command.py::test_a_culprit_in_text_and_in_files",
    "session/test_session.py::test_a_hunt_goes_on_from_where_stepping_stopped",
)  # fmt: skip
#: Each process has conversion workers of its own, so that memory is short before cores are.
MOST_PROCESSES = 4


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many processes as there are cores; none but pytest's own for tests that are named one by one."""
    return 0 if any("::" in word for word in config.args) else min(os.cpu_count() or 1, MOST_PROCESSES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is quick."""
    for item in items:
        place = f"{item.path.relative_to(TESTS).as_posix()}::{item.name}" if item.path.is_relative_to(TESTS) else ""
        if place.startswith(QUICK):
            item.add_marker(pytest.mark.quick)


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Workers that are started once for the whole run."""
    with Workers() as started:
        yield started


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with nothing kept from earlier runs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
