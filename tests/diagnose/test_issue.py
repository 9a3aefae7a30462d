"""An issue to post: what is in it shows the failure by itself, and names nobody's model where that is not wanted."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.probe.client import Workers
from bisect_convert.render.anonymous import anonymous
from bisect_convert.render.issue import issue
from bisect_convert.report.findings import Culprit, Finding, Remedy
from bisect_convert.worker.as_tensorflow import as_tensorflow

FIXTURES = Path(__file__).parents[2] / "fixtures"


def _code(text: str) -> str:
    return text.partition("```python\n")[2].partition("```")[0]


@pytest.mark.parametrize("hidden", [False, True])
def test_its_code_shows_the_failure_without_a_file_beside_it(hidden: bool, workers: Workers, tmp_path: Path) -> None:
    wishes = Wishes(out=tmp_path, anonymous=hidden)
    find_packed(FIXTURES / "roll_in_while" / "model", {}, wishes, workers)
    text = (tmp_path / "finding-1" / "issue.md").read_text()
    assert text.startswith("# coremltools.convert fails on Roll: NotImplementedError: ")
    assert "coremltools 9" in text or "coremltools 8" in text
    assert str(FIXTURES) not in text and ("tanh" in text) is not hidden
    if hidden:
        (tmp_path / "alone.py").write_text(_code(text))
        done = subprocess.run([sys.executable, str(tmp_path / "alone.py")], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "Conversion for TF op 'Roll' not implemented" in done.stderr


def test_code_makes_the_graph_again_with_ops_of_several_results_and_of_other_names() -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [1, 6], name="class")
        first, _ = tf.math.top_k(tf.math.erfc(x), 4, name="2/best")
        left, right = tf.split(tf.squeeze(first[None], [0]), 2, 1)
        tf.concat([right, tf.raw_ops.Identity(input=left) * 2.0, tf.constant([[float("nan")]])], 1, name="end")
    text = as_tensorflow(graph.as_graph_def())
    assert text is not None
    known: dict[str, Any] = {}
    exec(text, known)
    value = np.array([[0.5, -1.0, 2.0, 0.1, -0.3, 1.0]], np.float32)
    with tf.compat.v1.Session(graph=graph) as session:
        wanted = session.run("end:0", {"class:0": value})
    made = known["section"](tf.constant(value))
    assert any(np.array_equal(wanted, np.asarray(y), equal_nan=True) for y in made.values())


@pytest.mark.parametrize(
    ("name", "words"), [("keras_lstm", "cond=cond.get_"), ("pair_apart", "then_branch=then_branch.get_")]
)
def test_what_a_section_calls_is_said_too(name: str, words: str, workers: Workers, tmp_path: Path) -> None:
    (finding,) = find(FIXTURES / name / "model", workers=workers, out=tmp_path).findings
    code = _code((tmp_path / "finding-1" / "issue.md").read_text())
    assert words in code and "section.pb" not in code
    (tmp_path / "alone.py").write_text(code)
    done = subprocess.run([sys.executable, str(tmp_path / "alone.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.rstrip().endswith(finding.error_message.strip().splitlines()[-1])


def test_bodies_in_bodies_and_calls_compute_the_same() -> None:
    @tf.function
    def doubled(x: Any) -> Any:
        return x * 2.0

    @tf.function(input_signature=[tf.TensorSpec([2, 3]), tf.TensorSpec([], tf.int32)], autograph=False)
    def model(x: Any, n: Any) -> Any:
        def body(i: Any, y: Any) -> Any:
            return i + 1, tf.cond(i % 2 == 0, lambda: doubled(y), lambda: y - 1.0)

        return tf.while_loop(lambda i, _: i < n, body, [0, x], maximum_iterations=9)[1]

    concrete = model.get_concrete_function()
    text = as_tensorflow(concrete.graph.as_graph_def())
    assert text is not None and "then_branch" in text and "def cond" in text and "def f(" in text
    known: dict[str, Any] = {}
    exec(text, known)
    x = tf.constant([[0.5, -1.0, 2.0], [0.1, -0.3, 1.0]])
    made = known["section"](x, tf.constant(5))
    assert any(y.shape == x.shape and np.allclose(y, model(x, tf.constant(5))) for y in made.values())


def test_a_section_that_cannot_be_said_needs_its_file(workers: Workers, tmp_path: Path) -> None:
    report = find(FIXTURES / "pair_only" / "model", workers=workers, out=tmp_path)
    assert "`section.pb` beside it" in (tmp_path / "finding-1" / "issue.md").read_text()
    hostile = replace(report.findings[0], error_message="</details> @all\n```\nend", explanation="see <b>`x`</b>")
    text = issue(hostile, None, {"coremltools": "9.0", "keras": None}, "Linux")
    assert "@all" not in text.split("```")[0] and "<b>" not in text and "keras" not in text


def test_no_name_of_the_model_is_left(workers: Workers) -> None:
    (finding,) = find(FIXTURES / "exact_gelu" / "model", workers=workers).findings
    names = {c.name for c in finding.culprits} | {c.layer for c in finding.culprits if c.layer}
    beside = "net/secret_block/Max_1"
    finding = replace(
        finding,
        error_message="\n".join([*names, "/home/me/net.py:3", f"{beside.replace('/', '_')}_cast_fp16", 'value: "x"']),
        explanation=f"`{beside}` is read by `Erfc`",
    )
    code = "def section(secret):\n    x = tf.raw_ops.Erfc(x=secret)\n    return {'y0': x}\n"
    told, written = anonymous(finding, code, [beside])
    text = issue(told, written, {"coremltools": "9.0"}, "Linux")
    assert not [n for n in (*names, "secret", "net", "Max_1") if re.search(rf"(?<![\w]){re.escape(n)}(?![\w])", text)]
    assert "/home/me" not in text and "secret" not in text
    assert "Erfc(x=" in text and "is read by \\`Erfc\\`" in text and "value: " in text


def test_sentences_keep_their_words_where_an_op_is_called_like_one() -> None:
    culprit = Culprit("net/roll", "Roll")
    remedy = Remedy("rewrite", "roll by joining the two slices", True)
    finding = Finding(
        "lowering", None, "E", 'name: "net/roll"', (culprit,), remedies=(remedy,), explanation="no `Roll`"
    )
    told, code = anonymous(finding, "roll = tf.raw_ops.Roll(input=x)\n")
    assert told.remedies[0].summary == "roll by joining the two slices" and told.explanation == "no `Roll`"
    assert told.error_message == 'name: "op_1"' and code == "op_1 = tf.raw_ops.Roll(input=x)\n"
