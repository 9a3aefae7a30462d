"""Layers as Keras has them: told where that is certain, and never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from bisect_convert import Session, find
from bisect_convert.explain.keras_layers import keras_layer
from bisect_convert.render import render
from bisect_convert.render.found_line import found_line

LAYERS = {"hue_fix": "HueJitterFix", "enc": "Functional", "dense": "Dense", "dense_1": "Dense", "dense_2": "Dense"}


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        ("shop_1/hue_fix_1", "hue_fix"),
        ("shop/hue_fix", "hue_fix"),
        ("shop_1/enc_3/hue_fix_12/inner", "enc/hue_fix"),
        ("shop_1/dense_1", None),  # dense traced anew, or dense_1
        ("shop_1/dense_1_2", "dense_1"),
        ("shop_1/dense_3", "dense"),
        ("shop_1/hue_fixed", None),
        ("shop_1", None),
    ],
)
def test_a_layer_is_told_where_only_one_can_be_meant(scope: str, name: str | None) -> None:
    assert keras_layer(scope, LAYERS) == name


@pytest.mark.parametrize("how", ["export", "save"])
def test_the_layers_of_a_saved_model_are_without_the_numbers_of_its_trace(how: str, tmp_path: Any) -> None:
    import tensorflow as tf

    dense = tf.keras.layers.Dense
    x = tf.keras.Input((8,), batch_size=1, name="x")
    hidden = tf.keras.layers.Lambda(tf.math.erfc, name="fix_1")(dense(8)(dense(8, name="stem")(x)))
    model = tf.keras.Model(x, dense(8, name="head")(hidden), name="shop")
    if how == "export":
        model.export(str(tmp_path / "model"), verbose=False)
    else:
        tf.saved_model.save(model, str(tmp_path / "model"))
    report = find(tmp_path / "model")
    assert [c.layer for c in report.findings[0].culprits] == ["shop/fix_1"]
    assert "SaveOptions(save_debug_info=True)" in str(report)
    with Session(tmp_path / "model") as session:
        assert {"shop/stem", "shop/fix_1", "shop/head"} <= set(session.layers())


def test_a_report_on_a_keras_model_has_its_own_names(tmp_path: Any) -> None:
    import tensorflow as tf

    class HueJitterFix(tf.keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return tf.math.erfc(x)

    x = tf.keras.Input((8,), batch_size=1, name="x")
    hidden = HueJitterFix(name="hue_fix")(tf.keras.layers.Dense(8, name="stem")(x))
    last = tf.keras.layers.Dense(4, activation="gelu", use_bias=False, name="head")(hidden)
    model = tf.keras.Model(x, last, name="shop")
    report = find(model)
    assert str(report).startswith("shop does not convert")
    (culprit, ffn) = report.findings[0].culprits
    assert ffn.keras_arguments == "units=4, activation='gelu', use_bias=False" and culprit.keras_arguments is None
    assert culprit.source_text == "return tf.math.erfc(x)" and ": return tf.math.erfc(x)" in str(report)
    assert (culprit.keras_layer, culprit.keras_class) == ("hue_fix", "HueJitterFix")
    assert culprit.layer is not None and culprit.layer == "shop/hue_fix"
    assert "  layer    hue_fix, class HueJitterFix\n" in render(report, "text")
    assert "hue_fix, class HueJitterFix" in render(report, "markdown")
    assert f'<code title="{culprit.layer}">hue_fix, class HueJitterFix</code>' in render(report, "html")
    with Session(model) as session:
        assert [c.keras_layer for c in session.hunt().findings[0].culprits] == ["hue_fix", "head"]
        assert session.witness(session.report.findings[0]).ops
    assert found_line(report.findings[0]).startswith("Erfc (float32) in layer hue_fix")
