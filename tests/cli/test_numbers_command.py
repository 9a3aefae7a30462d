"""The command on models that convert and compute something else, on packages made elsewhere, and on bad samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert.cli.command import main


@pytest.fixture(scope="module")
def summing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel whose sum is beyond float16, with a sample beside it."""
    place = tmp_path_factory.mktemp("models") / "summing"
    module = tf.Module()
    spec = tf.TensorSpec((1, 640), tf.float32, "x")
    body = tf.function(lambda x: tf.reduce_sum(x * 1000.0, 1, name="total") / 640000.0, input_signature=[spec])
    tf.saved_model.save(module, str(place), signatures={"serving_default": body.get_concrete_function()})
    (place / "assets.extra").mkdir()
    np.savez(place / "assets.extra" / "sample.npz", x=np.ones((1, 640), "f"))
    return place


def test_the_sample_beside_a_model_is_compared(summing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(summing), "--no-cache", "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "differs" and report["numbers"]["samples"] == 1
    assert report["numbers"]["outputs"][0]["scale"] == pytest.approx(1.0)
    finding = report["findings"][0]
    assert (finding["stage"], finding["error"]["type"], finding["culprits"][0]["op"]) == ("numbers", "overflow", "Sum")
    assert finding["error"]["message"] == "Sum reaches 640000; float16 ends at 65504"


def test_bad_samples_and_packages_are_bad_usage(
    summing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "s.npz", y=np.ones((1, 640), "f"))
    assert main([str(summing), "--no-cache", "--numbers", str(tmp_path / "s.npz")]) == 2
    assert capsys.readouterr().err.strip().endswith("the model has no input y; its inputs are x")
    assert main([str(summing), "--no-cache", "--against", str(tmp_path / "s.npz")]) == 2
    assert "cannot be read as a Core ML model" in capsys.readouterr().err
