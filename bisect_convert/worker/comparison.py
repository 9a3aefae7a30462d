"""Run a section in TensorFlow on the values it has inside its model: a slicing fault shows here, not in a finding.

Runs in a worker. The whole model is run on a sample input with fetches at the section's cuts; the section is then run on
what enters it and must give what leaves it.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import tensorflow as tf

from bisect_convert.model.cuts import Entry, Plan
from bisect_convert.worker.cut.sections import Carved
from bisect_convert.worker.read.shared_sizes import RUN_MILLISECONDS, sample_feed

__all__ = ["differs", "placed"]

v1 = tf.compat.v1
_RANDOM = re.compile(r"Random|Multinomial|Rng|Shuffle|Dropout")
_SIZES = (32, 48, 40, 56)


def differs(graph_def: Any, carved: Carved, plan: Plan) -> str | None:
    """Return in what the section's values differ from the model's, "" if in nothing, None where neither can be run.

    Values are compared with a relative tolerance of 1e-4; graphs that draw random numbers cannot be compared.
    """
    if plan.whole or plan.file != "graph.pb" or plan.removed:
        return None
    if any(_RANDOM.search(n.op) for n in graph_def.node):
        return None
    entries = [e.tensor for e in plan.entries]
    own = [f"{name}:0" for name in plan.inputs if name in set(plan.ops)]
    exits = [e.tensor for e in plan.exits if e.dtype not in ("string", "variant", "resource")]
    try:
        inside = _run(graph_def, [*entries, *exits, *own], None)
        feed = {n: v for e in plan.entries for n, v in placed(carved.graph_def, e, inside[e.tensor]).items()}
        feed.update({name: inside[name] for name in own})
        alone = _run(carved.graph_def, exits, feed)
    except (tf.errors.OpError, ValueError, KeyError, TypeError):
        return None
    for name in exits:
        if alone[name].shape != inside[name].shape:
            return f"{name}: shape {alone[name].shape} alone, {inside[name].shape} in the model"
        if not _close(alone[name], inside[name]):
            return f"{name}: other values alone than in the model"
    return ""


def _close(a: Any, b: Any) -> bool:
    if a.dtype.kind in "fc":
        return bool(np.allclose(a, b, rtol=1e-4, atol=1e-4, equal_nan=True))
    return bool(np.array_equal(a, b))


def _run(graph_def: Any, fetches: list[str], feed: dict[str, Any] | None) -> dict[str, Any]:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        given = sample_feed(graph, _SIZES, np.random.default_rng(0))
        given.update(feed or {})
        with v1.Session(graph=graph) as session:
            values = session.run(fetches, given, options=v1.RunOptions(timeout_in_ms=RUN_MILLISECONDS))
    return {name: np.asarray(value) for name, value in zip(fetches, values, strict=True)}


def placed(graph_def: Any, entry: Entry, value: Any) -> dict[str, Any]:
    """Return what to feed to the section's inputs so that the entering tensor takes this value (see `cutting`)."""
    op, _, index = entry.tensor.rpartition(":")
    name = entry.name or (op if index == "0" else f"{op}__{index}")
    inputs = {n.name: n for n in graph_def.node if n.op == "Placeholder"}
    parts = {name: value}
    if np.iscomplexobj(value):
        parts = {f"{name}__re": value.real, f"{name}__im": value.imag}
    feed = {}
    for part, data in parts.items():
        node = inputs.get(part) or inputs[f"{part}__in"]
        dtype = tf.as_dtype(node.attr["dtype"].type).as_numpy_dtype
        shape = [d.size for d in node.attr["shape"].shape.dim]
        feed[f"{node.name}:0"] = (
            np.asarray(data)
            .astype(dtype)
            .reshape([s if s >= 0 else -1 for s in shape] if -1 not in shape else np.shape(data))
        )
    return feed
