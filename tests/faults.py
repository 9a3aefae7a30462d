"""Faults planted into the converter of real worker processes: one op's conversion ends its process, hangs, or fails at times.

`plant` writes a sitecustomize module that every Python process started from here on imports; what it does is chosen by
the environment: FAULT_OP (the op type, or a MIL pass, which meets the fault where there is a tanh), FAULT (what happens
there), FAULT_RATE (how often), NOISE (how often any conversion dies whatever it holds).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

__all__ = ["CULPRIT", "FAULTS", "chain", "plant"]

FAULTS = ("segfault", "abort", "sigkill", "hang", "recursion", "memory", "flood", "exit", "leave", "raise")
CULPRIT = "net/act/Tanh"

_SITE = """
import importlib.abc, importlib.util, os, sys

OPS = "coremltools.converters.mil.frontend.tensorflow.ops"


def chance(name):
    return int.from_bytes(os.urandom(4), "big") / 2**32 < float(os.environ.get(name, "1"))


def recurse(n):
    return recurse(n + 1) + 1


def strike(kind):
    import ctypes, signal, time
    if kind == "segfault":
        ctypes.string_at(0)
    if kind == "slow":
        return time.sleep(1.5)
    if kind == "full":
        raise OSError(28, "No space left on device")
    if kind == "abort":
        os.abort()
    if kind == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        while True:
            time.sleep(1)
    if kind == "recursion":
        recurse(0)
    if kind == "memory":
        held = []
        while True:
            held.append(b"x" * 2**28)
    if kind == "flood":
        for _ in range(2000):
            os.write(1, b"flood" * 10000)
            os.write(2, b"flood" * 10000)
    if kind == "exit":
        os._exit(0)
    if kind == "leave":
        sys.exit(0)
    raise ValueError("the planted fault")


def infect_pass(name):
    from coremltools.converters.mil.mil.passes.pass_registry import PassRegistry

    get = PassRegistry.__getitem__

    class Struck:
        def __init__(self, inner):
            self.inner, self.set_options = inner, inner.set_options

        def __call__(self, prog):
            if any(op.op_type == "tanh" for f in prog.functions.values() for op in f.operations):
                strike(os.environ["FAULT"])
            self.inner(prog)

    PassRegistry.__getitem__ = lambda self, key: Struck(get(self, key)) if key == name else get(self, key)


def infect(module):
    from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import _TF_OPS_REGISTRY as registry

    def wrapped(original, act):
        def convert(context, node):
            act()
            return original(context, node)
        return convert

    op = os.environ["FAULT_OP"]
    if "::" in op:
        return infect_pass(op)
    registry[op] = wrapped(registry[op], lambda: strike(os.environ["FAULT"]) if chance("FAULT_RATE") else None)
    if "NOISE" in os.environ:
        registry["Placeholder"] = wrapped(registry["Placeholder"], lambda: strike("sigkill") if chance("NOISE") else None)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != OPS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            infect(module)

        spec.loader.exec_module = exec_module
        return spec


if "FAULT" in os.environ:
    sys.meta_path.insert(0, Finder())
"""


def plant(folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str, where: str = "Tanh", **more: float) -> None:
    """Let processes started from here on meet the fault at each Tanh; rate and noise as in the environment."""
    (folder / "sitecustomize.py").write_text(_SITE)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("FAULT_OP", where)
    monkeypatch.setenv("FAULT", fault)
    if "rate" in more:
        monkeypatch.setenv("FAULT_RATE", str(more["rate"]))
    if "noise" in more:
        monkeypatch.setenv("NOISE", str(more["noise"]))


def chain(folder: Path) -> Path:
    """Write a frozen graph of about thirty ops with one Tanh in its middle; returns its path."""
    rng = np.random.default_rng(0)

    @tf.function(input_signature=[tf.TensorSpec([1, 8], tf.float32, name="x")])
    def model(x: tf.Tensor) -> tf.Tensor:
        for n in range(12):
            x = tf.matmul(x, tf.constant(rng.standard_normal((8, 8)), tf.float32), name=f"net/dense_{n}/MatMul")
            x = tf.nn.relu(x, name=f"net/dense_{n}/Relu")
            if n == 7:
                x = tf.tanh(x, name=CULPRIT)
        return tf.nn.softmax(x, name="net/head/Softmax")

    path = folder / "chain.pb"
    path.write_bytes(model.get_concrete_function().graph.as_graph_def().SerializeToString())
    return path
