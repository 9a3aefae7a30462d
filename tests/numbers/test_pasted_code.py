"""What is to be kept in float32, as the report has it: pasted into another process, whose functions have other numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import compare, find
from bisect_convert.probe.client import Workers

X = np.linspace(0.9, 1.1, 8, dtype="f")[None]
_MODEL = """
import tensorflow as tf

def turn(i, s, x):
    return i + 1, tf.add(s, x * 10000.0, name="acc"), x

def summed(x):
    state = [tf.constant(0), tf.zeros_like(x), x]
    return tf.while_loop(lambda i, s, x: i < 12, turn, state)[1]

def body(x):
    y = tf.cond(tf.reduce_sum(x) > 0.0, lambda: summed(x) * 0.25, lambda: tf.nn.relu(x)) if NESTED else summed(x)
    return y / 100000.0

def traced():
    return tf.function(body, input_signature=[tf.TensorSpec((1, 8), name="x")])
"""
_PASTED = """
import sys, coremltools as ct, tensorflow as tf
for n in range(3):  # functions of the process's own, so that those of the model have other numbers than before
    tf.function(lambda x: tf.while_loop(lambda i: i < n, lambda i: i + 1, [x])).get_concrete_function(tf.constant(0))
MODEL
model = tf.saved_model.load(sys.argv[1]).signatures["serving_default"] if SAVED else traced().get_concrete_function()
CODE
ct.convert([model], source="tensorflow", compute_precision=compute_precision, skip_model_load=True).save(sys.argv[2])
"""


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("saved", [False, True])
def test_what_is_kept_in_float32_in_loops_is_so_in_another_process(
    nested: bool, saved: bool, tmp_path: Path, workers: Workers
) -> None:
    written = _MODEL.replace("NESTED", str(nested))
    own: dict[str, object] = {}
    exec(written, own)
    function = own["traced"]()  # type: ignore[operator]
    path, package = tmp_path / "model", tmp_path / "out.mlpackage"
    tf.saved_model.save(tf.Module(), str(path), signatures=function.get_concrete_function())
    (finding,) = find(path if saved else function, numbers={"x": X}, workers=workers).findings
    assert finding.error_type == "overflow" and finding.remedies[0].verified
    code = finding.remedies[0].code or ""
    script = _PASTED.replace("MODEL", written).replace("SAVED", str(saved)).replace("CODE", code)
    done = subprocess.run([sys.executable, "-c", script, str(path), str(package)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert compare(path, package, {"x": X}, workers=workers).verdict == "converts"
