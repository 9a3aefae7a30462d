"""A process that was lent does its owner's work afterwards as it did before."""

from __future__ import annotations

import gc
import logging
import os
import resource
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from bisect_convert import find

MODEL = Path(__file__).resolve().parents[2] / "fixtures" / "two_culprits" / "model"
held: dict[str, Any] = {}


def begin() -> float:
    """The owner's work: a function of TensorFlow, with a loop, that is used now and later."""
    import tensorflow as tf

    @tf.function
    def count(x: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(lambda i: i < 5.0, lambda i: (i + 1.0,), [x])[0]

    held.update(count=count, weight=tf.Variable(2.0))
    return go_on()


def go_on() -> float:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = held["weight"] * held["count"](tf.constant(0.0))
    return float(loss) + float(tape.gradient(loss, held["weight"]))


def state() -> dict[str, Any]:
    from coremltools.converters.mil.frontend.tensorflow2.load import TF2Loader

    return {
        "collects": gc.isenabled(), "frozen": gc.get_freeze_count(),
        "level": logging.getLogger("coremltools").level,
        "loader": TF2Loader._get_concrete_functions_and_graph_def.__module__,
        "memory": resource.getrlimit(resource.RLIMIT_AS), "pid": os.getpid(),
    }  # fmt: skip


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def test_a_lent_process_comes_back_as_it_was(executor: Executor) -> None:
    assert executor.submit(begin).result() == 15.0
    before = executor.submit(state).result()
    for _ in range(2):
        assert find(MODEL, executor=executor, memory=6.0).verdict == "fails"
        assert executor.submit(state).result() == before
        assert executor.submit(go_on).result() == 15.0
