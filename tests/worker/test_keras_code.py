"""Python code in a Keras file does not run unless that is allowed, whatever this release of Keras makes of `safe_mode`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from bisect_convert.errors import ModelError
from bisect_convert.worker.read import opening
from bisect_convert.worker.read.keras_code import holds_code
from bisect_convert.worker.request import Load

layers = tf.keras.layers
FORMATS = ("m.h5", "m.hdf5", "m.keras")


def trap(ran: Path) -> tf.keras.layers.Layer:
    """A layer that, run anywhere, leaves a file behind."""
    return layers.Lambda(eval(f"lambda x: (open({str(ran)!r}, 'w').close(), x)[1]"), output_shape=(4,))


def plain(ran: Path) -> tf.keras.Model:
    return tf.keras.Sequential([tf.keras.Input((4,)), trap(ran)])


def nested(ran: Path) -> tf.keras.Model:
    return tf.keras.Sequential([tf.keras.Input((4,)), layers.Dense(4), plain(ran)])


def wrapped(ran: Path) -> tf.keras.Model:
    return tf.keras.Sequential([tf.keras.Input((3, 4)), layers.TimeDistributed(trap(ran))])


@pytest.mark.parametrize("make", [plain, nested, wrapped])
@pytest.mark.parametrize("name", FORMATS)
def test_code_is_refused_and_does_not_run(
    make: Callable[[Path], tf.keras.Model], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran, path = tmp_path / "ran", tmp_path / name
    make(ran).save(path)
    ran.unlink(missing_ok=True)
    loads = tf.keras.models.load_model  # as in those releases that load any .h5
    monkeypatch.setattr(
        tf.keras.models, "load_model", lambda path, safe_mode, **more: loads(path, safe_mode=False, **more)
    )
    with pytest.raises(ModelError, match=rf"{name} holds Python code \(a Lambda layer\).*pass --allow-code"):
        opening.read_model(Load(str(path), str(tmp_path)))
    assert not ran.exists()


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_without_code_is_read(name: str, tmp_path: Path) -> None:
    model = tf.keras.Sequential([tf.keras.Input((4,)), layers.Dense(4, activation="relu", name="lambda_of")])
    model.save(tmp_path / name)
    assert not holds_code(str(tmp_path / name))
    assert opening.read_model(Load(str(tmp_path / name), str(tmp_path)))["ops"]


def test_code_runs_where_it_is_allowed(tmp_path: Path) -> None:
    ran, path = tmp_path / "ran", tmp_path / "m.keras"
    plain(ran).save(path)
    ran.unlink(missing_ok=True)
    opening.read_model(Load(str(path), str(tmp_path), allow_code=True))
    assert ran.exists()
