"""The second axis: which passes a failure needs, as a pure search and on real models."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisect_convert import find
from bisect_convert.model.outcome import Verdict
from bisect_convert.probe.client import Workers
from bisect_convert.report.findings import Finding, Passes
from bisect_convert.report.report import Report
from bisect_convert.search.pass_bisection import implicated, pipeline_of

PAD = Path(__file__).parents[2] / "fixtures" / "pad_before_conv" / "model"
NAMES = tuple(f"common::p{i}" for i in range(90))


class Pipeline:
    """A made-up converter: `failing` fails once all of `causes` have run before it; elsewhere only what it spoils."""

    def __init__(self, names: tuple[str, ...], failing: str | None, causes: frozenset[int]) -> None:
        self.names, self.failing, self.causes = names, failing, causes
        self.asked: list[tuple[int, ...]] = []

    def ask(self, chosen: tuple[int, ...]) -> Verdict:
        self.asked.append(chosen)
        if self.failing is None:
            return Verdict.FAIL if self.causes <= set(chosen) else Verdict.PASS
        for place in (i for i in sorted(chosen) if self.names[i] == self.failing):
            if self.causes <= {i for i in chosen if i < place}:
                return Verdict.FAIL
        return Verdict.PASS


def test_a_pass_that_fails_alone_takes_one_question() -> None:
    pipeline = Pipeline(NAMES, "common::p40", frozenset())
    assert implicated(NAMES, "common::p40", pipeline.ask) == Passes(True)
    assert pipeline.asked == [(40,)]


@given(st.integers(1, 89), st.data())
def test_exactly_the_passes_that_it_needs_are_named(place: int, data: st.DataObject) -> None:
    causes = data.draw(st.frozensets(st.integers(0, place - 1), min_size=1, max_size=3))
    pipeline = Pipeline(NAMES, NAMES[place], causes)
    assert implicated(NAMES, NAMES[place], pipeline.ask) == Passes(False, tuple(NAMES[i] for i in sorted(causes)))
    assert len(pipeline.asked) <= 3 + len(causes) * (math.ceil(math.log2(90)) + 2)


@given(st.frozensets(st.integers(0, 89), min_size=1, max_size=2))
def test_a_failure_behind_the_pipeline_is_traced_to_passes_too(causes: frozenset[int]) -> None:
    pipeline = Pipeline(NAMES, None, causes)
    assert implicated(NAMES, None, pipeline.ask) == Passes(False, tuple(NAMES[i] for i in sorted(causes)))


@given(st.data())
def test_of_a_pass_that_runs_several_times_the_first_that_fails_is_taken(data: st.DataObject) -> None:
    runs = sorted(data.draw(st.frozensets(st.integers(1, 89), min_size=2, max_size=5)))
    names = tuple("common::again" if i in runs else n for i, n in enumerate(NAMES))
    cause = data.draw(st.sampled_from([i for i in range(runs[-1]) if i not in runs]))
    pipeline = Pipeline(names, "common::again", frozenset({cause}))
    assert implicated(names, "common::again", pipeline.ask) == Passes(False, (names[cause],))


@given(st.dictionaries(st.integers(0, 2**10 - 1), st.sampled_from(Verdict)))
def test_whatever_the_answers_are_what_is_named_fails_or_is_known_to_be_too_little(answers: dict[int, Verdict]) -> None:
    names = tuple("abcdefghij")

    def ask(chosen: tuple[int, ...]) -> Verdict:
        if len(set(chosen)) == len(names):
            return Verdict.FAIL
        return answers.get(sum(2**i for i in set(chosen)), Verdict.UNRESOLVED)

    found = implicated(names, "j", ask)
    places = tuple(names.index(n) for n in found.needed)
    assert found.alone == (ask((9,)) is Verdict.FAIL)
    if not found.alone and len(places) < 3 and ask(tuple(range(10))) is Verdict.FAIL:
        assert ask((*places, 9)) is Verdict.FAIL or not places
        for fewer in combinations(places, len(places) - 1):
            assert not fewer or ask((*fewer, 9)) is not Verdict.FAIL


def test_a_pipeline_keeps_only_the_options_of_its_passes() -> None:
    given_ = {"name": "mine", "passes": ["a", "b"], "options": {"a": [["x", 1]], "b": [["y", 2]]}}
    assert pipeline_of(given_, ["b"]) == {"name": "mine", "passes": ["b"], "options": {"b": [["y", 2]]}}


# --- real models -----------------------------------------------------------------------------------------------------


def graph(build: Callable[[Any], Any], *shape: int | None) -> Any:
    """The GraphDef of what `build` makes of a placeholder `x`."""
    import tensorflow as tf

    with tf.Graph().as_default() as made:
        build(tf.compat.v1.placeholder(tf.float32, shape, name="x"))
    return made.as_graph_def()


def spectrum(x: Any) -> Any:
    import tensorflow as tf

    return tf.signal.rfft(tf.nn.relu(x), name="bad")


def real_spectrum(x: Any) -> Any:
    import tensorflow as tf

    return tf.math.real(tf.signal.rfft(tf.nn.relu(x), name="bad"))


def label(x: Any) -> Any:
    import tensorflow as tf

    return tf.gather(tf.constant(["a", "b"]), tf.argmax(x, -1), name="bad")


def cube(x: Any) -> Any:
    import tensorflow as tf

    return tf.reshape(tf.nn.relu(x), [1, 2, 2, 2, 2, 2], name="bad")


def resized(x: Any) -> Any:
    import tensorflow as tf

    with tf.name_scope("bad"):
        return tf.image.resize(x, [9, 9])


def predicted_filter(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.depthwise_conv2d(x, tf.nn.relu(tf.reshape(x, [8, 8, 4, 1])), [1, 1, 1, 1], "SAME", name="bad")


def rolled(x: Any) -> Any:
    import tensorflow as tf

    return tf.roll(tf.nn.relu(x), 1, 1, name="bad")


def called(build: Callable[[Any], Any], *shape: int) -> Any:
    """The concrete function of `build`, whose conditionals keep their bodies."""
    import tensorflow as tf

    return tf.function(build, input_signature=[tf.TensorSpec(shape, tf.float32)]).get_concrete_function()


def cond_in_cond(x: Any) -> Any:
    import tensorflow as tf

    total = tf.reduce_sum(x)
    inner = lambda: tf.cond(total > 1.0, lambda: x * 2.0, lambda: x + 1.0, name="bad")  # noqa: E731
    return tf.cond(total > 0.0, inner, lambda: x, name="outer")


STAGES: dict[str, tuple[Callable[[], Any], dict[str, Any], str, str | None, Passes | None]] = {
    "graph pass": (
        lambda: called(cond_in_cond, 1, 4), {}, "graph_pass", "rewrite_control_flow_functions", None),
    "lowering": (lambda: graph(rolled, 1, 4), {}, "lowering", None, None),
    "pass for complex numbers": (
        lambda: graph(spectrum, 1, 32), {}, "mil_pass", "common::lower_complex_dialect_ops", Passes(True)),
    "the same of unknown size": (
        lambda: graph(real_spectrum, None, 32), {}, "mil_pass", "common::lower_complex_dialect_ops", Passes(True)),
    "pass for integers": (lambda: graph(label, 1, 2), {}, "mil_pass", "common::add_int16_cast", Passes(True)),
    "program check": (lambda: graph(cube, 1, 32), {}, "mil_pass", "program check", Passes(True)),
    "mlprogram": (lambda: graph(label, 1, 2), {"compute_precision": "float32"}, "backend", None, Passes(True)),
    "neuralnetwork": (
        lambda: graph(predicted_filter, 1, 8, 8, 4), {"convert_to": "neuralnetwork"}, "backend", None, Passes(True)),
    "target": (
        lambda: graph(resized, 1, 4, 4, 3), {"convert_to": "neuralnetwork", "minimum_deployment_target": "iOS13"},
        "backend", None, Passes(True),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STAGES)
def test_the_stage_and_the_pass_are_those_in_which_it_fails(name: str, workers: Workers) -> None:
    make, options, stage, pass_name, passes = STAGES[name]
    (finding,) = find(make(), workers=workers, **options).findings
    assert (finding.stage, finding.pass_name, finding.passes) == (stage, pass_name, passes)
    assert "bad" in finding.culprits[-1].name


def test_the_pass_to_leave_out_of_the_default_pipeline_makes_the_model_convert(workers: Workers) -> None:
    import coremltools as ct

    (finding,) = find(PAD, workers=workers).findings
    assert finding.pass_name == "common::fuse_pad_conv"
    assert finding.passes == Passes(False, ("common::cast_optimization",))
    (remedy,) = [r for r in finding.remedies if r.verified]
    names: dict[str, Any] = {"ct": ct}
    exec((remedy.code or "").replace("ct.convert(..., ", "dict("), names)
    assert find(PAD, workers=workers, **names["model"]).verdict == "converts"


def palette(weights: Any) -> Any:
    """Sixteen values by the histogram of the weights, which has to be finite."""
    _, edges = np.histogram(weights, bins=16)
    values = ((edges[1:] + edges[:-1]) / 2).astype(weights.dtype)
    return values, np.abs(weights.reshape(-1, 1) - values).argmin(1).astype(np.uint8)


def scaled_between(x: Any) -> Any:
    """Two convolutions and a factor between them, which passes fuse into the first one's filter: it overflows then."""
    import tensorflow as tf

    filters = np.random.default_rng(0).standard_normal((2, 3, 3, 16, 16)).astype("float32")
    filters[0, 1, 1, 1, 1] = 1e30
    x = tf.nn.conv2d(tf.nn.relu(x), filters[0], 1, "SAME", name="first")
    return tf.nn.relu(tf.nn.conv2d(tf.multiply(x, 1e30, name="scale"), filters[1], 1, "SAME", name="second"))


@pytest.fixture(scope="module")
def overflowing(workers: Workers) -> Report:
    import coremltools as ct
    import coremltools.optimize.coreml as cto

    config = cto.OptimizationConfig(global_config=cto.OpPalettizerConfig(mode="custom", lut_function=palette))
    pipeline = ct.PassPipeline.DEFAULT
    pipeline.append_pass("compression::palettize_weights")
    pipeline.set_options("compression::palettize_weights", {"config": config})
    options = {"minimum_deployment_target": ct.target.iOS16, "compute_precision": ct.precision.FLOAT32}
    return find(graph(scaled_between, 1, 8, 8, 16), workers=workers, pass_pipeline=pipeline, **options)


def test_the_earlier_passes_that_it_needs_are_named(overflowing: Report) -> None:
    (finding,) = overflowing.findings
    assert finding.pass_name == "compression::palettize_weights"
    assert finding.passes == Passes(False, ("common::reduce_transposes", "common::fuse_conv_scale"))
    assert {c.name for c in finding.culprits} == {"first", "scale", "second"}
    drawn = " ".join(str(overflowing).split())
    assert "passes compression::palettize_weights needs common::reduce_transposes and common::fuse_conv_scale" in drawn
    assert Report.from_json(overflowing.to_json()) == overflowing


def test_few_probes_find_them_and_none_counts_as_the_searchs(overflowing: Report) -> None:
    asked = [p for p in overflowing.journal if " of 96 passes" in p.question]
    assert len(asked) <= 3 + 2 * (math.ceil(math.log2(96)) + 2)
    assert overflowing.asked <= len(overflowing.journal) - len(asked)


def test_the_pass_without_which_it_converts_is_a_remedy(overflowing: Report) -> None:
    codes = [r.code for r in overflowing.findings[0].remedies if r.verified and "leave the pass" in r.summary]
    assert codes == [
        "pipeline.remove_passes({'compression::palettize_weights'})"
        "  # pipeline: the one that you give as pass_pipeline\n"
    ]


@pytest.mark.parametrize("fault", ["no such pass", "options of no pass", "no such option"])
def test_a_pipeline_that_is_refused_is_the_calls_fault(fault: str, workers: Workers) -> None:
    import coremltools as ct
    import tensorflow as tf

    pipeline = ct.PassPipeline(["common::no_such"]) if fault == "no such pass" else ct.PassPipeline.EMPTY
    if fault != "no such pass":
        pipeline.passes = ["common::const_elimination"] if fault == "no such option" else []
        pipeline.set_options(
            "common::const_elimination", {"skip_const_by_size" if pipeline.passes == [] else "no": "1"}
        )
    model = graph(lambda x: tf.nn.relu(tf.roll(x, 1, 1, name="roll")), 1, 4)
    report = find(model, workers=workers, pass_pipeline=pipeline)
    assert [[c.name for c in f.culprits] for f in report.findings] == [["roll"], []]
    assert report.findings[1].explanation.startswith("The argument `pass_pipeline` of `ct.convert`")
    assert report.complete


def test_a_report_without_the_passes_is_read() -> None:
    finding = Finding("mil_pass", "common::x", "ValueError", "odd", ())
    report = Report("m", None, 1, 0, "", "9", "2", {}, "fails", True, (finding,))
    data = report.to_dict()
    assert data["findings"][0].pop("passes") is None
    assert Report.from_json(data) == report
