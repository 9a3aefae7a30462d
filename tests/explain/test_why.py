"""What the explanations say, on graphs written as lines of "name type inputs..."."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import Rule
from bisect_convert.explain.why import RULES, explain, unsupported
from bisect_convert.model.cuts import Section
from bisect_convert.model.graph import Graph, Model, Op, Tensor
from bisect_convert.model.outcome import Failure, Signature, Stage
from bisect_convert.report.findings import Context, Culprit, Enclosing, TensorFact, Witness
from bisect_convert.search.hunt import Found


def tensor(name: str, dtype: str = "float32", shape: tuple[int | None, ...] | None = (1, 8)) -> Tensor:
    return Tensor(f"{name}:0", dtype, shape)


def model_of(text: str, **outputs: Tensor) -> Model:
    """A model from lines; an op whose type is Const is constant, `outputs` replace what an op makes."""
    ops = {}
    for line in filter(None, text.splitlines()):
        name, kind, *inputs = line.split()
        result = outputs.get(name.replace("/", "_"), tensor(name))
        ops[name] = Op(name, kind, tuple(f"{i}:0" for i in inputs), (result,), constant=kind == "Const")
    return Model("m", None, {"": Graph("", ops)}, "")


def fact(t: Tensor) -> TensorFact:
    return TensorFact(t.name, t.dtype, t.shape)


def why(
    model: Model,
    names: str,
    message: str,
    *,
    kind: str = "ValueError",
    stage: Stage = Stage.LOWERING,
    pass_name: str | None = None,
    context: Context | None = None,
    argument: str | None = None,
    options: dict[str, object] | None = None,
) -> str:
    graph = model.main
    blamed = names.split()
    culprits = tuple(
        Culprit(
            n, graph.ops[n].type, inputs=tuple(fact(graph.tensors[t]) for t in graph.ops[n].inputs),
            outputs=tuple(map(fact, graph.ops[n].outputs)),
        )
        for n in blamed
    )  # fmt: skip
    failure = Failure(Signature(stage, pass_name, kind, message), kind, message)
    section = Section("", frozenset(blamed))
    found = Found(failure, tuple(("", n) for n in blamed), section, True, True, len(blamed) > 1, argument=argument)
    case = Case(
        found, model, culprits, Witness(tuple(blamed), minimal=True, confirmed=True), context or Context(),
        options=options or {},
    )  # fmt: skip
    return explain(case).text


ROOT = Path(__file__).parents[2]
CHAIN = "x Placeholder\na Conv2D x\nb Erfc a"


def test_an_op_without_a_conversion_is_named_with_where_it_comes_from() -> None:
    text = why(model_of(CHAIN), "b", "Conversion for TF op 'Erfc' not implemented.\n \nname: ...")
    assert text == (
        "coremltools has no conversion for the op type `Erfc`; an exact GELU (`approximate=False`) is computed with it."
    )


def test_an_unknown_origin_is_not_made_up() -> None:
    text = why(model_of("x Placeholder\nb Zeta x"), "b", "Conversion for TF op 'Zeta' not implemented.")
    assert text == "coremltools has no conversion for the op type `Zeta`."


@pytest.mark.parametrize("message, kind", [("Conversion for TF op 'Roll' not implemented.", "Roll"), ("other", None)])
def test_the_op_type_is_read_from_the_message(message: str, kind: str | None) -> None:
    assert unsupported(message) == kind


def test_a_cast_says_from_what_to_what() -> None:
    model = model_of("x Placeholder\nc Cast x", x=tensor("x", "int32"), c=tensor("c", "bool"))
    text = why(model, "c", "Cast: Provided destination type bool not supported.", kind="NotImplementedError")
    assert text.startswith("It casts computed int32 values to bool.")
    assert why(model_of("x Placeholder\nc Cast x", c=tensor("c", "bfloat16")), "c", "Unsupported type None").startswith(
        "It casts computed float32 values to bfloat16."
    )


def test_a_counted_loop_is_told_from_its_condition() -> None:
    context = Context(enclosing=(Enclosing("While", "lstm/while", "f", "loop_cond"),))
    model = model_of("i Placeholder\nless Less i i")
    text = why(model, "less", "list index out of range", kind="IndexError", context=context)
    assert "`less` tests the loop counter of `lstm/while`" in text
    assert "loop counter" not in why(model, "less", "list index out of range", kind="IndexError")


def test_a_conditional_in_a_loop_names_both() -> None:
    context = Context(enclosing=(Enclosing("While", "while", "f", "loop_body"),))
    text = why(
        model_of("x Placeholder\ncond StatelessIf x x"), "cond", "Branch not found.", stage=Stage.GRAPH_PASS,
        context=context,
    )  # fmt: skip
    assert text.startswith("The conditional `cond` stands in the body of the loop `while`.")


def test_a_name_that_another_begins_with_is_said() -> None:
    model = model_of("x Placeholder\nrefine StatelessWhile x\nrefine_1 StatelessWhile refine")
    text = why(model, "refine refine_1", "Branch not found.", stage=Stage.GRAPH_PASS)
    assert text.startswith("The name `refine` is how the name `refine_1` starts.")


def test_two_readers_of_a_loop_are_named() -> None:
    model = model_of("x Placeholder\nloop StatelessWhile x\nm MatMul loop x\nadd AddV2 loop m")
    text = why(model, "loop add", "Graph is not a DAG!")
    assert text.startswith("The result `loop:0` is read 2 times, by `m` and `add`.")


def test_a_high_rank_names_who_makes_it_and_who_works_on_it() -> None:
    six = (1, 2, 2, 2, 2, 2)
    model = model_of(
        "x Placeholder\nr Reshape x\nt Tanh r\ni Identity t",
        r=tensor("r", shape=six), t=tensor("t", shape=six), i=tensor("i", shape=six),
    )  # fmt: skip
    message = "Core ML only supports tensors with rank <= 5."
    assert why(model, "r t", message, stage=Stage.MIL_PASS, pass_name="program check") == (
        "`r` makes a tensor of rank 6; Core ML has ranks up to 5 only. `t` works on it at that rank."
    )


def test_a_value_that_is_computed_is_named_at_both_ends() -> None:
    model = model_of("x Placeholder\ns Conv2D x\nk Reshape s\nimage Placeholder\nup Conv2DBackpropInput image k x")
    text = why(model, "up", "Input weight must be const at compile time")
    assert text == (
        "`up` needs the value of its input `filter` at conversion time, but it is computed by `k` (Reshape), "
        "and its value depends on the input `x` from `s` (Conv2D) on."
    )


def test_a_value_that_is_constant_is_not_blamed() -> None:
    model = model_of("x Placeholder\nk Const\nup Conv2DBackpropInput x k x")
    assert "needs the value" not in why(model, "up", "Input weight must be const at compile time")


def test_an_unknown_size_is_followed_up_to_the_input() -> None:
    model = model_of(
        "x Placeholder\na Relu x\np MaxPool a\nr ResizeBilinear p",
        x=Tensor("x:0", "float32", (1, None, None, 3), ("", "h", "w", "")),
        a=Tensor("a:0", "float32", (1, None, None, 3), ("", "h", "w", "")),
        p=Tensor("p:0", "float32", (1, None, None, 3), ("", "h2", "w2", "")),
    )
    text = why(model, "r", "Cannot determine the scale factor")
    assert text.endswith("has a size that is not known at conversion time; it comes from the input `x`, axes 1, 2.")


def test_an_unknown_size_is_followed_up_to_the_op_that_makes_it() -> None:
    model = model_of(
        "x Placeholder\nw Where x\ng GatherV2 x w\nr BroadcastTo g",
        w=Tensor("w:0", "int64", (None, 1), ("n", "")), g=Tensor("g:0", "float32", (None, 8), ("n", "")),
    )  # fmt: skip
    assert "it comes from `w` (Where), axis 0." in why(model, "r", "dynamic shape not yet supported")


def test_a_size_that_never_changes_is_known() -> None:
    model = model_of("x Placeholder\nr Tile x", x=Tensor("x:0", "float32", (None, 8), ("=4", "")))
    assert "not known" not in why(model, "r", "dynamic shape not yet supported")


def test_a_dtype_out_of_the_domain_is_said_in_words_of_tensorflow() -> None:
    message = (
        'Op "g" (op_type: gather) Input x="mask" expects tensor or scalar of dtype from type domain '
        "['fp16', 'fp32', 'int32'] but got tensor[1,8,bool]"
    )
    assert why(model_of("x Placeholder\ng GatherV2 x"), "g", message) == (
        "`g` (GatherV2) is given a `bool` tensor for the converter's `x`, which can only be float16, float32, int32."
    )


def test_arms_that_differ_are_named_with_the_op_from_which_on_they_do() -> None:
    model = model_of(
        "x Placeholder\na Conv2D x\nb Cast a\nc Relu b\nd Conv2D x\nadd AddV2 c d",
        b=tensor("b", "float16"), c=tensor("c", "float16"),
    )  # fmt: skip
    context = Context("join", "x", "add", (("a", "b", "c"), ("d",)))
    assert why(model, "add", "dtype mismatch", context=context) == (
        "At `add` arms meet that differ in dtype: `b:0` is float16 from `b` on; `d:0` is float32 from `d` on."
    )


@pytest.mark.parametrize("dtype, what", [("string", "strings"), ("complex64", "complex numbers")])
def test_tensors_that_core_ml_does_not_have_are_said(dtype: str, what: str) -> None:
    model = model_of("x Placeholder\nv SelectV2 x", v=tensor("v", dtype))
    assert f"`v` works with {what} (`v:0`)" in why(model, "v", "an odd error")


def test_an_argument_is_named_with_what_was_given() -> None:
    options: dict[str, object] = {"inputs": [{"kind": "ImageType", "name": "x", "shape": [1, 16, 16, 4]}]}
    text = why(model_of(CHAIN), "", "Shape of the image", argument="inputs", options=options)
    assert text.startswith("The argument `inputs` of `ct.convert` (here `ImageType x [1, 16, 16, 4]`) is at fault")


def test_an_input_without_rank_or_of_rank_0_is_said() -> None:
    model = model_of("x Placeholder\ny Relu x", x=tensor("x", shape=()))
    assert why(model, "x", "Rank-0 (input None) is unsupported").startswith("The input `x` is a scalar (float32)")
    assert why(model, "x", "Unable to determine the shape of input: x.").startswith("The rank of the input `x`")
    table = model_of("t Placeholder\ny Relu t", t=tensor("t", "resource", ()))
    assert why(table, "t", "Rank-0 (input None) is unsupported").startswith("`t` is a resource")


def test_what_nothing_is_known_of_gets_a_neutral_sentence() -> None:
    model = model_of("x Placeholder\na LRN x\nb Relu a")
    assert why(model, "a", "Something odd. And more.") == (
        "coremltools has a conversion for `LRN`, but it fails for this one, also when it is converted alone: "
        "Something odd."
    )
    assert why(model, "a b", "odd") == (
        "`a` and `b` fail only together, at the stage `lowering`: with any of them left out, this failure is gone."
    )
    assert why(model, "", "odd", stage=Stage.BACKEND) == (
        "The conversion as a whole fails at the stage `backend`; no single op was found to be at fault."
    )


def test_a_pass_is_named() -> None:
    model = model_of("x Placeholder\na LRN x\nb Relu a")
    text = why(model, "a b", "odd", stage=Stage.MIL_PASS, pass_name="common::fuse")
    assert text == "`a` and `b` fail only together, in the pass `common::fuse` of coremltools."


def test_each_rule_that_advice_asks_for_is_one_that_an_explanation_can_follow() -> None:
    """A rule by which nothing is explained would take its remedy away without a word."""
    asked = set(re.findall(r"Rule\.(\w+)", (ROOT / "bisect_convert/remedies/advice.py").read_text()))
    assert asked and asked <= {rule.name for rule in RULES}
    assert {rule for rule in Rule} == set(RULES) | {Rule.NEUTRAL}
