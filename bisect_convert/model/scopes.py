"""Scopes of a traced Keras model as its layers are called: a trace puts a number behind each name, which changes with it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from bisect_convert.model.graph import Graph

__all__ = ["as_the_model_has_them", "renamed"]

_NUMBERED = re.compile(r"(.+)_(\d+)")


def as_the_model_has_them(scopes: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Return the scopes that a trace renamed -> what they are without its number; none where it is not certain which that is.

    known: names of layers, which no trace numbered.

    >>> as_the_model_has_them(["net_1/dense_1_1", "net_1/dense_1", "net_1/fix_1/split"], {"dense", "dense_1"})
    {'net_1/dense_1_1': 'net/dense_1', 'net_1/dense_1': 'net/dense', 'net_1/fix_1/split': 'net/fix/split'}
    >>> as_the_model_has_them(["block_1/conv_1"], {"conv_1"}), as_the_model_has_them(["net/conv", "net/conv_1"], {"conv"})
    ({}, {})
    >>> as_the_model_has_them(["n_1/sh_1", "n_1/c_1", "n_1/sh_1_2", "n_1/c_1_2"], {"c", "c_1"})
    {'n_1/sh_1': 'n/sh', 'n_1/c_1': 'n/c', 'n_1/sh_1_2': 'n/sh_1', 'n_1/c_1_2': 'n/c_1'}
    """
    paths = [tuple(scope.split("/")) for scope in dict.fromkeys(scopes)]
    beside: dict[tuple[str, ...], set[str]] = {}
    for path in paths:
        for depth, part in enumerate(path):
            beside.setdefault(path[:depth], set()).add(part)
    return max(_all_by_one_number(paths, beside, known), _each_by_its_own(paths, beside, known), key=len)


def _all_by_one_number(
    paths: Iterable[tuple[str, ...]], beside: Mapping[tuple[str, ...], Collection[str]], known: Collection[str]
) -> dict[str, str]:
    """The scopes without the number that all layers of the trace have, where it is one and the same."""
    number = _number(beside.values(), known)
    if number is None:
        return {}
    found = {}
    for path in paths:
        plain: list[str] = []
        for depth, part in enumerate(path):
            plain.append(_plain(part, number, beside[path[:depth]]))
            if plain[-1] == part:  # inside of a layer, whose own scopes no trace numbers
                plain += path[depth + 1 :]
                break
        if (name := "/".join(plain)) != "/".join(path):
            found["/".join(path)] = name
    return found


def _each_by_its_own(
    paths: Iterable[tuple[str, ...]], beside: Mapping[tuple[str, ...], Collection[str]], known: Collection[str]
) -> dict[str, str]:
    """The same where each name has a number of its own, as where layers are called `x`, `x_1` and `x_1_1`.

    Certain is that of siblings which all have one, and of which the known ones are called so in one way only.
    """
    plain: dict[tuple[str, ...], str] = {}
    for parent, parts in beside.items():
        stems = {part: match[1] for part in parts if (match := _NUMBERED.fullmatch(part)) is not None}
        if len(stems) < len(parts) or len(set(stems.values())) < len(parts):
            continue
        layers = [part for part in parts if stems[part] in known]
        if len(layers) > 1 and not any(part in known and stems[part] not in known for part in parts):
            plain |= {(*parent, part): stem for part, stem in stems.items()}
    found = {}
    for path in paths:
        depths = [depth for depth in range(len(path)) if path[: depth + 1] in plain]
        names = [plain.get(path[: depth + 1], part) for depth, part in enumerate(path)]
        if depths and (above := _NUMBERED.fullmatch(path[depths[0] - 1])) and depths[0]:
            names[depths[0] - 1] = above[1]
        if depths:
            found["/".join(path)] = "/".join(names)
    return found


def renamed(graphs: Mapping[str, Graph], names: Mapping[str, str]) -> dict[str, Graph]:
    """Return the graphs with these layers called otherwise."""
    return {
        name: replace(graph, ops={n: replace(op, layer=names.get(op.layer or "", op.layer)) for n, op in graph.ops.items()})
        for name, graph in graphs.items()
    }  # fmt: skip


def _number(siblings: Iterable[Collection[str]], known: Collection[str]) -> str | None:
    """The number that stands behind the names of known layers and is not their own, where it is one and the same."""
    seen = {
        match[2]
        for parts in siblings
        for part in set(parts) - set(known)
        if (match := _NUMBERED.fullmatch(part)) is not None
        and match[1] in known
        and re.sub(rf"(_{match[2]})+$", "", part) not in parts  # called for the second time in one trace
    }
    return next(iter(seen)) if len(seen) == 1 else None


def _plain(part: str, number: str, beside: Collection[str]) -> str:
    """The name without the number, unless something else beside it is called so."""
    stem = part.removesuffix(f"_{number}")
    taken = stem != part and stem in beside and _plain(stem, number, beside) == stem
    return part if taken else stem
