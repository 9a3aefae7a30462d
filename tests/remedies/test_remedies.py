"""Remedies: which are probed, what is claimed of them, and that each recipe converts and equals its op."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bisect_convert import find
from bisect_convert.arguments.as_code import arguments_code
from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import Rule, Why
from bisect_convert.explain.why import explain
from bisect_convert.model.cuts import Section
from bisect_convert.model.graph import Graph, Model, Op, Tensor
from bisect_convert.model.loaded import Loaded
from bisect_convert.model.outcome import Failure, Outcome, Signature, Stage
from bisect_convert.probe.client import Workers
from bisect_convert.probe.prober import Prober
from bisect_convert.recipes import UNFIT, all_recipes, recipes_of
from bisect_convert.remedies import remedies
from bisect_convert.report.findings import Context, Culprit, Enclosing, Remedy, TensorFact, Witness
from bisect_convert.report.questions import Kind, Question
from bisect_convert.search.found import Found

TESTS = Path(__file__).parents[1]
FIXTURES = TESTS.parent / "fixtures"


# --- recipes ---------------------------------------------------------------------------------------------------------


@cache
def checked() -> dict[str, Any]:
    """What came of each recipe, all in one process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), *filter(None, sys.path)])}
    command = [sys.executable, str(TESTS / "recipe_samples.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return cast("dict[str, Any]", json.loads(done.stdout.splitlines()[-1]))


#: Whose vectors may have the other sign, or which draw.
OPEN_VALUES = {"Svd", "SelfAdjointEigV2", *(r.name for r in all_recipes() if re.search("Random|Truncated", r.name))}
RECIPES = [recipe.name for recipe in all_recipes()]


def test_each_recipe_converts_where_its_op_does_not_and_computes_the_same() -> None:
    assert sorted({name.partition(" ")[0] for name in checked()} | OPEN_VALUES) == sorted(RECIPES)
    assert [name for name, done in checked().items() if not done["refused"]] == [], "the op itself converts"
    assert {name: done["error"] for name, done in checked().items() if done["error"] is not None} == {}
    assert [name for name, done in checked().items() if not done["equal"]] == []
    assert {name: done["evaluated"] for name, done in checked().items() if done["evaluated"] is not None} == {}


@pytest.mark.parametrize("recipe", all_recipes(), ids=RECIPES)
def test_the_code_of_a_recipe_stands_on_its_own(recipe: Any) -> None:
    tree = ast.parse(recipe.code)
    (function,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
    assert function.name.islower() and ast.get_docstring(function) is None
    known = {a.asname or a.name for n in tree.body if isinstance(n, ast.Import) for a in n.names}
    known |= {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    helpers = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id.startswith("_") and n.id != "_"}
    modules = {n.value.id for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)}
    assert helpers <= known and modules & {"tf", "math", "np"} <= known
    assert recipe.summary[:1] and "\n" not in recipe.summary and not recipe.summary.endswith(".")


def test_recipes_with_words_go_before_those_without() -> None:
    assert [r.name for r in recipes_of("MaxPool")] == ["MaxPool__explicit", "MaxPool__int32_int64_uint8_int8"]
    assert recipes_of("Conv2D") == ()


# --- what is probed and claimed --------------------------------------------------------------------------------------


class FakeProber:
    """Answers trials by a function of (options, recipe), and keeps the questions."""

    def __init__(self, model: Model, options: Mapping[str, Any], answer: Callable[..., Outcome]) -> None:
        self.model = model
        self.loaded = SimpleNamespace(
            inputs=({"name": "x", "dtype": "float32"},), keys={}, refused=False, unknown=frozenset()
        )
        self.options = dict(options)
        self.answer = answer
        self.asked: list[str] = []
        self.fixes = SimpleNamespace(fixed=False)

    def trial(
        self, section: Section, question: Question, *, options: Any = None, op: Any = None, recipe: Any = None,
        one_batch: bool = False,
    ) -> Outcome:  # fmt: skip
        self.fixes.fixed = one_batch
        self.asked.append(str(question))
        return self.answer(options or {}, recipe)


def failing(*_: Any) -> Outcome:
    return Outcome(Failure(Signature(Stage.LOWERING, None, "ValueError", "odd"), "ValueError", "odd"))


def case(
    kind: str,
    message: str,
    *,
    stage: Stage = Stage.LOWERING,
    dtype: str = "float32",
    options: Mapping[str, Any] | None = None,
    answer: Callable[..., Outcome] = failing,
    argument: str | None = None,
    context: Context | None = None,
    rule: Rule | None = None,
    shape: tuple[int | None, ...] = (1, 8),
    fixes: SimpleNamespace | None = None,
) -> tuple[tuple[Remedy, ...], FakeProber]:
    """The remedies for one op "a" of this type that reads the input "x"."""
    x, a = Tensor("x:0", "float32", shape), Tensor("a:0", dtype, shape)
    ops = {"x": Op("x", "Placeholder", (), (x,)), "a": Op("a", kind, ("x:0",), (a,))}
    model = Model("m", None, {"": Graph("", ops)}, "")
    failure = Failure(Signature(stage, None, "ValueError", message), "ValueError", message, traceback="...")
    blamed = () if argument else (("", "a"),)
    found = Found(failure, blamed, Section("", frozenset({"a"})), True, True, argument=argument)
    facts = TensorFact("x:0", "float32", shape), TensorFact("a:0", dtype, shape)
    culprits = () if argument else (Culprit("a", kind, inputs=facts[:1], outputs=facts[1:]),)
    prober = FakeProber(model, options or {}, answer)
    prober.fixes = fixes or prober.fixes
    made = Case(found, model, culprits, Witness(("a",)), context or Context(), options=options or {})
    why = explain(made) if rule is None else Why(rule, "")
    return remedies(made, why, cast(Prober, prober)), prober


def unknown(kind: str) -> str:
    return f"Conversion for TF op '{kind}' not implemented."


def test_a_recipe_is_verified_only_where_the_witness_converted_with_it() -> None:
    found, prober = case("Expm1", unknown("Expm1"), answer=lambda options, recipe: Outcome())
    assert prober.asked == ["remedy: Expm1 rewritten"]
    assert found[0].verified and found[0].kind == "rewrite" and "tf.exp(x) - 1.0" in (found[0].code or "")
    found, _ = case("Expm1", unknown("Expm1"))
    assert not any(r.verified or "tf.exp" in (r.code or "") for r in found)


@pytest.mark.parametrize(
    "reason, offered", [("x:0 (string) cannot be an input", True), (f"{UNFIT}: ValueError", False)]
)
def test_a_recipe_that_could_not_be_probed_is_offered_but_one_that_refused_is_not(reason: str, offered: bool) -> None:
    found, _ = case("Expm1", unknown("Expm1"), answer=lambda options, recipe: Outcome(unresolved=reason))
    assert not any(r.verified for r in found)
    assert any("tf.exp(x)" in (r.code or "") for r in found) is offered


def test_a_recipe_with_words_needs_one_of_them_at_the_op() -> None:
    message = "Cast: Provided destination type bool not supported."
    found, prober = case("Cast", message, dtype="bool", answer=lambda options, recipe: Outcome())
    assert prober.asked == ["remedy: Cast rewritten"] and "not_equal" in (found[0].code or "")
    _, prober = case("Cast", "odd", dtype="float64")
    assert "remedy: Cast rewritten" not in prober.asked


def test_an_op_without_a_conversion_gets_no_probes_of_options_and_a_conversion_to_fill_in() -> None:
    found, prober = case("Zeta", unknown("Zeta"))
    assert prober.asked == []
    (composite,) = found
    assert not composite.verified and "def Zeta(context, node):" in (composite.code or "")
    ast.parse(composite.code or "")


def test_the_lowest_target_that_converts_is_named_after_at_most_three_probes() -> None:
    def from_17(options: Mapping[str, Any], recipe: Any) -> Outcome:
        return Outcome() if options.get("minimum_deployment_target", "") >= "iOS17" else failing()

    found, prober = case("LRN", "odd", answer=from_17)
    assert [r.code for r in found if r.verified] == ["minimum_deployment_target=ct.target.iOS17"]
    assert prober.asked == ["remedy: target iOS18", "remedy: target iOS16", "remedy: target iOS17"]


def test_a_target_that_is_the_highest_already_is_lowered() -> None:
    found, prober = case(
        "LRN", "odd", options={"minimum_deployment_target": "iOS18"},
        answer=lambda options, recipe: Outcome() if options["minimum_deployment_target"] == "iOS17" else failing(),
    )  # fmt: skip
    assert [r.summary for r in found if r.verified] == ["lower the target to iOS17: the failing section converts then"]
    assert len(prober.asked) == 1


@pytest.mark.parametrize("message", ["Cast: Provided destination type x", "Graph is not a DAG!"])
def test_what_no_option_changes_is_not_probed(message: str) -> None:
    _, prober = case("LRN", message)
    assert prober.asked == []


def test_behind_the_frontend_float32_is_tried_first() -> None:
    found, prober = case("LRN", "odd", stage=Stage.MIL_PASS, answer=lambda options, recipe: Outcome())
    assert prober.asked == ["remedy: compute in float32"]
    assert found[0].code == "compute_precision=ct.precision.FLOAT32"


def test_the_old_format_is_replaced() -> None:
    options = {"convert_to": "neuralnetwork", "minimum_deployment_target": "iOS13"}
    found, _ = case("LRN", "odd", options=options, answer=lambda options, recipe: Outcome())
    assert found[0].code == "convert_to='mlprogram', minimum_deployment_target=ct.target.iOS15"


def test_a_size_that_comes_from_an_input_is_fixed() -> None:
    found, _ = case(
        "LRN", "dynamic shape", shape=(None, None, 3),
        answer=lambda options, recipe: Outcome() if "inputs" in options else failing(),
    )  # fmt: skip
    assert [r.code for r in found if r.verified] == ["inputs=[ct.TensorType(name='x', shape=(1, 64, 3))]"]


def test_an_argument_at_fault_is_left_out_or_mended() -> None:
    options = {"inputs": [{"kind": "TensorType", "name": "x", "shape": [1, {"range": [1, -1, 4]}]}]}
    found, prober = case(
        "LRN", "inputs with infinite upper_bound", options=options, argument="inputs",
        answer=lambda options, recipe: Outcome(),
    )  # fmt: skip
    assert {(r.kind, r.verified) for r in found} == {("option", True)}
    assert [r.code for r in found] == [
        "inputs=[ct.TensorType(name='x', shape=(1, ct.RangeDim(1, 2048, 4)))]",
        "inputs=[ct.TensorType(name='x', shape=(1, 4))]",
        None,
    ]
    found, _ = case("LRN", "odd", options=options, argument="inputs")
    assert [r.verified for r in found] == [False]


LOOP = Context(enclosing=(Enclosing("While", "model/gru_1/while", "f", "loop_cond"),))


def test_a_recurrent_layer_is_unrolled_with_its_weights_where_that_was_seen_to_convert() -> None:
    def unrolling(options: Any, recipe: Any) -> Outcome:
        return Outcome(compared="same values (random, zeros)") if recipe == "unrolled" else failing()

    (found,), _ = case("Less", "list index out of range", context=LOOP, answer=unrolling)
    assert found.verified and found.compared == "same values (random, zeros)"
    assert "keras.layers.GRU(units, ..., unroll=True)" in (found.code or "") and "set_weights" in (found.code or "")
    ast.parse(found.code or "")


def test_where_it_cannot_be_unrolled_the_test_of_the_limit_is_left_out() -> None:
    def limited(options: Any, recipe: Any) -> Outcome:
        return Outcome(compared="same values (random)") if recipe == "without_limit" else failing()

    (found,), _ = case("Less", "list index out of range", context=LOOP, answer=limited)
    assert found.verified and "--fix" in (found.code or "")


def test_high_ranks_are_tried_on_the_witness_then_on_the_whole() -> None:
    (found,), prober = case("Tanh", "Core ML only supports tensors with rank <= 5")
    assert len(prober.asked) == 2 and not found.verified and found.tried == "not tried"
    ast.parse(found.code or "")


@pytest.mark.parametrize(
    ("compared", "verified", "tried"),
    [
        ("same values (random); differs above 255", True, "verified"),
        ("values not compared: TensorFlow does not run it here", False, "converts, values not compared"),
    ],
)
def test_a_rewrite_whose_values_were_not_compared_is_not_verified(compared: str, verified: bool, tried: str) -> None:
    found, _ = case("Expm1", unknown("Expm1"), answer=lambda options, recipe: Outcome(compared=compared))
    assert (found[0].verified, found[0].tried, found[0].compared) == (verified, tried, compared)


def test_a_rewrite_that_needs_a_fixed_batch_says_which_inputs_to_fix() -> None:
    def only_fixed(options: Any, recipe: Any) -> Outcome:
        return Outcome() if prober.fixed else Outcome(unresolved=f"{UNFIT}: TypeError")

    prober = SimpleNamespace(fixed=False)
    found, asked = case("Cumprod", unknown("Cumprod"), shape=(None, 8), answer=only_fixed, fixes=prober)
    assert found[0].verified and "fits with a fixed batch: --input x:1x8 " in found[0].summary
    assert asked.asked == ["remedy: Cumprod rewritten", "remedy: Cumprod rewritten, with a fixed batch"]


def test_options_are_written_as_python() -> None:
    packed = {
        "minimum_deployment_target": "iOS17",
        "classifier_config": {"class_labels": ["a'b"], "predicted_feature_name": None},
        "inputs": [{"kind": "ImageType", "name": "x", "shape": [1, 2, 2, 3], "scale": 0.5, "color_layout": "RGB"}],
        "compute_precision": {"op_selector": "..."},
    }
    code = arguments_code(packed)
    ast.parse(f"f({code})")
    assert "compute_precision" not in code and '"a\'b"' in code


# --- real ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fixture, start",
    [
        ("exact_gelu", "import tensorflow as tf"),
        ("bool_mask", "import tensorflow as tf"),
        ("roll_in_while", "import tensorflow as tf"),
        ("nms_for_ios17", "minimum_deployment_target=ct.target."),
    ],
)
def test_a_fixture_has_a_verified_remedy_and_it_costs_no_probe_that_counts(
    fixture: str, start: str, workers: Workers
) -> None:
    options = json.loads((FIXTURES / fixture / "cause.json").read_text())["options"]
    report = find(FIXTURES / fixture / "model", workers=workers, **options)
    (finding,) = report.findings
    (verified,) = [r for r in finding.remedies if r.verified]
    assert (verified.code or "").startswith(start)
    assert any(p.question.startswith("remedy: ") and p.verdict == "converts" for p in report.journal)
    assert report.asked <= sum(not p.cached for p in report.journal if not p.question.startswith("remedy: "))


def test_a_trial_is_asked_once_and_not_counted() -> None:
    class Answering:
        def __init__(self) -> None:
            self.requests: list[Any] = []

        def ask(self, request: Any) -> dict[str, Any]:
            self.requests.append(request)
            return {"outcome": Outcome(seconds=0.1).to_json()}

    x, a = Tensor("x:0", "float32", (1,)), Tensor("a:0", "float32", (1,))
    ops = {"x": Op("x", "Placeholder", (), (x,)), "a": Op("a", "Relu", ("x:0",), (a,))}
    model = Model("m", None, {"": Graph("", ops)}, "")
    loaded = Loaded(model, Path("."), {"": "graph.pb"}, None, frozenset({"Relu"}), (), False)
    workers = Answering()
    prober = Prober(loaded, cast(Workers, workers), {})
    section = Section("", frozenset({"a"}))
    for _ in range(2):
        assert prober.trial(section, Kind.REMEDY.asks("r"), op="a", recipe="Erfc").converted
    assert (prober.asked, prober.cached, len(workers.requests)) == (0, 0, 1)
    assert [p.cached for p in prober.journal] == [False, True]
    assert prober.trial(section, Kind.REMEDY.asks("o"), options={"convert_to": "mlprogram"}).converted
    assert workers.requests[1].options == {"convert_to": "mlprogram"}


@pytest.mark.parametrize(("zero", "apart"), [(1.0, 1e-3), (2.0, 1e-3), (1.0, 1e-5)])
def test_lgamma_is_as_exact_near_its_zeros(zero: float, apart: float) -> None:
    import numpy as np
    import tensorflow as tf

    from bisect_convert.recipes.elementwise import Lgamma

    x = tf.constant(np.linspace(zero - apart, zero + apart, 2001), tf.float32)
    want = tf.math.lgamma(tf.cast(x, tf.float64)).numpy()
    assert np.abs(Lgamma(x).numpy() - want).max() <= 1e-6 * np.abs(want).max()
