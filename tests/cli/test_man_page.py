"""The manual page: what the parser says, in troff that man reads without a word."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bisect_convert.cli.command import main
from bisect_convert.cli.options import FORMATS

PAGE = Path(__file__).parents[2] / "man" / "bisect-convert.1"


def test_the_page_that_is_installed_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--man"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == PAGE.read_text(), "run: bisect-convert --man > man/bisect-convert.1"


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man here")
def test_man_shows_it_and_complains_of_nothing() -> None:
    shown = subprocess.run(
        ["man", "--warnings", "-l", str(PAGE)], capture_output=True, text=True, check=True,
        env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""},
    )  # fmt: skip
    assert shown.stderr == ""
    for words in ("NAME", "bisect-convert MODEL... [options]", "EXIT STATUS", "--dask ADDRESS", ",".join(FORMATS)):
        assert words in shown.stdout


def test_without_the_package_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "argparse_manpage.manpage", None)
    with pytest.raises(SystemExit) as ended:
        main(["--man"])
    assert ended.value.code == 2 and "pip install 'bisect-convert[completion]'" in capsys.readouterr().err
