from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pexpect
import pytest
import small

from bisect_convert import Session
from bisect_convert.cli import prompt
from bisect_convert.probe.client import Workers

CONSOLE = """
import sys
from bisect_convert import Session
from bisect_convert.cli import prompt
prompt.run(Session(sys.argv[1]), ipython=False)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write(tmp_path_factory.mktemp("model") / "model.pb")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start Python with these arguments on a pseudo-terminal."""
    opened: list[Any] = []

    def start(*arguments: str) -> Any:
        environment = {**os.environ, "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm", "IPYTHONDIR": str(tmp_path)}
        environment["PYTHON_BASIC_REPL"] = environment["NO_COLOR"] = "1"
        opened.append(
            pexpect.spawn(
                sys.executable, list(arguments), env=environment, encoding="utf8", timeout=90, dimensions=(50, 160)
            )
        )  # fmt: skip
        return opened[-1]

    yield start
    for child in opened:
        child.close(force=True)


def _ended(child: Any) -> int:
    child.expect(pexpect.EOF)
    return int(child.wait())


def test_ipython_completes_op_names_and_shows_outcomes(terminal: Callable[..., Any], model: Path) -> None:
    child = terminal("-m", "bisect_convert", str(model), "--shell")
    child.expect("s is the session on .*model.pb, 7 ops")
    child.expect("Each section: ")
    child.expect(r"In \[.*1.*\]:")
    child.send('s.ops("act/Er\t')
    child.expect("fc")
    child.send('").convert()\r')
    child.expect("fails in lowering, NotImplementedError: Conversion for TF op 'Erfc' not implemented")
    child.expect(r"In \[.*2.*\]:")
    child.send("s.hunt()\r")
    child.expect("does not convert: 1 finding, and that is all")
    child.expect(r"In \[.*3.*\]:")
    child.send('s.prefix("act/Erf")\r')
    child.expect("UsageError: the model has no op 'act/Erf'; did you mean act/Erfc")
    child.expect(r"In \[.*4.*\]:")
    assert "Traceback" not in child.before
    child.send("\x04")
    assert _ended(child) == 0


def test_pythons_own_prompt_does_too(terminal: Callable[..., Any], model: Path) -> None:
    child = terminal("-c", CONSOLE, str(model))
    child.expect("Each section: ")
    child.expect(">>> ")
    child.send('s.prefix("dense/R\t')
    child.expect("elu")
    child.send('\x15s.prefix("dense/Relu").convert()\r')  # Ctrl-U first: some readlines close the quote, some do not
    child.expect(r"converts \(")
    child.expect(">>> ")
    child.send("s.pre\t")
    child.expect("fix")
    child.send('\x15s.prefix("dense/MatMul").draw()\r')
    child.expect(r"out float32\[1, 4\]  dense/MatMul:0")
    child.expect(">>> ")
    child.send('s.prefix("act/Erf")\r')
    child.expect("\r\nUsageError: the model has no op 'act/Erf'; did you mean act/Erfc")
    child.expect(">>> ")
    child.send("1 / 0\r")
    child.expect("Traceback.*ZeroDivisionError")
    child.expect(">>> ")
    child.send("\x04")
    assert _ended(child) == 0


def test_one_key_is_one_probe(terminal: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    child = terminal("-m", "bisect_convert", str(model), "--step", "--out", str(tmp_path / "out"))
    child.expect("the whole model .7 ops.")
    child.expect("does it convert")
    child.send("n")
    child.expect("only the converter can say")
    child.send("\r")
    child.expect("fails, NotImplementedError")
    child.expect("act/Erfc alone")
    child.expect("does it fail in the same way")
    child.send("a")
    child.expect("1 finding, and that is all")
    assert _ended(child) == 1
    assert (tmp_path / "out" / "report.json").is_file()
    assert (tmp_path / "out" / "finding-1" / "repro.py").is_file()


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("q", "stopped"),
        ("", "stopped"),
        ("?zq", "stopped"),
        (" n", "pass, answered by hand"),
        (" y", "fail, answered by hand"),
        (" s", "unresolved, answered by hand"),
        ("s", "unresolved, answered by hand"),
    ],
)
def test_keys_of_the_walk(model: Path, workers: Workers, keys: str, expected: str) -> None:
    left = iter(keys)
    out = StringIO()
    with Session(model, workers=workers) as session:
        report = prompt.step(session, keys=lambda: next(left), out=out)
    assert expected in out.getvalue()
    assert report.journal == () or report.journal[0].question == "the whole model"


def test_completion_is_for_open_strings_only(model: Path, workers: Workers) -> None:
    with Session(model, workers=workers) as session:
        assert prompt.complete(session, 's.prefix("out/') == ["out/MatMul", "out/Softmax"]
        assert prompt.complete(session, "s.section('x', 'skip") == ["skip/add"]
        assert prompt.complete(session, 's.prefix("out/MatMul").o') == []
