"""Outcomes that come and go, as pure code: processes that die by chance, and an op that fails by chance."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from fake_converter import CONVERTIBLE, Cause, FakeWorkers, blamed, model_of

from bisect_convert.model.loaded import Loaded
from bisect_convert.model.outcome import Failure, Outcome, Signature, Stage, Verdict
from bisect_convert.probe.cache import Cache
from bisect_convert.probe.flakiness import Tally, died, needed
from bisect_convert.probe.limits import spare_memory
from bisect_convert.probe.prober import Prober
from bisect_convert.search.found import Found
from bisect_convert.search.hunt import Hunt
from bisect_convert.session.stepper import Walk
from bisect_convert.worker.request import Compare


class Unsteady(FakeWorkers):
    """Workers of which each probe dies with the chance `noise`; the causes show with the chance `rate`."""

    def __init__(self, causes: list[Cause], seed: int, noise: float = 0.0, rate: float = 1.0) -> None:
        super().__init__(causes)
        self.random = random.Random(seed)
        self.noise, self.rate = noise, rate

    def ask(self, request: Any) -> dict[str, Any]:
        if isinstance(request, Compare):
            return {"differs": ""}
        if self.random.random() < self.noise:
            return {"death": "SIGKILL"}
        causes = self.causes
        if self.random.random() >= self.rate:
            self.causes = []
        try:
            return super().ask(request)
        finally:
            self.causes = causes


def hunted(workers: FakeWorkers, ops: int = 20) -> tuple[list[Found], Hunt]:
    model = model_of([[n - 1] if n else [] for n in range(ops)])
    loaded = Loaded(model, Path("m"), {"": "graph.pb"}, None, CONVERTIBLE, (), False)
    hunt = Hunt(Prober(loaded, workers, {}))  # type: ignore[arg-type]
    return list(hunt.causes()), hunt


@pytest.mark.parametrize("hint", [None, "o7"])
@pytest.mark.parametrize("noise", [0.02, 0.2, 0.5])
def test_processes_that_die_by_chance_hide_no_culprit_and_make_none(noise: float, hint: str | None) -> None:
    for seed in range(40):
        found, hunt = hunted(Unsteady([Cause(frozenset({"o7"}), hint)], seed, noise=noise))
        assert [blamed(f) for f in found] == [{"o7"}], seed
        assert hunt.complete


@pytest.mark.parametrize("noise", [0.02, 0.2, 0.5])
def test_a_model_that_converts_is_not_accused_by_chance(noise: float) -> None:
    for seed in range(40):
        found, _ = hunted(Unsteady([], seed, noise=noise))
        assert not found, seed


@pytest.mark.parametrize("hint", [None, "o7"])
@pytest.mark.parametrize("rate", [0.02, 0.2, 0.5])
def test_an_op_that_fails_by_chance_is_found_or_nothing_is(rate: float, hint: str | None) -> None:
    outcomes = [hunted(Unsteady([Cause(frozenset({"o7"}), hint)], seed, rate=rate)) for seed in range(60)]
    assert {blamed(f) for found, _ in outcomes for f in found} <= {frozenset({"o7"})}
    assert any(found for found, _ in outcomes) or rate < 0.1
    for found, hunt in outcomes:
        assert len(found) <= 1
        assert not found or hunt.prober.unsteady is None or any("unstable" in note for note in hunt.notes)


def failure(kind: str) -> Outcome:
    return Outcome(Failure(Signature(Stage.LOWERING, None, kind, kind), kind, kind))


def test_a_death_says_nothing_where_another_outcome_is_known() -> None:
    error, death = failure("ValueError"), failure("SIGKILL")
    assert error.failure is not None and died(death) and not died(error)
    target = error.failure.signature
    assert Tally((death, death)).verdict(target, 1.0) is None
    assert Tally((death, error)).verdict(target, 1.0) is Verdict.FAIL
    assert Tally((death, Outcome(reached=Stage.LOWERING))).verdict(target, 1.0) is Verdict.PASS
    assert Tally((death, Outcome(), death)).settled(1.0) is None
    assert Tally((death, Outcome(), death, Outcome())).settled(1.0) == Outcome()


def test_a_section_is_free_of_a_failure_only_after_enough_conversions() -> None:
    target = failure("ValueError").failure.signature  # type: ignore[union-attr]
    enough = needed(0.5)
    assert Tally((Outcome(),) * (enough - 1)).verdict(target, 0.5) is None
    assert Tally((Outcome(),) * enough).verdict(target, 0.5) is Verdict.PASS


def test_the_most_frequent_failure_is_suspected_and_an_exception_before_a_death() -> None:
    error, death = failure("ValueError"), failure("SIGKILL")
    assert Tally((death, death, error, Outcome())).suspected() == error
    assert Tally((death, Outcome())).suspected() == death
    assert Tally((death, error, error)).rate(error.failure.signature) == 1.0  # type: ignore[union-attr]
    assert Tally((Outcome(), error)).rate(error.failure.signature) < 0.5  # type: ignore[union-attr]


def walked(workers: FakeWorkers, ops: int) -> tuple[list[Found], Hunt]:
    """What `hunted` returns, found by a walk that is let run on."""
    model = model_of([[n - 1] if n else [] for n in range(ops)])
    loaded = Loaded(model, Path("m"), {"": "graph.pb"}, None, CONVERTIBLE, (), False)
    found: list[Found] = []
    hunts: list[Hunt] = []

    def search(prober: Prober) -> None:
        hunts.append(Hunt(prober))
        found.extend(hunts[0].causes())

    walk = Walk(lambda observer: Prober(loaded, workers, {}, observer=observer), search)  # type: ignore[arg-type]
    walk.run_on()
    return found, hunts[0]


def test_a_walk_blames_what_the_search_blames_where_a_failure_comes_and_goes() -> None:
    alike = 0
    for seed in range(40):
        searched, hunt = hunted(Unsteady([Cause(frozenset({"o5"}), "o5")], seed, rate=0.3), 12)
        stepped, walk = walked(Unsteady([Cause(frozenset({"o5"}), "o5")], seed, rate=0.3), 12)
        assert [blamed(f) for f in stepped] == [blamed(f) for f in searched], seed
        assert all(blamed(f) == {"o5"} for f in stepped) and walk.notes == hunt.notes
        alike += bool(stepped)
    assert alike >= 10


def test_a_death_is_not_kept_for_later_runs(tmp_path: Path) -> None:
    class Kept(Unsteady):
        def versions(self) -> dict[str, str]:
            return {"coremltools": "9.0"}

    def run(workers: FakeWorkers) -> tuple[list[Found], Prober]:
        model = model_of([[n - 1] if n else [] for n in range(5)])
        loaded = Loaded(model, Path("m"), {"": "graph.pb"}, None, CONVERTIBLE, (), False)
        prober = Prober(loaded, workers, {}, cache=Cache(tmp_path))  # type: ignore[arg-type]
        return list(Hunt(prober).causes()), prober

    run(Kept([], 0, noise=1.0))
    found, prober = run(Kept([], 0))
    assert not found and prober.asked > 0


def groups(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 25.6),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/memory.max": str(4 * 2**30)}, 1.6),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": str(4 * 2**30),
          "sys/fs/cgroup/a/memory.current": str(2 * 2**30)}, 0.8),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": "max"}, 25.6),
        ({"proc/self/cgroup": "3:memory:/x", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": str(2 * 2**30)}, 0.8),
        ({"proc/self/cgroup": "3:cpu:/x", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": str(2 * 2**30)}, 25.6),
    ],
)  # fmt: skip
def test_a_probe_gets_no_more_memory_than_the_container_has(
    tmp_path: Path, files: dict[str, str], expected: float
) -> None:
    root = groups(tmp_path, {"proc/meminfo": f"MemAvailable: {64 * 2**20} kB\n", **files})
    assert spare_memory(1, root) == expected
