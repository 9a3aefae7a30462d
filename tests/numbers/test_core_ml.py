"""What is said where Core ML is there to be asked, with a stand-in for it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from bisect_convert.worker.numbers.agreement import agreement
from bisect_convert.worker.numbers.core_ml import asked, told

WANTED = [{"y:0": np.float32([1.0, 2.0])}]
FEEDS = [{"x": np.float64([3.0]), "ids": np.int64([7]), "on": np.array([True])}]


class StandIn:
    """Takes what Core ML takes, and gives the values it was made with."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        assert {name: value.dtype for name, value in inputs.items()} == {
            "x": np.float32, "ids": np.int32, "on": np.int32
        }  # fmt: skip
        return {"y": np.float32(self.values)}


class Refusing:
    def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("Unable to compute the prediction\nmore of it")


def said(model: Any) -> dict[str, Any]:
    return told(asked(model, FEEDS, ["y:0"], lambda m: m), WANTED, agreement(WANTED, WANTED), 0.02)


def test_core_ml_that_agrees_is_named_beside_the_evaluator() -> None:
    found = said(StandIn(1.0, 2.01))
    assert found["by"] == "core ml" and found["device_agrees"]
    assert found["device"] == "Core ML itself: 0.005 of scale; the evaluator: 0"


def test_core_ml_that_differs_is_told_from_the_program() -> None:
    assert not said(StandIn(1.0, 9.0))["device_agrees"]


def test_what_core_ml_does_not_run_is_said_in_a_line() -> None:
    assert said(Refusing()) == {"device": "Core ML itself did not run it: Unable to compute the prediction"}


def test_elsewhere_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert asked("no.mlpackage", FEEDS, ["y:0"]) is None and told(None, WANTED, agreement(WANTED, WANTED), 0.1) == {}
