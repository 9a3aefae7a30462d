"""Failures that lie in the call: told apart from those of the model, on small models and with real conversions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.arguments.corrections import Call, corrections
from bisect_convert.cli.options import packed_options, parse
from bisect_convert.model.graph import Graph, Op, Tensor
from bisect_convert.model.outcome import Failure, Signature, Stage
from bisect_convert.probe.client import Workers
from bisect_convert.report.report import Report
from bisect_convert.search.faulty_arguments import _contradicts, _suspects

Spec = tf.TensorSpec
_WEIGHTS = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype("float32")


def conv(x: Any) -> Any:
    return tf.nn.conv2d(x, _WEIGHTS, 2, "SAME", name="stem")


def flat(x: Any) -> Any:
    return tf.matmul(tf.reshape(conv(x), [-1, 64]), np.ones((64, 4), "float32"))


def halved(x: Any) -> Any:
    small = tf.nn.max_pool2d(x, 2, 2, "VALID")
    return tf.concat([tf.repeat(tf.repeat(small, 2, 1), 2, 2), x], 3)


def embedded(ids: Any) -> Any:
    return tf.reduce_mean(tf.gather(np.ones((9, 4), "float32"), ids), 1)


def rolled(x: Any) -> Any:
    return tf.roll(conv(x), 1, 1, name="shift")


def named(x: Any) -> Any:
    return {"logits": tf.nn.softmax(x), "twice": x * 2.0}


def report(call: Callable[..., Any], spec: Any, workers: Workers, **options: Any) -> Report:
    function = tf.function(call, input_signature=spec if isinstance(spec, list) else [spec]).get_concrete_function()
    return find(function, workers=workers, **options)


def tensor(name: str | None, *shape: Any, **more: Any) -> dict[str, Any]:
    return {"inputs": [ct.TensorType(name=name, shape=shape, **more)]}


def image(*shape: int, **more: Any) -> dict[str, Any]:
    return {"inputs": [ct.ImageType(name="x", shape=shape, **more)]}


@pytest.mark.parametrize(
    ("call", "spec", "options", "argument", "code"),
    [
        (conv, Spec((None, None, None, 3), name="x"), tensor("x", 1, 3, 16, 20), "inputs", "shape=(1, 16, 20, 3)"),
        (conv, Spec((None, 8, 8, 3), name="x"), tensor("x", 8, 8, 3), "inputs", "shape=(1, 8, 8, 3)"),
        (flat, Spec((None, 8, 8, 3), name="x"), tensor("x", 2, 12, 12, 3), "inputs", "shape=(2, 8, 8, 3)"),
        (halved, Spec((1, None, None, 3), name="x"), tensor("x", 1, 30, 31, 3), "inputs", "shape=(1, 32, 32, 3)"),
        (conv, Spec((1, 8, 8, 3), name="x"), tensor("x", 1, 8, 8, ct.RangeDim(1, 4, 3)), "inputs", "(1, 8, 8, 3)"),
        (embedded, Spec((1, 5), tf.int32, "ids"), tensor("ids", 1, 5, dtype=np.float32), "inputs", "dtype=np.int32"),
        (conv, Spec((1, 8, 8, 3), name="x"), tensor("x:0", 1, 8, 8, 3), "inputs", "name='x'"),
        (conv, Spec(None, name="x"), {}, "inputs", "name='x', shape=(1, 64, 64, 3)"),
        (conv, Spec((1, 8, 8, 3), name="x"), image(1, 8, 8, 3, color_layout="G"), "inputs", "ct.colorlayout.RGB"),
        (named, Spec((1, 4), name="x"), {"outputs": [ct.TensorType(name="logits")]}, "outputs", "name='Identity'"),
        (tf.nn.softmax, Spec((1, 3)), {"pass_pipeline": ct.PassPipeline(["common::no"])}, "pass_pipeline", None),
    ],
)  # fmt: skip
def test_the_argument_is_blamed_and_no_op(
    workers: Workers, call: Callable[..., Any], spec: Any, options: dict[str, Any], argument: str, code: str | None
) -> None:
    found = report(call, spec, workers, **options)
    (finding,) = found.findings
    assert found.complete and not finding.culprits and not finding.witness.ops
    assert finding.remedies[0].verified
    assert code is None or code in (finding.remedies[0].code or "")
    assert f"`{argument}`" in finding.explanation


@pytest.mark.parametrize("count", [2, 4, 1000])
def test_labels_that_do_not_fit_are_counted_and_none_is_made_up(workers: Workers, count: int) -> None:
    labels = [f"label {n}" for n in range(count)]
    found = report(tf.nn.softmax, Spec((1, 3)), workers, classifier_config=ct.ClassifierConfig(labels))
    (finding,) = found.findings
    assert finding.cause == f"{count} labels were given, and the output `Identity` has 3 values"
    assert not any(remedy.verified for remedy in finding.remedies)
    assert max(map(len, str(found).splitlines())) <= 400


def test_the_op_is_blamed_where_the_call_is_fine(workers: Workers) -> None:
    sizes = ct.RangeDim(8, 32, 8)
    call: Callable[..., Any] = lambda x: tf.raw_ops.TopKV2(input=conv(x), k=2, sorted=False, name="best")[0]  # noqa: E731
    found = report(call, Spec((1, None, None, 3), name="x"), workers, **tensor("x", 1, sizes, sizes, 3))
    (finding,) = found.findings
    assert [c.name for c in finding.culprits] == ["best"]
    assert "ct.target.iOS16" in str([r.code for r in finding.remedies if r.verified])


def test_the_lowest_target_that_converts_is_named(workers: Workers) -> None:
    def call(x: Any) -> Any:
        return tf.raw_ops.TopKV2(input=x, k=2, sorted=False, name="best")[0]

    (finding,) = report(call, Spec((1, 9)), workers).findings
    assert [c.op for c in finding.culprits] == ["TopKV2"]
    assert (finding.remedies[0].code, finding.remedies[0].verified) == (
        "minimum_deployment_target=ct.target.iOS16",
        True,
    )


def test_the_call_and_then_the_model(workers: Workers) -> None:
    found = report(rolled, Spec((1, None, None, 3), name="x"), workers, **tensor("x", 1, 3, 16, 16))
    first, second = found.findings
    assert not first.culprits and not first.remedies[0].verified
    assert first.remedies[0].code == "inputs=[ct.TensorType(name='x', shape=(1, 16, 16, 3))]"
    assert [c.op for c in second.culprits] == ["Roll"] and found.complete


@pytest.mark.parametrize("shape", [(1, 12, 12, 3), (1, ct.RangeDim(8, 16, 8), 8, 3)])
def test_another_size_that_does_no_harm_is_not_blamed(workers: Workers, shape: tuple[Any, ...]) -> None:
    call: Callable[..., Any] = lambda x: tf.nn.gelu(conv(x), approximate=False)  # noqa: E731
    found = report(call, Spec((1, 8, 8, 3), name="x"), workers, **tensor("x", *shape))
    assert [c.op for f in found.findings for c in f.culprits] == ["Erfc"]
    assert len(found.findings) == 1 and found.complete
    assert report(conv, Spec((1, 8, 8, 3), name="x"), workers, **tensor("x", *shape)).verdict == "converts"


def test_scalars_of_one_element(workers: Workers) -> None:
    specs = [Spec((1, 4), name="x"), Spec((), name="gain")]
    (finding,) = report(lambda x, gain: x * tf.reshape(gain, [1, 1]), specs, workers).findings
    assert [c.name for c in finding.culprits] == ["gain"]
    assert finding.remedies[0].code == "inputs=[ct.TensorType(name='gain', shape=(1,))]"


def test_states_are_for_models_of_another_kind_by_call_and_by_command(workers: Workers, tmp_path: Path) -> None:
    states = [ct.StateType(wrapped_type=ct.TensorType(shape=(1, 4)), name="held")]
    for build, blamed in ((conv, []), (rolled, ["Roll"])):
        made = report(build, Spec((1, 8, 8, 3), name="x"), workers, states=states)
        first, *others = made.findings
        assert (
            "`states`" in first.explanation
            and first.remedies[0].tried in ("verified", "gets past this failure")
            and made.complete
        ), str(made)
        assert [c.op for other in others for c in other.culprits] == blamed
    assert packed_options(parse([str(tmp_path), "--state", "held"])) == {"states": ["held"]}


def test_an_output_that_is_text_is_a_cause_of_its_own_and_no_op_is_blamed_for_it(workers: Workers) -> None:
    weights, word = tf.Variable(tf.ones([8, 8])), tf.constant("the word")

    @tf.function(input_signature=[tf.TensorSpec((4, 8), name="x")])
    def model(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"said": tf.identity(word), "y": tf.nn.softmax(tf.math.erfc(x) @ weights), "z": tf.sin(x)}

    report = find(model, workers=workers)
    assert [[c.op for c in f.culprits] for f in report.findings] == [[], ["Erfc"]] and report.complete, str(report)
    (remedy,) = report.findings[0].remedies
    assert "text" in (report.findings[0].cause or "") and remedy.past
    assert remedy.code is not None and remedy.code.count("ct.TensorType(") == 2


def test_an_output_that_is_text_is_noted_where_another_failure_comes_first(workers: Workers) -> None:
    @tf.function(input_signature=[tf.TensorSpec((4, 8), name="x")])
    def model(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"said": tf.constant(["a", "b", "c"]), "y": tf.math.erfc(x)}

    report = find(model, workers=workers)
    assert [[c.op for c in f.culprits] for f in report.findings] == [["Erfc"]], str(report)
    assert any("is text" in note for note in report.notes)


@pytest.mark.parametrize("named", ["Identity_1", "no_such"])
def test_text_that_the_call_does_not_ask_for_is_no_cause(named: str, workers: Workers) -> None:
    @tf.function(input_signature=[tf.TensorSpec((4, 8), name="x")])
    def model(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"said": tf.constant(["a", "b", "c"]), "y": tf.math.erfc(x)}

    report = find(model, workers=workers, outputs=[ct.TensorType(name=named)])
    causes = [[c.op for c in f.culprits] for f in report.findings]
    assert causes == ([["Erfc"]] if named == "Identity_1" else [[], ["Erfc"]]), str(report)
    assert not any("text" in (f.cause or "") for f in report.findings)


def test_the_outputs_beside_a_text_are_not_given_up_for_another_failure() -> None:
    """They would be asked for again, and given up again, without end."""
    text = Op("said", "Const", (), (Tensor("said:0", "string", (3,)),), constant=True)
    y = Op("y", "Relu", (), (Tensor("y:0", "float32", (4,)),))
    graph = Graph("", {"said": text, "y": y}, ("said:0", "y:0"))
    late = Failure(Signature(Stage.BACKEND, None, "ValueError", "other"), "ValueError", "other")
    whole, left = Call({}, graph), Call({"outputs": [{"kind": "TensorType", "name": "y"}]}, graph)
    assert list(_suspects(whole, late)) == ["outputs"] and _contradicts("outputs", whole, late)
    assert corrections("outputs", whole, "other")[0].changes == left.given
    assert not _contradicts("outputs", left, late)
