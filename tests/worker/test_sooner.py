"""What coremltools checks around each pass is checked sooner, with the same answers, and the same errors where it objects."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import tensorflow as tf
from coremltools.converters.mil.mil import Block, Program, types
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil.passes.defs.quantization import FP16ComputePrecision
from coremltools.converters.mil.mil.scope import ScopeSource

from bisect_convert.worker import private_api
from bisect_convert.worker.private_api import checks


def program() -> Any:
    """One with a conditional, a constant that is read twice, weights that stay, and an op that reads a var twice."""

    private_api.reset()

    @mb.program(input_specs=[mb.TensorSpec((1, 4)), mb.TensorSpec((1, 4))], opset_version=ct.target.iOS16)
    def made(x: Any, z: Any) -> Any:
        weights = mb.constexpr_affine_dequantize(
            quantized_data=np.ones((4, 4), np.int8), zero_point=np.int8(0), scale=np.float32(2.0), axis=0
        )
        y = mb.add(x=mb.matmul(x=x, y=weights), y=z)
        first = mb.squeeze(x=mb.slice_by_size(x=y, begin=[0, 0], size=[1, 1]), axes=[0, 1])
        y = mb.cond(
            pred=mb.greater(x=first, y=0.5), _true_fn=lambda: mb.mul(x=y, y=y), _false_fn=lambda: mb.sub(x=y, y=x)
        )
        return mb.reshape(x=mb.tanh(x=y, name="last"), shape=mb.shape(x=z))

    return made


def ops(made: Program, kind: str) -> list[Any]:
    def of(block: Any) -> Iterator[Any]:
        for op in block.operations:
            yield op
            for inner in op.blocks:
                yield from of(inner)

    return [op for op in of(made.functions["main"]) if op.op_type == kind]


def objection(made: Program) -> str:
    try:
        made.validate()
    except Exception as error:
        return re.sub(r"block\d+", "block", f"{type(error).__name__}: {error}")
    return ""


BROKEN: dict[str, Callable[[Program], object]] = {
    "a reader that is not listed": lambda p: ops(p, "tanh")[0].x.child_ops.clear(),
    "one that is listed twice": lambda p: ops(p, "add")[0].outputs[0].add_child_op(ops(p, "tanh")[0]),
    "one that does not read it": lambda p: ops(p, "tanh")[0].outputs[0].add_child_op(ops(p, "add")[0]),
    "one that reads it twice, listed once": lambda p: ops(p, "mul")[0].x.child_ops.remove(ops(p, "mul")[0]),
    "an input that is not listed": lambda p: p.functions["main"].inputs["z"].child_ops.clear(),
    "what is not visible": lambda p: ops(p, "add")[0]._input_vars.update(y=ops(p, "tanh")[0].outputs[0]),
    "what is visible in a branch alone": lambda p: ops(p, "tanh")[0]._input_vars.update(x=ops(p, "mul")[0].outputs[0]),
    "no outputs": lambda p: setattr(ops(p, "sub")[0], "_output_vars", None),
    "an output that is none": lambda p: ops(p, "add")[0].outputs[0].consuming_blocks.append(p.functions["main"]),
    "an output that is not listed": lambda p: ops(p, "mul")[0].outputs[0].consuming_blocks.clear(),
    "an internal var that is not listed": lambda p: p.functions["main"]._internal_vars.pop(),
    "an internal var that is gone": lambda p: ops(p, "const")[0]._input_vars.clear(),
}


def test_a_program_that_holds_is_found_to_hold_and_coremltools_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    made = program()
    assert checks._holds(made.functions["main"])
    monkeypatch.setattr(Block, "_check_vars_visibility_in_block", None)
    with checks.sooner():
        made.validate()
        made.validate(check_essential_scope=True)


@pytest.mark.parametrize("how", BROKEN)
def test_what_does_not_hold_is_objected_to_in_the_same_words(how: str) -> None:
    said = []
    for manner in (contextlib.nullcontext(), checks.sooner()):
        made = program()
        BROKEN[how](made)
        assert not checks._holds(made.functions["main"])
        with manner:
            said.append(objection(made))
    assert said[0] and said[0] == said[1]


def test_essential_scopes_that_are_missing_are_told() -> None:
    made = program()
    made.functions["main"]._add_essential_scope_source(ScopeSource.TORCHSCRIPT_MODULE_NAME)
    with checks.sooner(), pytest.raises(ValueError, match="missing essential scopes"):
        made.validate(check_essential_scope=True)


def test_the_same_is_known_to_hang_on_weights_that_are_never_folded() -> None:
    known = []
    for manner in (contextlib.nullcontext(), checks.sooner()):
        made = program()
        with manner, made.functions["main"]:
            pass
        known.append({
            op.name: sorted(v.name for v in op.outputs[0].nonreplaceable_vars_upstream)
            for kind in ("matmul", "add", "cond", "tanh", "mul", "shape", "reshape", "constexpr_affine_dequantize")
            for op in ops(made, kind)
        })  # fmt: skip
    assert known[0] == known[1] and known[0]["last"] and not known[0]["shape_0"]


@pytest.mark.parametrize(
    ("numbers", "sure"),
    [
        ([1.0, -65504.0], True), ([65505.0], False), ([-7e4, 0.0], False), ([1e38], False), ([np.inf], False),
        ([np.nan, 1.0], False), ([np.nan, 7e4], False), ([], False), (3.0, True),
    ],
)  # fmt: skip
def test_a_constant_goes_beyond_float16_as_coremltools_says(numbers: Any, sure: bool) -> None:
    value = np.array(numbers, np.float32)
    var = SimpleNamespace(is_tensor_or_scalar_of=lambda dtype: True)
    var.op = SimpleNamespace(op_type="const", val=SimpleNamespace(val=value))
    op = SimpleNamespace(inputs={"x": (var,)}, _input_vars={"x": (var,)})
    expected = FP16ComputePrecision.fp16_overflow(op)
    assert bool(checks._fits(op)) is sure
    with checks.sooner():
        assert FP16ComputePrecision.fp16_overflow(op) == expected


def test_the_same_model_comes_out() -> None:
    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 4), name="image")])
    def model(image: tf.Tensor) -> tf.Tensor:
        x = tf.nn.relu(tf.nn.conv2d(image, np.full((3, 3, 4, 4), 0.137, "f"), 1, "SAME") * 2.0 + 1e5)
        x = tf.nn.max_pool2d(tf.concat([x, image], -1), 2, 2, "SAME")
        return tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.transpose(x, [0, 3, 1, 2]), lambda: tf.zeros((1, 8, 4, 4)))

    made = []
    for manner in (contextlib.nullcontext(), checks.sooner()):
        private_api.reset()
        with manner, checks.not_formatted() if made else contextlib.nullcontext():
            converted = ct.convert([model.get_concrete_function()], source="tensorflow", convert_to="milinternal")
        made.append(re.sub(r"block\d+", "block", str(converted)))
    assert made[0] == made[1] and "conv" in made[0]


def gathers() -> Any:
    """A program that reads one var in many slices, some of them twice, and one behind another that is removed."""
    private_api.reset()
    random = np.random.default_rng(0)

    @mb.program(input_specs=[mb.TensorSpec((64, 4))], opset_version=ct.target.iOS16)
    def made(x: Any) -> Any:
        rows = [mb.slice_by_size(x=x, begin=[int(i), 0], size=[1, 4]) for i in random.integers(0, 40, 60)]
        rows += [mb.add(x=rows[i], y=np.float32(n)) for i, n in [(0, 1.0), (0, 1.0), (0, -0.0), (0, 0.0), (1, np.nan)]]
        rows += [mb.mul(x=x, y=rows[i]) for i in (3, 3, 4)] + [mb.mul(x=rows[-1], y=rows[-1])]
        rows += [mb.transpose(x=row, perm=[1, 0]) for row in rows[:20]] + [mb.add(x=x, y=x), mb.add(x=x, y=x)]
        return mb.concat(values=[mb.reshape(x=row, shape=[-1]) for row in rows], axis=0)

    return made


def test_ops_that_are_there_twice_are_removed_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for context in (contextlib.nullcontext, checks.sooner):
        made = gathers()
        before = len(made.functions["main"].operations)
        with context():
            private_api.PASS_REGISTRY["common::remove_redundant_ops"].apply(made)
        found.append(re.sub(r"_\d+\b|\bblock\d+", "", str(made)))
        assert len(made.functions["main"].operations) < before - 15
    assert found[0] == found[1]
    compared: list[object] = []
    same = checks.redundant._are_ops_identical
    monkeypatch.setattr(
        checks.redundant, "_are_ops_identical", staticmethod(lambda a, b: compared.append(a) or same(a, b))
    )
    with checks.sooner():
        private_api.PASS_REGISTRY["common::remove_redundant_ops"].apply(gathers())
    assert len(compared) < 500


def test_every_type_is_compatible_with_itself() -> None:
    size = private_api.parts.get_new_symbol()
    scalars = [types.bool, types.int32, types.uint8, types.fp16, types.fp32, types.str, types.complex64, types.unknown]
    kinds = [*scalars, *(types.tensor(t, shape) for t in scalars[:5] for shape in [(), (1,), (2, 3), (size, 3)])]
    kinds += [types.list(types.tensor(types.fp32, (size, 2)), init_length=2), types.tuple([types.fp32, types.int32])]
    assert all(types.is_compatible_type(kind, kind) for kind in kinds)
