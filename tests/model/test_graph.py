"""The graph as plain facts: prefixes and neighbourhoods nest, closures hold what must not be torn apart."""

from __future__ import annotations

import dataclasses

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisect_convert.model.graph import Graph, Model, Op, Shape, Tensor

CONSTANT, VARIANT = "Const", "TensorListReserve"


def op(name: str, kind: str, *sources: str, dtype: str = "float32", shape: Shape | None = (1, 4)) -> Op:
    inputs = tuple(f"{s}:0" for s in sources)
    return Op(name, kind, inputs, (Tensor(f"{name}:0", dtype, shape),), constant=kind == CONSTANT)


def graph_of(*ops: Op, results: tuple[str, ...] = (), name: str = "") -> Graph:
    return Graph(name, {o.name: o for o in ops}, results)


KINDS = {
    "Relu": ("float32", (1, 4)), "Cast": ("float64", (1, 4)), CONSTANT: ("float32", (4,)), VARIANT: ("variant", ()),
    "Lookup": ("string", (1,)), "Shape": ("int32", (2,)), "Pack": ("int32", (2,)), "Rank6": ("float32", (1,) * 6),
}  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Ops of all kinds, each of which reads up to three earlier ones."""
    ops: list[Op] = []
    for number in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(list(KINDS)))
        sources = draw(st.sets(st.sampled_from(range(number)), max_size=3)) if number and kind != CONSTANT else set()
        dtype, shape = KINDS[kind]
        ops.append(op(f"o{number}", kind, *(f"o{s}" for s in sorted(sources)), dtype=dtype, shape=shape))
    read = {t for o in ops for t in o.inputs}
    return graph_of(*ops, results=tuple(t.name for o in ops for t in o.outputs if t.name not in read))


@st.composite
def graphs_and_sets(draw: st.DrawFn, count: int = 1) -> tuple[Graph, list[frozenset[str]]]:
    graph = draw(graphs().filter(lambda g: g.atoms))
    some = st.frozensets(st.sampled_from(sorted(graph.atoms)))
    return graph, [draw(some) for _ in range(count)]


# --- order, prefixes, neighbourhoods ---------------------------------------------------------------------------------


@given(graphs())
def test_the_order_is_topological_and_leaves_constants_out(graph: Graph) -> None:
    assert set(graph.order) == {n for n, o in graph.ops.items() if not o.constant}
    assert all(graph.order[a] < graph.order[b] for a, b in graph.dag.edges)


@given(graphs_and_sets())
def test_prefixes_nest_and_grow_by_one_op(made: tuple[Graph, list[frozenset[str]]]) -> None:
    graph, (ops,) = made
    chain = graph.prefixes(ops)
    assert chain[0] == frozenset() and chain[-1] == ops
    assert all(len(b - a) == 1 and a < b for a, b in zip(chain, chain[1:], strict=False))
    assert all(
        not any(graph.dag.has_edge(later, earlier) for earlier in part for later in ops - part) for part in chain
    )


@given(graphs_and_sets(), st.integers(0, 6))
def test_neighbourhoods_nest_and_end_with_all_that_is_upstream(
    made: tuple[Graph, list[frozenset[str]]], steps: int
) -> None:
    graph, (ops,) = made
    assert graph.upstream(ops, 0) == ops
    assert graph.upstream(ops, steps) <= graph.upstream(ops, steps + 1)
    assert graph.upstream(ops, len(graph.ops)) == ops.union(*(nx.ancestors(graph.dag, n) for n in ops))
    assert graph.upstream(graph.upstream(ops, steps), 1) == graph.upstream(ops, steps + 1)


def test_the_parameters_of_a_body_are_no_ops_to_search() -> None:
    body = graph_of(op("x", "Placeholder"), op("y", "Relu", "x"), name="body")
    assert body.atoms == {"y"}
    assert body.upstream({"y"}, 5) == {"y"}
    assert dataclasses.replace(body, name="").atoms == {"x", "y"}


def test_the_ops_of_a_cycle_adjoin_in_the_order() -> None:
    loop = [op("enter", "Enter", "x"), op("merge", "Merge", "enter", "next"), op("next", "NextIteration", "merge")]
    graph = graph_of(op("x", "Placeholder"), *loop, op("exit", "Exit", "merge"), op("y", "Relu", "exit"))
    assert list(graph.order) == ["x", "enter", "merge", "next", "exit", "y"]
    assert graph.close({"merge"}) == {"enter", "merge", "next", "exit"}


# --- closures --------------------------------------------------------------------------------------------------------


@given(graphs_and_sets(2))
def test_closing_adds_only_and_once_is_enough(made: tuple[Graph, list[frozenset[str]]]) -> None:
    graph, (ops, cut_out) = made
    closed = graph.close(ops, cut_out)
    assert ops <= closed <= graph.atoms | ops
    assert graph.close(closed, cut_out) == closed
    assert not (closed - ops) & cut_out


@given(graphs_and_sets(2))
def test_closing_more_gives_more(made: tuple[Graph, list[frozenset[str]]]) -> None:
    graph, (some, others) = made
    assert graph.close(some) | graph.close(others) == graph.close(some | others)
    assert graph.close(some) == frozenset().union(*(graph.close({n}) for n in some))


@given(graphs_and_sets())
def test_what_enters_a_closed_section_can_be_an_input(made: tuple[Graph, list[frozenset[str]]]) -> None:
    graph, (ops,) = made
    closed = graph.close(ops)
    assert all(t.severable and t.op not in graph.shape_arithmetic for t in graph.entering(closed))
    assert not [t for t in graph.leaving(closed) if t.dtype == "variant" and t.name not in graph.results]


@pytest.mark.parametrize(
    ("ops", "start", "closed"),
    [
        ("x Shape size, x Relu y, y+size Reshape z", "z", "z size"),
        ("x Variant list, list Pop y, y Relu z", "list", "list y"),
        ("x Variant list, list Pop y, y Relu z", "y", "list y"),
        ("x Text s, s Length y, y Relu z", "s", "s"),
        ("x Text s, s Length y, y Relu z", "y", "s y"),
        ("x Relu y, y Relu z", "z", "z"),
    ],
)
def test_what_rides_along(ops: str, start: str, closed: str) -> None:
    made = [op("x", "Placeholder")]
    for line in ops.split(", "):
        sources, kind, name = line.split()
        dtype, shape = {"Shape": ("int32", (2,)), "Variant": ("variant", ()), "Text": ("string", (1,))}.get(
            kind, ("float32", (1, 4))
        )
        made.append(op(name, kind, *sources.split("+"), dtype=dtype, shape=shape))
    assert graph_of(*made).close({start}) == set(closed.split())


def test_a_dilated_convolution_is_not_torn_apart() -> None:
    names = ["SpaceToBatchND", "ExpandDims", "Conv2D", "Squeeze", "BatchToSpaceND"]
    chain = [op("x", "Placeholder")]
    for kind in names:
        chain.append(op(kind.lower(), kind, chain[-1].name))
    graph = graph_of(*chain, op("y", "Relu", "batchtospacend"))
    group = {n.lower() for n in names}
    assert all(graph.close({n}) == group for n in group)
    assert graph.close({"y"}) == {"y"}


def test_sizes_are_integers_of_low_rank_that_come_from_shapes() -> None:
    graph = graph_of(
        op("x", "Placeholder"),
        op("ids", "Placeholder", dtype="int32", shape=(3,)),
        op("two", CONSTANT, dtype="int32", shape=()),
        op("shape", "Shape", "x", dtype="int32", shape=(2,)),
        op("half", "FloorDiv", "shape", "two", dtype="int32", shape=(2,)),
        op("picked", "GatherV2", "ids", "half", dtype="int32", shape=(2,)),
        op("grid", "Tile", "half", dtype="int32", shape=(2, 2)),
        op("ratio", "Cast", "half", shape=(2,)),
    )
    assert graph.shape_arithmetic == {"shape", "half"}


# --- borders ---------------------------------------------------------------------------------------------------------


@given(graphs_and_sets())
def test_a_cut_names_each_tensor_it_severs_once(made: tuple[Graph, list[frozenset[str]]]) -> None:
    graph, (ops,) = made
    entering, leaving = graph.entering(ops), graph.leaving(ops)
    assert len({t.name for t in entering}) == len(entering) and len({t.name for t in leaving}) == len(leaving)
    assert all(t.op not in ops and not graph.ops[t.op].constant for t in entering)
    assert all(t.op in ops for t in leaving)
    reads = {t for n in ops for t in graph.ops[n].inputs}
    assert {t.name for t in entering} == {t for t in reads if graph.tensors[t].op in graph.dag.nodes - ops}


@given(graphs_and_sets())
def test_what_enters_the_rest_leaves_the_section(made: tuple[Graph, list[frozenset[str]]]) -> None:
    graph, (ops,) = made
    rest = frozenset(graph.order) - ops
    from_here = {t.name for t in graph.entering(rest)}
    assert from_here <= {t.name for t in graph.leaving(ops)} <= from_here | set(graph.results)


def test_a_tensor_that_the_converter_cannot_take_is_not_severable() -> None:
    assert Tensor("x:0", "bool", ()).severable
    assert Tensor("x:0", "complex64", (1, 2)).severable
    assert not Tensor("x:0", "variant", ()).severable
    assert not Tensor("x:0", "float32", None).severable
    assert Tensor("a/b:1", "float32", ()).op == "a/b"


# --- bodies ----------------------------------------------------------------------------------------------------------


def nested() -> Model:
    inner = Graph("inner", {"erf": op("erf", "Erf", "x"), "x": op("x", "Placeholder")}, caller=("body", "cond", "then"))
    call = dataclasses.replace(op("cond", "If", "x"), functions=(("then", "inner"), ("else", "gone")))
    body = Graph("body", {"x": op("x", "Placeholder"), "cond": call}, caller=("", "while", "body"))
    loop = dataclasses.replace(op("while", "While", "x"), functions=(("body", "body"),))
    main = Graph("", {"x": op("x", "Placeholder"), "while": loop})
    return Model("m", None, {"": main, "body": body, "inner": inner}, "")


def test_bodies_below_a_call_come_with_those_inside_them() -> None:
    model = nested()
    assert [g.name for g in model.below("", "while")] == ["body", "inner"]
    assert [(role, g.name) for role, g in model.bodies("body", "cond")] == [("then", "inner")]
    assert not list(model.below("", "x"))


def test_ops_are_counted_with_those_of_bodies() -> None:
    assert nested().ops == 2 + 1 + 1


def test_a_loop_of_tensorflow_1_goes_as_a_whole() -> None:
    """Two loop variables are two cycles, joined by the test of the loop alone."""

    def op(name: str, kind: str, *inputs: str) -> Op:
        return Op(name, kind, tuple(f"{i}:0" for i in inputs), (Tensor(f"{name}:0", "float32", (1,)),))

    ops = [op("x", "Placeholder"), op("less", "Less", "merge0"), op("test", "LoopCond", "less")]
    for i in "01":
        ops += [
            op(f"enter{i}", "Enter", "x"), op(f"merge{i}", "Merge", f"enter{i}", f"next{i}"),
            op(f"switch{i}", "Switch", f"merge{i}", "test"), op(f"body{i}", "Tanh", f"switch{i}"),
            op(f"next{i}", "NextIteration", f"body{i}"), op(f"exit{i}", "Exit", f"switch{i}"),
        ]  # fmt: skip
    ops.append(op("after", "Relu", "exit1"))
    graph = Graph("", {o.name: o for o in ops})
    assert graph.close({"body1"}) == graph.atoms - {"x", "after"}
    assert set(graph.ties) == graph.atoms - {"x", "after"}


def test_cycles_are_sought_once_however_many_loops_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    ops, last = [op("x", "Placeholder")], "x"
    for i in range(20):
        ops += [
            op(f"enter{i}", "Enter", last), op(f"merge{i}", "Merge", f"enter{i}", f"next{i}"),
            op(f"test{i}", "LoopCond", f"merge{i}"), op(f"switch{i}", "Switch", f"merge{i}", f"test{i}"),
            op(f"next{i}", "NextIteration", f"switch{i}"), op(f"exit{i}", "Exit", f"switch{i}"),
        ]  # fmt: skip
        last = f"exit{i}"
    graph = graph_of(*ops)
    sought = []
    seek = nx.strongly_connected_components
    monkeypatch.setattr(nx, "strongly_connected_components", lambda dag: sought.append(dag) or seek(dag))
    assert graph.ties["merge7"] == {f"{n}7" for n in ("enter", "merge", "test", "switch", "next", "exit")}
    assert len(sought) == 1
