"""The inputs that a caller gives to compare on, looked at before any worker sees them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bisect_convert.errors import UsageError
from bisect_convert.model.graph import Graph, Tensor
from bisect_convert.model.names import in_core_ml

__all__ = ["AUTO", "WORDS", "beside", "chosen"]

#: What is no path; "auto": the samples that come with a SavedModel, else random ones.
AUTO = "auto"
WORDS = ("random", "zeros", "off", AUTO)


def beside(model: str) -> Path | None:
    """Return the sample that a SavedModel brings along, assets.extra/sample.npz, where there is one."""
    place = Path(model, "assets.extra", "sample.npz")
    return place if place.is_file() else None


def chosen(wish: str | Mapping[str, Any], graph: Graph, folder: Path) -> str:
    """Return what a worker is told: "random", "zeros", or an .npz file in `folder` that has all samples as NUMBER/INPUT.

    wish: one of these words, an .npz file with an array for each input by name, a folder of such files, or the arrays.
    Raises UsageError for files that are none, and for arrays that are not what the model takes.
    """
    out = folder / "samples.npz"
    if isinstance(wish, Mapping):
        arrays = {name: np.asarray(value) for name, value in wish.items()}
        np.savez(out, **{f"0/{k}": v for k, v in _placed("inputs", arrays, graph).items()})
        return str(out)
    if wish in ("random", "zeros"):
        return wish
    path = Path(wish)
    if not path.exists():
        raise UsageError(f"--numbers {wish}: no such file or folder; give an .npz file, random, zeros or off")
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if not files:
        raise UsageError(f"--numbers {wish}: there is no .npz file in this folder")
    read = [_placed(str(file), _read(file), graph) for file in files]
    np.savez(out, **{f"{n}/{name}": value for n, sample in enumerate(read) for name, value in sample.items()})
    return str(out)


def _placed(file: str, given: Mapping[str, Any], graph: Graph) -> dict[str, Any]:
    wanted = {n: graph.ops[n].outputs[0] for n in graph.ops if graph.ops[n].type.startswith("Placeholder")}
    names = {_plain(name): name for name in wanted}
    placed = {names.get(_plain(key), key): value for key, value in given.items()}
    if unknown := sorted(placed.keys() - wanted.keys()):
        raise UsageError(f"{file}: the model has no input {unknown[0]}; its inputs are {', '.join(sorted(wanted))}")
    if missing := sorted(wanted.keys() - placed.keys()):
        raise UsageError(f"{file}: there is no array for the input {missing[0]}; it holds {', '.join(sorted(given))}")
    for name, value in placed.items():
        _check(file, name, value, wanted[name])
    return placed


def _read(file: Path) -> Mapping[str, Any]:
    if file.suffix != ".npy" and not zipfile.is_zipfile(file):
        raise UsageError(f"{file} cannot be read as an .npz file: np.savez(file, NAME=array) writes one")
    try:
        arrays = np.load(file, allow_pickle=False)
        if isinstance(arrays, np.ndarray):
            raise UsageError(f"{file} is a single array, no .npz file: np.savez(file, NAME=array) writes one")
        with arrays:
            return {name: arrays[name] for name in arrays.files}
    except UsageError:
        raise
    except Exception as error:  # a file of any other kind may fail in any way
        if "allow_pickle" in str(error):
            raise UsageError(
                f"{file} holds Python objects (a pickle), which are not read: arrays of numbers only"
            ) from error
        raise UsageError(f"{file} cannot be read as an .npz file: np.savez(file, NAME=array) writes one") from error


def _check(file: str, name: str, value: Any, tensor: Tensor) -> None:
    if value.dtype.name != tensor.dtype:
        raise UsageError(f"{file}: {name} is {value.dtype.name}, but the model takes {tensor.dtype}")
    shape = tensor.shape
    if shape is not None and (
        len(shape) != value.ndim or any(s is not None and s != n for s, n in zip(shape, value.shape, strict=True))
    ):
        spelt = "x".join("?" if s is None else str(s) for s in shape) or "a scalar"
        raise UsageError(
            f"{file}: {name} is {'x'.join(map(str, value.shape)) or 'a scalar'}, but the model takes {spelt}"
        )
    if value.dtype.kind == "f" and np.isnan(value).any():
        raise UsageError(f"{file}: {name} holds NaN, with which nothing can be compared")


def _plain(name: str) -> str:
    return in_core_ml(name.removesuffix(":0"))
