"""Packed options of `ct.convert` (see `options`) as the Python code that gives them."""

from __future__ import annotations

import json
import pprint
from collections.abc import Mapping
from typing import Any

from bisect_convert.arguments.compression_steps import STEPS, step_of
from bisect_convert.model.facts import Handed

__all__ = ["argument_code", "arguments_code", "call_code", "input_code", "step_code"]

#: A longer call stands on several lines; more labels than that are not listed.
_LINE, _LABELS = 100, 20


class _Name(str):
    """A name in code."""

    def __repr__(self) -> str:
        return str(self)


def step_code(wanted: Any) -> str:
    """Return the lines that do the step of a packed `optimize` to a `model`."""
    step, left_out = step_of(wanted)
    settings = ", ".join(f"{name}={json.dumps(value)}" for name, value in STEPS[step].settings.items())
    config = f"{STEPS[step].config}({settings})"
    names = f"    op_name_configs={dict.fromkeys(left_out)!r},\n" if left_out else ""
    return (
        "import coremltools.optimize.coreml as cto\n\n"
        f"config = cto.OptimizationConfig(\n    global_config=cto.{config},\n{names})\n"
        f"model = cto.{STEPS[step].function}(model, config)\n"
    )


def call_code(handed: Handed, packed: Mapping[str, Any]) -> str:
    """Return the lines that hand the model to `ct.convert` with these arguments; many labels are told, not listed."""
    labels = (packed.get("classifier_config") or {}).get("class_labels")
    opened = list(handed.opened)
    if isinstance(labels, list) and len(labels) > _LABELS:
        opened.append(f"labels = ...  # the {len(labels)} class labels, in their order")
        packed = {**packed, "classifier_config": {**packed["classifier_config"], "class_labels": _Name("labels")}}
    parts = [handed.argument, "source='tensorflow'"]
    parts += [f"{name}={code}" for name, value in packed.items() if (code := argument_code(name, value)) is not None]
    call = f"ct.convert({', '.join(parts)})"
    if len(call) > _LINE or "\n" in call:
        call = "ct.convert(\n" + "".join(f"    {part},\n" for part in parts) + ")"
    return "\n".join([*opened, call])


def arguments_code(packed: Mapping[str, Any]) -> str:
    """Return `name=value, ...` for all of them; what cannot be written down as one (an op selector) is left out."""
    parts = [f"{name}={code}" for name, value in packed.items() if (code := argument_code(name, value)) is not None]
    return ", ".join(parts)


def argument_code(name: str, value: Any) -> str | None:
    """Return the code of one argument's value, or None where it cannot be written down."""
    if name in ("inputs", "outputs"):
        return f"[{', '.join(input_code(v) for v in value)}]"
    if name == "minimum_deployment_target":
        return f"ct.target.{value}"
    if name in ("optimize", "conversions"):  # a step of its own; registered with coremltools, and known there
        return None
    if name == "compute_precision":
        return None if isinstance(value, dict) else f"ct.precision.{str(value).upper()}"
    if name == "classifier_config":
        return f"ct.ClassifierConfig({_keywords(value)})"
    if name == "pass_pipeline":
        return _pipeline_code(value)
    return repr(value)


def _pipeline_code(value: Mapping[str, Any]) -> str:
    """One of coremltools' own by its name, without some passes; else all passes of it."""
    named = value if "without" in value else value.get("named")
    if named is None:
        return f"ct.PassPipeline({pprint.pformat(value['passes'], width=_LINE, compact=True)}, {value['name']!r})"
    known = f"ct.PassPipeline.{str(named.get('name') or 'DEFAULT').upper()}"
    if not named["without"]:
        return known
    return f"ct.PassPipeline([p for p in {known}.passes if p not in {list(named['without'])!r}])"


def _keywords(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v!r}" for k, v in values.items() if v is not None)


def input_code(feature: Mapping[str, Any]) -> str:
    """Return the code of a TensorType, an ImageType or a name."""
    if feature["kind"] == "name":
        return repr(feature["name"])
    parts = [f"name={feature['name']!r}"] if feature.get("name") else []
    if "enumerated" in feature:
        parts.append(f"shape=ct.EnumeratedShapes({feature['enumerated']!r}, {feature.get('default')!r})")
    elif "shape" in feature:
        sizes = [_size(d) for d in feature["shape"]]
        parts.append(f"shape=({', '.join(sizes)}{',' * (len(sizes) == 1)})")
    if feature["kind"] == "ImageType":
        parts += [f"{k}={feature[k]!r}" for k in ("scale", "bias") if k in feature]
        parts += [f"{k}=True" for k in ("channel_first", "grayscale_use_uint8") if feature.get(k)]
        if feature.get("color_layout"):
            parts.append(f"color_layout=ct.colorlayout.{feature['color_layout']}")
    elif "dtype" in feature:
        parts.append(f"dtype={_NUMPY.get(feature['dtype'], repr(feature['dtype']))}")
    return f"ct.{feature['kind']}({', '.join(parts)})"


_NUMPY = {"fp32": "np.float32", "fp16": "np.float16", "int32": "np.int32"}


def _size(dimension: Any) -> str:
    if isinstance(dimension, int):
        return str(dimension)
    symbol = f", symbol={dimension['symbol']!r}" if dimension.get("symbol") else ""
    if "range" not in dimension:
        return f"ct.RangeDim({symbol.removeprefix(', ')})"
    low, high, default = dimension["range"]
    return f"ct.RangeDim({low}, {high}, {default}{symbol})"
