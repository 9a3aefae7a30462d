"""What the explanations say, on graphs written as lines of "name type inputs..."."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bisect_convert.explain.case import Case
from bisect_convert.explain.rules import Rule, Why
from bisect_convert.explain.why import RULES, explain, unsupported
from bisect_convert.model.cuts import Section
from bisect_convert.model.graph import Graph, Model, Op, Tensor
from bisect_convert.model.outcome import Failure, Signature, Stage
from bisect_convert.report.findings import Context, Culprit, Enclosing, TensorFact, Witness
from bisect_convert.search.found import Found


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


def explained(
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
) -> Why:
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
    return explain(case)


def why(*given: Any, **about: Any) -> str:
    return explained(*given, **about).text


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


def two_loops_of_one_body() -> Model:
    model = model_of("x Placeholder\na While x\nb While a")
    ops = {n: replace(o, functions=(("body", "f"),)) if o.type == "While" else o for n, o in model.main.ops.items()}
    return Model("m", None, {"": Graph("", ops)}, "")


def a_loop_of_two_results() -> Model:
    ops = dict(model_of("x Placeholder\nloop While x\nadd AddV2 loop loop").main.ops)
    ops["loop"] = replace(ops["loop"], outputs=(tensor("loop"), Tensor("loop:1", "float32", (1, 8))))
    ops["add"] = replace(ops["add"], inputs=("loop:0", "loop:1"))
    return Model("m", None, {"": Graph("", ops)}, "")


def a_dequantized_constant() -> Model:
    model = model_of("k Const\nd Dequantize k", k=tensor("k", "quint8"))
    ops = {n: replace(o, foldable=n == "d") for n, o in model.main.ops.items()}
    return Model("m", None, {"": Graph("", ops)}, "")


def inside(kind: str) -> Context:
    return Context(enclosing=(Enclosing("While", "while", "f", kind),))


SCALAR, RESOURCE, OPEN = tensor("x", shape=()), tensor("x", "resource", ()), tensor("x", shape=(1, None))
PASS = Stage.GRAPH_PASS

#: For each rule a failure that it explains: (model, the names of the culprits, the message, what else there is to it).
EXPLAINED: dict[Rule, Callable[[], tuple[Model, str, str, dict[str, Any]]]] = {
    Rule.SLOW: lambda: (model_of(CHAIN), "a", "", {"kind": "Slow"}),
    Rule.ARGUMENT: lambda: (model_of(CHAIN), "", "odd", {"argument": "outputs", "options": {"outputs": []}}),
    Rule.CHECK: lambda: (model_of("x Placeholder\nc CheckNumerics x"), "c", "odd", {}),
    Rule.NO_CONVERSION: lambda: (model_of(CHAIN), "b", "Conversion for TF op 'Erfc' not implemented.", {}),
    Rule.CONSTANT: lambda: (a_dequantized_constant(), "d", "odd", {}),
    Rule.CAST: lambda: (model_of("x Placeholder\nc Cast x"), "c", "Unsupported type None", {}),
    Rule.OLD_LOOP: lambda: (model_of("x Placeholder\nl LoopCond x"), "l", "odd", {}),
    Rule.COUNTED_LOOP: lambda: (
        model_of("i Placeholder\nl Less i i"), "l", "list index out of range", {"context": inside("loop_cond")}),
    Rule.SHARED_BODIES: lambda: (two_loops_of_one_body(), "a b", "odd", {"stage": PASS}),
    Rule.TWO_RESULTS: lambda: (a_loop_of_two_results(), "loop add", "odd", {"stage": PASS}),
    Rule.NAMES: lambda: (model_of("x Placeholder\nr While x\nr_1 Relu r"), "r r_1", "odd", {"stage": PASS}),
    Rule.TWO_READERS: lambda: (
        model_of("x Placeholder\nl While x\nm Relu l\nn AddV2 l m"), "l n", "Graph is not a DAG!", {}),
    Rule.NESTED: lambda: (
        model_of("x Placeholder\nc If x"), "c", "odd", {"stage": PASS, "context": inside("loop_body")}),
    Rule.LOOP_INTO_COND: lambda: (model_of("x Placeholder\nl While x\nc If l"), "l c", "odd", {"stage": PASS}),
    Rule.CAPTURES_NOTHING: lambda: (
        model_of("x Placeholder\nc If x"), "c", "Length of `input_shapes` must match", {}),
    Rule.TABLE: lambda: (model_of("x Placeholder\nf LookupTableFindV2 x", x=RESOURCE), "f", "Rank-0", {}),
    Rule.SCALAR_INPUT: lambda: (model_of("x Placeholder", x=SCALAR), "x", "Rank-0", {}),
    Rule.UNKNOWN_RANK: lambda: (model_of("x Placeholder"), "x", "Unable to determine the shape of input: x.", {}),
    Rule.RANK: lambda: (model_of("x Placeholder\nr Reshape x", r=tensor("r", shape=(1,) * 6)), "r", "rank <= 5", {}),
    Rule.VALUE_WANTED: lambda: (
        model_of("x Placeholder\nk Relu x\nu Transpose x k"), "u", "perm must be const", {}),
    Rule.SPLIT_REST: lambda: (
        model_of("x Placeholder\nk Const\ns SplitV x k k\nr Reshape s k"), "s r", "cannot reshape to (-1, 3)", {}),
    Rule.UNKNOWN_SIZE: lambda: (model_of("x Placeholder\nr Relu x", x=OPEN), "r", "dynamic shape", {}),
    Rule.WRONG_DTYPE: lambda: (
        model_of("x Placeholder\nr Relu x"), "r",
        "Input x=\"x\" expects tensor or scalar of dtype from type domain ['fp16', 'fp32'] but got int32", {}),
    Rule.SCALAR: lambda: (model_of("x Placeholder\nr Relu x", x=SCALAR), "r", "no attribute 'get_primitive'", {}),
    Rule.ONE_OPERAND: lambda: (model_of("x Placeholder\ne Einsum x"), "e", "out of range", {"kind": "IndexError"}),
    Rule.CONFLICT: lambda: (model_of("x Placeholder\nc If x"), "c", "shape mismatch", {}),
    Rule.ODD_TENSORS: lambda: (model_of("x Placeholder\nr Relu x", r=tensor("r", "string")), "r", "odd", {}),
    Rule.NO_VALUE: lambda: (model_of(CHAIN), "a", "Const node 'k' cannot have no value", {}),
    Rule.STEP: lambda: (model_of(CHAIN), "a", "odd", {"stage": Stage.OPTIMIZE, "options": {"optimize": "prune"}}),
    Rule.PASS: lambda: (model_of(CHAIN), "a", "odd", {"stage": Stage.MIL_PASS, "pass_name": "common::fuse"}),
    Rule.NEUTRAL: lambda: (model_of(CHAIN), "a", "odd", {}),
}  # fmt: skip


@pytest.mark.parametrize("rule", Rule)
def test_each_rule_explains_a_failure(rule: Rule) -> None:
    model, names, message, about = EXPLAINED[rule]()
    assert explained(model, names, message, **about).rule is rule
