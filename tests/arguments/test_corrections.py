"""What is given in place of an argument: pure functions of the call and of what the model declares."""

from __future__ import annotations

from typing import Any

import pytest

from bisect_convert.arguments.corrections import Call, corrections, disagrees
from bisect_convert.arguments.input_corrections import (
    as_tensors,
    corrected,
    described,
    ended,
    fits,
    fixed,
    images,
    rounded,
)
from bisect_convert.arguments.likely_shapes import likely_shapes
from bisect_convert.model.graph import Graph, Op, Tensor


def model(name: str, *shape: int | None, dtype: str = "float32") -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "declared": list(shape)}


def spec(name: str | None, *shape: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "TensorType", "name": name, "shape": list(shape), **more}


@pytest.mark.parametrize(
    ("given", "declared", "names"),
    [
        (["x:0"], ["x"], ["x"]),
        (["image"], ["input_1"], ["input_1"]),
        (["X"], ["y", "x"], ["x"]),
        (["u", "u"], ["u", "v"], ["u", "v"]),
        ([None, None], ["u", "v"], ["u", "v"]),
        (["masks"], ["image", "mask"], ["mask"]),
        (["a", "b"], ["b"], ["b"]),
    ],
)
def test_names(given: list[str | None], declared: list[str], names: list[str]) -> None:
    right = corrected([spec(n, 1, 2) for n in given], [model(d, 1, 2) for d in declared])
    assert [i["name"] for i in right] == names


def test_a_nameless_input_is_the_one_of_its_shape() -> None:
    declared = [model("a", 1, 9), model("b", 1, 6)]
    assert [i["name"] for i in corrected([spec(None, 1, 6), spec(None, 1, 9)], declared)] == ["b", "a"]


@pytest.mark.parametrize(
    ("given", "declared", "right"),
    [
        ((1, 3, 8, 9), (None, None, None, 3), [1, 8, 9, 3]),
        ((1, 8, 9, 3), (1, 3, None, None), [1, 3, 8, 9]),
        ((8, 9, 3), (None, 8, 9, 3), [1, 8, 9, 3]),
        ((2, 9, 9, 3), (None, 8, 8, 3), [2, 8, 8, 3]),
        ((4,), (None, None, 7), [1, 64, 7]),
        ((1, 8), (1, 8), [1, 8]),
    ],
)
def test_shapes(given: tuple[int, ...], declared: tuple[int | None, ...], right: list[int]) -> None:
    (made,) = corrected([spec("x", *given)], [model("x", *declared)])
    assert made["shape"] == right


def test_what_agrees_stays_as_it_is() -> None:
    given = [spec("x", 1, {"range": [1, 8, 2]}, dtype="fp32"), spec("n", 4, dtype="int32")]
    assert corrected(given, [model("x", 1, None), model("n", 4, dtype="int64")]) == given
    assert not disagrees(Call({"inputs": given}, Graph("", {}), (model("x", 1, None), model("n", 4, dtype="int64"))))


def test_kinds_of_numbers_and_what_is_said_of_it() -> None:
    declared = [model("ids", 1, 4, dtype="int64"), model("x", None, 8)]
    given = [spec("ids", 1, 4, dtype="fp32"), spec("y", 9, dtype="int32")]
    right = corrected(given, declared)
    assert [i["dtype"] for i in right] == ["int32", "fp32"]
    assert described(given, right, declared) == (
        "give `ids` the dtype int32: in the model it is int64; call the input `x`, not `y`; "
        "give `x` the dtype float32: in the model it is float32; give `x` a shape that fits ?x8, the model's own"
    )


def test_of_several_shapes_those_that_fit() -> None:
    shapes = [[1, 8, 3], [1, 9, 3], [1, 8, 4]]
    (made,) = corrected([{"kind": "TensorType", "name": "x", "enumerated": shapes}], [model("x", 1, None, 3)])
    assert made["enumerated"] == shapes[:2]
    (made,) = corrected([{"kind": "TensorType", "name": "x", "enumerated": shapes}], [model("x", 2, None, 3)])
    assert made["shape"] == [2, 64, 3] and "enumerated" not in made


def test_one_size_for_ranges_and_multiples() -> None:
    given = [
        spec("x", 1, {"range": [4, 90, 50]}, {"symbol": "s"}),
        {"name": "y", "enumerated": [[1, 2]], "default": None},
    ]
    one = fixed(given, [model("x", 1, None, 7)])
    assert [i["shape"] for i in one] == [[1, 50, 7], [1, 2]]
    assert rounded(one, [model("x", 1, None, 7)], 8)[0]["shape"] == [1, 48, 7]
    assert ended([spec("x", {"range": [1, -1, 2]})])[0]["shape"][0]["range"][1] > 0


@pytest.mark.parametrize(
    ("shape", "given", "right"),
    [
        ((1, 8, 8, 1), {"color_layout": "RGB"}, {"color_layout": "GRAYSCALE"}),
        ((1, 8, 8, 3), {"color_layout": "GRAYSCALE_FLOAT16"}, {"color_layout": "RGB"}),
        ((1, 8, 8, 3), {"channel_first": True, "color_layout": "BGR"}, {"channel_first": None, "color_layout": "BGR"}),
        ((1, 3, 8, 8), {"color_layout": "BGR"}, {"channel_first": True, "color_layout": "BGR"}),
        ((1, 8, 8, 3), {"color_layout": "RGB", "scale": [1.0, 3.0]}, {"color_layout": "RGB", "scale": 2.0}),
    ],
)
def test_images(shape: tuple[int, ...], given: dict[str, Any], right: dict[str, Any]) -> None:
    asked = [{"kind": "ImageType", "name": "x", "shape": list(shape), **given}]
    (made,) = images(asked, [])
    assert {k: made.get(k) for k in right} == right
    assert as_tensors(asked) == [{"kind": "TensorType", "name": "x", "shape": list(shape)}]


def test_outputs_go_by_the_signature_or_by_likeness() -> None:
    names = ("head/logits", "Identity", "Identity_1")
    ops = {n: Op(n, "Identity", (), (Tensor(f"{n}:0", "float32", (1, 3)),)) for n in names}
    graph = Graph("", ops, ("Identity:0", "Identity_1:0"))
    outputs = [{"kind": "TensorType", "name": n} for n in ("boxes", "logits:0", "Identity_1")]
    first, *_ = corrections("outputs", Call({"outputs": outputs}, graph, keys={"boxes": "Identity"}), "")
    assert [o["name"] for o in first.changes["outputs"]] == ["Identity", "head/logits", "Identity_1"]


def test_a_mend_is_never_what_was_given() -> None:
    call = Call({"convert_to": "mlprogram", "minimum_deployment_target": "iOS15"}, Graph("", {}))
    assert [m.changes for m in corrections("minimum_deployment_target", call, "")] == [
        {"minimum_deployment_target": None}
    ]


def test_an_open_size_fits_any() -> None:
    assert fits([None, 3], [8, 3]) and fits([1, 2], None)
    assert not fits([1, 2], [1, 3]) and not fits([1], [1, 1])


@pytest.mark.parametrize(
    ("kind", "beside", "makes", "shape"),
    [
        ("Conv2D", (3, 3, 5, 8), None, [1, 64, 64, 5]),
        ("MatMul", (12, 4), None, [1, 12]),
        ("Reshape", (3,), (None, 4, 6), [1, 4, 6]),
    ],
)
def test_a_shape_is_guessed_from_what_reads_the_input(
    kind: str, beside: tuple[int, ...], makes: tuple[int | None, ...] | None, shape: list[int]
) -> None:
    ops = {
        "x": Op("x", "Placeholder", (), (Tensor("x:0", "float32", None),)),
        "scaled": Op("scaled", "Mul", ("x:0", "w:0"), (Tensor("scaled:0", "float32", None),)),
        "w": Op("w", "Const", (), (Tensor("w:0", "float32", beside),), constant=True),
        "a": Op("a", kind, ("scaled:0", "w:0"), (Tensor("a:0", "float32", makes),)),
    }
    assert likely_shapes(Graph("", ops), "x")[0] == shape
