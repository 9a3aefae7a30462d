"""The map of a model: every op is in it once, what was found can be reached, and a large model stays a small page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from bisect_convert.explain.model_map import model_map
from bisect_convert.model.graph import Graph, Model, Op, Tensor
from bisect_convert.render.drawing import STYLE
from bisect_convert.render.html import filled
from bisect_convert.render.model_map import homes, spots
from bisect_convert.report.findings import Context, Culprit, Finding, Witness
from bisect_convert.report.model_map import Region


def _model(rows: list[tuple[str, str, list[int]]], body: list[str] | None = None) -> Model:
    """One op a row: its layer, its type, and which rows before it are read; a body hangs on the last one."""
    ops: dict[str, Op] = {}
    for number, (layer, kind, read) in enumerate(rows):
        name = f"{layer}/op{number}" if layer else f"op{number}"
        inputs = tuple(f"{list(ops)[i]}:0" for i in read)
        functions = (("body", "f"),) if body and number == len(rows) - 1 else ()
        ops[name] = Op(name, kind, inputs, (Tensor(f"{name}:0", "float32", (1, 4)),), functions, layer=layer or None)
    graphs = {"": Graph("", ops)}
    if body:
        inner = {n: Op(n, "Tanh", (), (Tensor(f"{n}:0", "float32", (1, 4)),)) for n in body}
        graphs["f"] = Graph("f", inner, caller=("", list(ops)[-1], "body"))
    return Model("m", None, graphs, "")


def _finding(name: str, function: str | None = None, witness: tuple[str, ...] = ()) -> Finding:
    culprit = Culprit(name, "Erfc", function, None, None, (), ())
    return Finding("lowering", None, "E", "", (culprit,), Context(), Witness(witness or (name,)))


def _leaves(region: Region) -> Iterator[tuple[Region, int]]:
    for inner in region.inside:
        if inner.inside:
            yield from ((leaf, times * inner.times) for leaf, times in _leaves(inner))
        else:
            yield inner, inner.times


def _held(region: Region) -> int:
    return sum(leaf.ops * times for leaf, times in _leaves(region))


_LAYERS = st.sampled_from(
    ["", "a", "a/b", "a/c/d", "block_1", "block_2", "block_1_x", "block_1_y", "block_1_z", "e/block_9_q"]
)


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[str, str, list[int]]]:
    made = []
    for number in range(draw(st.integers(1, 60))):
        read = draw(st.lists(st.integers(0, number - 1), max_size=2, unique=True)) if number else []
        made.append((draw(_LAYERS), draw(st.sampled_from(["Relu", "Conv2D"])), read))
    return made


@settings(deadline=None, max_examples=150)
@given(rows(), st.data())
def test_each_op_is_in_it_once_and_what_was_found_is_reached(
    drawn: list[tuple[str, str, list[int]]], data: st.DataObject
) -> None:
    model = _model(drawn)
    names = data.draw(st.lists(st.sampled_from(sorted(model.main.ops)), max_size=3, unique=True))
    region = model_map(model, [_finding(name) for name in names], complete=data.draw(st.booleans()))
    assert _held(region) == region.ops == len(drawn)
    assert sum(leaf.verdict == "culprit" for leaf, _ in _leaves(region)) == len(names)
    assert sorted(region.findings) == list(range(1, len(names) + 1))
    page = filled("map.html", map=spots(region))
    ElementTree.fromstring(f"<div>{page}</div>")
    anchors = set(re.findall(r'id="([^"]+)"', page)) | {f"finding-{n}" for n in range(1, 4)}
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors
    assert set(homes(spots(region)).values()) <= anchors and len(homes(spots(region))) == len(names)


def test_blocks_that_repeat_are_drawn_once_with_their_count() -> None:
    drawn = []
    for block in range(12):
        for number in range(3):
            read = [3 * block + number - 1] if block or number else []
            drawn.append((f"net/block_{block}", ["Conv2D", "Relu", "Mul"][number], read))
    region = model_map(_model(drawn), [], complete=True)
    (block,) = region.inside
    assert (block.title, block.times, block.ops, region.ops) == ("block_0 to block_11", 12, 3, 36)
    found = model_map(_model(drawn), [_finding("net/block_5/op16")], complete=True)
    assert [(r.times, r.verdict) for r in found.inside] == [(5, "converts"), (1, "culprit"), (6, "converts")]


def test_blocks_of_two_kinds_that_take_turns_are_drawn_once() -> None:
    drawn = []
    for block in range(8):
        for _ in range(2 + block % 2):
            drawn.append((f"net/block_{block}", "Relu", [len(drawn) - 1] if drawn else []))
    (turns,) = model_map(_model(drawn), [], complete=True).inside
    assert turns.times == 4 and [r.ops for r in turns.inside] == [2, 3] and turns.edges == ((0, 1),)


def test_a_loop_opens_and_shows_what_was_found_in_its_body() -> None:
    model = _model([("", "Relu", []), ("rnn", "While", [0])], body=["one", "two"])
    region = model_map(model, [_finding("two", "f", ("rnn/op1", "two"))], complete=True)
    (loop,) = region.inside[1].inside
    assert (loop.kind, loop.ops, loop.verdict) == ("While", 3, "culprit") and loop.inside[0].kind == "body"
    assert homes(spots(region)) == {1: "map-1-0-0"}


def test_a_large_model_is_a_small_page() -> None:
    drawn = [
        (f"net/stage_{n // 340}/part_{n // 17}", f"Kind{n % 7}{n % 11}", [n - 1] if n else []) for n in range(3400)
    ]
    page = filled(
        "map.html", map=spots(model_map(_model(drawn), [_finding("net/stage_4/part_90/op1531")], complete=True))
    )
    assert len(page) < 1_000_000 and page.count("<details") > 100


def test_what_was_not_seen_to_convert_is_not_said_to() -> None:
    region = model_map(_model([("", "Relu", []), ("", "Erfc", [0])]), [_finding("op1")], complete=False)
    assert [r.verdict for r in region.inside] == ["unknown", "culprit"]


def test_a_row_of_ops_in_which_nothing_was_found_is_said_in_words() -> None:
    drawn = [("", "Relu", []), ("net/norm", "Mul", [0]), ("net/norm", "AddV2", [1]), ("net", "Erfc", [2])]
    page = filled("map.html", map=spots(model_map(_model(drawn), [_finding("net/op3")], complete=True)))
    assert 'Mul <code class="dim">op1</code> \u2192 AddV2' in page and page.count("<svg") == 2


def test_inputs_of_a_body_that_nothing_reads_are_counted_and_not_drawn() -> None:
    ops = {n: Op(n, "Placeholder", (), (Tensor(f"{n}:0", "float32", (1,)),)) for n in ("read", "one", "two")}
    ops["erf"] = Op("erf", "Erfc", ("read:0",), (Tensor("erf:0", "float32", (1,)),))
    graph = Graph("", ops)
    spot = spots(model_map(Model("m", None, {"": graph}, ""), [_finding("erf")], complete=True))
    assert spot is not None
    assert spot.unread == 2 and [n.name for n in spot.picture.nodes] == ["read", "erf"]
    assert "2 inputs that nothing here reads are not drawn" in filled("map.html", map=spot)


def test_the_mark_of_what_is_needed_can_be_read_on_its_box() -> None:
    assert ".bc-box .bc-tag{fill:var(--bc-bad)!important;stroke:none!important}" in STYLE


def test_what_is_made_like_something_before_it_is_unfolded_once() -> None:
    def block(name: str, first: int) -> list[tuple[str, str, list[int]]]:
        kinds = ["Conv2D", "Relu", "Tanh", "Mul", "AddV2"]
        return [(f"net/{name}", k, [first + n - 1] if first + n else []) for n, k in enumerate(kinds)]

    drawn = [*block("left", 0), ("net", "Exp", [4]), *block("right", 6), ("net", "Erfc", [10, 0])]
    page = filled("map.html", map=spots(model_map(_model(drawn), [_finding("net/op11")], complete=True)))
    assert re.search(r'made like <a href="#map[-0-9]*">left</a>, op for op', page) and page.count("Tanh") == 1
    marked = [*drawn[:8], (drawn[8][0], "Erfc", drawn[8][2]), *drawn[9:]]
    unlike = filled("map.html", map=spots(model_map(_model(marked), [_finding("net/right/op8")], complete=True)))
    assert "made like" not in unlike


def test_layers_with_the_same_finding_in_them_are_unfolded_once() -> None:
    kinds = ["Conv2D", "Relu", "Erfc", "Mul"]
    drawn = [(f"net/b{i}", k, [4 * i + n - 1] if i + n else []) for i in range(9) for n, k in enumerate(kinds)]
    culprits = tuple(Culprit(f"net/b{i}/op{4 * i + 2}", "Erfc") for i in range(9))
    finding = Finding("lowering", None, "E", "", culprits, Context(), Witness((culprits[0].name,)))
    region = model_map(_model(drawn), [finding], complete=True)
    page = filled("map.html", map=spots(region))
    assert page.count("op for op, with the same found in it") == 8 and page.count(">Erfc</text>") == 1
    assert f'id="{homes(spots(region))[1]}"' in page


def test_it_has_as_many_ops_as_the_report_says() -> None:
    outer = {"x": Op("x", "Placeholder", (), (Tensor("x:0", "float32", (1,)),))}
    outer["loop"] = Op("loop", "While", ("x:0",), (Tensor("loop:0", "float32", (1,)),), (("body", "f"),))
    inner = {"p": Op("p", "Placeholder", (), (Tensor("p:0", "float32", (1,)),))}
    inner["erf"] = Op("erf", "Erfc", ("p:0",), (Tensor("erf:0", "float32", (1,)),))
    graphs = {"": Graph("", outer), "f": Graph("f", inner, caller=("", "loop", "body"))}
    model = Model("m", None, graphs, "")
    assert model_map(model, [_finding("erf", "f")], complete=True).ops == model.ops
