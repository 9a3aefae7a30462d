"""The keyword arguments of `ct.convert` as plain data, so that they travel to workers and into reports.

`pack` turns the caller's objects into JSON data (known kinds by their fields; only a user-written op selector goes as
cloudpickle, between our own processes). Nothing here imports coremltools; `worker.unpacking` makes its objects again.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from typing import Any

from bisect_convert.arguments import custom_ops
from bisect_convert.arguments.compression_steps import STEPS
from bisect_convert.errors import UsageError

_TYPES = "coremltools.converters.mil.mil.types"

__all__ = ["KNOWN", "pack", "pipeline", "shown"]

KNOWN = frozenset({
    "inputs", "outputs", "minimum_deployment_target", "compute_precision", "convert_to", "classifier_config",
    "pass_pipeline", "compute_units", "skip_model_load", "source", "package_dir", "debug", "states",
})  # fmt: skip


def pack(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON data for the keyword arguments of `ct.convert`; raises UsageError for one it does not have.

    `conversions` are those that the caller has registered with coremltools.
    """
    if unknown := sorted(set(kwargs) - KNOWN - {"optimize"}):
        raise UsageError(f"coremltools.convert has no argument {unknown[0]!r}; it has: {', '.join(sorted(KNOWN))}")
    packed: dict[str, Any] = {}
    for key, value in kwargs.items():
        if value is None or key in {"source", "skip_model_load", "package_dir", "debug", "compute_units"}:
            continue
        packed[key] = _PACKERS.get(key, _plain)(value)
    own = custom_ops.registered()
    return {**packed, "conversions": own} if own else packed


def _plain(value: Any) -> Any:
    return value


def _step(value: Any) -> str:
    if value not in STEPS:
        raise UsageError(f"optimize has no value {value!r}; it has: {', '.join(STEPS)}")
    return str(value)


def _enum(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not hasattr(value, "name"):
        raise UsageError(f"minimum_deployment_target must be a member of coremltools.target, not {value!r}")
    return str(value.name)


def _precision(value: Any) -> Any:
    if hasattr(value, "op_selector"):
        import cloudpickle

        return {"op_selector": base64.b64encode(cloudpickle.dumps(value.op_selector)).decode()}
    return value if isinstance(value, str) else str(value.name)


def pipeline(value: Any) -> dict[str, Any]:
    """Return a `ct.PassPipeline` as plain data: its name, its passes, their options."""
    options = {
        name: [[o.option_name, _pass_option(o.option_val)] for o in found]
        for name, found in value.get_all_options().items()
        if found
    }
    return {"name": str(value), "passes": list(value.passes), "options": options}


def _pass_option(value: Any) -> Any:
    """The value as it is where JSON has it; else pickled, as a configuration of a compression is."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    import cloudpickle

    return {"pickled": base64.b64encode(cloudpickle.dumps(value)).decode()}


def _states(values: Any) -> list[str]:
    """The names: `ct.convert` takes no state of a TensorFlow model, whatever else is said of it."""
    return [str(getattr(value, "name", value)) for value in values]


def _classifier(value: Any) -> dict[str, Any]:
    return {
        "class_labels": value.class_labels,
        "predicted_feature_name": value.predicted_feature_name,
        "predicted_probabilities_output": value.predicted_probabilities_output,
    }


def _features(values: Any) -> list[dict[str, Any]]:
    if not isinstance(values, (list, tuple)):
        raise UsageError("inputs and outputs must be lists of TensorType or ImageType")
    return [_feature(v) for v in values]


def _feature(value: Any) -> dict[str, Any]:
    if isinstance(value, (str, dict)):
        return {"kind": "name", "name": value} if isinstance(value, str) else value
    data: dict[str, Any] = {"kind": type(value).__name__, "name": value.name}
    if value.shape is not None:
        shapes = getattr(value.shape, "shapes", None)
        if shapes is not None:
            data["enumerated"] = [[int(d) for d in s.shape] for s in shapes]
            data["default"] = [int(d) for d in value.shape.default]
            data["static"] = _static([list(s) for s in data["enumerated"]])
        else:
            data["shape"] = [_dimension(d) for d in value.shape.shape]
            data["static"] = [d if isinstance(d, int) else None for d in data["shape"]]
    if type(value).__name__ == "ImageType":
        layout = value.color_layout
        data |= {
            "scale": value.scale, "bias": value.bias, "channel_first": value.channel_first,
            "grayscale_use_uint8": value.grayscale_use_uint8, "color_layout": getattr(layout, "name", layout),
        }  # fmt: skip
    elif value.dtype is not None:
        data["dtype"] = _dtype_word(value.dtype)
    if getattr(value, "default_value", None) is not None:
        data["default_value"] = value.default_value.tolist()
    return data


def _static(shapes: list[list[int]]) -> list[int | None]:
    return [sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True)]


def _dimension(d: Any) -> Any:
    if hasattr(d, "lower_bound"):
        return {"range": [int(d.lower_bound), int(d.upper_bound), int(d.default)], "symbol": str(d.symbol)}
    try:
        return int(d)
    except TypeError:
        return {"symbol": str(d)}


def _dtype_word(dtype: Any) -> str:
    """The dtype's name; the module that made the TensorType has been imported, by the caller."""
    return str(sys.modules[_TYPES].builtin_to_string(dtype))


_PACKERS = {
    "inputs": _features,
    "outputs": _features,
    "minimum_deployment_target": _enum,
    "compute_precision": _precision,
    "classifier_config": _classifier,
    "pass_pipeline": pipeline,
    "optimize": _step,
    "states": _states,
}


def shown(packed: Mapping[str, Any]) -> dict[str, Any]:
    """Return packed options as reports show them: inputs and outputs as NAME:SHAPE:DTYPE, a pipeline by its name."""
    words = dict(packed)
    if "pass_pipeline" in words:
        words["pass_pipeline"] = words["pass_pipeline"]["name"]
    if "conversions" in words:
        words["conversions"] = list(words["conversions"])
    for key in {"inputs", "outputs"} & words.keys():
        words[key] = [_spelt(feature) for feature in words[key]]
    return words


def _spelt(feature: Mapping[str, Any]) -> str:
    parts = [str(feature.get("name") or "")]
    if "enumerated" in feature:
        parts.append("|".join("x".join(str(d) for d in shape) for shape in feature["enumerated"]))
    elif "shape" in feature:
        parts.append("x".join(_spelt_dimension(d) for d in feature["shape"]))
    if feature["kind"] not in {"TensorType", "name"}:
        parts.append(str(feature["kind"]))
    if "dtype" in feature:
        parts.append(str(feature["dtype"]).replace("fp", "float"))
    return ":".join(parts)


def _spelt_dimension(d: Any) -> str:
    if not isinstance(d, dict):
        return str(d)
    if "range" not in d:
        return str(d["symbol"])
    low, high, _ = d["range"]
    return f"{low}..{high if high > 0 else ''}"
