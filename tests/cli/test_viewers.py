"""Graphs for other programs: those are started, and asked for what was written; and what cannot be written is said."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from bisect_convert.cli.command import main
from bisect_convert.cli.options import parse
from bisect_convert.cli.viewers import Viewers, viewers
from bisect_convert.diagnose.events import events
from bisect_convert.diagnose.find import find
from bisect_convert.errors import UsageError
from bisect_convert.probe.client import Workers
from bisect_convert.render.model_explorer import graph_collection, verdicts
from bisect_convert.render.tensorboard import board_graphs, board_texts
from bisect_convert.report.findings import Culprit, Finding, TensorFact
from bisect_convert.report.marked_graphs import MarkedGraph, MarkedOp
from bisect_convert.report.report import Report

FIXTURES = Path(__file__).parents[2] / "fixtures"
#: Seconds that a program may take to start, on a busy machine.
LONGEST = 120


def needs(module: str, extra: str) -> pytest.MarkDecorator:
    found = importlib.util.find_spec(module) is not None
    return pytest.mark.skipif(not found, reason=f"needs the extra {extra}")


@contextlib.contextmanager
def served(words: list[str], port: int, log: Path) -> Iterator[str]:
    """A program that serves at the port, until it is no longer needed."""
    with log.open("wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + LONGEST
        while True:
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            with contextlib.suppress(OSError):
                asked(f"http://localhost:{port}/")
                break
            time.sleep(0.2)
        yield f"http://localhost:{port}"
    finally:
        process.kill()
        process.wait()


def asked(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bytes(answer.read())


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("localhost", 0))
        return int(bound.getsockname()[1])


def script(name: str) -> str:
    return shutil.which(name, path=str(Path(sys.executable).parent)) or name


# --- the programs themselves -----------------------------------------------------------------------------------------


@needs("model_explorer", "model-explorer")
def test_model_explorer_opens_the_graph_and_its_verdicts(
    tmp_path: Path, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    dacite = pytest.importorskip("dacite")
    from model_explorer.graph_builder import Graph
    from model_explorer.node_data_builder import GraphNodeData

    report = find(FIXTURES / "roll_in_while" / "model", workers=workers)
    (line,) = Viewers(tmp_path / "a model.json").write(report)
    command = line.partition("to see them: ")[2]
    assert "'" in command and str(tmp_path / "a model.verdicts.json") in line
    port, log = free_port(), tmp_path / "log"
    words = [script("model-explorer"), str(tmp_path / "a model.json")]
    words += [f"--node_data_paths={tmp_path / 'a model.verdicts.json'}", "--no_open_in_browser", f"--port={port}"]
    with served(words, port, log) as address:
        while not (url := re.search(rf"{address}/\?\S+", log.read_text())):
            time.sleep(0.2)
        given = json.loads(parse_qs(urlsplit(url[0]).query)["data"][0])  # what its page asks the program for
        paths = [given["models"][0]["url"], given["nodeData"][0]]
        read = [json.loads(asked(f"{address}/api/v1/read_text_file?path={quote(path)}"))["content"] for path in paths]
    shown, told = map(json.loads, read)
    (graph,) = shown["graphs"]
    strict = dacite.Config(strict=True)
    known = dacite.from_dict(Graph, {**graph, "nodes": []}, strict)  # the program's own words for a graph
    assert known.id in told
    (roll,) = [node for node in graph["nodes"] if node["label"] == "Roll"]
    assert roll["namespace"].startswith("refine/") and " body" in roll["namespace"]
    attributes = {pair["key"]: pair["value"] for pair in roll["attrs"]}
    assert attributes["verdict"] == "culprit" and attributes["stage"] == "lowering"
    assert attributes["finding"].startswith("1: Roll (float32")
    made = {pair["key"]: pair["value"] for pair in roll["outputsMetadata"][0]["attrs"]}
    assert made["tensor_shape"] == "float32[1, 8, 16]" and made["dtype"] == "float32"
    data = dacite.from_dict(GraphNodeData, {**told[known.id], "results": {}}, strict)
    assert data.name == "verdict"
    assert told[known.id]["results"][roll["id"]]["value"] == "culprit"


@needs("model_explorer", "model-explorer")
def test_nodes_are_in_the_words_of_model_explorer() -> None:
    from model_explorer import graph_builder

    (graph,) = json.loads(graph_collection(report_on(LOOP)))["graphs"]
    for node in graph["nodes"]:
        assert set(node) <= {field.name for field in dataclasses.fields(graph_builder.GraphNode)}
        for edge in node["incomingEdges"]:
            assert set(edge) == {field.name for field in dataclasses.fields(graph_builder.IncomingEdge)}
    for config in graph["groupNodeConfigs"]:
        assert set(config) <= {field.name for field in dataclasses.fields(graph_builder.GroupNodeConfig)}


@needs("tensorboard", "tensorboard")
def test_tensorboard_shows_the_graph_and_the_findings(tmp_path: Path, workers: Workers) -> None:
    report = find(FIXTURES / "roll_in_while" / "model", workers=workers)
    (line,) = Viewers(logdir=tmp_path).write(report, workers)
    assert line.endswith(f"tensorboard --logdir {tmp_path}")
    port = free_port()
    words = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path), "--port", str(port)]
    with served(words, port, tmp_path / "log") as address:
        until = time.monotonic() + LONGEST
        while not (runs := json.loads(asked(f"{address}/data/plugin/text/tags"))) and time.monotonic() < until:
            time.sleep(0.5)  # it reads the files after it has begun to serve
        assert sorted(runs["bisect-convert"]) == ["finding/1", "report"]
        graph = asked(f"{address}/data/plugin/graphs/graph?run=bisect-convert&conceptual=false").decode()
        text = asked(f"{address}/data/plugin/text/text?run=bisect-convert&tag={quote('finding/1', safe='')}").decode()
    roll = graph[graph.index('name: "refine/while/Roll"') :].partition("node_def {")[0]
    assert 'device: "/device:1 Roll culprit:0"' in roll and '"culprit"' in roll and "float32[1, 8, 16]" in roll
    assert "library {" in graph and "_finding" in roll and "_stage" in roll
    calling = graph[graph.index('op: "StatelessWhile"') :].partition("\nnode {")[0]
    assert 'device: "/device:1 Roll culprit:0"' in calling  # what holds a culprit is seen while it is folded
    assert "does not convert" in text and "refine/while/Roll" in text and "verified" in text


# --- what is in the files --------------------------------------------------------------------------------------------


def op(name: str, kind: str, *inputs: str, **more: Any) -> MarkedOp:
    return MarkedOp(name, kind, inputs, (TensorFact(f"{name}:0", "float32", (1, None)),), layer=None, **more)


LOOP = (
    MarkedGraph(
        "",
        (
            op("x", "Placeholder", verdict="converts"),
            op("c", "Const", verdict="converts", constant=True),
            op("a/while", "While", "x:0", verdict="converts", bodies=(("body", "f"),)),
            op("b/while", "While", "a/while:0", verdict="converts", bodies=(("body", "f"),)),
            op("out", "Add", "b/while:0", "c:0", verdict="converts"),
        ),
        ("out:0",),
    ),
    MarkedGraph(
        "f",
        (op("p", "Placeholder", verdict="converts"), op("bad", "Erfc", "p:0", verdict="culprit", findings=(1,))),
        ("bad:0",),
    ),
)


def report_on(graphs: tuple[MarkedGraph, ...], *findings: Finding) -> Report:
    found = findings or (Finding("lowering", None, "E", "m", (Culprit("bad", "Erfc", "f"),)),)
    return Report("m", None, 3, 1, "", "9.0", "2.21", {}, "fails", True, found, graphs=lambda: graphs)


def test_a_body_stands_below_the_first_op_that_calls_it_and_is_joined_to_it() -> None:
    (graph,) = json.loads(graph_collection(report_on(LOOP)))["graphs"]
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert list(nodes) == ["x", "a/while", "b/while", "out", "a/while body p", "a/while body bad"]
    assert nodes["a/while body bad"]["namespace"] == "while body"
    read = {name: [edge["sourceNodeId"] for edge in node["incomingEdges"]] for name, node in nodes.items()}
    assert read["a/while body p"] == ["x"]
    assert read["a/while"] == ["x", "a/while body bad"]
    assert read["out"] == ["b/while"]  # constants are no nodes
    assert {edge["sourceNodeId"] for node in nodes.values() for edge in node["incomingEdges"]} <= set(nodes)


def test_verdicts_are_those_of_the_nodes() -> None:
    report = report_on(LOOP)
    (graph,) = json.loads(graph_collection(report))["graphs"]
    results = json.loads(verdicts(report))[graph["id"]]["results"]
    assert list(results) == [node["id"] for node in graph["nodes"]]
    assert [name for name, result in results.items() if result["value"] == "culprit"] == ["a/while body bad"]
    assert [node["id"] for node in graph["nodes"] if "style" in node] == ["a/while body bad"]


def test_bodies_that_call_each_other_come_to_an_end() -> None:
    calling = (op("g", "Call", bodies=(("call", "f"),)),)
    graphs = (MarkedGraph("", calling), MarkedGraph("f", calling), MarkedGraph("left", calling))
    (graph,) = json.loads(graph_collection(report_on(graphs)))["graphs"]
    assert len(graph["nodes"]) == 2
    assert len(board_graphs(report_on(graphs))) == 3


def test_a_report_without_graphs_is_an_empty_graph() -> None:
    report = Report("m", None, 0, 0, "", "9.0", "2.21", {}, "fails", False)
    assert json.loads(graph_collection(report))["graphs"][0]["nodes"] == []
    assert board_graphs(report) == []


def strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, (dict, list)):
        for item in [*data, *data.values()] if isinstance(data, dict) else data:
            yield from strings(item)


def test_names_of_strangers_are_harmless() -> None:
    name = "a\x1b[31m/<script>alert(1)</script>|`x`](http://e.x)\u202e"
    culprit = Culprit(name, "Erfc", None, "lay<b>er|")
    finding = Finding("lowering", None, "E", "</script>\n```\n# head\x1b", (culprit,), explanation="a <b>name</b>")
    graphs = (MarkedGraph("", (op(name, "Erfc", verdict="culprit", findings=(1,)),)),)
    report = report_on(graphs, finding)
    for data in (json.loads(graph_collection(report)), json.loads(verdicts(report)), board_graphs(report)):
        assert [text for text in strings(data) if not text.replace("\n", "").isprintable()] == []
    shown = dict(board_texts(report))["finding/1"]
    assert "\x1b" not in shown and "<b>name" not in shown and "](http" not in re.sub(r"`[^\n]+`", "", shown)
    if importlib.util.find_spec("tensorboard") is not None:
        from tensorboard.plugin_util import markdown_to_safe_html

        page = markdown_to_safe_html(shown)
        assert "<script" not in page and "<a" not in page and "<h1" not in page


def test_events_can_be_read_again(workers: Workers, tmp_path: Path) -> None:
    data = events(report_on(LOOP), workers)
    (tmp_path / "events").write_bytes(data)
    code = (
        "import sys, tensorflow as tf; v1 = tf.compat.v1; read = list(v1.train.summary_iterator(sys.argv[1]))\n"
        "graph = v1.GraphDef.FromString(read[1].graph_def)\n"
        "print([n.name for n in graph.node], [n.device for f in graph.library.function for n in f.node_def])\n"
        "print([value.tag for event in read for value in event.summary.value])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "events")], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "['x', 'c', 'a/while', 'b/while', 'out'] ['/device:1 Erfc culprit:0', '']",
        "['report', 'finding/1']",
    ], done.stderr[-2000:]


# --- what cannot be written ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--model-explorer graph.txt", "--model-explorer graph.txt is to end in .json"),
        ("--model-explorer no/where.json", "cannot be written: no such folder: no"),
        ("--model-explorer folder.json", "--model-explorer folder.json cannot be written: it is a folder"),
        (
            "--model-explorer taken.json",
            "--model-explorer taken.json cannot be written: its verdicts' place is a folder",
        ),
        ("--tensorboard file", "--tensorboard file cannot be written: it is a file"),
        ("--tensorboard file/deep", "cannot be written: Not a directory"),
        ("m2 --tensorboard logs", "--tensorboard takes one model, and 2 are given"),
        ("m2 --model-explorer g.json", "--model-explorer takes one model, and 2 are given"),
    ],
)
def test_what_cannot_be_written_is_said_before_any_work(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "taken.verdicts.json").mkdir()
    (tmp_path / "file").write_text("")
    before = sorted(os.listdir(tmp_path))
    assert main([str(FIXTURES / "erfc_in_cond" / "model"), *words.split()]) == 2
    out, log = capsys.readouterr()
    assert out == "" and said in log and log.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == before


def test_no_folder_stays_where_nothing_was_written(tmp_path: Path) -> None:
    with viewers(parse(["m", "--tensorboard", str(tmp_path / "made" / "deep")])) as shown:
        assert shown.logdir is not None and shown.logdir.is_dir()
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: Workers
) -> None:  # fmt: skip
    (tmp_path / "g.json").write_text("from an earlier run")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"--model-explorer \S+ cannot be written: No space left on device"):
        list(Viewers(tmp_path / "g.json").write(report_on(LOOP)))
    with pytest.raises(UsageError, match=r"--tensorboard \S+ cannot be written: No space left on device"):
        list(Viewers(logdir=tmp_path).write(report_on(LOOP), workers))
    assert os.listdir(tmp_path) == ["g.json"] and (tmp_path / "g.json").read_text() == "from an earlier run"


def test_the_command_writes_both_and_says_how_to_open_them(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "bisect_convert", str(FIXTURES / "exact_gelu" / "model"), "--no-cache"]
    words += ["--model-explorer", "g.json", "--tensorboard", "logs", "--format", "json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert Report.from_json(done.stdout).verdict == "fails"
    first, second = done.stderr.splitlines()
    assert "model-explorer g.json --node_data_paths=g.verdicts.json" in first
    assert "tensorboard --logdir logs" in second
    assert sorted(os.listdir(tmp_path)) == ["g.json", "g.verdicts.json", "logs"]
    assert len(os.listdir(tmp_path / "logs" / "bisect-convert")) == 1


def test_in_tensorboard_no_box_holds_all_others_because_of_the_call_in_front() -> None:
    front = "StatefulPartitionedCall/"
    ops = (op("x", "Placeholder"), op(f"{front}net/a", "Relu", "x:0"), op(f"{front}net/b", "Exp", f"{front}net/a:0"))
    (graph,) = board_graphs(report_on((MarkedGraph("", ops),)))
    nodes = {node["name"]: node for node in graph["nodes"]}
    assert set(nodes) == {"x", "net/a", "net/b"} and nodes["net/b"]["inputs"] == ["net/a:0"]
    assert nodes["net/b"]["facts"]["_name"] == f"{front}net/b"
    both = (*ops, op("net/a", "Tanh", "x:0"))
    (kept,) = board_graphs(report_on((MarkedGraph("", both),)))
    assert {node["name"] for node in kept["nodes"]} == {o.name for o in both}
