"""The whole hunt as pure code: graphs made by hand, and a converter that fails where a set of ops is together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_converter import CONVERTIBLE, Cause, FakeWorkers, blamed, model_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bisect_convert.model.graph import Graph, Model
from bisect_convert.model.loaded import Loaded
from bisect_convert.model.outcome import Failure, Frame, Outcome, Signature, Stage
from bisect_convert.probe.prober import Prober
from bisect_convert.search.found import Found
from bisect_convert.search.hunt import Hunt
from bisect_convert.worker.request import Compare, Probe

Planted = tuple[list[list[int]], "list[Cause]"]


def hunted(model: Model, causes: Iterable[Cause]) -> tuple[list[Found], Hunt, FakeWorkers]:
    loaded = Loaded(model, Path("m"), {"": "graph.pb"}, None, CONVERTIBLE, (), False)
    workers = FakeWorkers(causes)
    hunt = Hunt(Prober(loaded, workers, {}))  # type: ignore[arg-type]
    return list(hunt.causes()), hunt, workers


@st.composite
def dags(draw: st.DrawFn, least: int = 1) -> list[list[int]]:
    size = draw(st.integers(least, 24))
    return [
        sorted(draw(st.sets(st.integers(max(0, n - 6), n - 1), max_size=2))) if n else [] for n in range(size)
    ]  # fmt: skip


@st.composite
def planted(draw: st.DrawFn, most: int = 2, sizes: tuple[int, ...] = (1, 1, 2, 3, 5, 8, 12)) -> Planted:
    """A graph and causes of as many ops each, with no op in two of them; some hints lie."""
    dag = draw(dags(least=8))
    free = list(draw(st.permutations(range(len(dag)))))
    causes = []
    for _ in range(draw(st.integers(1, most))):
        if not free:
            break
        ops = frozenset(f"o{free.pop()}" for _ in range(min(draw(st.sampled_from(sizes)), len(free))))
        hint = draw(st.sampled_from([None, max(ops), f"o{free[0]}" if free else None]))
        stage = draw(st.sampled_from((Stage.LOWERING, Stage.BACKEND)))
        causes.append(Cause(ops, hint, stage))
    return dag, sorted(causes, key=lambda c: c.stage)


quick = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(planted(most=3))
def test_exactly_the_planted_culprits_are_found_and_the_rest_converts(made: Planted) -> None:
    dag, causes = made
    found, hunt, _ = hunted(model_of(dag), causes)
    assert sorted(map(sorted, map(blamed, found))) == sorted(sorted(c.ops) for c in causes)
    assert hunt.complete and not hunt.notes
    assert all(f.minimal and f.confirmed for f in found)
    assert all(f.interaction == (len(f.culprits) > 1) for f in found)


@quick
@given(planted(most=3, sizes=(1,)))  # what fails only together is asked several times over
def test_nothing_but_the_whole_is_probed_twice(made: Planted) -> None:
    model = model_of(made[0])
    _, _, workers = hunted(model, made[1])
    control = (*sorted(model.main.ops), "False", "False")
    assert workers.sections.count(control) == 2
    assert len(set(workers.sections)) == len(workers.sections) - 1


@quick
@given(dags(), st.data())
def test_a_hint_that_holds_saves_the_search(dag: list[list[int]], data: st.DataObject) -> None:
    bad = f"o{data.draw(st.integers(0, len(dag) - 1))}"
    found, hunt, workers = hunted(model_of(dag), [Cause(frozenset({bad}), bad)])
    rest = 1 if len(dag) > 1 else 0
    assert [blamed(f) for f in found] == [frozenset({bad})]
    assert len(workers.sections) <= 2 + 3 + rest


@pytest.mark.parametrize("stage", [Stage.LOWERING, Stage.BACKEND])
def test_without_a_hint_the_probes_grow_as_the_logarithm(stage: Stage) -> None:
    chain = [[n - 1] if n else [] for n in range(1000)]
    found, _, workers = hunted(model_of(chain), [Cause(frozenset({"o617"}), None, stage)])
    assert [blamed(f) for f in found] == [frozenset({"o617"})]
    assert len(workers.sections) - 3 <= 2 * math.log2(1000) + 5


def test_ops_of_one_kind_that_fail_alike_are_one_finding() -> None:
    kinds = {name: "Erfc" for name in ("o2", "o5", "o7")}

    class Unsupported(FakeWorkers):
        def ask(self, request: Any) -> dict[str, Any]:
            if isinstance(request, Compare) or not set(kinds) & set(request.plan.ops):
                return {"differs": "", "outcome": Outcome().to_json()}
            first = max(set(kinds) & set(request.plan.ops))
            signature = Signature(Stage.LOWERING, None, "NotImplementedError", "Erfc", ("Erfc",))
            failure = Failure(signature, "NotImplementedError", "Erfc", (Frame("Erfc", first),))
            return {"outcome": Outcome(failure, reached=Stage.LOWERING).to_json()}

    model = model_of([[], [0], [1], [2], [2], [3, 4], [5], [6], [7]], kinds)
    loaded = Loaded(model, Path("m"), {"": "graph.pb"}, None, CONVERTIBLE, (), False)
    hunt = Hunt(Prober(loaded, Unsupported([]), {}))  # type: ignore[arg-type]
    (found,) = hunt.causes()
    assert blamed(found) == set(kinds) and not found.interaction and hunt.complete


def test_an_innocent_op_that_the_traceback_names_is_not_blamed() -> None:
    chain = [[n - 1] if n else [] for n in range(9)]
    found, hunt, _ = hunted(model_of(chain), [Cause(frozenset({"o2", "o6"}), "o7")])
    assert [blamed(f) for f in found] == [frozenset({"o2", "o6"})] and hunt.complete


def test_a_model_that_converts_has_no_cause() -> None:
    found, hunt, workers = hunted(model_of([[], [0]]), [])
    assert not found and hunt.complete and len(workers.sections) == 2


def test_one_failure_behind_another_is_found_behind_it() -> None:
    chain = [[n - 1] if n else [] for n in range(9)]
    causes = [Cause(frozenset({n}), n) for n in ("o1", "o4", "o7")]
    found, hunt, _ = hunted(model_of(chain), causes)
    assert [blamed(f) for f in found] == [{"o1"}, {"o4"}, {"o7"}] and hunt.complete


@pytest.mark.parametrize("seen", [True, False])
def test_what_cannot_be_fed_is_blamed_only_where_it_was_seen_to_fail(seen: bool) -> None:
    kinds = {"o1": "AsString", "o2": "StringUpper"}
    model = model_of([[], [0], [1]], kinds)
    for name in kinds:
        op = model.main.ops[name]
        model.main.ops[name] = replace(op, outputs=(replace(op.outputs[0], dtype="string"),))
    model = Model("m", None, {"": Graph("", model.main.ops, ("o2:0",))}, "")
    found, hunt, _ = hunted(model, [Cause(frozenset({n}), n) for n in ("o1", "o2")[: 1 + seen]])
    assert [blamed(f) for f in found] == [{"o1"}, {"o2"}][: 1 + seen] and hunt.complete is seen


@pytest.mark.parametrize("met", [True, False])
def test_a_failure_over_a_tensor_of_ours_is_blamed_only_where_the_whole_fails_so(met: bool) -> None:
    class Ours(Cause):
        def failure(self) -> Failure:
            message = "cut_exit_0 has no shape"
            hint = (Frame("?", *sorted(self.ops)),)
            return Failure(Signature(self.stage, None, "ValueError", message), "ValueError", message, hint)

    chain = [[n - 1] if n else [] for n in range(9)]
    causes = [Cause(frozenset({"o2"}), "o2"), Ours(frozenset({"o6"}))]
    found, hunt, _ = hunted(model_of(chain), causes[::-1] if met else causes)
    assert [blamed(f) for f in found] == ([{"o6"}, {"o2"}] if met else [{"o2"}]) and hunt.complete is met


def test_an_op_that_fails_with_either_of_two_others_is_cut_out_once() -> None:
    class Either(Cause):
        def failure(self) -> Failure:
            return Failure(Signature(self.stage, None, "ValueError", "conflict"), "ValueError", "conflict")

    dag = [[], [0], [0], [1, 2], [3], [4]]
    found, hunt, _ = hunted(model_of(dag), [Either(frozenset({"o0", "o2"})), Either(frozenset({"o0", "o4"}))])
    assert [blamed(f) for f in found] == [{"o0", "o2"}] and hunt.complete


class WithWeights(FakeWorkers):
    """Fails only where the true weights are in the section."""

    def ask(self, request: Any) -> dict[str, Any]:
        if isinstance(request, Probe) and not request.weights:
            self.sections.append((*sorted(request.plan.ops), "without weights"))
            return {"outcome": Outcome(reached=Stage.BACKEND).to_json()}
        return super().ask(request)


@quick
@given(planted())
def test_what_fails_only_with_its_true_weights_is_searched_with_them(made: Planted) -> None:
    dag, causes = made
    loaded = Loaded(model_of(dag), Path("m"), {"": "graph.pb"}, None, CONVERTIBLE, (), True)
    hunt = Hunt(Prober(loaded, WithWeights(causes), {}))  # type: ignore[arg-type]
    assert not list(hunt.causes())
    found = list(hunt.causes_with_weights())
    assert sorted(map(sorted, map(blamed, found))) == sorted(sorted(c.ops) for c in causes)
    assert hunt.complete and hunt.notes == [
        "it fails only with its own weights, not with others of their size, and was searched with them"
    ]
    assert all(f.minimal and f.confirmed for f in found)
