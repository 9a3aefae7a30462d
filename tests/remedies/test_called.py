"""The code of a recipe as a report shows it: called like the function that it replaces, and said where it goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bisect_convert.recipes import all_recipes, recipes_of
from bisect_convert.remedies.lines_to_write import shown_code
from bisect_convert.report.findings import Culprit, TensorFact

TESTS = Path(__file__).parents[1]


def called(*samples: str) -> dict[str, dict[str, Any]]:
    """What came of the samples, or of all, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), *filter(None, sys.path)])}
    command = [sys.executable, str(TESTS / "recipes_called.py"), *samples]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1800)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def wrong(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    return {name: bad for name, row in rows.items() if (bad := {k: v for k, v in row.items() if v is not None})}


def test_code_from_a_report_holds_in_keras_models_and_functions_whatever_the_batch() -> None:
    some = [
        "Roll",
        "Atan2",
        "Xlogy number",
        "AdjustHue",
        "ResizeBicubic",
        "Cast__uint8_int8_uint16_int16_uint32",
        "FFT2D",
    ]
    assert wrong(called(*some)) == {}


@pytest.mark.sweep
def test_the_code_of_every_recipe_holds_there() -> None:
    rows = called()
    uncalled = set(rows.pop("uncalled"))  # no function makes these, or runs here
    assert {name.partition(" ")[0] for name in rows} | uncalled == {recipe.name for recipe in all_recipes()}
    assert wrong(rows) == {}


@pytest.mark.parametrize("recipe", all_recipes(), ids=lambda r: r.name)
def test_its_function_has_the_name_of_what_it_replaces(recipe: Any) -> None:
    first = next(line for line in recipe.code.splitlines() if line.startswith("def "))
    assert first.startswith(f"def {recipe.function}(")
    name = recipe.replaces.rpartition(".")[2]
    assert recipe.function == name or not name.islower()


def test_the_line_to_write_is_said_where_the_line_is_known(tmp_path: Path) -> None:
    (tmp_path / "shopnet.py").write_text("import tensorflow as tf\n\n\ndef f(b):\n    return tf.roll(b, 1, 2) + 1\n")
    code = shown_code(
        recipes_of("Roll")[0], [Culprit("a", "Roll", source=f"{tmp_path}/shopnet.py:5")], "roll(input, 1, 2)"
    )
    assert code.splitlines()[-1] == "# shopnet.py:5: tf.roll(b, 1, 2)  ->  roll(b, 1, 2)"


def test_of_two_casts_on_a_line_the_one_at_fault_is_rewritten(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("y = tf.cast(tf.cast(x, tf.uint8), tf.float32)\n")
    made = (TensorFact("a:0", "uint8", (1,)),)
    (recipe,) = [r for r in recipes_of("Cast") if "uint8" in r.words]
    code = shown_code(recipe, [Culprit("a", "Cast", source=f"{tmp_path}/net.py:1", outputs=made)], None)
    assert code.splitlines()[-1] == "# net.py:1: tf.cast(x, tf.uint8)  ->  cast(x, tf.uint8)"


@pytest.mark.parametrize("source", [None, "/nowhere/net.py:3", "net.py:x"])
def test_else_the_call_is_said_with_what_the_op_has(source: str | None) -> None:
    code = shown_code(recipes_of("Roll")[0], [Culprit("a", "Roll", source=source)], "roll(input, 1, 2)")
    assert code.splitlines()[-1] == "# in place of tf.roll: roll(input, 1, 2)"


def test_each_line_of_several_places_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("a = tf.roll(x, 1, 2)\nb = tf.roll(a, 2, 1)\n")
    culprits = [Culprit(f"a{n}", "Roll", source=f"{tmp_path}/net.py:{n}") for n in (1, 2, 2)]
    code = shown_code(recipes_of("Roll")[0], culprits, None)
    assert code.endswith(
        "\n# net.py:1: tf.roll(x, 1, 2)  ->  roll(x, 1, 2)\n# net.py:2: tf.roll(a, 2, 1)  ->  roll(a, 2, 1)\n"
    )
