from __future__ import annotations

import _thread
import doctest
import importlib
import inspect
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
from leftovers import assert_nothing_is_left

from bisect_convert import Report, Section, Session, find
from bisect_convert.errors import BisectConvertError, ModelError, UsageError
from bisect_convert.probe.client import Workers
from bisect_convert.report.findings import Finding
from bisect_convert.session.journal import Journal, Step

FIXTURES = Path(__file__).parents[2] / "fixtures"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write(tmp_path_factory.mktemp("model") / "model.pb")


@pytest.fixture
def s(model: Path, workers: Workers) -> Iterator[Session]:
    with Session(model, workers=workers) as session:
        yield session


@pytest.fixture(scope="module")
def cond(workers: Workers) -> Iterator[Session]:
    with Session(FIXTURES / "erfc_in_cond" / "model", workers=workers) as session:
        yield session


# --- documentation ---------------------------------------------------------------------------------------------------


def _examples() -> list[Any]:
    names = (
        "session.session", "session.section", "session.fixing", "session.journal", "cli.prompt", "pytest_plugin.known_failures",
        "diagnose.find", "report.report", "report.findings", "report.plain", "report.questions", "model.outcome",
    )  # fmt: skip
    modules = [importlib.import_module(f"bisect_convert.{name}") for name in names]
    return [test for module in modules for test in doctest.DocTestFinder().find(module) if test.examples]


@pytest.mark.parametrize("example", _examples(), ids=lambda test: test.name.removeprefix("bisect_convert."))
def test_the_examples_run(example: doctest.DocTest, s: Session, model: Path, workers: Workers, tmp_path: Path) -> None:
    def opened(*args: Any, **kwargs: Any) -> Session:
        return Session(*args, workers=workers, **kwargs)

    example.globs.update(s=s, model=model, tmp=tmp_path)
    if "from bisect_convert import Session" in example.docstring:
        example.examples.pop(0)
        example.globs["Session"] = opened
    if example.name.startswith("bisect_convert.report."):
        example.globs["report"] = s.hunt()
    if "find" in example.globs:
        example.globs["find"] = partial(find, workers=workers)
    said: list[str] = []
    assert doctest.DocTestRunner(optionflags=FLAGS).run(example, out=said.append).failed == 0, "".join(said)


@pytest.mark.parametrize("kind", [Session, Section, Step, Journal, Report, Finding, find])
def test_each_public_name_has_an_example(kind: Any) -> None:
    own = [member for name, member in vars(kind).items() if not name.startswith("_") and inspect.getdoc(member)]
    documented = [m for m in own if inspect.isfunction(m) or isinstance(m, property)]
    assert [m for m in [kind, *documented] if ">>>" not in (inspect.getdoc(m) or "")] == []


# --- sections --------------------------------------------------------------------------------------------------------


def test_sections_join_like_sets(s: Session) -> None:
    dense, act, both = s.ops("dense/*"), s.ops("act/*"), s.section("dense/MatMul", "act/Erfc")
    assert dense | act == both
    assert both - act == dense
    assert both & act == act
    assert {dense | act, both} == {both}
    assert not s.ops("no/*").ops


def test_what_was_taken_out_is_not_brought_back(cond: Session) -> None:
    whole = cond.whole
    for op in whole:
        assert op not in (whole - cond.ops(op)).closed


def test_names_may_be_tensors_and_live_in_bodies(cond: Session) -> None:
    part = cond.around("gate/cond/Erfc:0", 3)
    assert part.graph and "gate/cond/Erfc" in part
    assert part.graph in cond.graphs


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s: s.prefix("act/Erf"), "no op 'act/Erf'; did you mean act/Erfc"),
        (lambda s: s.prefix("erfc"), "no op 'erfc'; did you mean act/Erfc"),
        (lambda s: s.prefix(3), "named by a string, not by 3"),
        (lambda s: s.prefix("dense/MatMul/b"), "follows from constants alone"),
        (lambda s: s.section("out/MatMul", "dense/Relu"), "the other way round there is one"),
        (lambda s: s.without("act/Erf"), "did you mean"),
        (lambda s: s.ops(graph="body"), "no graph 'body'"),
        (lambda s: s.ops("x") | 3, "only sections"),
        (lambda s: s.witness(0), "no such finding"),
        (lambda s: s.step("maybe"), "no such answer"),
        (lambda s: s.step("fails"), "only the converter can say"),
        (lambda s: s.ops("dense/*").run({"y": 1}), "no input 'y:0'; it has: x:0"),
        (lambda s: s.ops("dense/*").run([1, 2]), "has 1 inputs, not 2: x:0"),
        (lambda s: s.ops("dense/*").run([[1.0, 2.0]]), "x:0 has shape 1x8, not 2"),
        (lambda s: s.ops("none").run(), "cannot be cut out: it is empty"),
        (lambda s: s.ops("x").save(Path(__file__)), "exists already"),
        (lambda s: s.minimise(s.ops("dense/*")), "does not fail"),
    ],
)
def test_faults_of_the_caller_are_one_line(s: Session, ask: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ask(s)


def test_sections_of_two_sessions_do_not_mix(s: Session, cond: Session) -> None:
    with pytest.raises(UsageError, match="same graph and session"):
        s.whole | cond.whole


def test_values_are_those_of_the_model(s: Session) -> None:
    x = np.linspace(-1, 1, 8, dtype=np.float32).reshape(1, 8)
    (whole,) = s.whole.run([x]).values()
    head = s.section("x", "dense/Relu")
    middle = head.run({"x": x})["dense/Relu:0"]
    (tail,) = (s.whole - head).run({"dense/Relu": middle, "x": x}).values()
    np.testing.assert_array_equal(whole, tail)


def test_inputs_are_made_up_the_same_each_time(s: Session) -> None:
    first, second = s.whole.run(), s.whole.run()
    assert first.keys() == second.keys() == {"skip/add:0"}
    np.testing.assert_array_equal(first["skip/add:0"], second["skip/add:0"])


def test_a_section_of_a_body_runs_and_converts(cond: Session) -> None:
    erfc = cond.ops("*/Erfc", graph=cond.around("gate/cond/Erfc").graph)
    (tensor,) = erfc.inputs
    assert erfc.run([np.zeros(tensor.shape or ())])[erfc.outputs[0].tensor].min() == 1.0
    failure = erfc.convert().failure
    assert failure is not None and "Erfc" in failure.message


@pytest.mark.parametrize("name", ["part", "part.pb"])
def test_a_saved_section_fails_as_the_model_does(s: Session, workers: Workers, tmp_path: Path, name: str) -> None:
    saved = s.section("dense/Relu", "out/MatMul").save(tmp_path / "new" / name)
    (finding,) = find(saved, workers=workers).findings
    assert [c.name for c in finding.culprits] == ["act/Erfc"]
    assert finding.error_type == "NotImplementedError"


def test_a_section_as_code_and_as_a_model_is_the_section(cond: Session, s: Session, tmp_path: Path) -> None:
    known: dict[str, Any] = {}
    whole = cond.ops()
    text = whole.code()
    exec(text, known)
    assert "StatelessIf" in text and "tf.raw_ops.Erfc" in text
    (given,) = (np.random.default_rng(0).standard_normal(t.shape).astype(t.dtype) for t in whole.inputs)
    (wanted,) = whole.run([given]).values()
    assert [np.asarray(y).shape for y in known["section"](given).values()] == [wanted.shape]
    part = s.ops("dense/*")
    model = part.mlmodel()
    assert [i.name for i in model.get_spec().description.input] == [part.inputs[0].tensor.removesuffix(":0")]
    saved = part.save(tmp_path / "part.mlpackage")
    assert saved.is_dir() and part.save(tmp_path / "part.py").read_text() == part.code()
    with pytest.raises(UsageError, match="does not convert: NotImplementedError: .*Erfc"):
        s.ops("act/Erfc").mlmodel()
    with pytest.raises(UsageError, match="exists already"):
        part.save(saved)


def test_known_culprits_are_marked_in_drawings(s: Session) -> None:
    assert "culprit" not in s.ops("act/*").draw().text
    s.hunt()
    assert "act/Erfc  <-- culprit" in str(s.ops("act/*").draw())
    assert s.whole._repr_svg_().startswith("<svg")


def test_a_loop_without_end_is_stopped(workers: Workers, tmp_path: Path) -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [2], name="x")
        tf.while_loop(lambda v: tf.reduce_sum(v) < 1e9, lambda v: [v * 1.0], [x], name="loop")
    path = tmp_path / "endless.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    with Session(path, workers=workers, timeout=2) as session:
        with pytest.raises(BisectConvertError, match="over its time limit of 2 s"):
            session.whole.run([[0.0, 0.0]])
        assert session.ops("x").run([[1.0, 2.0]])


# --- the search ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["two_culprits", "roll_in_while"])
def test_step_by_step_it_asks_what_find_asks(workers: Workers, name: str) -> None:
    path = FIXTURES / name / "model"
    with Session(path, workers=workers) as session:
        steps = []
        while (step := session.step()) is not None:
            steps.append(step)
        stepwise = session.report
    at_once = find(path, workers=workers)
    assert [(p.question, p.verdict) for p in stepwise.journal] == [(p.question, p.verdict) for p in at_once.journal]
    culprits = [[(c.op, c.name) for f in report.findings for c in f.culprits] for report in (stepwise, at_once)]
    assert culprits[0] == culprits[1] != []
    assert stepwise.complete == at_once.complete
    assert [s.number for s in steps] == list(range(1, sum(not p.cached for p in stepwise.journal) + 1))
    assert all(step.why != "search" for step in steps), [step.question for step in steps if step.why == "search"]


def test_nothing_is_asked_twice(s: Session) -> None:
    s.step()
    s.ops("act/Erfc").convert()
    s.hunt()
    asked = s.report.asked
    s.hunt()
    s.ops("act/Erfc").convert()
    s.whole.convert()
    (s.whole - s.ops("act/Erfc")).convert()
    assert s.report.asked == asked
    assert s.step() is None and s.ahead is None


def test_a_hunt_goes_on_from_where_stepping_stopped(s: Session) -> None:
    first = s.step()
    assert first is not None and first.verdict == "fails"
    ahead = s.ahead
    assert ahead is not None and ahead.targeted and list(ahead.section) == ["act/Erfc"]
    assert s.findings == () and s.report.verdict == "inconclusive"
    assert s.hunt().complete


def test_an_interrupted_hunt_goes_on(s: Session, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = workers.ask

    def interrupted(request: Any) -> Any:
        monkeypatch.setattr(workers, "ask", ask)
        _thread.interrupt_main()
        time.sleep(0.5)
        return ask(request)

    monkeypatch.setattr(workers, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        s.hunt()
    assert s.report.verdict in {"inconclusive", "fails"}
    assert s.hunt().complete


def test_answers_by_hand_are_taken_and_told(s: Session) -> None:
    s.step()
    step = s.step("converts")
    assert step is not None and step.by_hand and step.verdict == "pass"
    report = s.hunt()
    assert any("by hand" in note for note in report.notes)
    assert "answered by hand" in str(s.journal)


def test_a_person_may_say_what_is_interesting(s: Session) -> None:
    asked: list[Section] = []

    def fails(part: Section) -> bool | None:
        asked.append(part)
        return None if "act/Erfc" in part.ops and "x" not in part.ops else {"dense/Relu", "skip/add"} <= part.ops

    assert set(s.minimise(s.whole, fails=fails)) == {"dense/Relu", "skip/add"}
    assert len(asked) == len(set(asked))


def test_a_witness_is_the_section_that_was_probed(workers: Workers) -> None:
    with Session(FIXTURES / "pair_only" / "model", workers=workers) as session:
        report = session.hunt()
        asked = session.report.asked
        witness = session.witness(report.findings[0])
        assert set(witness) <= set(report.findings[0].witness.ops)
        outcome = witness.convert()
        assert outcome.failure is not None and outcome.failure.type == report.findings[0].error_type
        assert session.report.asked <= asked + 1


def test_a_graph_def_in_memory(model: Path, workers: Workers) -> None:
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef.FromString(model.read_bytes())
    with Session(graph_def, workers=workers) as session:
        assert session.hunt().findings[0].culprits[0].name == "act/Erfc"
        assert "the model does not convert" in str(session.report)


def test_where_a_model_cannot_be_frozen_the_search_is_about_what_can(workers: Workers, tmp_path: Path) -> None:
    import tensorflow as tf

    class Counting(tf.Module):
        def __init__(self) -> None:
            self.calls = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([4], name="x")])
        def __call__(self, x: Any) -> Any:
            self.calls.assign_add(1.0)
            return {"y": tf.math.erfc(x) * self.calls}

    counting = Counting()
    tf.saved_model.save(counting, str(tmp_path / "model"), signatures=counting.__call__)
    with Session(tmp_path / "model", workers=workers) as session:
        before = session.whole.convert().failure
        sections = []
        while (step := session.step()) is not None:
            sections.append(list(step.section))
        assert ["StatefulPartitionedCall/Erfc"] in sections
        assert "Erfc" in str(session.witness(1).convert())
        after = session.whole.convert().failure
        assert before is not None and after is not None and before.signature == after.signature


def test_outcomes_are_kept_and_repros_written_where_asked(model: Path, workers: Workers, tmp_path: Path) -> None:
    for asked in (True, False):
        with Session(model, workers=workers, cache=tmp_path / "kept", out=tmp_path / "out", jobs=2) as session:
            report = session.hunt()
            assert report.findings[0].repro == str(tmp_path / "out" / "finding-1" / "repro.py")
            assert (report.asked > 0) is asked
    assert (tmp_path / "out" / "finding-1" / "section.pb").is_file()


def test_conversions_that_the_caller_has_registered_are_part_of_the_call(model: Path, workers: Workers) -> None:
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import _TF_OPS_REGISTRY, register_tf_op

    def Erfc(context: Any, node: Any) -> None:
        context.add(node.name, _one_minus(mb.erf(x=context[node.inputs[0]]), node.name))

    register_tf_op(Erfc)
    try:
        with Session(model, workers=workers) as session:
            assert session.hunt().verdict == "converts"
            assert session.report.options == {"conversions": ["Erfc"]}
    finally:
        del _TF_OPS_REGISTRY["Erfc"]
    assert find(model, workers=workers).verdict == "fails"


def _one_minus(value: Any, name: str) -> Any:
    from coremltools.converters.mil import Builder as mb

    return mb.sub(x=1.0, y=value, name=name)


def test_a_session_takes_an_executor_that_stays_the_callers(model: Path) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        with Session(model, executor=executor) as session:
            failure = session.ops("act/Erfc").convert().failure
            assert failure is not None and failure.type == "NotImplementedError"
        assert executor.submit(abs, -1).result() == 1


# --- its end ---------------------------------------------------------------------------------------------------------


def test_a_closed_session_says_so(model: Path, workers: Workers) -> None:
    session = Session(model, workers=workers)
    session.step()
    session.close()
    session.close()
    for ask in (session.step, session.hunt, session.whole.convert):
        with pytest.raises(UsageError, match="the session is closed"):
            ask()


def test_what_cannot_be_opened_is_said_before_anything_starts() -> None:
    with pytest.raises(ModelError, match="no such file"):
        Session("no/such/model")
    with pytest.raises(UsageError, match="no argument 'input'"):
        Session("no/such/model", input=[])


_ABANDONED = """
import gc, sys
from bisect_convert import Session
s = Session(sys.argv[1])
s.step()
if sys.argv[2] == "collected":
    del s
    gc.collect()
print("done", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["collected", "exit"])
def test_an_abandoned_session_leaves_nothing(model: Path, how: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _ABANDONED, str(model), how], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "done\n"
        if how == "collected":
            assert_nothing_is_left(tmp_path, but=[process.pid])
        else:
            assert os.listdir(tmp_path)
        process.stdin.close()
    assert process.returncode == 0
    assert_nothing_is_left(tmp_path)


def test_the_end_of_a_name_is_enough_and_what_is_like_a_part_of_one_is_told(s: Session, cond: Session) -> None:
    assert cond.around("cond/Erfc", 1) == cond.around("gate/cond/Erfc", 1)
    assert "near: act/Erfc" in repr(s.ops("Efrc"))
    with pytest.raises(UsageError, match="did you mean .*dense/MatMul"):
        s.around("MatMull", 1)
