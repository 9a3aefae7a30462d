"""Where the time goes: from the seconds of one watched conversion to the ops, or the layer, that take their share."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from bisect_convert.model.cuts import Section
from bisect_convert.model.graph import Model
from bisect_convert.model.names import bytes_of, op_of
from bisect_convert.model.outcome import Failure, Signature, Stage
from bisect_convert.report.findings import SLOW
from bisect_convert.report.times import Share, Times
from bisect_convert.search.found import Found

__all__ = ["Part", "by_reader", "slow_ops", "times_of"]

#: A stage, its pass, the op of the model in hand, and the seconds spent so.
Part = tuple[int, str | None, str | None, float]
K = TypeVar("K", bound=Hashable)
#: Seconds below which nothing is slow: what any conversion takes.
_LEAST = 1.0
#: What has all constants in hand at once.
_MOVES = frozenset({int(Stage.LOAD), "constant_propagation", int(Stage.BACKEND)})
#: A layer may have this part of the ops at most: of more it is no news that they take time.
_PART_OF_MODEL = 0.5
#: Of a slow layer, the ops that take at least this part of its time are named.
_WORTH_NAMING = 0.05


def times_of(model: Model, parts: Sequence[Part], reading: float) -> Times:
    """Return the seconds by step, by layer and by op of the model, the longest first; reading: those before."""
    layer = {op.name: op.layer or "" for graph in model.graphs.values() for op in graph.ops.values()}
    return Times(
        round(sum(part[3] for part in parts), 3), round(reading, 3),
        _shares((_step(stage, passed), seconds) for stage, passed, _, seconds in parts),
        _shares((layer.get(op or "", ""), seconds) for _, _, op, seconds in parts),
        _shares((op if op in layer else "", seconds) for _, _, op, seconds in parts),
    )  # fmt: skip


def by_reader(model: Model, parts: Sequence[Part]) -> list[Part]:
    """Return the parts with constants under the ops that read them.

    What moves all constants at once, as a reading of the graph does, is shared out by their size in bytes.
    """
    size: dict[str, int] = {}
    reader: dict[str, str] = {}
    for graph in model.graphs.values():
        for one in graph.ops.values():
            read = [t for t in one.inputs if graph.ops[op_of(t)].constant] if not one.constant else []
            size[one.name] = sum(
                bytes_of(made.dtype, made.shape) for t in read if (made := graph.tensors.get(t)) is not None
            )
            reader |= {op_of(t): one.name for t in read}
    everything = sum(size.values())
    shared: list[Part] = []
    for stage, passed, op, seconds in parts:
        if op is None and everything and (stage in _MOVES or passed in _MOVES):
            shared += [(stage, passed, name, seconds * n / everything) for name, n in size.items() if n]
        else:
            shared.append((stage, passed, reader.get(op or "", op), seconds))
    return shared


def slow_ops(model: Model, parts: Sequence[Part], factor: float) -> list[Found]:
    """Return each op that takes at least 1/`factor` of the time, and a second; else the innermost layer that does."""
    total = sum(part[3] for part in parts)
    limit = max(total / factor, _LEAST)
    home = {name: graph.name for graph in reversed(list(model.graphs.values())) for name in graph.ops}
    seconds = _totals((op, took) for _, _, op, took in parts if op is not None and op in home)
    slow = [[op] for op, took in seconds.items() if took >= limit]
    groups = slow or [_of_layer(model, seconds, limit)]
    return [_found(model, home, ops, parts) for ops in groups if ops]


def _of_layer(model: Model, seconds: Mapping[str, float], limit: float) -> list[str]:
    """The ops of the innermost layer that takes the time, the slowest first: those that take a part worth naming."""
    inside: dict[str, list[str]] = {}
    for graph in model.graphs.values():
        for op in graph.ops.values():
            scopes = (op.layer or "").split("/")
            for depth in range(1, len(scopes) + 1):
                inside.setdefault("/".join(scopes[:depth]), []).append(op.name)
    most = _PART_OF_MODEL * model.ops
    took = {layer: sum(seconds.get(n, 0.0) for n in ops) for layer, ops in inside.items() if layer and len(ops) <= most}
    slow = [layer for layer, total in took.items() if total >= limit]
    if not slow:
        return []
    layer = max(slow, key=lambda name: (name.count("/"), took[name]))
    named = [n for n in inside[layer] if seconds.get(n, 0.0) >= _WORTH_NAMING * took[layer]]
    return sorted(named, key=lambda name: -seconds[name])


def _found(model: Model, home: Mapping[str, str], ops: Sequence[str], parts: Sequence[Part]) -> Found:
    graph = home[ops[0]]
    total, own = sum(part[3] for part in parts), [part for part in parts if part[2] in ops]
    stage, passed = next(iter(_totals(((s, p), took) for s, p, _, took in own)))
    what = model.graphs[graph].ops[ops[0]].type if len(ops) == 1 else f"{len(ops)} ops of one layer"
    message = (
        f"converting {what} takes {sum(part[3] for part in own):.1f} s of the {total:.1f} s that the whole model takes"
    )
    failure = Failure(Signature(Stage(stage), passed, SLOW, "slow"), SLOW, message)
    section = Section(graph, model.graphs[graph].close(frozenset(n for n in ops if home[n] == graph)))
    return Found(failure, tuple((home[n], n) for n in ops), section, len(ops) == 1, True)


def _step(stage: int, passed: str | None) -> str:
    return Stage(stage).word + (f": {passed}" if passed else "")


def _shares(pairs: Iterable[tuple[str | None, float]]) -> tuple[Share, ...]:
    return tuple(Share(str(name), round(seconds, 3)) for name, seconds in _totals(pairs).items())


def _totals(pairs: Iterable[tuple[K, float]]) -> dict[K, float]:
    """The seconds for each key, the longest first."""
    totals: dict[K, float] = {}
    for key, seconds in pairs:
        totals[key] = totals.get(key, 0.0) + seconds
    return dict(sorted(totals.items(), key=lambda item: -item[1]))
