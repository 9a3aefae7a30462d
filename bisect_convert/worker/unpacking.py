"""Packed arguments as the objects that `ct.convert` takes, made afresh for each probe: coremltools changes them."""

from __future__ import annotations

import base64
import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import coremltools as ct
from coremltools.converters.mil.frontend.tensorflow import tf_op_registry

from bisect_convert.arguments.packing import pipeline
from bisect_convert.errors import UsageError

__all__ = ["checked", "default_pipeline", "in_force", "unpack"]

#: Symbols that coremltools has named itself; given by hand they would clash with those it makes later.
_MADE_UP = re.compile(r"is\d+")


def default_pipeline() -> dict[str, Any]:
    """Return the pipeline that `ct.convert` takes where it is given none, packed; casts go where they do not apply."""
    return pipeline(ct.PassPipeline.DEFAULT)


def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    """Return fresh keyword arguments for `ct.convert`; raises UsageError for a value it does not know.

    `optimize` and `conversions` are not among them: they are for `compression` and `in_force`.
    """
    made: dict[str, Any] = {}
    ranges: dict[str, Any] = {}
    for key, value in packed.items():
        if key in {"inputs", "outputs"}:
            made[key] = [_make_feature(ct, v, ranges) for v in value]
        elif key == "minimum_deployment_target":
            made[key] = _member(ct.target, value, key)
        elif key == "compute_precision":
            made[key] = _make_precision(ct, value)
        elif key == "classifier_config":
            made[key] = ct.ClassifierConfig(**value)
        elif key == "states":
            made[key] = [ct.StateType(wrapped_type=ct.TensorType(shape=(1,)), name=name) for name in value]
        elif key == "pass_pipeline":
            made[key] = _make_pipeline(ct, value)
        elif key not in ("optimize", "conversions"):
            made[key] = value
    return made


def checked(packed: Mapping[str, Any]) -> dict[str, Any]:
    """Return under "pipeline" what a pipeline that is only named consists of; raises UsageError as `unpack` does."""
    made = unpack(packed)
    named = "passes" not in packed.get("pass_pipeline", {"passes": ()})
    if not named:
        return {}
    return {"pipeline": {**pipeline(made["pass_pipeline"]), "named": dict(packed["pass_pipeline"])}}


def _member(space: Any, name: str, argument: str) -> Any:
    for known, member in space.__members__.items():
        if known.lower() == name.lower():
            return member
    raise UsageError(f"{argument} has no value {name!r}; it has: {', '.join(space.__members__)}")


def _make_precision(ct: Any, value: Any) -> Any:
    if isinstance(value, dict):
        import cloudpickle

        selector = cloudpickle.loads(base64.b64decode(value["op_selector"]))
        return ct.transform.FP16ComputePrecision(op_selector=selector)
    return _member(ct.precision, value, "compute_precision")


def _make_pipeline(ct: Any, value: Mapping[str, Any]) -> Any:
    if "passes" not in value:
        return _named_pipeline(ct, value["name"], value["without"])
    pipeline = ct.PassPipeline(list(value["passes"]), value["name"])
    for name, found in value["options"].items():
        pipeline.set_options(name, {k: _unpickled(v) for k, v in found}, override=True)
    return pipeline


def _named_pipeline(ct: Any, name: str, without: Iterable[str]) -> Any:
    """One of coremltools' own pipelines, without some passes; raises UsageError for a name that there is not."""
    known = sorted(n for n in vars(ct.PassPipeline) if n.isupper() and not n.startswith("_"))
    if name.upper() not in known:
        raise UsageError(f"coremltools has no pass pipeline {name!r}; it has: {', '.join(known)}")
    made = getattr(ct.PassPipeline, name.upper())
    for each in without:
        if each not in made.passes:
            near = difflib.get_close_matches(each, list(dict.fromkeys(made.passes)), 3, 0.4)
            raise UsageError(f"the pipeline {name} has no pass {each!r}; near it: {', '.join(near) or 'nothing'}")
    made.remove_passes(set(without))
    return made


def _unpickled(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    import cloudpickle

    return cloudpickle.loads(base64.b64decode(value["pickled"]))


def _make_feature(ct: Any, data: Mapping[str, Any], ranges: dict[str, Any]) -> Any:
    if data["kind"] == "name":
        return data["name"]
    kwargs: dict[str, Any] = {"name": data.get("name")}
    if "enumerated" in data:
        kwargs["shape"] = ct.EnumeratedShapes(data["enumerated"], data.get("default"))
    elif "shape" in data:
        kwargs["shape"] = ct.Shape([_make_dimension(ct, d, ranges) for d in data["shape"]])
    if data["kind"] == "ImageType":
        kwargs |= {k: data[k] for k in ("scale", "bias", "channel_first", "grayscale_use_uint8") if k in data}
        layout = data.get("color_layout")
        kwargs["color_layout"] = getattr(ct.colorlayout, layout) if layout else ct.colorlayout.RGB
        return ct.ImageType(**kwargs)
    if "dtype" in data:
        from coremltools.converters.mil.mil import types

        kwargs["dtype"] = types.string_to_builtin(data["dtype"])
        if "default_value" in data:
            import numpy as np

            kwargs["default_value"] = np.array(data["default_value"], types.nptype_from_builtin(kwargs["dtype"]))
    return ct.TensorType(**kwargs)


def _make_dimension(ct: Any, d: Any, ranges: dict[str, Any]) -> Any:
    """A size, or the one RangeDim that stands for all dimensions of the same symbol."""
    if not isinstance(d, dict):
        return d
    name = d.get("symbol", "")
    if name in ranges:
        return ranges[name]
    named = {"symbol": name} if name and not _MADE_UP.fullmatch(name) else {}
    made = ct.RangeDim(*d.get("range", ()), **named)
    if name:
        ranges[name] = made
    return made


@contextlib.contextmanager
def in_force(packed: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
    """Convert these op types so, as their caller does; as before afterwards."""
    if not packed:
        yield
        return
    import cloudpickle

    known = tf_op_registry._TF_OPS_REGISTRY
    before = dict(known)
    for op, made in packed.items():
        known.pop(op, None)
        loaded = cloudpickle.loads(base64.b64decode(made["pickled"]))
        known[op] = loaded
    try:
        yield
    finally:
        known.clear()
        known.update(before)
