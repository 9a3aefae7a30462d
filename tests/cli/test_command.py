"""The command, as a process of its own: what it prints, where, with which status, and what it leaves behind."""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from leftovers import assert_nothing_is_left

from bisect_convert import __version__
from bisect_convert.cli import command, options, output_folder
from bisect_convert.diagnose.find import Wishes, find, find_packed
from bisect_convert.errors import ModelError, UsageError
from bisect_convert.probe.client import Workers
from bisect_convert.report.findings import Finding
from bisect_convert.report.report import Report

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "bisect_convert"]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models of `cli_models`, and damaged copies of them."""
    folder = tmp_path_factory.mktemp("models")
    build = [sys.executable, str(ROOT / "tests" / "cli_models.py"), str(folder)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name in ("cut", "empty_graph", "no_variables", "no_data"):
        shutil.copytree(folder / "conv", folder / name)
    (folder / "cut" / "saved_model.pb").write_bytes((folder / "conv" / "saved_model.pb").read_bytes()[:3000])
    (folder / "empty_graph" / "saved_model.pb").write_bytes(b"")
    shutil.rmtree(folder / "no_variables" / "variables")
    next((folder / "no_data" / "variables").glob("*.data-*")).unlink()
    (folder / "folder").mkdir()
    (folder / "junk.pb").write_bytes(b"\x07" * 500)
    (folder / "junk.h5").write_bytes(b"\x07" * 500)
    (folder / "empty.pb").write_bytes(b"")
    (folder / "cut.keras").write_bytes((folder / "conv.keras").read_bytes()[:500])
    (folder / "cut.h5").write_bytes((folder / "conv.h5").read_bytes()[:2000])
    (folder / "notes.txt").write_text("no model")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment whose temporary files go to a folder of this test's own."""
    (tmp_path / "tmp").mkdir()
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": path}


def run(*words: Any, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, words)], cwd=cwd, text=True, capture_output=True, stdin=subprocess.DEVNULL, **more
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The message of a run that ended with one line and status 2, and nothing on standard output."""
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bisect-convert: error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


# --- before any work -------------------------------------------------------------------------------------------------


def test_help_is_there_at_once(environment: dict[str, str], tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        done = run("--help", cwd=tmp_path, env=environment)
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.5
    assert done.returncode == 0
    assert "exit status:" in done.stdout
    assert done.stderr == ""


def test_version(environment: dict[str, str], tmp_path: Path) -> None:
    said = run("--version", cwd=tmp_path, env=environment).stdout
    assert (
        said.startswith(f"bisect-convert {__version__} (coremltools ")
        and said.endswith(")\n")
        and said.count("\n") == 1
    )


def test_the_command_imports_nothing_heavy() -> None:
    code = "import sys, bisect_convert.cli.command; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    for heavy in ("tensorflow", "coremltools", "networkx", "numpy", "pebble", "tqdm"):
        assert f"'{heavy}'" not in loaded


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "MODEL"),
        ("conv --bogus", "--bogus"),
        ("conv --format xml", "'text'"),
        ("conv --jobs 0", "from 1 to 256"),
        ("conv --timeout soon", "above zero"),
        ("conv --memory -1", "above zero"),
        ("conv --convert-to onnx", "mlprogram"),
        ("conv --input image:0x8", "neither a shape"),
        ("conv --input image:8..4", "ends before it starts"),
        ("conv --input :1x8", "has no name"),
        ("nowhere", "no such file or folder: nowhere"),
        ("folder", "folder is no SavedModel: there is no saved_model.pb in it"),
        ("empty_graph", "its saved_model.pb is empty"),
        ("conv/saved_model.pb", "pass its folder"),
        ("notes.txt", "none of: a SavedModel folder"),
        ("empty.pb", "is empty"),
        ("cut.keras", "damaged or was cut short"),
        ("junk.h5", "no HDF5 file"),
        ("conv.keras --signature fine", "leave out --signature fine"),
        ("conv --out notes.txt", "--out notes.txt cannot be written: it is a file"),
        ("conv --out notes.txt/deep", "Not a directory"),
    ],
)
def test_what_needs_no_tensorflow_is_refused_at_once(
    models: Path, environment: dict[str, str], words: str, said: str
) -> None:
    started = time.monotonic()
    assert said in refused(run(*words.split(), cwd=models, env=environment))
    assert time.monotonic() - started < 2
    assert_nothing_is_left(Path(environment["TMPDIR"]))


@pytest.mark.skipif(shutil.which("setpriv") is None and os.geteuid() == 0, reason="root may read and write anything")
def test_permission_denied(models: Path, environment: dict[str, str], tmp_path: Path) -> None:
    for name in ("locked", "open"):
        shutil.copytree(models / "conv", tmp_path / name)
    (tmp_path / "locked" / "saved_model.pb").chmod(0)
    (tmp_path / "closed").mkdir(mode=0o555)
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    for words in (["locked"], ["open", "--out", "closed"], ["open", "--out", "closed/deep"]):
        done = subprocess.run(
            [*powerless, *COMMAND, *words], cwd=tmp_path, env=environment, text=True, capture_output=True
        )
        assert "Permission denied" in refused(done)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", {"name": "x"}),
        ("x:0", {"name": "x"}),
        ("a/b:0:1x2", {"name": "a/b", "shape": [1, 2], "static": [1, 2]}),
        ("x:1,224,3:float16", {"name": "x", "shape": [1, 224, 3], "static": [1, 224, 3], "dtype": "fp16"}),
        ("x:int32", {"name": "x", "dtype": "int32"}),
        ("x:1..8x3", {"name": "x", "shape": [{"range": [1, 8, 1]}, 3], "static": [None, 3]}),
        ("x:2..", {"name": "x", "shape": [{"range": [2, -1, 2]}], "static": [None]}),
    ],
)
def test_inputs_are_read_from_their_end(text: str, expected: dict[str, Any]) -> None:
    parsed = options.parse(["model", "--input", text])
    assert options.packed_options(parsed) == {"inputs": [{"kind": "TensorType", **expected}]}


def test_options_go_by_the_words_of_convert() -> None:
    words = (
        "m --convert-to mlprogram --minimum-deployment-target iOS17 --compute-precision Float16 --output a --output b:0"
    )
    assert options.packed_options(options.parse(words.split())) == {
        "convert_to": "mlprogram", "minimum_deployment_target": "iOS17", "compute_precision": "float16",
        "outputs": [{"kind": "name", "name": "a"}, {"kind": "name", "name": "b:0"}],
    }  # fmt: skip


# --- an installation that does not work ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "body", "said"),
    [
        ("tensorflow", "raise ModuleNotFoundError('gone', name='tensorflow')", "tensorflow is not installed"),
        (
            "tensorflow",
            "raise ImportError('libfoo.so: no such file')",
            "tensorflow cannot be imported (ImportError: libfoo",
        ),
        ("tensorflow", "__version__ = '2.3.1'", "tensorflow 2.3.1 is too old"),
        ("tensorflow", "import os; os.abort()", "the process that does so dies"),
        ("coremltools", "raise ModuleNotFoundError('gone', name='coremltools')", "coremltools is not installed"),
        ("coremltools", "__version__ = '7.2'", "coremltools 7.2 is too old"),
    ],
)
def test_an_installation_that_does_not_work(
    models: Path, environment: dict[str, str], tmp_path: Path, package: str, body: str, said: str
) -> None:
    stubs = {"tensorflow": "__version__ = '2.21.0'", package: body}
    for name, code in stubs.items():
        (tmp_path / "stubs" / name).mkdir(parents=True)
        (tmp_path / "stubs" / name / "__init__.py").write_text(code)
    environment["PYTHONPATH"] = f"{tmp_path / 'stubs'}{os.pathsep}{environment['PYTHONPATH']}"
    message = refused(run("conv", cwd=models, env=environment))
    assert said in message
    assert "pip install" in message or "import tensorflow" in message
    assert_nothing_is_left(Path(environment["TMPDIR"]))


# --- models that cannot be read --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("no_variables", "its variables/variables.index and variables/variables.data-* are missing"),
        ("code.keras", "--allow-code"),
        ("two --signature third", "has no signature 'third'; it has: fine, rolled"),
    ],
)
def test_a_model_that_cannot_be_read(models: Path, environment: dict[str, str], words: str, said: str) -> None:
    assert said in refused(run(*words.split(), "--out", "made/for/it", cwd=models, env=environment))
    assert not (models / "made").exists()
    assert_nothing_is_left(Path(environment["TMPDIR"]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cut", "its saved_model.pb is damaged or was cut short"),
        ("no_data", r"its variables/variables.data-\* is missing"),
        ("junk.pb", "is no frozen GraphDef"),
        ("cut.h5", "cannot be read"),
    ],
)
def test_damage_is_named(models: Path, workers: Workers, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        find(models / name, workers=workers)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--input image:1x9x8x3", "shape 1x9x8x3 does not fit input 'image', which is \\?x8x8x3"),
        ("--input image:8", "does not fit input 'image'"),
        ("--minimum-deployment-target iOS3", "no value 'iOS3'; it has: iOS13, "),
        ("--minimum-deployment-target real", "no value 'real'"),
    ],
)
def test_options_that_do_not_fit_the_model(models: Path, workers: Workers, words: str, said: str) -> None:
    parsed = options.parse([str(models / "conv"), *words.split()])
    with pytest.raises(UsageError, match=said):
        find_packed(parsed.model, options.packed_options(parsed), Wishes(strict=True), workers)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("--input photo", "the model has no input `photo`; the likeliest is `image`"),
        ("--output conv/BiasAdd", "the model has no output `conv/BiasAdd`; the likeliest is `"),
    ],
)
def test_a_wrong_name_is_a_finding_with_the_one_that_was_meant(
    models: Path, workers: Workers, words: str, cause: str
) -> None:
    parsed = options.parse([str(models / "conv"), *words.split()])
    report = find_packed(parsed.model, options.packed_options(parsed), Wishes(strict=True), workers)
    (finding,) = report.findings
    assert finding.cause.startswith(cause) and finding.culprits == ()
    assert finding.remedies[0].verified and report.exit_code == 1


# --- whole runs ------------------------------------------------------------------------------------------------------


def test_a_model_that_converts(models: Path, environment: dict[str, str]) -> None:
    words = [
        "conv.h5",
        "--input",
        "image:1..4x8x8x3:float32",
        "--minimum-deployment-target",
        "ios16",
        "--format",
        "json",
    ]
    done = run(*words, cwd=models, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    report = Report.from_json(json.loads(done.stdout))
    assert (report.verdict, report.complete, report.findings) == ("converts", True, ())
    assert report.options == {"inputs": ["image:1..4x8x8x3:float32"], "minimum_deployment_target": "ios16"}
    assert_nothing_is_left(Path(environment["TMPDIR"]))


def test_a_culprit_in_text_and_in_files(models: Path, environment: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out" / "deep"
    done = run("two", "--signature", "rolled", "--out", out, cwd=models, env=environment)
    assert (done.returncode, done.stderr) == (1, "")
    assert "Roll (float32" in done.stdout
    assert "PartitionedCall/block/Roll" in done.stdout
    assert "complete: without the op blamed above, the rest of the model converts" in done.stdout
    assert "\x1b" not in done.stdout
    assert {"report.html", "report.json", "report.md"} <= set(os.listdir(out))
    assert sorted(os.listdir(out / "finding-1")) == ["finding.json", "issue.md", "repro.py", "section.pb"]
    assert str(out / "finding-1" / "repro.py") in done.stdout
    assert not [name for name in os.listdir(out) if name.startswith(".")]
    data = json.loads((out / "report.json").read_text())
    assert [c["op"] for f in data["findings"] for c in f["culprits"]] == ["Roll"]
    assert data["findings"][0]["context"]["role"] == "main_arm"
    assert_nothing_is_left(Path(environment["TMPDIR"]))


def on_a_terminal(*words: str, cwd: Path, env: dict[str, str]) -> tuple[int, str]:
    """The status of the command, and all that a terminal of 24 lines gets of it."""
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 90, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=cwd, env={**env, "TERM": "xterm"}, stdout=theirs, stderr=theirs
    )  # fmt: skip
    os.close(theirs)
    shown = b"".join(_until_closed(ours)).decode()
    os.close(ours)
    return process.wait(), shown


def test_on_a_terminal_there_is_progress_and_colour(models: Path, environment: dict[str, str]) -> None:
    status, shown = on_a_terminal("two", cwd=models, env=environment)
    assert status == 0
    assert "0 questions, 00:00  starting TensorFlow" in shown
    assert "1 questions, 00:" in shown
    assert re.search(r"0 questions, 00:\d\d  reading two \(\d+ kB\)", shown)
    assert re.search(r"0 questions, 00:\d\d  at: the whole model", shown)
    assert "control: the whole model, " in shown
    assert re.search(r"1 questions, 00:\d\d  comparing it with its original", shown)
    assert "\x1b[1;32mconverts" in shown
    assert "of about" not in shown  # nothing failed, so that nothing is known of what else there is to ask
    assert "Traceback" not in shown


def test_on_a_terminal_each_finding_is_said_while_the_search_goes_on(
    models: Path, environment: dict[str, str]
) -> None:  # fmt: skip
    status, shown = on_a_terminal("many", "--no-cache", cwd=models, env={**environment, "NO_COLOR": "1"})
    assert status == 1
    said = [shown.index(f"bisect-convert: found: {op} (float32) ") for op in ("Erfc", "Lgamma", "BesselI0e")]
    assert said == sorted(said)
    assert "bisect-convert: found: Ndtri (float32) in layer ndtri\r\n" in shown
    assert "locate: " in shown[said[0] : said[1]]
    assert re.search(r"\r1 of about \d+ questions, ", shown)
    assert said[-1] < shown.index("many does not convert: 6 findings") < shown.index("error[lowering]: Erfc")
    _, quiet = on_a_terminal("many", "--quiet", cwd=models, env=environment)
    assert "found: " not in quiet and "error[lowering]" in quiet


def test_a_pager_gets_the_report_on_a_terminal_and_only_there(
    models: Path, environment: dict[str, str], tmp_path: Path
) -> None:  # fmt: skip
    counting = tmp_path / "my pager"
    counting.write_text('#!/bin/sh\nwhile read -r line; do echo "| $line"; done\n')
    counting.chmod(0o755)
    words = ("two", "--signature", "rolled", "--pager", "--quiet")
    paged = {**environment, "NO_COLOR": "1", "PAGER": f"'{counting}'", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    status, shown = on_a_terminal(*words, cwd=models, env=paged)
    assert status == 1
    assert re.match(r"\| .*two does not convert: 1 finding", shown)
    assert "\n| error[lowering]: Roll" in shown
    for pager in ("cat", "true", "head -n 1", "no/such/pager", "'no end", ""):
        status, shown = on_a_terminal(*words, cwd=models, env={**paged, "PAGER": pager})
        assert status == 1 and "Traceback" not in shown and "fault" not in shown
        whole = pager not in ("true", "head -n 1")
        assert ("error[lowering]: Roll" in shown) is whole, pager
    piped = run(*words, cwd=models, env=paged)
    assert piped.returncode == 1 and not piped.stdout.startswith("|") and "two does not" in piped.stdout


def _until_closed(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # Linux says so where the other end of a terminal is closed
            return
        if not data:
            return
        yield data


# --- stopped ---------------------------------------------------------------------------------------------------------


def started(models: Path, environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    """A run in a process group of its own, as a shell makes one: Ctrl-C goes to all of it."""
    return subprocess.Popen(
        [*COMMAND, "many", *words], cwd=models, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def test_ctrl_c_prints_what_is_known(models: Path, environment: dict[str, str]) -> None:
    process = started(models, environment, "--verbose")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("bisect-convert: the whole model"):
            os.killpg(process.pid, signal.SIGINT)
            break
    out, log = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "stopped before the search was done" in out
    assert "Traceback" not in log
    assert_nothing_is_left(Path(environment["TMPDIR"]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_model_is_loaded(models: Path, environment: dict[str, str], number: signal.Signals) -> None:
    process = started(models, environment)
    time.sleep(1.5)
    os.killpg(process.pid, number)
    out, log = process.communicate(timeout=5)
    assert (process.returncode, out) == (3, "")
    assert log == "bisect-convert: stopped while the model was being loaded: nothing is known yet\n"
    assert_nothing_is_left(Path(environment["TMPDIR"]))


def test_killed_outright_it_leaves_nothing(models: Path, environment: dict[str, str]) -> None:
    process = started(models, environment)
    time.sleep(2)
    process.kill()
    process.communicate(timeout=5)
    assert_nothing_is_left(Path(environment["TMPDIR"]))


# --- output that cannot be written -----------------------------------------------------------------------------------


def _asked() -> argparse.Namespace:
    return argparse.Namespace(format="text", pager=False)


def test_a_full_disk_leaves_no_file_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.json").write_text("from an earlier run")
    synced = []

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    assert command.hand_over(_report(), _asked(), tmp_path) == 2
    assert os.listdir(tmp_path) == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "from an earlier run"


def test_the_report_is_printed_though_its_files_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "removed" / "out"
    assert command.hand_over(_report(), _asked(), place) == 2
    out, log = capsys.readouterr()
    assert "converts" in out
    assert log == f"bisect-convert: error: --out {place} cannot be written: No such file or directory\n"


def test_the_files_of_findings_take_their_places_together(tmp_path: Path) -> None:
    staged, out = tmp_path / "staged", tmp_path / "out"
    (staged / "finding-1").mkdir(parents=True)
    (staged / "finding-1" / "finding.json").write_text('{"repro": "elsewhere"}')
    (out / "finding-2").mkdir(parents=True)
    (out / "finding-2" / "repro.py").write_text("from an earlier run")
    (out / "finding-3").mkdir()
    (out / "finding-3" / "notes.txt").write_text("the user's own")
    finding = Finding("lowering", None, "E", "m", (), repro=str(staged / "finding-1" / "repro.py"))
    written = output_folder.fill(out, replace(_report(), findings=(finding,), verdict="fails"), staged)
    place = str(out / "finding-1" / "repro.py")
    assert written.findings[0].repro == place
    assert json.loads((out / "finding-1" / "finding.json").read_text()) == {"repro": place}
    assert json.loads((out / "report.json").read_text())["findings"][0]["repro"] == place
    assert sorted(os.listdir(out)) == ["finding-1", "finding-3", "report.html", "report.json", "report.md"]
    assert os.listdir(out / "finding-3") == ["notes.txt"]


def _report() -> Report:
    return Report(
        path="m\udc80", signature=None, ops=1, functions=0, digest="d", coremltools="9.0", tensorflow="2.21.0",
        options={}, verdict="converts", complete=True,
    )  # fmt: skip
