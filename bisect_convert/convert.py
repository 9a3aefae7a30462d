"""One probe: convert one section through `ct.convert`, and say as an outcome what came of it. Runs in a worker."""

from __future__ import annotations

import contextlib
import json
import resource
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import tensorflow as tf

from bisect_convert import converter, options
from bisect_convert.cutting import Carved, carve
from bisect_convert.errors import UsageError
from bisect_convert.verdict import Outcome, Stage

__all__ = ["carved_section", "limit_memory", "probe"]


def probe(job: dict[str, Any]) -> dict[str, Any]:
    """Convert the section that `job["plan"]` describes and return its outcome as JSON data; never raises for a failure.

    job: "folder" (where `loading` wrote the model), "plan", "options" (packed), "frontend" (stop after lowering),
    "weights" (put the true weights in), "memory" (GiB, or None).
    """
    started = time.monotonic()
    limit_memory(job.get("memory"))
    plan = job["plan"]
    try:
        carved = carved_section(Path(job["folder"]), plan, bool(job.get("weights")))
        converter.define_functions(carved.functions)
    except Exception as error:  # a fault of the cut, of whatever kind, says nothing about the model
        return Outcome(unresolved=f"cannot be cut out: {type(error).__name__}: {error}").to_json()
    outcome = _convert(carved, job)
    seconds = round(time.monotonic() - started, 3)
    return Outcome(outcome.failure, None, seconds, outcome.reached).to_json()


def limit_memory(gib: float | None) -> None:
    """Let this process take at most `gib` GiB more address space than it has now (where the system can limit that)."""
    if gib is None:
        return
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + int(gib * 2**30)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _convert(carved: Carved, job: dict[str, Any]) -> Outcome:
    import coremltools as ct

    plan, frontend = job["plan"], bool(job.get("frontend"))
    names = _names(Path(job["folder"]))
    converter.reset()
    try:
        arguments = _arguments(carved, plan, job.get("options") or {})
        known = _known_symbols(arguments.get("inputs") or [], plan.get("symbols") or {})
        with converter.shared_symbols(carved.symbols, carved.shapes, known), _extent(frontend):
            ct.convert(
                converter.FrozenGraph(carved.graph_def), source="tensorflow", skip_model_load=True, **arguments
            )
    except converter.StopAfterFrontend:
        return Outcome(reached=Stage.LOWERING)
    except (KeyboardInterrupt, SystemExit, UsageError):
        raise
    except BaseException as error:
        return Outcome(converter.classify(error, names))
    return Outcome(reached=Stage.BACKEND)


def _extent(frontend: bool) -> contextlib.AbstractContextManager[None]:
    return converter.stop_after_frontend() if frontend else contextlib.nullcontext()


def _arguments(carved: Carved, plan: dict[str, Any], packed: dict[str, Any]) -> dict[str, Any]:
    """The caller's arguments as far as they concern the section: its own inputs, and outputs only of the whole model."""
    chosen = dict(packed)
    present = {n.name for n in carved.graph_def.node if n.op in ("Placeholder", "PlaceholderWithDefault")}
    if "inputs" in chosen and not plan.get("whole"):
        kept = set(plan["ops"]) & present
        named = [i for i in chosen["inputs"] if i.get("name") in kept]
        if len(chosen["inputs"]) == 1 and chosen["inputs"][0].get("name") is None and len(plan["inputs"]) == 1:
            named = [{**chosen["inputs"][0], "name": n} for n in plan["inputs"] if n in kept]
        chosen["inputs"] = named
        if not named:
            del chosen["inputs"]
    if not plan.get("whole"):
        chosen.pop("outputs", None)
        chosen.pop("classifier_config", None)
    return options.unpack(chosen)


def _known_symbols(inputs: list[Any], symbols: dict[str, list[str]]) -> dict[str, Any]:
    """Symbol name -> MIL symbol, for the dimensions that the caller's own input types leave open."""
    known: dict[str, Any] = {}
    for spec in inputs:
        shape = getattr(getattr(spec, "shape", None), "symbolic_shape", None)
        for name, size in zip(symbols.get(spec.name, ()), shape or (), strict=False):
            if name and not isinstance(size, int):
                known.setdefault(name, size)
    return known


def carved_section(folder: Path, plan: dict[str, Any], true_weights: bool) -> Carved:
    """Return the section that the plan describes, cut out of the model that `loading` wrote into the folder."""
    graph_def = _graph(folder, plan["file"])
    weights = {n.name: n for n in _graph(folder, "weights.pb").node} if true_weights else None
    return carve(graph_def, plan, weights)


@lru_cache(maxsize=4)
def _graph(folder: Path, file: str) -> Any:
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString((folder / file).read_bytes())
    if file not in {"graph.pb", "weights.pb"}:
        graph_def.library.CopyFrom(_graph(folder, "graph.pb").library)
    return graph_def


@lru_cache(maxsize=2)
def _names(folder: Path) -> tuple[str, ...]:
    facts = json.loads((folder / "model.json").read_text())
    return tuple({op["name"] for graph in facts["graphs"].values() for op in graph["ops"]})
