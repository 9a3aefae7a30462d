"""The words of the command line, as packed arguments of `ct.convert`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bisect_convert.cli.options import packed_options, parse


def test_images_labels_and_pipelines(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n\n")
    words = [
        "model", "--image", "x:scale=1/255,bias=-1|0|1,layout=bgr", "--classes", str(labels), "--skip-pass", "common::a",
        "--pass-pipeline", "CLEANUP",
    ]  # fmt: skip
    packed = packed_options(parse(words))
    assert packed["inputs"] == [
        {"kind": "ImageType", "name": "x", "scale": pytest.approx(1 / 255), "bias": [-1, 0, 1], "color_layout": "BGR"}
    ]
    assert packed["classifier_config"]["class_labels"] == ["cat", "dog"]
    assert packed["pass_pipeline"] == {"name": "CLEANUP", "without": ["common::a"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--image", "x:scale=big"], "is none of scale=NUMBER"),
        (["--image", "x:scale=1/0"], "is none of scale=NUMBER"),
        (["--image", ":scale=1"], "has no name"),
        (["--classes", "no/such/file"], "no/such/file cannot be read: No such file"),
    ],
)
def test_what_cannot_be_understood_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    with pytest.raises(SystemExit) as stopped:
        parse(["model", *words])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(("layout", "biases"), [("RGB", [-1, -1, -1]), ("GRAYSCALE", -1)])
def test_one_bias_holds_for_all_colours(layout: str, biases: object) -> None:
    (image,) = packed_options(parse(["model", "--image", f"x:bias=-1,layout={layout}"]))["inputs"]
    assert image["bias"] == biases
