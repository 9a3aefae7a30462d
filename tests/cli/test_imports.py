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
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("own")
    (made / "layers.py").write_text(_LAYERS)
    (made / "broken.py").write_text("x = nothing_of_this_name\n")

    class Fold(tf.keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: tf.Tensor) -> tf.Tensor:
            return tf.concat([tf.nn.relu(x), tf.nn.relu(-x)], -1)

    given = tf.keras.Input((4,), batch_size=1)
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
