"""The values of options: words in, data in the form of `options.pack` out; argparse.ArgumentTypeError for what is none."""

from __future__ import annotations

import argparse
import re
from typing import Any

__all__ = ["class_labels", "count", "factor", "image_type", "input_type", "positive"]

_DTYPES = {
    "float16": "fp16", "float32": "fp32", "float64": "fp64", "int8": "int8", "int32": "int32",
    "int64": "int64", "bool": "bool",
}  # fmt: skip
#: dtypes of TensorFlow that no input of Core ML has.
_NONE = frozenset({"uint8", "uint16", "uint32", "uint64", "int16", "bfloat16", "complex64", "string"})
_LAYOUTS = ("RGB", "BGR", "GRAYSCALE", "GRAYSCALE_FLOAT16")
_DIMENSION = r"[1-9]\d*(?:\.\.(?:[1-9]\d*)?)?"
_SHAPE = re.compile(rf"{_DIMENSION}(?:[x,]{_DIMENSION})*")


def input_type(text: str) -> dict[str, Any]:
    """Read NAME[:SHAPE[:DTYPE]] from its end."""
    parts = text.split(":")
    data: dict[str, Any] = {"kind": "TensorType"}
    if len(parts) > 1 and parts[-1] in _NONE:
        raise argparse.ArgumentTypeError(
            f"Core ML has no inputs of {parts[-1]}, and ct.TensorType refuses it: give {parts[0]!r} as float32 or int32"
        )
    if len(parts) > 1 and parts[-1] in _DTYPES:
        data["dtype"] = _DTYPES[parts.pop()]
    if len(parts) > 1 and _SHAPE.fullmatch(parts[-1]):
        data["shape"] = [_dimension(d) for d in re.split("[x,]", parts.pop())]
        data["static"] = [d if isinstance(d, int) else None for d in data["shape"]]
    elif len(parts) > 1 and parts[-1] != "0":
        raise argparse.ArgumentTypeError(
            f"{parts[-1]!r} in {text!r} is neither a shape, as 1x224x224x3 or 1..8x10, nor one of {', '.join(_DTYPES)}"
        )
    if parts[-1] == "0":
        parts.pop()
    data["name"] = ":".join(parts)
    if not data["name"]:
        raise argparse.ArgumentTypeError(f"{text!r} has no name; write NAME[:SHAPE[:DTYPE]]")
    return data


def image_type(text: str) -> dict[str, Any]:
    """Read NAME[:scale=1/255,bias=-1,layout=RGB,channels=first]; one bias holds for all colours, `|` stands between several."""
    name, _, rest = text.rpartition(":") if "=" in text.rpartition(":")[2] else (text, "", "")
    data: dict[str, Any] = {"kind": "ImageType", "name": name}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        try:
            if key == "scale":
                data["scale"] = _number(value)
            elif key == "bias":
                biases = [_number(v) for v in value.split("|")]
                data["bias"] = biases if len(biases) > 1 else biases[0]
            elif key == "layout" and value.upper() in _LAYOUTS:
                data["color_layout"] = value.upper()
            elif key == "channels" and value in ("first", "last"):
                data["channel_first"] = value == "first" or None
            else:
                raise ValueError
        except (ValueError, ZeroDivisionError):
            raise argparse.ArgumentTypeError(
                f"{part!r} in {text!r} is none of scale=NUMBER, bias=NUMBER or bias=R|G|B, channels=first|last, "
                f"layout={'|'.join(_LAYOUTS)}"
            ) from None
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} has no name; write NAME[:scale=1/255,...]")
    if isinstance(bias := data.get("bias"), float) and not str(data.get("color_layout")).startswith("GRAY"):
        data["bias"] = [bias] * 3  # `ct.ImageType` wants one for each colour
    return data


def _number(text: str) -> float:
    over, _, under = text.partition("/")
    return float(over) / (float(under) if under else 1.0)


def class_labels(path: str) -> list[str]:
    """Read a file of labels, one a line; empty lines at its end are none."""
    try:
        with open(path, encoding="utf-8") as file:
            labels = [line.rstrip("\r\n") for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    while labels and not labels[-1]:
        labels.pop()
    if not labels:
        raise argparse.ArgumentTypeError(f"{path} holds no label; write one a line")
    return labels


def _dimension(text: str) -> int | dict[str, list[int]]:
    low, dots, high = text.partition("..")
    if not dots:
        return int(low)
    if high and int(high) < int(low):
        raise argparse.ArgumentTypeError(f"the range {text} ends before it starts")
    return {"range": [int(low), int(high) if high else -1, int(low)]}


def positive(text: str) -> float:
    """Read a number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero")
    return value


def factor(text: str) -> float:
    """Read a number from 1 on."""
    if (value := positive(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is below 1: no section takes more time than the whole")
    return value


def count(text: str) -> int:
    """Read a whole number from 1 to 256."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 256")
    return int(text)
