"""`--import`: modules of the user's own, whose layers and conversions are known then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

_LAYERS = """
import keras

class Fold(keras.layers.Layer):
    def call(self, x):
        return keras.ops.concatenate([keras.ops.relu(x), keras.ops.relu(-x)], -1)

class Shift(keras.layers.Layer):
    def call(self, x):
        import tensorflow as tf

        return tf.math.expm1(tf.roll(x, 1, 1))
"""
_CONVERSIONS = """
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import register_tf_op

@register_tf_op
def Expm1(context, node):
    grown = mb.exp(x=context[node.inputs[0]])
    context.add(node.name, mb.sub(x=grown, y=1.0, name=node.name))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("own")
    (made / "layers.py").write_text(_LAYERS)
    (made / "conversions.py").write_text(_CONVERSIONS)
    (made / "broken.py").write_text("x = nothing_of_this_name\n")

    class Fold(tf.keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: tf.Tensor) -> tf.Tensor:
            return tf.concat([tf.nn.relu(x), tf.nn.relu(-x)], -1)

    class Shift(tf.keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: tf.Tensor) -> tf.Tensor:
            return tf.math.expm1(tf.roll(x, 1, 1))

    given = tf.keras.Input((4,), batch_size=1)
    tf.keras.Model(given, Shift(name="shift")(Fold(name="fold")(given))).save(made / "shifted.keras")
    tf.keras.Model(given, Fold(name="fold")(given)).save(made / "model.keras")
    return made


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--import", "layers"], 0, "converts with coremltools"),
        ([], 2, "the layer 'fold' of the class Fold, whose code is not in the file: name the module that defines it, --import"),
        (["--import", "nowhere"], 2, "--import nowhere: there is no such module here"),
        (["--import", "broken"], 2, "--import broken: its code fails with NameError: name 'nothing_of_this_name'"),
    ],
)  # fmt: skip
def test_a_module_makes_the_layers_of_a_file_known(folder: Path, words: list[str], status: int, said: str) -> None:
    command = [sys.executable, "-m", "bisect_convert", "model.keras", "--numbers", "off", *words]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, timeout=300
    )
    assert done.returncode == status, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_of_layers_of_ones_own_is_fixed_by_a_script_that_imports_them(folder: Path) -> None:
    command = [
        sys.executable, "-m", "bisect_convert", "shifted.keras", "--import", "layers", "--import", "conversions",
        "--fix", "out.mlpackage",
    ]  # fmt: skip
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "converted, with 1 edit" in done.stdout and "it made the same program" in done.stdout
    assert "import layers  # of your own" in (folder / "out.fix.py").read_text()
