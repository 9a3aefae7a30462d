"""The arguments of `ct.convert` there and back, with coremltools' own objects."""

from __future__ import annotations

import json
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil.mil import types
from hypothesis import given, settings
from hypothesis import strategies as st

from bisect_convert.arguments.packing import KNOWN, pack, shown
from bisect_convert.errors import UsageError
from bisect_convert.worker.unpacking import unpack


def there_and_back(**kwargs: Any) -> dict[str, Any]:
    return unpack(json.loads(json.dumps(pack(kwargs))))


def one_input(value: Any) -> Any:
    (made,) = there_and_back(inputs=[value])["inputs"]
    return made


sizes = st.integers(1, 64)
dtypes = st.sampled_from([None, np.float32, np.float16, np.int32])
fixed = st.lists(sizes, min_size=1, max_size=5).map(tuple)


@settings(deadline=None)
@given(st.none() | st.just("x"), fixed, dtypes)
def test_a_tensor_type_of_fixed_shape(name: str | None, shape: tuple[int, ...], dtype: Any) -> None:
    given_type = ct.TensorType(name=name, shape=shape, dtype=dtype)
    made = one_input(given_type)
    assert isinstance(made, ct.TensorType)
    assert (made.name, made.dtype) == (given_type.name, given_type.dtype)
    assert made.shape.shape == given_type.shape.shape


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(10, 99), st.booleans())
def test_a_range_stays_a_range(low: int, high: int, open_ended: bool) -> None:
    dimension = ct.RangeDim(low, -1 if open_ended else high, default=10)
    made = one_input(ct.TensorType(name="x", shape=(1, dimension, 3)))
    found = made.shape.shape[1]
    assert (found.lower_bound, found.upper_bound, found.default) == (low, -1 if open_ended else high, 10)
    assert [made.shape.shape[0], made.shape.shape[2]] == [1, 3]


def test_dimensions_of_one_symbol_stay_one() -> None:
    length = ct.RangeDim(1, 8)
    made = there_and_back(
        inputs=[ct.TensorType(name=n, shape=(1, length)) for n in "ab"]
        + [ct.TensorType(name="c", shape=(ct.RangeDim(1, 8),))]
    )
    a, b, c = (i.shape.symbolic_shape[-1] for i in made["inputs"])
    assert a == b != c


def test_enumerated_shapes_and_their_default() -> None:
    shapes = ct.EnumeratedShapes([(1, 4), (1, 8)], default=(1, 8))
    made = one_input(ct.TensorType(name="x", shape=shapes))
    assert [list(s.shape) for s in made.shape.shapes] == [[1, 4], [1, 8]]
    assert list(made.shape.default) == [1, 8]


def test_a_default_value() -> None:
    made = one_input(ct.TensorType(name="x", shape=(2,), default_value=np.full(2, 1.5, np.float32)))
    assert made.default_value.tolist() == [1.5, 1.5]


def test_a_tensor_type_without_a_shape_keeps_its_name() -> None:
    assert one_input(ct.TensorType(name="x")).name == "x"


@pytest.mark.parametrize("layout", [ct.colorlayout.RGB, ct.colorlayout.BGR, ct.colorlayout.GRAYSCALE])
def test_an_image_type(layout: Any) -> None:
    channels = 1 if layout == ct.colorlayout.GRAYSCALE else 3
    image = ct.ImageType(name="x", shape=(1, 8, 8, channels), scale=1 / 255, bias=-0.5, color_layout=layout)
    made = one_input(image)
    assert isinstance(made, ct.ImageType)
    assert (made.scale, made.bias, made.color_layout, made.channel_first) == (
        1 / 255,
        -0.5,
        layout,
        image.channel_first,
    )
    assert list(made.shape.shape) == [1, 8, 8, channels]


def test_an_output_of_another_dtype() -> None:
    (made,) = there_and_back(outputs=[ct.TensorType(name="y", dtype=np.float16)])["outputs"]
    assert (made.name, made.dtype) == ("y", types.fp16)


@pytest.mark.parametrize("target", list(ct.target))
def test_deployment_targets(target: Any) -> None:
    assert there_and_back(minimum_deployment_target=target) == {"minimum_deployment_target": target}


@pytest.mark.parametrize("spelt", ["iOS17", "ios17", "IOS17"])
def test_a_deployment_target_by_name(spelt: str) -> None:
    assert unpack({"minimum_deployment_target": spelt})["minimum_deployment_target"] == ct.target.iOS17


@pytest.mark.parametrize("precision", list(ct.precision))
def test_precisions(precision: Any) -> None:
    assert there_and_back(compute_precision=precision) == {"compute_precision": precision}


def test_a_user_written_op_selector_goes_along() -> None:
    chosen = ct.transform.FP16ComputePrecision(op_selector=lambda op: op.op_type != "linear")
    made = there_and_back(compute_precision=chosen)["compute_precision"]
    assert isinstance(made, ct.transform.FP16ComputePrecision)

    class Linear:
        op_type = "linear"

    assert made.op_selector(Linear()) is False


def test_a_classifier() -> None:
    config = ct.ClassifierConfig(["a", "b"], predicted_feature_name="kind")
    made = there_and_back(classifier_config=config)["classifier_config"]
    assert (made.class_labels, made.predicted_feature_name) == (["a", "b"], "kind")


def test_a_pass_pipeline_with_its_options() -> None:
    pipeline = ct.PassPipeline.DEFAULT
    pipeline.remove_passes({"common::fuse_conv_batchnorm"})
    pipeline.set_options("common::const_elimination", {"skip_const_by_size": "100000"})
    made = there_and_back(pass_pipeline=pipeline)["pass_pipeline"]
    assert made.passes == pipeline.passes
    (option,) = made.get_options("common::const_elimination")
    assert (option.option_name, option.option_val) == ("skip_const_by_size", "100000")


def test_every_unpacking_makes_fresh_objects() -> None:
    packed = pack({"inputs": [ct.TensorType(name="x", shape=(1, ct.RangeDim(1, 8)))]})
    first, second = unpack(packed)["inputs"][0], unpack(packed)["inputs"][0]
    assert first is not second and first.shape is not second.shape


def test_what_is_ours_to_decide_is_left_out() -> None:
    left_out = {"source": "tensorflow", "skip_model_load": False, "package_dir": "x", "debug": True, "inputs": None}
    assert pack(left_out) == {}
    assert pack({"convert_to": "neuralnetwork"}) == {"convert_to": "neuralnetwork"}


def test_an_unknown_argument_is_named_beside_those_there_are() -> None:
    with pytest.raises(UsageError, match="no argument 'inputz'; it has: .*inputs") as raised:
        pack({"inputz": []})
    assert all(name in str(raised.value) for name in KNOWN)


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        ({"minimum_deployment_target": "iOS99"}, "no value 'iOS99'; it has: .*iOS17"),
        ({"compute_precision": "float8"}, "no value 'float8'"),
    ],
)
def test_an_unknown_value_is_named_beside_those_there_are(packed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        unpack(packed)


def test_arguments_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(UsageError, match="lists of TensorType"):
        pack({"inputs": ct.TensorType(name="x", shape=(1,))})
    with pytest.raises(UsageError, match="coremltools.target"):
        pack({"minimum_deployment_target": 17})


def test_options_as_reports_show_them() -> None:
    packed = pack({
        "inputs": [
            ct.TensorType(name="x", shape=(1, ct.RangeDim(1, 8)), dtype=np.float16),
            ct.ImageType(name="y", shape=(1, 8, 8, 3)),
            ct.TensorType(name="z", shape=ct.EnumeratedShapes([(1, 4), (1, 8)])),
        ],
        "pass_pipeline": ct.PassPipeline.CLEANUP,
        "convert_to": "mlprogram",
    })  # fmt: skip
    assert shown(packed) == {
        "inputs": ["x:1x1..8:float16", "y:1x8x8x3:ImageType", "z:1x4|1x8"],
        "pass_pipeline": "cleanup",
        "convert_to": "mlprogram",
    }
