"""Cuts change nothing: whatever is taken out of a model that converts, converts. `scripts/sweep` draws many more."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from models import MODELS, load
from sections import KINDS, draw, probe_some

from bisect_convert.model.cuts import Section, whole
from bisect_convert.model.graph import Graph
from bisect_convert.model.loaded import Loaded
from bisect_convert.probe.client import Workers
from bisect_convert.probe.prober import Prober
from bisect_convert.report.questions import Kind

#: Sections per model, and which of the endless series of them.
COUNT, SEED = 10, 20240


@pytest.fixture(scope="module")
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load(MODELS[request.param], tmp_path_factory.mktemp(request.param))


each_model = pytest.mark.parametrize("loaded", MODELS, indirect=True)


@each_model
def test_the_model_converts(loaded: Loaded, workers: Workers) -> None:
    assert Prober(loaded, workers, {}).outcome(whole(loaded.model), Kind.WHOLE.asks()).converted


@each_model
def test_every_section_of_it_converts_and_computes_the_same(loaded: Loaded, workers: Workers) -> None:
    found = list(probe_some(loaded, workers, COUNT, SEED))
    assert not [d.words() for d in found if d.artefact]
    assert sum(d.outcome.unresolved is not None for d in found) <= COUNT // 4


@each_model
def test_sections_as_drawn_are_closed_and_sliceable(loaded: Loaded) -> None:
    rng = random.Random(SEED)
    for graph in loaded.model.graphs.values():
        for kind in KINDS if graph.atoms else ():
            ops = draw(graph, kind, rng)
            assert ops == graph.close(ops) and ops <= graph.atoms
            _cut_tensors_can_be_inputs(graph, ops)


def _cut_tensors_can_be_inputs(graph: Graph, ops: frozenset[str]) -> None:
    bad = [
        t for t in graph.entering(ops) if not t.severable and t.items is None
    ]  # a list is made of an input of all its items
    assert not bad, [t.name for t in bad]


def test_a_section_without_an_op_is_not_probed(workers: Workers, tmp_path: Path) -> None:
    model = load(MODELS["cond"], tmp_path)
    outcome = Prober(model, workers, {}).outcome(Section("", frozenset()), Kind.BY_HAND.asks("nothing"))
    assert outcome.unresolved == "it is empty"
