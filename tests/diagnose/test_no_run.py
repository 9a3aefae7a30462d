"""With `no_run` nothing of a model's graphs is executed."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from bisect_convert import Session, find
from bisect_convert.errors import UsageError
from bisect_convert.probe.client import Workers

v1 = tf.compat.v1


def writing(folder: Path, written: Path) -> Path:
    """A frozen graph of any size that writes a file where it is run."""
    with v1.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 8], name="x")
        with tf.control_dependencies([tf.raw_ops.WriteFile(filename=str(written), contents="ran")]):
            y = tf.math.erfc(tf.identity(x), name="erfc")
        tf.nn.relu(y, name="relu")
    (folder / "m.pb").write_bytes(graph.as_graph_def().SerializeToString())
    return folder / "m.pb"


@pytest.mark.parametrize("no_run", [True, False])
def test_a_graph_is_run_unless_that_is_not_wished(no_run: bool, tmp_path: Path, workers: Workers) -> None:
    written = tmp_path / "written"
    report = find(writing(tmp_path, written), no_run=no_run, workers=workers)
    assert [c.op for f in report.findings for c in f.culprits if c.op == "Erfc"] == ["Erfc"]
    assert written.exists() is not no_run


def test_a_session_gives_no_values_then(tmp_path: Path, workers: Workers) -> None:
    with Session(writing(tmp_path, tmp_path / "written"), no_run=True, workers=workers) as session:
        with pytest.raises(UsageError, match="opened with no_run"):
            session.ops("relu").run()
        assert session.ops("relu").convert().converted
    assert not (tmp_path / "written").exists()
