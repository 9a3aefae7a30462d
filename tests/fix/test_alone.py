"""The script of a fixed model, begun in a process of its own before it is sure, and run anew where it came to be another."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.fix import alone as processes
from bisect_convert.fix import converted
from bisect_convert.fix.alone import Alone, Sooner
from bisect_convert.fix.destination import destination
from bisect_convert.probe.client import Workers

FIXTURES = Path(__file__).parents[2] / "fixtures"
LOOK = """
import json, os, sys
try:
    import bisect_convert
    found = True
except ImportError:
    found = False
with open(sys.argv[1], "w") as file:
    json.dump([found, os.getcwd(), sys.argv[1:], "" in sys.path, "tensorflow" in sys.modules], file)
sys.exit("the last word")
"""


def written(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "made.fix.py").write_text(text)
    return folder / "made.fix.py"


def test_a_script_runs_in_its_folder_without_this_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/tensorflow.py").write_text("raise SystemExit('of the current folder')")
    monkeypatch.chdir(tmp_path / "here")
    out = tmp_path / "out.json"
    with Alone(()) as alone:
        alone.begin(written(tmp_path / "a", LOOK), [str(out), "and more"])
        status, said = alone.ended(120)
    assert status == 1 and said.strip().endswith("the last word")
    assert json.loads(out.read_text()) == [False, str(tmp_path / "a"), [str(out), "and more"], False, True]


def test_what_is_begun_anew_ends_what_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_CODE", processes._CODE.replace("import numpy, tensorflow, coremltools", "pass"))
    slow = "import sys, time\nopen(sys.argv[1], 'w').close()\ntime.sleep(60)\n"
    with Alone(()) as alone:
        alone.begin(written(tmp_path / "a", slow), [str(tmp_path / "began")])
        first, until = alone._process, time.monotonic() + 30
        while not (tmp_path / "began").exists() and time.monotonic() < until:
            time.sleep(0.05)
        alone.begin(written(tmp_path / "b", "print(1)"), [])
        assert first.poll() is not None and alone.begun == "print(1)"
        assert alone.ended(30)[0] == 0
    unused = Alone(())
    with unused:
        pass
    assert unused._process.poll() is not None


def test_it_is_begun_when_it_is_foreseen_and_once(tmp_path: Path) -> None:
    begun: list[Mapping[str, Any]] = []
    ready = threading.Event()

    def begin(program: Mapping[str, Any]) -> None:
        begun.append(program)
        ready.set()
        raise ValueError("what is begun sooner may fail")

    with Sooner(tmp_path / "foreseen.json", begin):
        time.sleep(0.3)
        assert not begun
        (tmp_path / "foreseen.json").write_text('{"edits": []}')
        assert ready.wait(10)
    assert begun == [{"edits": []}]
    with Sooner(tmp_path / "never.json", begin):
        pass
    assert len(begun) == 1


@pytest.mark.parametrize("foresight", ["right", "wrong", "none"])
def test_the_script_is_the_final_one_whatever_was_foreseen(
    foresight: str, workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    begin = Alone.begin

    def noted(self: Alone, script: Path, words: list[str]) -> None:
        begun.append(script.parent.name)
        begin(self, script, words)

    monkeypatch.setattr(Alone, "begin", noted)

    class Seer(Sooner):
        """One that has looked before it is over, however soon that is."""

        def __init__(self, foreseen: Path, told: Callable[[Mapping[str, Any]], None]) -> None:
            self.looked = threading.Event()
            chosen = {"right": told, "wrong": partial(guess, told), "none": lambda _: None}[foresight]

            def noted(program: Mapping[str, Any]) -> None:
                try:
                    chosen(program)
                finally:
                    self.looked.set()

            super().__init__(foreseen, noted)

        def __exit__(self, *error: object) -> None:
            assert self.looked.wait(30)
            super().__exit__(*error)

    def guess(told: Callable[[Mapping[str, Any]], None], program: Mapping[str, Any]) -> None:
        told({**program, "edits": []})

    monkeypatch.setattr(converted, "Sooner", Seer)
    place = destination(str(tmp_path / "out.mlpackage"), {})
    wishes = Wishes(first=True)
    report = find_packed(
        FIXTURES / "erfc_in_cond/model", {}, wishes, workers, fixing=partial(converted.fixed, destination=place)
    )
    assert report.fix is not None and report.fix.converted and report.fix.verified
    assert [e.recipe for e in report.fix.edits] == ["Erfc"]
    assert "erfc" in (tmp_path / "out.fix.py").read_text() and (tmp_path / "out.mlpackage").is_dir()
    assert len(begun) == (2 if foresight == "wrong" else 1) and (begun[0] == "sooner") is (foresight != "none")
