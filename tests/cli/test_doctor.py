"""What is installed, told at once; and a doctor who says what fits and what is missing."""

from __future__ import annotations

from importlib import metadata

import pytest

from bisect_convert.cli import doctor
from bisect_convert.cli.command import main


def test_versions_of_what_it_leans_on_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and said.count("\n") == 1
    assert f"coremltools {metadata.version('coremltools')}" in said and "tensorflow 2." in said


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_the_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--completion", shell])
    assert ended.value.code == 0 and "--minimum-deployment-target" in capsys.readouterr().out


def test_a_doctor_says_what_fits_and_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert (
        len(told) <= 10
        and "ok  a worker starts" in "\n".join(told)
        and not [row for row in told if row.startswith("BAD")]
    )
    monkeypatch.setattr(doctor, "version_of", {"tensorflow": "2.15.1", "coremltools": "9.0", "numpy": "2.1"}.get)
    assert main(["doctor"]) == 2
    told = capsys.readouterr().out.splitlines()
    assert "BAD tensorflow 2.15.1: pip install 'tensorflow>=2.16'" in told
    assert "BAD networkx is not installed: pip install 'networkx>=3.2'" in told
    assert [row for row in told if "pip install 'bisect-convert[optimize]'" in row]
