"""The renderings: golden files for reports of every kind, and what must hold for any report whatever its names."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pytest

from bisect_convert.errors import UsageError
from bisect_convert.render import FORMATS, overview, render, words
from bisect_convert.render.drawing import lines, svg
from bisect_convert.render.found_line import found_line
from bisect_convert.render.lanes import lanes
from bisect_convert.render.layout import lay_out
from bisect_convert.render.markdown import cell, code, escaped, fenced
from bisect_convert.render.names import harmless, shorten, spell
from bisect_convert.render.picture import Node, Picture, of_arms, of_bodies, of_witness
from bisect_convert.render.text import text
from bisect_convert.report.findings import (
    Body,
    Context,
    Culprit,
    Enclosing,
    Finding,
    Neighbour,
    Passes,
    Remedy,
    TensorFact,
    Witness,
)
from bisect_convert.report.fix import Agreement, Edit, Fix
from bisect_convert.report.numbers import Headroom, Numbers, OutputDistance
from bisect_convert.report.questions import Probe
from bisect_convert.report.report import Report  # fmt: skip

GOLDEN = Path(__file__).parent / "golden"
SUFFIX = {"text": "txt", "json": "json", "markdown": "md", "html": "html"}


def fact(name: str, *shape: int | None, dtype: str = "float32") -> TensorFact:
    return TensorFact(f"{name}:0", dtype, shape)


def report(*findings: Finding, **changes: object) -> Report:
    base = Report(
        path="models/demo", signature="serving_default", ops=214, functions=0, digest="9f2c", coremltools="9.0",
        tensorflow="2.21.0", options={}, verdict="fails", complete=True, findings=findings, asked=6, cached=1,
        seconds={"total": 2.34, "load": 1.1, "search": 0.9},
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def on_a_skip() -> Report:
    name = "resnet/block_3/shortcut/mask/Cast"
    culprit = Culprit(
        name, "Cast", layer="resnet/block_3/shortcut", source="blocks.py:88",
        inputs=(fact("resnet/block_3/relu/Relu", None, 14, 14, 256),),
        outputs=(fact(name, None, 14, 14, 256, dtype="bool"),),
    )  # fmt: skip
    arms = (
        (name, "resnet/block_3/shortcut/SelectV2"),
        tuple(f"resnet/block_3/{part}" for part in (
            "conv_1/Conv2D", "conv_1/BiasAdd", "relu_1/Relu", "conv_2/Conv2D", "conv_2/BiasAdd", "relu_2/Relu",
            "conv_3/Conv2D", "conv_3/BiasAdd",
        )),
    )  # fmt: skip
    finding = Finding(
        "lowering", None, "NotImplementedError",
        "Cast: Provided destination type bool not supported.\n\nop: resnet/block_3/shortcut/mask/Cast\nattr: DstT",
        (culprit,),
        Context("skip", "resnet/block_3/relu/Relu", "resnet/block_3/add/AddV2", arms),
        Witness((name,), culprit.inputs, culprit.outputs, True, True, (), ("Cast",)),
        "The converter has no way to make a `bool` from a computed tensor: `Cast` to bool is only done for constants.",
        (
            Remedy("rewrite", "compare with zero instead of casting", True, "mask = tf.not_equal(x, 0)"),
            Remedy("option", "a newer `minimum_deployment_target` does not help"),
        ),
        "out/finding-1/repro.py",
    )  # fmt: skip
    journal = (
        Probe("control: the whole model", 214, "fails", "NotImplementedError: Cast: Provided ...", False, 0.61),
        Probe("hint: Cast alone", 1, "fails", "NotImplementedError: Cast: Provided ...", False, 0.01),
        Probe("the rest", 213, "converts", "converts", True, 0.0),
    )
    return report(finding, journal=journal, options={"minimum_deployment_target": "iOS17", "convert_to": "mlprogram"})


def at_twelve_places() -> Report:
    culprits = tuple(
        Culprit(
            f"bert/encoder/layer_{i}/intermediate/Gelu/Erf", "Erfc", layer=f"bert/encoder/layer_{i}/intermediate",
            inputs=(fact(f"bert/encoder/layer_{i}/intermediate/Gelu/truediv", None, 128, 3072),),
            outputs=(fact(f"bert/encoder/layer_{i}/intermediate/Gelu/Erf", None, 128, 3072),),
        )
        for i in range(12)
    )  # fmt: skip
    message = "Conversion for TF op 'Erfc' not implemented.\n \n" + "\n".join(f"line {i}" for i in range(30))
    first = culprits[0]
    gelu = Finding(
        "lowering", None, "NotImplementedError", message, culprits,
        Context("main_arm", "bert/encoder/add", "bert/encoder/add_1", ((), tuple(c.name for c in culprits[:1]))),
        Witness((first.name,), first.inputs, first.outputs, True, True, (), ("Erfc",)),
        "`Erfc` has no conversion.", (Remedy("rewrite", "use the tanh form of GELU", False, "tf.nn.gelu(x, True)"),),
    )  # fmt: skip
    fft = Culprit("head/FFT2D", "FFT2D", inputs=(TensorFact("head/x:0", "complex64", None),), outputs=())
    other = Finding(
        "lowering", None, "NotImplementedError", "no FFT2D", (fft,), witness=Witness((fft.name,), types=("FFT2D",))
    )
    return report(gelu, other, complete=False, notes=("stopped at the time limit, `--timeout` seconds",))


def only_together() -> Report:
    pack = Culprit("head/stack", "Pack", inputs=(fact("a/Relu", 1, 8), fact("b/Relu", 1, 8)),
                   outputs=(fact("head/stack", 2, 1, 8),))  # fmt: skip
    turn = Culprit("head/turn", "Transpose", inputs=(fact("head/scale", 2, 1, 8),),
                   outputs=(fact("head/turn", 8, 1, 2),))  # fmt: skip
    witness = Witness(
        ("a/Relu", "b/Relu", "head/stack", "head/scale", "head/gate", "head/mix", "head/turn"),
        (fact("a/in", 1, 8), fact("b/in", 1, 8)), (fact("head/turn", 8, 1, 2),), True, True,
        (
            ("a/in", "a/Relu"), ("b/in", "b/Relu"), ("a/Relu", "head/stack"), ("b/Relu", "head/stack"),
            ("head/stack", "head/scale"), ("head/stack", "head/gate"), ("head/scale", "head/mix"),
            ("head/gate", "head/mix"), ("head/mix", "head/turn"),
        ),
        ("Relu", "Relu", "Pack", "Mul", "Sigmoid", "AddV2", "Transpose"),
    )  # fmt: skip
    finding = Finding(
        "mil_pass", "common::reduce_transposes", "ValueError", "perm should have the same length as rank(x): 3 != 2",
        (pack, turn), Context("branch", "stem/out", "head/concat", (("head/turn",), ("x", "y"), ("z",))), witness,
        "Each of the two converts without the other.", interaction=True,
        passes=Passes(False, ("common::noop_elimination", "common::merge_<b>_\x1b[1m")),
    )  # fmt: skip
    return report(finding)


def in_a_loop() -> Report:
    name = "lstm/while/cond/Less"
    culprit = Culprit(
        name, "Less", function="lstm_while_cond_212", layer="lstm",
        inputs=(fact("lstm/while/counter", dtype="int32"), fact("lstm/while/limit", dtype="int32")),
        outputs=(fact(name, dtype="bool"),),
    )  # fmt: skip
    calls = (
        Enclosing("StatefulPartitionedCall", "encoder/call", "__inference_encoder_90", "call"),
        Enclosing("While", "lstm/while", "lstm_while_cond_212", "loop_cond"),
    )
    finding = Finding(
        "lowering", None, "IndexError", "list index out of range", (culprit,), Context("trunk", enclosing=calls),
        Witness(("lstm/while", name), (fact("lstm/transpose", 10, None, 4),), (fact("lstm/while", None, 8),), True,
                True, (("lstm/transpose", "lstm/while"),), ("While", "Less")),
        "The loop's bound is a constant in its condition.",
        (Remedy("rewrite", "unroll the layer", True, "keras.layers.LSTM(8, unroll=True)"),),
    )  # fmt: skip
    return report(finding, functions=3, ops=31)


def no_op() -> Report:
    finding = Finding(
        "load", None, "ValueError", "Only a single concrete function is supported.", (),
        explanation="The model has two signatures.", remedies=(Remedy("option", "pass `--signature serve`", True),),
    )  # fmt: skip
    return report(finding, signature=None)


def caused() -> Report:
    """A cause that is no op: what to do stands before the ops that show it."""
    remedy = Remedy("rewrite", "start the model at `tokens`, and leave the stage to the app", past=True)
    shown = Culprit("text/StringLower", "StringLower", None, "text", None, (TensorFact("words:0", "string", (1, 4)),))
    finding = Finding(
        "lowering", None, "NotImplementedError", "Conversion for TF op 'StringLower' not implemented.", (shown,),
        explanation="Core ML has no strings.", remedies=(remedy,), cause="a stage of strings stands in front of the model",
    )  # fmt: skip
    return report(finding)


def converts() -> Report:
    call = "loaded = tf.saved_model.load('m<1>')\nct.convert([loaded.signatures['a&b']], source='tensorflow')"
    notes = ("2 signatures: `serving_default` was chosen",)
    return report(verdict="converts", asked=1, cached=0, notes=notes, call=call)


def inconclusive() -> Report:
    journal = (
        Probe("control: the whole model", 214, "fails", "timeout after 60 s", False, 60.0),
        Probe("prefix", 107, "unresolved", "a resource crosses the cut", False, 0.0),
        Probe("prefix", 53, "unresolved", "MemoryError: worker\x1b[31m died", False, 4.0),
        Probe("prefix", 26, "converts", "converts", False, 1.0),
    )
    return report(
        verdict="inconclusive", complete=False, journal=journal, notes=("stopped before the search was done",)
    )


NASTY = (
    "<script>alert(1)</script>", "a|b`c", "\x1b[31mred\x1b[0m", "two\nlines", "l" * 130, "``", "</details></pre>]]>",
    "bidi\u202eevil", "c1\x9b31m", "@torvalds", "![x](http://e.vil/x.png)", "lone\ud800", "null\x00", "&lt;b&gt;",
)  # fmt: skip


def hostile() -> Report:
    culprits = tuple(
        Culprit(n, n, n, n, n, (TensorFact(n, n, (1, None)),), (TensorFact(n + "out:0", n, None),)) for n in NASTY
    )
    chain = tuple(pairwise(NASTY))
    finding = Finding(
        "lowering", NASTY[0], NASTY[0], "\n".join(NASTY), culprits,
        Context("skip", NASTY[0], NASTY[1], ((), NASTY), tuple(Enclosing(n, n, n, n) for n in NASTY)),
        Witness(NASTY, (fact(NASTY[0], 1),), (fact(NASTY[-1], 1),), False, False, chain, NASTY),
        " ".join(f"see `{n}` and {n}" for n in NASTY),
        tuple(Remedy(n, n, False, n) for n in NASTY), NASTY[2],
    )  # fmt: skip
    probes = tuple(Probe(n, 1, n, n, False, 0.0) for n in NASTY)
    return report(
        finding, replace(finding, interaction=True), path=NASTY[2], signature=NASTY[0], digest=NASTY[1],
        coremltools=NASTY[3], options={n: n for n in NASTY}, notes=NASTY, call="\n".join(NASTY),
        journal=probes, verdict=NASTY[0],
    )  # fmt: skip


def differs() -> Report:
    finding = replace(
        on_a_skip().findings[0], stage="numbers", pass_name=None, error_type="overflow",
        error_message="Exp reaches 640000; float16 ends at 65504",
        remedies=(Remedy("option", "keep 2 ops in float32", True, "x"),),
    )  # fmt: skip
    numbers = Numbers(
        "evaluator",
        "float16",
        "random",
        5,
        0.02,
        (OutputDistance("Identity", None, None, 5.0),),
        Headroom("exp", None, 65504.0),
    )
    return report(finding, verdict="differs", numbers=numbers)


def agrees() -> Report:
    outputs = (OutputDistance("Identity", 0.001, 2.4e-4, 4.0),)
    return replace(
        converts(), numbers=Numbers("evaluator", "float16", "random", 5, 0.02, outputs, Headroom("c", 17.9, 65504.0))
    )


def edited() -> Report:
    odd = "layer/<b>|*odd*`_`"
    edits = (
        Edit(1, "rewrite", ("block/Erfc",), "Erfc", "write erfc as 1 - erf", Agreement(1e-7, 2e-7, 24)),
        Edit(1, "rewrite", (odd,), "Erfc", "write erfc as 1 - erf", Agreement(2e-7, 3e-7, 24)),
        Edit(None, "boundary", ("ids",), "starts_here", "The model starts here", caution="the app does the rest"),
    )
    fix = Fix(True, "out.mlpackage", "out.fix.py", edits, agreement=Agreement(1e-6, 2e-6, 4), verified=True)
    return replace(on_a_skip(), fix=fix)


REPORTS = {
    "edited": edited, "differs": differs, "agrees": agrees,
    "skip": on_a_skip, "instances": at_twelve_places, "interaction": only_together, "loop": in_a_loop,
    "no_op": no_op, "caused": caused, "converts": converts, "inconclusive": inconclusive, "hostile": hostile,
}  # fmt: skip
every_report = pytest.mark.parametrize("name", REPORTS)


@pytest.mark.parametrize("format", FORMATS)
@every_report
def test_rendering_is_the_golden_file(name: str, format: str) -> None:
    path = GOLDEN / f"{name}.{SUFFIX[format]}"
    drawn = render(REPORTS[name](), format)
    if os.environ.get("BISECT_CONVERT_UPDATE_GOLDEN") == "1":
        path.write_bytes(drawn.encode())
    assert drawn == path.read_bytes().decode()


@every_report
def test_json_restores_an_equal_report(name: str) -> None:
    assert Report.from_json(REPORTS[name]().to_json()) == REPORTS[name]()
    assert Report.from_json(json.loads(render(REPORTS[name](), "json"))) == REPORTS[name]()


@pytest.mark.parametrize("format", FORMATS)
@every_report
def test_nothing_that_a_terminal_obeys_gets_through(name: str, format: str) -> None:
    drawn = render(REPORTS[name](), format)
    assert all(c.isprintable() or c == "\n" for c in drawn)
    assert drawn.endswith("\n")
    assert not drawn.endswith("\n\n")


@every_report
def test_page_is_well_formed_and_runs_nothing_but_its_own_script(name: str) -> None:
    page = render(REPORTS[name](), "html")
    root = ElementTree.fromstring(page)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"img", "link", "iframe", "object"}
    (script,) = (element for element in root.iter() if element.tag.endswith("}script"))
    (policy,) = (e.attrib["content"] for e in root.iter() if "Policy" in e.attrib.get("http-equiv", ""))
    known = base64.b64encode(hashlib.sha256((script.text or "").encode()).digest()).decode()
    assert not script.attrib and "createElement('button')" in (script.text or "")
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{known}'"
    links = [v for element in root.iter() for k, v in element.attrib.items() if k in ("href", "src")]
    assert all(link.startswith("#finding-") for link in links)
    assert not [k for element in root.iter() for k in element.attrib if k.startswith("on")]
    HTMLParser().feed(page)


@pytest.mark.parametrize("name", ["skip", "interaction", "loop", "no_op", "converts", "inconclusive"])
def test_one_finding_fits_on_a_screen(name: str) -> None:
    rows = text(REPORTS[name]()).splitlines()
    assert len(rows) <= 42
    assert max(map(len, rows)) <= 100


@every_report
def test_blamed_names_stand_whole_in_the_text(name: str) -> None:
    made = REPORTS[name]()
    drawn = text(made, width=60)
    for finding in made.findings:
        for culprit in finding.culprits[:6]:
            assert harmless(culprit.name) in drawn


def test_colour_is_only_colour() -> None:
    for made in REPORTS.values():
        assert re.sub(r"\x1b\[[\d;]+m", "", text(made(), color=True)) == text(made())


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="yaml"):
        render(converts(), "yaml")


def test_svg_marks_the_culprits_and_stands_alone() -> None:
    finding = only_together().findings[0]
    root = ElementTree.fromstring(svg(finding.witness, finding.culprits))
    boxes = [g.get("class", "") for g in root.iter("{http://www.w3.org/2000/svg}g")]
    assert len(boxes) == 7 + 2 + 1
    assert sum("bc-bad" in c for c in boxes) == 2
    assert root.find("{http://www.w3.org/2000/svg}style") is not None


def test_witness_is_drawn_as_lanes() -> None:
    finding = only_together().findings[0]
    assert [row.split("  ")[0].rstrip() for row in lines(of_witness(finding.witness, finding.culprits))] == [
        "o", "*", "| o", "| *", "|/", "X", "|\\", "* |", "| *", "|/", "*", "X", "v",
    ]  # fmt: skip


def test_a_large_witness_is_drawn_around_its_culprit() -> None:
    ops = tuple(f"op{i}" for i in range(100))
    witness = Witness(ops, edges=tuple(pairwise(ops)), types=("Relu",) * 100)
    picture = of_witness(witness, [Culprit("op50", "Relu")], limit=5)
    assert [n.name for n in picture.nodes] == ["op48", "op49", "op50", "op51", "op52"]
    assert lines(picture)[-1] == "(95 more not drawn)"


def test_edges_that_make_no_dag_are_left_out() -> None:
    witness = Witness(("a", "b"), edges=(("a", "b"), ("b", "a"), ("a", "a"), ("elsewhere", "b"), ("b", "gone")))
    assert of_witness(witness, []).edges == (("op:a", "op:b"),)


def test_arms_keep_the_culprit_and_abridge_the_rest() -> None:
    arm = tuple(f"op{i}" for i in range(50))
    picture = of_arms(Context("main_arm", "f", "j", ((), arm)), [Culprit("op20", "Erfc")])
    assert picture is not None
    assert [n.name or n.title for n in picture.nodes] == [
        "f", "no op", "op0", "18 ops", "op19", "op20", "op21", "27 ops", "op49", "j",
    ]  # fmt: skip
    assert of_arms(Context(), []) is None


def test_arms_and_what_is_beside_a_culprit_bear_types_and_shapes() -> None:
    near = (
        Neighbour("f", "Relu", fact("f:0", None, 8), ("op", "side")), Neighbour("op", "Erfc", fact("op:0", None, 8), ("j",)),
        Neighbour("j", "AddV2", fact("j:0")),
    )  # fmt: skip
    arms = of_arms(Context("main_arm", "f", "j", ((), ("op",)), near=near), [Culprit("op", "Erfc")])
    trunk = of_arms(Context(near=near), [Culprit("op", "Erfc")])
    assert arms is not None and trunk is not None
    assert [n.title for n in arms.nodes] == ["fork: Relu  [?, 8]", "no op", "Erfc  [?, 8]", "join: AddV2  scalar"]
    assert [(n.title, n.mark) for n in trunk.nodes] == [
        ("Relu  [?, 8]", ""), ("Erfc  [?, 8]", "culprit"), ("AddV2  scalar", ""),
    ]  # fmt: skip
    assert trunk.edges == (("op:f", "op:op"), ("op:op", "op:j"))
    assert of_arms(Context(near=near[1:2]), [Culprit("op", "Erfc")]) is None


def test_names_stand_without_the_calls_in_front_and_whole_where_one_points() -> None:
    wrapped = "StatefulPartitionedCall/net/act/Erfc"
    culprit = Culprit(wrapped, "Erfc", inputs=(fact(wrapped + "_in:0", 1),))
    witness = Witness((wrapped,), culprit.inputs, (), True, True, types=("Erfc",))
    context = Context("main_arm", "StatefulPartitionedCall/f", "j", ((wrapped,), ()))
    finding = Finding("lowering", None, "E", "no", (culprit,), context, witness, f"`{wrapped}` is odd")
    root = ElementTree.fromstring(render(report(finding), "html"))
    seen = [e for e in root.iter() if e.tag.rpartition("}")[2] not in ("title", "style", "script", "pre")]
    assert not [e.text for e in seen if "Stateful" in (e.text or "")]
    assert {wrapped, "StatefulPartitionedCall/f"} <= {e.get("title") for e in seen}
    shown = text(report(finding))
    assert shown.count("Stateful") == 2  # where it is blamed, and where it is marked as the culprit
    assert "`net/act/Erfc` is odd" in shown and "between `f` and `j`" in shown


def test_what_fails_only_together_is_counted_by_its_places() -> None:
    apart = only_together().findings[0]
    again = tuple(replace(c, name=c.name + "_1") for c in apart.culprits)
    twice = replace(
        apart, culprits=(*apart.culprits, *again), places=(("head/stack", "head/turn"), tuple(c.name for c in again))
    )
    assert "at 2 places" in words.headline(twice) and words.more_places(twice) == "1 more place"
    assert words.more_places(at_twelve_places().findings[0]) == "11 more places"


def test_the_table_says_what_was_mended_and_how_equal_the_numbers_are() -> None:
    made = edited()
    (finding,) = made.findings
    assert made.fix is not None
    seen = replace(finding.remedies[0], compared="same values, largest difference 2e-07 of scale (random, zeros)")
    compared = replace(made, findings=(replace(finding, remedies=(seen,)),))
    assert overview.columns(compared) == ("Numbers", "Fix") and overview.columns(on_a_skip()) == ()
    assert overview.compared(compared.findings[0]) == "same values, largest difference 2e-07 of scale"
    assert (overview.fixed(made, 1), overview.fixed(made, 2), overview.fixed(on_a_skip(), 1)) == ("edited", "-", "-")
    left = replace(made, fix=replace(made.fix, remaining=(1,)))
    assert '"Fix">not fixed</td>' in render(left, "html") and '"Fix">edited</td>' in render(made, "html")


def random_picture(seed: int) -> Picture:
    draw = random.Random(seed)
    size = draw.randint(1, 12)
    keys = [f"n{i}" for i in range(size)]
    edges = [(a, b) for i, a in enumerate(keys) for b in keys[i + 1 :] if draw.random() < 0.3]
    return Picture(tuple(Node(k, "op", k, k) for k in keys), tuple(edges))


@pytest.mark.parametrize("seed", range(60))
def test_boxes_do_not_overlap_and_arrows_point_down(seed: int) -> None:
    picture = random_picture(seed)
    layout = lay_out(picture.graph, {n.key: 60.0 for n in picture.nodes})
    centres = list(layout.centres.values())
    for i, (x, y) in enumerate(centres):
        assert x - 30 >= -0.01
        assert x + 30 <= layout.width + 0.01
        assert all(y != y2 or abs(x - x2) >= 60 for x2, y2 in centres[i + 1 :])
    for (a, b), route in layout.routes.items():
        assert route[0] == layout.centres[a]
        assert route[-1] == layout.centres[b]
        assert [y for _, y in route] == sorted(y for _, y in route)
    assert set(layout.routes) == set(picture.edges)


def test_parts_that_do_not_hang_together_stand_in_rows() -> None:
    graph = nx.DiGraph([(f"a{n}", f"b{n}") for n in range(20)])
    layout = lay_out(graph, dict.fromkeys(graph, 100.0))
    assert layout.width <= 540 and layout.height > 80 * 6
    assert layout.centres["a0"][1] < layout.centres["a19"][1]


@pytest.mark.parametrize("seed", range(60))
def test_lanes_lead_where_the_edges_lead(seed: int) -> None:
    picture = random_picture(seed)
    assert edges_read_from(lanes(picture)) == set(picture.edges)


def edges_read_from(rows: list[tuple[str, Node | None]]) -> set[tuple[str, str]]:
    """Read the drawing as a person does: follow each way down, through the corners, to the next box on it."""
    ways: dict[int, set[str]] = {}
    edges = set()
    for index, (drawn, node) in enumerate(rows):
        if node is not None:
            at = next(i for i, c in enumerate(drawn) if c not in "| ")
            edges |= {(source, node.key) for source in ways.get(at, ())}
            below = next((row for row, _ in rows[index + 1 : index + 2]), "")
            ways = {i: s for i, s in ways.items() if i != at}
            goes_on = below[at : at + 1] not in ("", " ", "-") or below[:at].endswith("/")
            if drawn[at] != "-" and goes_on:
                ways[at] = {node.key}
            continue
        if not drawn:
            ways = {}
            continue
        corner = re.search(r"[.\\'/]", drawn)
        assert corner is not None
        ends = [i for i, c in enumerate(drawn) if c in ".'"] or [corner.start() + 1]
        stem = min(
            i for i in range(corner.start() + 1) if set(drawn[i + 1 : corner.start()]) <= set("-+") and drawn[i] == "|"
        )
        if corner[0] in ".\\":
            ways |= dict.fromkeys(ends, ways[stem])
        else:
            ways[stem] = ways[stem].union(*(ways.pop(end) for end in ends))
    return edges


@pytest.mark.parametrize("name", NASTY)
def test_markdown_shows_any_name_as_it_is(name: str) -> None:
    span = code(name)
    fence = re.match("`+", span)
    assert fence is not None
    assert fence[0] not in span[len(fence[0]) : -len(fence[0])].replace(fence[0] + "`", "")
    assert not re.search(r"(?<!\\)\|", cell(name))
    assert not re.search(r"<(?!!)|(?<!\\)[`|\[]|@(?!&#8203;)", escaped(name))
    block = fenced([name]).split("\n")
    assert block[0] not in block[1]


def test_names_are_shortened_in_the_middle() -> None:
    assert shorten("encoder/layer_0/attention/query", 20) == "encod...ention/query"
    assert shorten("short", 20) == "short"


def test_tensors_are_spelt_with_dtype_and_shape() -> None:
    assert spell(TensorFact("x", "float32", (1, None, 8))) == "float32[1, ?, 8]"
    assert spell(TensorFact("x", "float32", ())) == "float32 scalar"
    assert spell(TensorFact("x", "float32", None)) == "float32 of unknown rank"


def test_random_pictures_are_dags() -> None:
    assert all(nx.is_directed_acyclic_graph(random_picture(seed).graph) for seed in range(60))


def test_a_report_does_not_contradict_itself() -> None:
    apart = only_together().findings[0]
    inside = replace(apart, witness=replace(apart.witness, ops=apart.witness.ops[-1:], types=(), edges=()))
    assert "1 op, which holds those that fail together" in words.evidence(inside)
    assert words.headline(replace(apart, culprits=apart.culprits[:1])) == "Pack (float32) does not convert"
    sure = on_a_skip().findings[0]
    doubtful = replace(sure, witness=replace(sure.witness, confirmed=False))
    shown = text(report(doubtful, sure))
    assert (
        "2 findings, 1 of them not confirmed; without them the rest converts" in shown and "these are all" not in shown
    )
    assert "these are all" in text(report(sure, sure))
    cause = replace(caused().findings[0], witness=doubtful.witness)
    assert "that is all" in text(report(cause)) and "not confirmed" not in text(report(cause))


def test_a_finding_is_a_line_while_the_search_goes_on() -> None:
    assert found_line(on_a_skip().findings[0]) == "Cast (float32 -> bool) in layer resnet/block_3/shortcut"
    assert found_line(at_twelve_places().findings[0]).endswith(" 12 places")
    assert found_line(only_together().findings[0]) == "Pack with Transpose at head/stack"
    assert found_line(no_op().findings[0]) == "no op is at fault, the call or the model as a whole is"
    assert found_line(caused().findings[0]) == "a stage of strings stands in front of the model"
    assert found_line(differs().findings[0]).endswith(", which computes something else")
    assert all(line.isprintable() for line in map(found_line, hostile().findings))


@pytest.mark.parametrize("format", ["text", "markdown", "html"])
def test_what_a_rewrite_was_compared_on_stands_beside_it(format: str) -> None:
    found = on_a_skip()
    remedy = Remedy("rewrite", "keep it in int32", True, "y = 1\n", compared="same values (0 to 1); differs above 255")
    shown = render(replace(found, findings=(replace(found.findings[0], remedies=(remedy,)),)), format)
    assert "same values (0 to 1); differs above 255" in " ".join(shown.replace("\\", "").split())


def test_code_too_long_for_a_screen_says_where_the_whole_is_and_how_it_is_called() -> None:
    found = on_a_skip()
    for count, whole in ((30, True), (60, False)):
        code = "".join(f"line_{n}\n" for n in range(count)) + "# in place of tf.f: f(x)\n"
        remedy = Remedy("rewrite", "rewrite it", True, code)
        shown = text(replace(found, findings=(replace(found.findings[0], remedies=(remedy,)),)))
        assert ("report.findings[i].remedies[j].code" not in shown) is whole
        assert f"line_{count - 1}\n" in shown or not whole
        assert "# in place of tf.f: f(x)" in shown


def test_what_is_left_of_a_body_is_drawn_by_itself_with_the_culprit_in_it() -> None:
    body = Body("loop", "loop_cond", ("loop/add", "loop/less"), (("loop/add", "loop/less"),))
    witness = Witness(("reserve", "loop", "loop/add", "loop/less"), edges=(("reserve", "loop"),), bodies=(body,),
                      types=("TensorListReserve", "While", "AddV2", "Less"))  # fmt: skip
    culprits = (Culprit("loop/less", "Less", "cond"),)
    whole = of_witness(witness, culprits, holding=["loop"])
    assert [(n.name, n.mark) for n in whole.nodes] == [("reserve", ""), ("loop", "culprit inside")]
    ((drawn, inside),) = of_bodies(witness, culprits)
    assert drawn is body and [(n.name, n.mark) for n in inside.nodes] == [("loop/add", ""), ("loop/less", "culprit")]
    told = text(report(Finding("lowering", None, "IndexError", "list index out of range", culprits, witness=witness)))
    assert "in the loop condition of `loop`:" in told and told.index("condition of") < told.index("<-- culprit")
