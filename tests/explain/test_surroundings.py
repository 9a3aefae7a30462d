"""What is around a culprit, on a graph that is written down."""

from __future__ import annotations

from bisect_convert.explain.surroundings import surrounded
from bisect_convert.model.graph import Graph, Model, Op, Tensor


def _model(*rows: str) -> Model:
    ops = {}
    for name, kind, *inputs in map(str.split, rows):
        ops[name] = Op(name, kind, tuple(f"{i}:0" for i in inputs), (Tensor(f"{name}:0", "float32", (1, 8)),))
    return Model("m", None, {"": Graph("", ops)}, "")


def test_on_the_trunk_what_is_before_and_behind_is_told() -> None:
    chain = _model("x Placeholder", "a Relu x", "b Tanh a", "bad Erfc b", "c Exp bad", "d Relu c", "e Neg d")
    near = surrounded(chain, "", "bad").near
    assert [(n.name, n.op, n.feeds) for n in near] == [
        ("a", "Relu", ("b",)), ("b", "Tanh", ("bad",)), ("bad", "Erfc", ("c",)), ("c", "Exp", ("d",)), ("d", "Relu", ()),
    ]  # fmt: skip
    assert near[0].makes is not None and near[0].makes.shape == (1, 8)


def test_in_arms_fork_join_and_their_ops_are_told() -> None:
    rows = [f"c{n} Conv2D c{n - 1}" for n in range(1, 12)]
    arms = _model("x Placeholder", "c0 Relu x", *rows, "add AddV2 c11 c0", "out Relu add")
    assert [n.name for n in surrounded(arms, "", "c6").near] == [
        "c0", "c1", "c2", "c3", "c5", "c6", "c7", "c9", "c10", "c11", "add",
    ]  # fmt: skip
