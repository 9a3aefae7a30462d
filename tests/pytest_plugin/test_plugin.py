from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as xml
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import small
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from bisect_convert.errors import Stopped, UsageError
from bisect_convert.pytest_plugin.bisecting import Bisecting, culprits
from bisect_convert.pytest_plugin.failures import failed_call
from bisect_convert.pytest_plugin.known_failures import read, rewrite, rewritten
from bisect_convert.report.findings import Culprit, Finding
from bisect_convert.report.report import Report

pytest_plugins = ["pytester"]

#: Ten tests of a made-up project; it knows nothing of us.
SUITE = """
import coremltools as ct
import pytest
import tensorflow as tf
from coremltools import convert

def net(op):
    @tf.function(input_signature=[tf.TensorSpec([1, 8], tf.float32, name="x")])
    def f(x):
        return op(x * 2.0) + x
    return [f.get_concrete_function()]

@pytest.fixture
def bad():
    return net(tf.math.erfc)

@pytest.fixture(scope="module")
def exported():
    return ct.convert(net(tf.math.lgamma))

def test_converts():
    ct.convert(net(tf.nn.relu), skip_model_load=True)

def test_fails(bad):
    ct.convert(bad, convert_to="mlprogram")

@pytest.mark.parametrize("op", [tf.nn.tanh, tf.math.digamma], ids=["tanh", "digamma"])
def test_each(op):
    convert(net(op), source="tensorflow", compute_precision=ct.precision.FLOAT32, skip_model_load=True)

@pytest.mark.xfail
def test_known(bad):
    ct.convert(bad)

def test_raises(bad):
    with pytest.raises(NotImplementedError):
        ct.convert(bad)

def test_of_a_fixture(exported):
    pass

def test_of_the_same_fixture(exported):
    pass

def test_wrapped(bad):
    try:
        ct.convert(bad)
    except Exception as error:
        raise RuntimeError("export failed") from error

def test_unrelated():
    assert [1] == [2]
"""


@pytest.fixture(scope="module", autouse=True)
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Models by the op in their middle. Made before pytester starts: it would unload tensorflow, which dies of that."""
    folder = tmp_path_factory.mktemp("models")
    return {op: small.write(folder / f"{op}.pb", op).read_bytes() for op in ("erfc", "tanh", "digamma")}


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Run pytest in a process of its own, with the plugin whether or not the package is installed."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    installed = any(e.value == "bisect_convert.pytest_plugin" for e in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "bisect_convert.pytest_plugin"]
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", root)
    return lambda *args: pytester.runpytest_subprocess(*plugin, *args)


# --- the plugin as such ----------------------------------------------------------------------------------------------


def test_unused_it_costs_nothing() -> None:
    heavy = "{'tensorflow', 'coremltools', 'networkx', 'numpy', 'bisect_convert.errors'}"
    script = f"import pytest, sys, bisect_convert.pytest_plugin; assert not {heavy} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])


# --- failures in anyone's suite --------------------------------------------------------------------------------------


def test_a_suite_of_ten_with_the_option_and_two_processes(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_ten=SUITE)
    result = run("--bisect-convert", "-n", "2", "--junitxml=all.xml", "--bisect-convert-out=reports")
    result.assert_outcomes(passed=3, failed=4, errors=2, xfailed=1)
    said = result.stdout.str()
    assert said.count("- bisect-convert -") == 5
    for line in ("Erfc", "Digamma", "Lgamma"):
        assert f"error[lowering]: {line} (float32) does not convert" in said
    assert "options: compute_precision=FLOAT32" in said
    assert "Traceback" not in said and "the model does not convert" in said
    cases = {case.get("name"): case for case in xml.parse(pytester.path / "all.xml").iter("testcase")}
    properties = {p.get("name"): p.get("value", "") for p in cases["test_wrapped"].iter("property")}
    assert properties["bisect_convert_verdict"] == "fails"
    assert properties["bisect_convert_culprits"].startswith("Erfc ")
    assert "does not convert" in properties["bisect_convert_report"]
    assert len(list(cases["test_wrapped"].iter("property"))) == 4
    assert not list(cases["test_raises"].iter("property"))
    folder = Path(properties["bisect_convert_files"])
    assert folder.parent == pytester.path / "reports"
    assert json.loads((folder / "report.json").read_text())["verdict"] == "fails"
    reports = {"report.txt", "report.json", "report.md", "report.html"}
    assert {p.name for p in folder.iterdir()} == reports | {"finding-1"}
    assert str(folder / "finding-1" / "repro.py") in properties["bisect_convert_report"]
    assert (folder / "finding-1" / "repro.py").is_file() and "--out" not in said

    again = run("--bisect-convert", "--lf", "-k", "fails or unrelated")
    again.assert_outcomes(failed=2, deselected=4)
    assert again.stdout.str().count("- bisect-convert -") == 1


def test_the_summary_names_the_culprit_one_cause_is_told_once_and_the_converters_frames_are_folded(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_ten=SUITE)
    arguments = ("--bisect-convert", "-p", "no:xdist", "-p", "no:randomly", "-k", "fails or wrapped")
    result = run(*arguments)
    result.assert_outcomes(failed=2, deselected=8)
    said = result.stdout.str()
    result.stdout.fnmatch_lines(["FAILED test_ten.py::test_fails - Erfc at *"])
    assert said.count("error[lowering]") == 1
    assert "the same as in test_ten.py::test_fails: Erfc at " in said
    assert (
        "def convert_graph" not in said
        and "in convert_graph" not in said
        and "convert_main_graph" not in said
        and "test_ten.py:" in said
    )
    assert "convert_main_graph" in run(*arguments, "-v").stdout.str()


def test_that_no_graph_of_tensorflow_1_is_taken_is_told(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        """
        import coremltools, tensorflow as tf
        def test_graph():
            with tf.Graph().as_default() as graph:
                tf.nn.relu(tf.compat.v1.placeholder(tf.float32, [1, 8]), name="y")
            coremltools.convert(graph, source="tensorflow")
        """
    )
    result = run("--bisect-convert", "-p", "no:xdist")
    result.stdout.fnmatch_lines(["it converts here*", "ct.convert takes no tf.Graph: hand it graph.as_graph_def()*"])


_CONVERT = """
def convert(model, source="auto", inputs=None, pass_pipeline=None, states=None, debug=False):
    exact_source = SOURCE
    states = []
    raise ValueError("no")
"""


def _failing(exact: str = "tensorflow2", **arguments: Any) -> Any:
    """An exception out of a function that is where and what coremltools' own is; that must be imported to be known."""
    import coremltools  # noqa: F401

    names: dict[str, Any] = {"__name__": "coremltools.converters._converters_entry", "SOURCE": exact}
    exec(_CONVERT, names)
    try:
        names["convert"](**arguments)
    except ValueError as error:
        return error


class _Pipeline:
    def __init__(self) -> None:
        self.passes = ["common::a", "common::add_fp16_cast"]


def test_the_call_is_read_off_its_frame() -> None:
    call = failed_call(_failing(model="m", inputs=[1], source="tensorflow"))
    assert call is not None
    assert call.model == str(Path("m").absolute())
    assert call.arguments == {"inputs": [1], "source": "tensorflow", "debug": False}


def test_a_pipeline_that_convert_made_is_not_the_callers() -> None:
    made, given = _Pipeline(), _Pipeline()
    made.passes.remove("common::add_fp16_cast")
    given.passes.remove("common::a")
    calls = [failed_call(_failing(model="m", pass_pipeline=p)) for p in (made, given)]
    assert ["pass_pipeline" in call.arguments for call in calls if call] == [False, True]


@pytest.mark.parametrize("source", ["pytorch", "milinternal"])
def test_other_converters_are_left_alone(source: str) -> None:
    assert failed_call(_failing(source, model="m")) is None


def test_the_call_may_lie_behind_another_error() -> None:
    wrapped = RuntimeError("export failed")
    wrapped.__cause__ = _failing(model="m")
    wrapped.__cause__.__context__ = wrapped
    assert failed_call(wrapped) is not None
    assert failed_call(RuntimeError("of another kind")) is None


# --- the fixture -----------------------------------------------------------------------------------------------------


def test_assert_converts(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult], made: dict[str, bytes]
) -> None:  # fmt: skip
    (pytester.path / "good.pb").write_bytes(made["tanh"])
    (pytester.path / "bad.pb").write_bytes(made["erfc"])
    pytester.makepyfile("""
        import pytest

        def test_good(assert_converts):
            report = assert_converts("good.pb", convert_to="mlprogram")
            assert report.verdict == "converts" and report.complete and report.asked

        def test_again(assert_converts):
            report = assert_converts("good.pb", convert_to="mlprogram")
            assert report.cached and not report.asked

        def test_afresh(assert_converts, tmp_path):
            report = assert_converts("good.pb", convert_to="mlprogram", cache=False, out=tmp_path)
            assert report.asked

        def test_bad(assert_converts):
            assert_converts("bad.pb")

        def test_mended(assert_converts):
            with pytest.warns(UserWarning, match="converted, with edits: .*act/Erfc"):
                assert type(assert_converts("bad.pb", fix=True)).__name__ == "MLModel"

        def test_missing(assert_converts):
            assert_converts("missing.pb")

        def test_wrong(assert_converts):
            assert_converts("good.pb", input=[])
    """)
    result = run("--tb=long")
    result.assert_outcomes(passed=4, failed=3)
    said = result.stdout.str()
    assert "bad.pb does not convert: 1 finding, and that is all" in said
    assert "--> Erfc act/Erfc" in said
    assert "\nno such file or folder: missing.pb" in said
    assert "coremltools.convert has no argument 'input'" in said
    assert "During handling" not in said and "pytest_bisect.py" not in said


def _config(folder: Path) -> Any:
    options = {"capture": "fd", "bisect_convert_out": None, "bisect_convert_no_cache": False}
    return SimpleNamespace(getoption=options.__getitem__, invocation_params=SimpleNamespace(dir=folder))


def test_numbers_are_compared_as_find_compares_them(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(
        """
        import numpy as np, tensorflow as tf
        X = np.full((1, 8), 30.0, "float32")
        model = tf.function(
            lambda x: tf.math.log(1.0 + tf.exp(x, name="act/exp")),
            input_signature=[tf.TensorSpec((1, 8), name="x")],
        )

        def test_small(assert_converts):
            report = assert_converts(model, numbers={"x": X / 10.0})
            assert report.numbers.compared and report.numbers.outputs[0].max_rel < 0.01

        def test_large(assert_converts):
            assert_converts(model, numbers={"x": X})

        def test_strict(assert_converts):
            assert_converts(model, numbers={"x": X / 10.0}, tolerance=1e-9)

        def test_of_another_name(assert_converts):
            assert_converts(model, numbers={"y": X})
        """
    )
    result = run("-p", "no:xdist", "-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(["FAILED *::test_large - *", "FAILED *::test_strict*"])
    assert "differs[numbers]: Exp" in result.stdout.str()


def test_what_is_printed_meanwhile_is_dropped_and_nothing_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    report = Report("", None, 1, 0, "", "", "", {}, "converts", True)

    def search(out: Path | None) -> Report:
        print("of tensorflow")
        os.write(2, b"of tensorflow")
        return report

    print("before")
    assert Bisecting(_config(tmp_path)).bisected("a::b", search)[0].verdict == "converts"
    print("after")
    os.write(2, b"too")
    assert capfd.readouterr() == ("before\nafter\n", "too")


def test_a_home_that_cannot_be_written_costs_the_cache_and_no_test(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    bisecting, report = Bisecting(_config(tmp_path)), Report("", None, 1, 0, "", "", "", {}, "converts", True)
    assert bisecting.cache is None
    found, properties = bisecting.bisected("a::b", lambda out: report)
    assert "cannot be written" in found.notes[0]
    assert dict(properties) == {"bisect_convert_verdict": "converts", "bisect_convert_culprits": ""}


@pytest.mark.parametrize(("cause", "expected"), [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(), None)])
def test_an_interrupt_ends_the_run_and_a_search_cut_short_is_reported(
    tmp_path: Path, cause: BaseException, expected: type[BaseException] | None
) -> None:
    report = Report("", None, 1, 0, "", "", "", {}, "inconclusive", False)

    def search(out: Path | None) -> Report:
        try:
            raise cause
        except BaseException:
            raise Stopped("stopped", report) from None

    with pytest.raises(expected) if expected else contextlib.nullcontext():
        assert Bisecting(_config(tmp_path)).bisected("a::b", search)[0] == report


# --- models as tests -------------------------------------------------------------------------------------------------


def test_models_are_tests_with_known_failures(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult], made: dict[str, bytes]
) -> None:
    models = pytester.mkdir("models")
    (models / "good.pb").write_bytes(made["tanh"])
    (models / "bad.pb").write_bytes(made["erfc"])
    (models / "notes.txt").write_text("no model")
    known = models / "bisect-convert.toml"
    known.write_text('# for all of them\nminimum-deployment-target = "iOS17"\n')
    pytester.makeini("[pytest]\nbisect_convert_models = models/*\ntestpaths = tests")
    pytester.mkdir("tests").joinpath("test_a.py").write_text("def test_a(): pass")

    new = run()
    new.assert_outcomes(passed=2, failed=1)
    new.stdout.fnmatch_lines(["*models/bad.pb::converts*", "new culprit: Erfc act/Erfc", "*error?lowering?: Erfc*"])
    update = run("--bisect-convert-update", "-n", "2")
    update.assert_outcomes(passed=3)
    update.stdout.fnmatch_lines(["bisect-convert: rewrote the known failures in *bisect-convert.toml"])
    text = known.read_text()
    assert text.startswith("# for all of them\n") and '["bad.pb"]\nknown = [\n    "Erfc act/Erfc",\n]' in text

    (models / "bad.pb").write_bytes(made["digamma"])
    stale = run("--lf", "models")
    stale.assert_outcomes(passed=1, failed=1)
    stale.stdout.fnmatch_lines(["new culprit: Digamma act/Erfc", "known culprit is gone: Erfc act/Erfc"])
    chosen = run("--bisect-convert-models=models/g*.pb", "--collect-only", "-q", "tests")
    chosen.stdout.fnmatch_lines(["tests/test_a.py::test_a", "models/good.pb::converts", "", "2 tests*"])
    assert run("--bisect-convert-models=nothing/*").ret == pytest.ExitCode.USAGE_ERROR


# --- bisect-convert.toml ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "table", "known", "expected"),
    [
        ("", "a", ["x"], '[a]\nknown = [\n    "x",\n]\n'),
        ("k = 1\n", "a b", ["x"], 'k = 1\n\n["a b"]\nknown = [\n    "x",\n]\n'),
        ("[a]\nknown = ['x', # why\n 'y']\nk = 1 # kept\n", "a", [], "[a]\nknown = []\nk = 1 # kept\n"),
        ("[a]\nk = 1\n\n[b]\n", "a", ["]"], '[a]\nk = 1\nknown = [\n    "]",\n]\n\n[b]\n'),
        ("k = 1\n", None, ["x"], 'k = 1\nknown = [\n    "x",\n]\n'),
        (
            "[a]\nknown = [\n# why\n'x', # c\n 'y',\n]  # d\n",
            "a",
            ["x", "z"],
            "[a]\nknown = [\n# why\n'x', # c\n\"z\",\n]  # d\n",
        ),
        ("[a]\nknown = ['x']  # one\n", "a", [], "[a]\nknown = []  # one\n"),
        ("[a]\nknown = ['] # x']\n", "a", [], "[a]\nknown = []\n"),
        ("a.k = 1\n", "a", ["x"], 'a.k = 1\na.known = [\n    "x",\n]\n'),
        ("[b]\nk = 1", "a", ["x"], '[b]\nk = 1\n\n[a]\nknown = [\n    "x",\n]\n'),
    ],
)
def test_a_list_is_rewritten_and_nothing_else(text: str, table: str | None, known: list[str], expected: str) -> None:
    assert rewritten(text, table, known).strip() == expected.strip()


CULPRITS = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=4, unique=True)


@given(st.lists(CULPRITS, min_size=3, max_size=3), CULPRITS, st.sampled_from(["m", "n.pb", "new"]), st.booleans())
def test_whatever_is_listed_comes_back_and_comments_on_their_own_lines_stay(
    before: list[list[str]], known: list[str], table: str, wide: bool
) -> None:
    text = "# of all\n"
    for name, culprits_ in zip(("m", '"n.pb"', "last"), before, strict=True):
        rows = [f"    {tomlkit.string(c).as_string()},{'  # why' * wide}" for c in culprits_]
        text += "\n".join([f"[{name}]", "k = 1  # kept", "known = [", f"    # in {name}", *rows, "]", "", ""])
    new = rewritten(text, table, known)
    was, now = tomlkit.parse(text).unwrap(), tomlkit.parse(new).unwrap()
    was.setdefault(table, {})["known"] = known
    for tables in (was, now):
        tables[table]["known"] = sorted(tables[table]["known"])
    assert now == was
    own = [row.strip() for row in text.splitlines() if row.strip().startswith("#")]
    assert own == [row.strip() for row in new.splitlines() if row.strip().startswith("#")]


def test_a_list_that_cannot_be_written_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bisect-convert.toml"
    assert rewrite(file, "m", ["A a"]) and not rewrite(file, "m", ["A a"])
    before = file.read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            rewrite(file, "m", [])
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_a_table_about_no_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.pb").touch()
    (tmp_path / "bisect-convert.toml").write_text('[m.pb]\noptimize = "linear8"\n["m.pb"]\noptimize = "prune"\n')
    found = read(tmp_path / "m.pb")
    assert (found.strays, found.arguments.optimize) == (("m",), "prune")


def test_a_model_may_have_its_own_file(tmp_path: Path) -> None:
    model = tmp_path / "m"
    model.mkdir()
    (tmp_path / "bisect-convert.toml").write_text('convert_to = "mlprogram"\n[m]\ninputs = "x:1x8"\nknown = ["A a"]\n')
    beside = read(model)
    assert (beside.table, beside.known, beside.arguments.convert_to) == ("m", ("A a",), "mlprogram")
    assert beside.arguments.input[0]["shape"] == [1, 8]
    (model / "bisect-convert.toml").write_text('known = ["B b"]\nconvert-to = "neuralnetwork"\n')
    inside = read(model)
    assert (inside.table, inside.known, inside.arguments.convert_to) == (None, ("B b",), "neuralnetwork")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k", "is no TOML"),
        ("[m]\nknwon = []", "unknown key 'knwon'; did you mean known"),
        ("known = []", "known belongs below the name of a model"),
        ("[m]\nknown = [1]", "known must be a list of strings"),
        ("[m]\ninput = 'x:1xa'", "is neither a shape"),
        ("m = 1", "must be a table"),
    ],
)
def test_a_file_that_cannot_be_understood(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bisect-convert.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read(tmp_path / "m")


def test_culprits_are_named_without_what_changes_from_export_to_export() -> None:
    finding = Finding("lowering", None, "E", "", (Culprit("a/b", "Erfc", "while_body_12_345"), Culprit("c", "Erfc")))
    whole = Finding("load", None, "ValueError", "", ())
    report = Report("", None, 1, 0, "", "", "", {}, "fails", True, (finding, whole))
    assert culprits(report) == ("Erfc a/b in while_body", "Erfc c", "load ValueError")
    assert culprits(SimpleNamespace(findings=())) == ()  # type: ignore[arg-type]
