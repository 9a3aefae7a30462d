"""Roles, forks, joins and arms, on graphs written as lines of "name type inputs..."."""

from __future__ import annotations

import time

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bisect_convert.explain.placement import context_of
from bisect_convert.model.graph import Graph, Model, Op, Tensor
from bisect_convert.report.findings import Context, Enclosing

SIZES = {"Shape", "Pack"}
IDS = {"NotEqual": "bool", "Ids": "int32"}


def parse(text: str) -> dict[str, Op]:
    """Ops from lines "name type inputs..."; Shape and Pack make sizes, "Ids" is an int32 Placeholder."""
    ops = {}
    for line in filter(None, text.splitlines()):
        name, kind, *inputs = line.split()
        dtype = "int32" if kind in SIZES else IDS.get(kind, "float32")
        tensor = Tensor(f"{name}:0", dtype, (2,) if kind in SIZES else (1, 8, 8, 4))
        sources = tuple(f"{i}:0" for i in inputs)
        ops[name] = Op(name, "Placeholder" if kind == "Ids" else kind, sources, (tensor,))
    return ops


def model_of(text: str) -> Model:
    return Model("m", None, {"": Graph("", parse(text))}, "")


def where(text: str, op: str) -> Context:
    return context_of(model_of(text), "", op)


def roles(text: str) -> dict[str, str]:
    model = model_of(text)
    return {op: context_of(model, "", op).role for op in model.main.order}


RESIDUAL = """
x Placeholder
stem Conv2D x
c1 Conv2D stem
r1 Relu c1
c2 Conv2D r1
add AddV2 c2 stem
out Relu add
"""


def test_a_chain_is_all_trunk() -> None:
    assert set(roles("x Placeholder\na Conv2D x\nb Relu a").values()) == {"trunk"}


@pytest.mark.parametrize(
    "text",
    [
        "x Placeholder\nhalves Split x\nc1 Conv2D halves\nc2 Conv2D c1\nout ConcatV2 halves c2",
        "x Placeholder\na Conv2D x\nl StridedSlice a\nr StridedSlice a\nc1 Conv2D r\nc2 Conv2D c1\nout ConcatV2 l c2",
    ],
)
def test_half_of_the_channels_is_no_skip_connection_of_the_other(text: str) -> None:
    assert where(text, "c1").role == "branch"


def test_each_op_of_a_residual_block_has_its_role() -> None:
    assert roles(RESIDUAL) == {
        "x": "trunk", "stem": "fork", "c1": "main_arm", "r1": "main_arm", "c2": "main_arm", "add": "join",
        "out": "trunk",
    }  # fmt: skip
    assert where(RESIDUAL, "r1") == Context("main_arm", "stem", "add", (("c1", "r1", "c2"), ()))
    assert where(RESIDUAL, "add") == Context("join", "stem", "add", (("c1", "r1", "c2"), ()))
    assert where(RESIDUAL, "stem").join == "add"


def test_a_projection_is_the_skip() -> None:
    text = """
x Placeholder
c1 Conv2D x
b1 FusedBatchNormV3 c1
r1 Relu b1
c2 Conv2D r1
b2 FusedBatchNormV3 c2
p Conv2D x
pb FusedBatchNormV3 p
add AddV2 b2 pb
"""
    assert where(text, "p") == Context("skip", "x", "add", (("c1", "b1", "r1", "c2", "b2"), ("p", "pb")))
    assert where(text, "b1").role == "main_arm"
    assert where(text, "x").role == "fork"


def test_a_few_ops_on_the_bypass_are_on_the_skip() -> None:
    text = RESIDUAL.replace("add AddV2 c2 stem", "odd Digamma stem\nadd AddV2 c2 odd")
    assert where(text, "odd").role == "skip"
    assert where(text, "c2").role == "main_arm"


def test_arms_of_like_work_are_branches() -> None:
    text = "x Placeholder\na Conv2D x\nra Relu a\nb Conv2D x\nrb Relu b\nadd AddV2 ra rb"
    assert where(text, "a") == Context("branch", "x", "add", (("a", "ra"), ("b", "rb")))


def test_the_inner_residual_block_counts() -> None:
    text = """
x Placeholder
c1 Conv2D x
c2 Conv2D c1
c3 Conv2D c2
inner AddV2 c1 c3
c4 Conv2D inner
outer AddV2 x c4
"""
    assert where(text, "c2") == Context("main_arm", "c1", "inner", (("c2", "c3"), ()))
    assert where(text, "c4").fork == "x"
    assert where(text, "c1").role == "main_arm"
    assert where(text, "inner").role == "join"


def test_a_block_after_another_keeps_to_itself() -> None:
    text = RESIDUAL.replace("out Relu add", "d1 Conv2D add\nd2 Conv2D d1\nadd2 AddV2 add d2")
    assert where(text, "add").role == "join"
    assert (where(text, "d1").fork, where(text, "d1").join) == ("add", "add2")


def test_a_dense_block_joins_by_concat() -> None:
    text = """
x Placeholder
b1 FusedBatchNormV3 x
c1 Conv2D b1
k1 ConcatV2 x c1
b2 FusedBatchNormV3 k1
c2 Conv2D b2
k2 ConcatV2 k1 c2
"""
    assert where(text, "c1") == Context("main_arm", "x", "k1", (("b1", "c1"), ()))
    assert (where(text, "b2").fork, where(text, "b2").join) == ("k1", "k2")
    assert where(text, "k1").role == where(text, "k2").role == "join"


U_NET = """
x Placeholder
e1 Conv2D x
p1 MaxPool e1
e2 Conv2D p1
p2 MaxPool e2
mid Conv2D p2
u2 ResizeBilinear mid
k2 ConcatV2 u2 e2
d2 Conv2D k2
u1 ResizeBilinear d2
crop Conv2D e1
k1 ConcatV2 u1 crop
d1 Conv2D k1
"""


def test_the_long_skip_of_a_u_net() -> None:
    assert where(U_NET, "crop").role == "skip"
    assert where(U_NET, "mid") == Context("main_arm", "e2", "k2", (("p2", "mid", "u2"), ()))
    assert (where(U_NET, "d2").role, where(U_NET, "d2").fork, where(U_NET, "d2").join) == ("main_arm", "e1", "k1")
    assert where(U_NET, "k2").role == where(U_NET, "k1").role == "join"
    assert where(U_NET, "d1").role == "trunk"


def test_inception_arms_are_branches() -> None:
    text = """
x Placeholder
s Conv2D x
a Conv2D s
b1 Conv2D s
b2 Conv2D b1
c1 MaxPool s
c2 Conv2D c1
k ConcatV2 a b2 c2
out Relu k
"""
    assert where(text, "b2") == Context("branch", "s", "k", (("a",), ("b1", "b2"), ("c1", "c2")))
    assert roles(text)["c1"] == roles(text)["a"] == "branch"
    assert (roles(text)["k"], roles(text)["s"]) == ("join", "fork")


def test_pooling_beside_a_convolution_is_no_skip() -> None:
    assert where("x Placeholder\na Conv2D x\nr Relu a\nb MaxPool x\nk ConcatV2 r b", "b").role == "branch"


SQUEEZE = """
x Placeholder
c0 Conv2D x
m Mean c0
q1 Conv2D m
q2 Relu q1
q3 Conv2D q2
q4 Sigmoid q3
gate Mul c0 q4
c1 Conv2D gate
add AddV2 x c1
"""


def test_squeeze_and_excite_is_a_branch() -> None:
    assert where(SQUEEZE, "q2") == Context("branch", "c0", "gate", (("m", "q1", "q2", "q3", "q4"), ()))
    assert where(SQUEEZE, "gate").role == where(SQUEEZE, "c1").role == "main_arm"


GELU = """
half Mul {0}
neg Neg {0}
sc Mul neg
erfc Erfc sc
g Mul half erfc
"""
FFN = "x Placeholder\nln Relu x\nd1 MatMul ln" + GELU.format("d1") + "d2 MatMul g\nadd AddV2 x d2\n"


def test_a_gelu_inside_a_residual_block_is_looked_past() -> None:
    found = where(FFN, "erfc")
    assert (found.role, found.fork, found.join) == ("main_arm", "x", "add")
    assert where(FFN, "g").role == "main_arm"


def test_a_gelu_with_nothing_around_it_is_a_branch() -> None:
    text = "x Placeholder\nd1 MatMul x" + GELU.format("d1") + "d2 MatMul g"
    assert where(text, "erfc") == Context("branch", "d1", "g", (("half",), ("neg", "sc", "erfc")))
    assert (roles(text)["g"], roles(text)["d2"]) == ("join", "trunk")


def test_a_tanh_gelu_and_a_layer_normalisation_make_no_residual_block() -> None:
    text = """
x Placeholder
mean Mean x
sq SquaredDifference x mean
var Mean sq
rs Rsqrt var
m1 Mul x rs
m2 Mul mean rs
sub Sub m2
ln AddV2 m1 sub
d1 MatMul ln
pow Pow d1
sc Mul pow
plus AddV2 d1 sc
th Tanh plus
g Mul d1 th
d2 MatMul g
add AddV2 x d2
"""
    for op in ("pow", "plus", "rs", "ln"):
        assert (where(text, op).role, where(text, op).fork, where(text, op).join) == ("main_arm", "x", "add")
    assert where(text[: text.index("d1")], "m1").role == "join"


LAYER = """
q{1} MatMul {0}
k{1} MatMul {0}
v{1} MatMul {0}
s{1} BatchMatMulV2 q{1} k{1}
sm{1} AddV2 s{1} mask
soft{1} Softmax sm{1}
o{1} BatchMatMulV2 soft{1} v{1}
add{1} AddV2 {0} o{1}
ln{1} Foo add{1}
"""


@pytest.mark.parametrize("mask", ["nonzero NotEqual ids\nmask Cast nonzero", "flags Placeholder\nmask Cast flags"])
def test_a_mask_that_enters_every_layer_leaves_the_layers_visible(mask: str) -> None:
    text = f"ids Ids\n{mask}\nemb GatherV2 ids" + LAYER.format("emb", 1) + LAYER.format("ln1", 2)
    text += LAYER.format("ln2", 3)
    found = where(text, "o2")
    assert (found.role, found.fork, found.join) == ("main_arm", "ln1", "add2")
    assert (where(text, "q2").fork, where(text, "q2").role) == ("ln1", "branch")
    assert where(text, "add2").role == "join"
    assert where(text, "ln2").role == "fork"
    assert where(text, "mask").role == "branch"
    assert where(text, "mask").join == "sm1"


def test_inputs_that_meet_have_no_fork() -> None:
    text = "a Placeholder\nb Placeholder\nca Conv2D a\ncb Conv2D b\nmeet AddV2 ca cb\nout Relu meet"
    assert where(text, "ca") == Context("branch", None, "meet", (("a", "ca"), ("b", "cb")))
    assert where(text, "meet").role == "join"
    assert where(text, "out").role == "trunk"


def test_what_no_input_reaches_meets_the_input_too() -> None:
    text = "a Placeholder\nca Conv2D a\nnoise RandomUniform\ndrop Floor noise\nmeet Mul ca drop"
    assert where(text, "drop") == Context("branch", None, "meet", (("a", "ca"), ("noise", "drop")))
    assert where(text, "ca").role == where(text, "meet").role == "trunk"


def test_heads_that_part_have_no_join() -> None:
    text = "x Placeholder\ns Conv2D x\nl Relu s\na MatMul l\nao Identity a\nb MatMul l\nbs Softmax b\nbo Identity bs"
    assert where(text, "bs") == Context("branch", "l", None, (("a",), ("b", "bs")))
    assert where(text, "bo") == Context("branch", "l", None, (("a",), ("b", "bs", "bo")))
    assert (roles(text)["l"], roles(text)["s"]) == ("fork", "trunk")


def test_a_result_that_is_read_on_is_a_head_of_its_own() -> None:
    ops = parse("x Placeholder\np Softmax x\npo Identity p\nb ArgMax p\nl GatherV2 b\nlo Identity l")
    model = Model("m", None, {"": Graph("", ops, ("po:0", "lo:0", "gone:0"))}, "")
    assert context_of(model, "", "l") == Context("branch", "p", None, (("b", "l"), ()))
    assert context_of(model, "", "p").role == "fork"
    assert context_of(model, "", "x").role == "trunk"


def test_a_head_that_leaves_a_residual_block_does_not_hide_it() -> None:
    found = where(RESIDUAL + "tap Reshape r1", "c1")
    assert (found.role, found.fork, found.join) == ("main_arm", "stem", "add")
    assert where(RESIDUAL + "tap Reshape r1", "tap").role == "branch"


def test_an_input_that_feeds_two_consumers_is_a_fork() -> None:
    assert roles("x Placeholder\na MatMul x\nb MatMul x\nm Maximum a b") == {
        "x": "fork", "a": "branch", "b": "branch", "m": "join",
    }  # fmt: skip


def test_an_input_used_over_and_over_is_no_fork_of_what_passes_by() -> None:
    text = "x Placeholder\nm Placeholder\na Mul x m\nc Conv2D a\nb Mul c m\nd Conv2D b\ne Mul d m"
    assert roles(text)["c"] == roles(text)["d"] == "trunk"


def test_shape_arithmetic_and_identities_are_no_arms() -> None:
    text = """
x Placeholder
size Shape x
pack Pack size
flat Reshape x pack
same Identity flat
c Conv2D same
r Relu c
c2 Conv2D r
skip Identity same
add AddV2 c2 skip
"""
    assert where(text, "c") == Context("main_arm", "flat", "add", (("c", "r", "c2"), ()))
    assert where(text, "pack").role == where(text, "x").role == "trunk"
    assert where(text, "skip") == Context("skip", "flat", "add", (("c", "r", "c2"), ("skip",)))


def test_shape_arithmetic_is_placed_with_what_it_serves() -> None:
    text = RESIDUAL.replace("r1 Relu c1", "size Shape c1\nr1 Reshape c1 size")
    assert where(text, "size") == Context("main_arm", "stem", "add", (("size", "c1", "r1", "c2"), ()))
    assert where("x Placeholder\nsize Shape x", "size") == Context()


def test_the_caller_chain_goes_from_the_outermost_in() -> None:
    graphs = {
        "": Graph("", {"while": Op("while", "While", functions=(("cond", "c"), ("body", "b")))}),
        "c": Graph("c", parse("i Placeholder\nless Less i"), (), ("", "while", "cond")),
        "b": Graph("b", {**parse(RESIDUAL), "if": Op("if", "If", ("add:0",))}, (), ("", "while", "body")),
        "t": Graph("t", parse("y Placeholder\nz Digamma y"), (), ("b", "if", "then")),
        "f": Graph("f", parse("y Placeholder\nz Digamma y"), (), ("t", "z", "odd")),
    }
    model = Model("m", None, graphs, "")
    loop = Enclosing("While", "while", "b", "loop_body")
    assert context_of(model, "b", "r1") == Context("main_arm", "stem", "add", (("c1", "r1", "c2"), ()), (loop,))
    assert context_of(model, "t", "z") == Context(enclosing=(loop, Enclosing("If", "if", "t", "then")))
    assert context_of(model, "c", "less").enclosing == (Enclosing("While", "while", "c", "loop_cond"),)
    assert context_of(model, "f", "z").enclosing[-1].kind == "call"
    assert context_of(model, "", "while") == Context()


def test_the_variables_of_a_loop_are_no_inputs_that_meet() -> None:
    ops = parse("h Placeholder\nw Placeholder\na Tanh h\nm MatMul a w\ns Sigmoid m\nr AddV2 s h\nj AddV2 w")
    graphs = {"": Graph("", {"w": Op("w", "While")}), "b": Graph("b", ops, (), ("", "w", "body"))}
    assert context_of(Model("m", None, graphs, ""), "b", "s").role == "main_arm"
    assert context_of(Model("m", None, graphs, ""), "b", "j").role == "trunk"


def test_resources_are_no_inputs() -> None:
    table = Op("table", "Placeholder", (), (Tensor("table:0", "resource", ()),))
    ops = {"table": table, **parse("x Placeholder\na Relu x\nfind LookupTableFindV2 table a\nb Relu find")}
    model = Model("m", None, {"": Graph("", ops)}, "")
    assert {context_of(model, "", op).role for op in ops} <= {"trunk", "branch"}
    assert context_of(model, "", "a").role == context_of(model, "", "find").role == "trunk"


def test_a_loop_of_tensorflow_1_is_one_op() -> None:
    text = """
x Placeholder
s Conv2D x
enter Enter s
merge Merge enter next
switch Switch merge
body Relu switch
next NextIteration body
exit Exit switch
add AddV2 s exit
"""
    found = where(text, "body")
    assert (found.role, found.fork, found.join) == ("main_arm", "s", "add")
    assert sorted(found.arms[0]) == ["body", "enter", "exit", "merge", "next", "switch"]


def test_what_is_not_in_the_graph_is_trunk() -> None:
    assert where("x Placeholder\na Relu x", "nowhere") == Context()


def blocks(count: int) -> str:
    """Residual blocks of six ops, each with a swish in it."""
    lines, last = ["x Placeholder"], "x"
    for i in range(count):
        lines += [f"a{i} Conv2D {last}", f"g{i} Sigmoid a{i}", f"m{i} Mul a{i} g{i}", f"b{i} Conv2D m{i}"]
        lines += [f"n{i} FusedBatchNormV3 b{i}", f"add{i} AddV2 {last} n{i}"]
        last = f"add{i}"
    return "\n".join(lines)


def test_six_thousand_ops_take_no_time() -> None:
    model = model_of(blocks(1000))
    assert len(model.main.order) == 6001
    start = time.process_time()
    found = [context_of(model, "", op) for op in ("g500", "add0", "n999")]
    assert [(c.role, c.fork) for c in found] == [("main_arm", "add499"), ("join", "x"), ("main_arm", "add998")]
    assert time.process_time() - start < 3  # 0.4 s alone


KINDS = ["Conv2D", "Relu", "AddV2", "ConcatV2", "Mul", "Identity", "Sigmoid", "Placeholder", "Shape", "MaxPool"]


@st.composite
def graphs(draw: st.DrawFn, cyclic: bool = False) -> Graph:
    """Random graphs; where `cyclic`, an op may read a later one."""
    count = draw(st.integers(1, 14))
    lines = []
    for i in range(count):
        kind = draw(st.sampled_from(KINDS))
        sources = st.integers(0, count - 1 if cyclic else i - 1)
        inputs = [] if kind == "Placeholder" or not (i or cyclic) else draw(st.lists(sources, max_size=3))
        lines.append(" ".join([f"n{i}", kind, *(f"n{s}" for s in inputs)]))
    return Graph("", parse("\n".join(lines)))


@given(graphs())
@settings(max_examples=300, deadline=None)
def test_arms_lie_between_fork_and_join(graph: Graph) -> None:
    for op in graph.order:
        found = context_of(Model("m", None, {"": graph}, ""), "", op)
        assert found == context_of(Model("m", None, {"": graph}, ""), "", op)
        arms = [o for arm in found.arms for o in arm]
        assert len(arms) == len(set(arms))
        assert len(found.arms) != 1
        for other in set(arms) - graph.shape_arithmetic:
            assert found.fork is None or nx.has_path(graph.dag, found.fork, other)
            assert found.join is None or nx.has_path(graph.dag, other, found.join)
        if found.role in {"branch", "skip", "main_arm"}:
            assert arms.count(op) == 1
            assert op not in {found.fork, found.join}
        elif found.role == "trunk":
            assert found == Context()
        else:
            assert op == (found.join if found.role == "join" else found.fork)


@given(graphs(cyclic=True))
@settings(max_examples=200, deadline=None)
def test_cycles_never_raise(graph: Graph) -> None:
    for op in graph.order:
        found = context_of(Model("m", None, {"": graph}, ""), "", op)
        assert found.role in {"trunk", "branch", "skip", "main_arm", "join", "fork"}
