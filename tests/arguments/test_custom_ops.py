"""Conversions that a caller has registered are known again in another run, and told from others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


VARIANTS = [("SCALE = 2.0", "SCALE = 3.0"), ("mb.mul", "mb.add"), ("maker(1)", "maker(2)"), ("mb.erf(", "mb.tanh(")]
RUN_EACH = """
import runpy, sys
from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import _TF_OPS_REGISTRY
for path in sys.argv[1:]:
    _TF_OPS_REGISTRY.pop("Erfc", None)
    runpy.run_path(path, run_name="__main__")
"""


def digests_of(folder: Path, seed: str, programs: list[str]) -> list[str]:
    """The digest that each program prints, all run in one process."""
    for number, program in enumerate([RUN_EACH, *programs]):
        (folder / f"{number}.py").write_text(program)
    environment = {
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": ":".join(p for p in sys.path if p),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, *(str(folder / f"{number}.py") for number in range(len(programs) + 1))]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return run.stdout.split()


def test_a_conversion_has_a_digest_that_says_what_it_does_in_each_run(tmp_path: Path) -> None:
    programs = [PROGRAM, *(PROGRAM.replace(*variant) for variant in VARIANTS)]
    (one, *others) = digests_of(tmp_path, "1", programs)
    assert len({one, *others}) == len(programs)
    assert digests_of(tmp_path, "2", [PROGRAM, PROGRAM]) == [one, one]
