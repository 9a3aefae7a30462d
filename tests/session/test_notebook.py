from __future__ import annotations

from typing import Any

import nbformat
import pytest
import small
from nbclient import NotebookClient

CELLS = [
    "from bisect_convert import Session\ns = Session({model!r})",
    "report = s.hunt()\nreport",
    "report.findings[0]",
    's.section("dense/MatMul", "act/Erfc")',
    "s.whole.draw()",
    "s.journal",
    's.ops("act/*").convert()',
    "s.close()",
]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """What each cell of the notebook shows, once it has been executed."""
    model = small.write(tmp_path_factory.mktemp("model") / "model.pb")
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell.format(model=str(model))) for cell in CELLS]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


def _shown(outputs: list[Any]) -> Any:
    (data,) = [output.data for output in outputs if output.output_type == "execute_result"]
    return data


def test_a_report_is_a_page_in_a_frame(outputs: list[list[Any]]) -> None:
    shown = _shown(outputs[1])
    assert shown["text/html"].startswith("<iframe")
    assert "act/Erfc" in shown["text/html"]
    assert "does not convert: 1 finding" in shown["text/plain"]


def test_progress_is_shown_and_nothing_else_is_said(outputs: list[list[Any]]) -> None:
    said = "".join(o.text for cell in outputs for o in cell if o.output_type == "stream")
    assert "questions" in said and "control: the whole model" in said
    assert "Warning" not in said


def test_a_finding_is_a_card_with_its_picture(outputs: list[list[Any]]) -> None:
    shown = _shown(outputs[2])
    assert "<svg" in shown["text/html"] and "<svg" in shown["image/svg+xml"]
    assert "act/Erfc" in shown["text/html"]
    assert "<iframe" not in shown["text/html"]


@pytest.mark.parametrize("cell", [3, 4])
def test_a_section_is_a_picture(outputs: list[list[Any]], cell: int) -> None:
    assert _shown(outputs[cell])["image/svg+xml"].startswith("<svg")


def test_an_outcome_is_a_line(outputs: list[list[Any]]) -> None:
    assert _shown(outputs[6])["text/plain"].startswith("fails in lowering, NotImplementedError: ")


def test_the_journal_is_a_table(outputs: list[list[Any]]) -> None:
    shown = _shown(outputs[5])
    assert "<td>the whole model</td>" in shown["text/html"]
    assert "1. the whole model, 7 ops" in shown["text/plain"]
