"""How the argument `inputs` can be brought in line with what the model declares: names, dtypes, shapes, kinds of image."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

__all__ = ["as_tensors", "corrected", "described", "ended", "fits", "fixed", "images", "rounded", "spelt"]

Spec = Mapping[str, Any]
Shape = Sequence[int | None]

#: What an ImageType and a TensorType have in common.
_SHAPED = ("name", "shape", "static", "enumerated", "default")
#: An end for a range of sizes that has none, and a size for a dimension that nothing is known of.
_END, _SIZE = 2048, 64
_COLOURS = {1: "GRAYSCALE", 3: "RGB"}


def corrected(inputs: Sequence[Spec], declared: Sequence[Spec]) -> list[dict[str, Any]]:
    """Return the inputs with the names, kinds of number and shapes that the model declares; what agrees stays as it is."""
    known = {d["name"]: d for d in declared if d["dtype"] != "resource"}
    named = _named(inputs, known)
    return [_shaped(_typed(i, known[i["name"]]), known[i["name"]].get("declared")) for i in named]


def described(given: Sequence[Spec], right: Sequence[Spec], declared: Sequence[Spec]) -> str:
    """Return in words how `corrected` inputs differ from the given ones."""
    known = {d["name"]: d for d in declared}
    words = []
    for old, new in zip(given, right, strict=False):
        name, model = new["name"], known[new["name"]]
        if old.get("name") != name:
            words.append(f"call the input `{name}`" + (f", not `{old['name']}`" if old.get("name") else ""))
        if old.get("dtype") != new.get("dtype"):
            words.append(
                f"give `{name}` the dtype {new['dtype'].replace('fp', 'float')}: in the model it is {model['dtype']}"
            )
        if _sizes(old) != _sizes(new):
            words.append(f"give `{name}` a shape that fits {spelt(model.get('declared'))}, the model's own")
    if len(right) < len(given):
        words.append("leave out what the model has no input for")
    return "; ".join(words) or "give the inputs as the model has them"


def _sizes(spec: Spec) -> Any:
    return spec.get("enumerated") or spec.get("shape")


def spelt(shape: Shape | None) -> str:
    """Return a shape in words: "1x?x3"."""
    return "x".join("?" if s is None else str(s) for s in shape or ())


def fits(given: Sequence[Any], declared: Shape | None) -> bool:
    """Return whether sizes (None or anything but a number: open) agree with the declared ones."""
    if declared is None:
        return True
    sizes = [s if isinstance(s, int) else None for s in given]
    return len(sizes) == len(declared) and all(
        a is None or b is None or a == b for a, b in zip(sizes, declared, strict=True)
    )


def _named(inputs: Sequence[Spec], known: Mapping[str, Spec]) -> list[dict[str, Any]]:
    """The inputs under names that the model has, each once; one that no name is left for is dropped."""
    free = [n for n in known if n not in {i.get("name") for i in inputs}]
    taken: set[str] = set()
    made = []
    for spec in inputs:
        name = spec.get("name")
        if name not in known or name in taken:
            name = _name(spec, [n for n in free if n not in taken], known)
        if name is not None:
            taken.add(name)
            made.append({**spec, "name": name})
    return made


def _name(spec: Spec, free: Sequence[str], known: Mapping[str, Spec]) -> str | None:
    """The free name that is likeliest meant: the same but for an index or case, of the same shape, similar, the only one."""
    said = str(spec.get("name") or "").split(":")[0].lower()
    alike = [n for n in free if n.lower() == said]
    fitting = [n for n in free if "shape" in spec and fits(spec["shape"], known[n].get("declared"))]
    similar = difflib.get_close_matches(said, free, 1)
    return next(iter([*alike, *(fitting if len(fitting) == 1 else []), *similar, *fitting, *free]), None)


def _typed(spec: Spec, declared: Spec) -> dict[str, Any]:
    dtype, model = str(spec.get("dtype", "")), str(declared["dtype"])
    if dtype.startswith("fp") and model.startswith(("int", "uint")):
        return {**spec, "dtype": "int32"}
    if dtype.startswith("int") and model.startswith("float"):
        return {**spec, "dtype": "fp32"}
    return dict(spec)


def _shaped(spec: dict[str, Any], declared: Shape | None) -> dict[str, Any]:
    if "enumerated" in spec:
        kept = [s for s in spec["enumerated"] if fits(s, declared)]
        if kept == spec["enumerated"]:
            return spec
        if len(kept) > 1:
            return {**spec, "enumerated": kept, "default": kept[0]}
        spec = {k: v for k, v in spec.items() if k not in ("enumerated", "default")}
        return _sized(spec, kept[0] if kept else _closed(declared or ()))
    if "shape" not in spec or declared is None or fits(spec["shape"], declared):
        return spec
    agreeing = [s for s in _rearranged(spec["shape"]) if fits(s, declared)]
    return _sized(spec, agreeing[0] if agreeing else _closed(declared, spec["shape"]))


def _sized(spec: Mapping[str, Any], shape: Sequence[Any]) -> dict[str, Any]:
    return {**spec, "shape": list(shape), "static": [s if isinstance(s, int) else None for s in shape]}


def _rearranged(shape: Sequence[Any]) -> Iterator[list[Any]]:
    """The shape with a batch before it, with the channels moved to the other end, then in any order."""
    yield [1, *shape]
    if len(shape) >= 3:
        yield [shape[0], *shape[2:], shape[1]]
        yield [shape[0], shape[-1], *shape[1:-1]]
        yield from (list(p) for p in permutations(shape)) if len(shape) <= 4 else ()


def _closed(declared: Shape, given: Sequence[Any] = ()) -> list[Any]:
    """The declared shape; where it is open, the given size, or a batch of one, or a usual size."""
    same = len(given) == len(declared)
    return [
        d if d is not None else given[i] if same else 1 if i == 0 else _SIZE for i, d in enumerate(declared)
    ]  # fmt: skip


def fixed(inputs: Sequence[Spec], declared: Sequence[Spec]) -> list[dict[str, Any]]:
    """Return the inputs with one size for each range or list of shapes: the model's, or the default."""
    known = {d["name"]: d.get("declared") for d in declared}
    made = []
    for spec in inputs:
        if "enumerated" in spec:
            rest = {k: v for k, v in spec.items() if k not in ("enumerated", "default")}
            made.append(_sized(rest, spec.get("default") or spec["enumerated"][0]))
        elif "shape" in spec and not all(isinstance(d, int) for d in spec["shape"]):
            shape = known.get(spec.get("name")) or [None] * len(spec["shape"])
            sizes = [_one_size(d, s) for d, s in zip(spec["shape"], shape, strict=False)]
            made.append(_sized(spec, sizes))
        else:
            made.append(dict(spec))
    return made


def _one_size(given: Any, declared: int | None) -> int:
    if isinstance(given, int):
        return given
    low, _, default = given.get("range", (_SIZE, 0, _SIZE))
    return declared or default or low


def rounded(inputs: Sequence[Spec], declared: Sequence[Spec], unit: int) -> list[dict[str, Any]]:
    """Return the inputs with each size that the model leaves open, but for the batch, as the nearest multiple of `unit`."""
    known = {d["name"]: d.get("declared") for d in declared}
    made = []
    for spec in inputs:
        shape, model = spec.get("shape"), known.get(spec.get("name"))
        if not shape or not model or len(shape) != len(model):
            made.append(dict(spec))
            continue
        sizes = [
            max(unit, round(s / unit) * unit) if i and isinstance(s, int) and m is None else s
            for i, (s, m) in enumerate(zip(shape, model, strict=True))
        ]
        made.append(_sized(spec, sizes))
    return made


def images(inputs: Sequence[Spec], declared: Sequence[Spec]) -> list[dict[str, Any]]:
    """Return the inputs with each image's colours and place of its channels as its shape has them."""
    known = {d["name"]: d.get("declared") for d in declared}
    return [_image(i, known.get(i.get("name"))) if i.get("kind") == "ImageType" else dict(i) for i in inputs]


def _image(spec: Spec, declared: Shape | None) -> dict[str, Any]:
    made = dict(spec)
    shape = spec.get("shape") or declared or ()
    if len(shape) != 4:
        return made
    first, last = shape[1] in _COLOURS, shape[-1] in _COLOURS
    if first != last and first != bool(made.get("channel_first")):
        made["channel_first"] = True if first else None
    channels = shape[1] if made.get("channel_first") else shape[-1]
    grey = str(spec.get("color_layout")).startswith("GRAYSCALE")
    if channels in _COLOURS and grey != (channels == 1):
        made["color_layout"] = _COLOURS[channels]
    if isinstance(spec.get("scale"), (list, tuple)):
        made["scale"] = sum(spec["scale"]) / len(spec["scale"])
    if channels in _COLOURS and (bias := _biases(spec.get("bias"), channels)) is not None:
        made["bias"] = bias
    return made


def _biases(given: Any, channels: int) -> Any:
    """The biases as coremltools wants them, a list of three or one number; None where they are so, or too few to tell."""
    many = isinstance(given, (list, tuple))
    if channels == 3 and isinstance(given, (int, float)) and given:
        return [given] * 3
    if channels == 3 and many and len(given) == 1:
        return [*given] * 3
    if channels == 1 and many and len(set(given)) == 1:
        return given[0]
    return None


def as_tensors(inputs: Sequence[Spec]) -> list[dict[str, Any]]:
    """Return the inputs with a TensorType of the same name and shape in place of each ImageType."""
    return [
        {"kind": "TensorType", **{k: v for k, v in i.items() if k in _SHAPED}}
        if i.get("kind") == "ImageType" else dict(i) for i in inputs
    ]  # fmt: skip


def ended(inputs: Sequence[Spec]) -> list[dict[str, Any]]:
    """Return the inputs with an end for each range of sizes that has none."""
    return [{**i, "shape": [_ended(d) for d in i["shape"]]} if "shape" in i else dict(i) for i in inputs]


def _ended(dimension: Any) -> Any:
    if isinstance(dimension, dict) and "range" in dimension and dimension["range"][1] < 0:
        low, _, default = dimension["range"]
        return {**dimension, "range": [low, _END, default]}
    return dimension
