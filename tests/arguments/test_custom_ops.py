"""Conversions that a caller has registered are known again in another run, and told from others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import register_tf_op
from bisect_convert.arguments.custom_ops import digests, registered

KINDS = {"plain", "soft", "hard", "leaky"}
SCALE = 2.0

def scaled(x, name):
    return mb.mul(x=x, y=SCALE, name=name)

def maker(by):
    @register_tf_op
    def Erfc(context, node):
        if node.op in {"Erfc", "Erf", "Lgamma", "Roll"} or node.name in KINDS:
            context.add(node.name, scaled(mb.erf(x=context[node.inputs[0]]), node.name), by)
    return Erfc

maker(1)
print(digests(registered())["Erfc"])
"""


def digest(folder: Path, seed: str, program: str = PROGRAM) -> str:
    script = folder / "program.py"
    script.write_text(program)
    environment = {
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": ":".join(p for p in sys.path if p),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=environment)
    return run.stdout.split()[-1]


def test_the_same_conversion_has_the_same_digest_in_each_run(tmp_path: Path) -> None:
    assert len({digest(tmp_path, seed) for seed in "123"}) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [("SCALE = 2.0", "SCALE = 3.0"), ("mb.mul", "mb.add"), ("maker(1)", "maker(2)"), ("mb.erf(", "mb.tanh(")],
)
def test_a_conversion_that_does_something_else_has_another_digest(old: str, new: str, tmp_path: Path) -> None:
    assert digest(tmp_path, "1") != digest(tmp_path, "1", PROGRAM.replace(old, new))
