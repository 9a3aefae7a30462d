"""Models that draw, by a seed that is given or one that they keep; and what is drawn in the place of TensorFlow's numbers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import tensorflow as tf

from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.fix.converted import fixed
from bisect_convert.fix.destination import destination
from bisect_convert.probe.client import Workers
from bisect_convert.recipes.draws import RandomGamma, StatelessRandomGammaV3, StatelessTruncatedNormalV2
from bisect_convert.report.fix import Fix


def _fix_of(module: tf.Module, call: Any, tmp_path: Path, workers: Workers) -> tuple[Fix, set[str], int, set[str]]:
    """What came of it, the names of the inputs, the number of outputs, and the kinds of ops that draw."""
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=call)
    place = destination(str(tmp_path / "out.mlpackage"), {})
    fix = find_packed(tmp_path / "model", {}, Wishes(), workers, fixing=partial(fixed, destination=place)).fix
    assert fix is not None and fix.converted and fix.verified, fix and fix.reasons
    spec = ct.models.MLModel(str(place.path), skip_model_load=True).get_spec()
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    draws = {o.type for o in block.operations if o.type.startswith("random")}
    return fix, {i.name for i in spec.description.input}, len(spec.description.output), draws


def test_a_seed_that_nothing_reads_any_more_is_neither_input_nor_output(tmp_path: Path, workers: Workers) -> None:
    def call(x: Any, seed: Any) -> Any:
        shape = tf.math.softplus(x) + 0.5
        return {"z": tf.random.stateless_gamma([2, 3], seed, shape), "kept": tf.math.erfc(x)}

    specs = tf.TensorSpec([2, 3], name="x"), tf.TensorSpec([2], tf.int32, name="seed")
    module = tf.Module()
    fix, inputs, outputs, draws = _fix_of(module, tf.function(call).get_concrete_function(*specs), tmp_path, workers)
    assert {e.recipe for e in fix.edits} == {"StatelessRandomGammaV3", "Erfc"} and not fix.moved
    assert inputs == {"x"} and outputs == 2 and draws == {"random_normal", "random_uniform"}
    (drawn,) = [e for e in fix.edits if "Gamma" in e.recipe]
    assert drawn.equal is None and "random" in (drawn.caution or "")
    assert fix.agreement is not None and fix.agreement.max_rel is not None and fix.agreement.max_rel <= 1e-6


def test_a_model_that_keeps_a_seed_draws_anew_in_each_call_and_the_seed_is_no_state_of_the_apps(
    tmp_path: Path, workers: Workers
) -> None:
    module = tf.Module()
    module.seed = tf.Variable([7, 9], dtype=tf.int32)

    @tf.function(input_signature=[tf.TensorSpec([2, 3], name="x")])
    def call(x: Any) -> Any:
        module.seed.assign(module.seed + 1)
        return {"y": tf.math.erfc(x), "z": x + tf.random.stateless_normal([2, 3], module.seed.read_value())}

    fix, inputs, _, draws = _fix_of(module, call, tmp_path, workers)
    assert inputs == {"x"} and not fix.state and not fix.moved
    assert draws == {"random_normal"}, "what is drawn once is a constant"
    assert {"stateless", "StatelessRandomNormalV2"} <= {e.recipe for e in fix.edits}


@pytest.mark.parametrize("alpha", [0.3, 1.0, 2.5, 30.0])
def test_gamma_draws_have_the_distribution(alpha: float) -> None:
    tf.random.set_seed(3)
    drawn = StatelessRandomGammaV3(tf.constant([100_000]), None, None, None, tf.constant(alpha)).numpy()
    wanted = np.random.default_rng(4).gamma(alpha, size=1_000_000)
    at = [0.05, 0.25, 0.5, 0.75, 0.95]
    np.testing.assert_allclose(np.quantile(drawn, at), np.quantile(wanted, at), rtol=0.05)
    assert abs(drawn.mean() / alpha - 1.0) < 0.02 and abs(drawn.var() / alpha - 1.0) < 0.05


def test_gamma_draws_of_the_op_with_a_state_have_the_shape_of_both() -> None:
    assert RandomGamma(tf.constant([5, 2]), tf.constant([0.5, 1.0, 2.0])).shape == (5, 2, 3)


def test_truncated_draws_lie_within_two_deviations() -> None:
    drawn = StatelessTruncatedNormalV2(tf.constant([50_000]), None, None, None, dtype=tf.float32).numpy()
    assert np.abs(drawn).max() < 2.0 and abs(drawn.std() - 0.8796) < 0.02
