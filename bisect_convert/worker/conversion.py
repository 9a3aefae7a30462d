"""One probe: convert one section through `ct.convert`, and say as an outcome what came of it. Runs in a worker."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import tensorflow as tf

from bisect_convert.arguments.input_corrections import fits
from bisect_convert.errors import BisectConvertError, EnvironmentError_, UsageError
from bisect_convert.model import facts
from bisect_convert.model.cuts import Plan
from bisect_convert.model.names import HANDLES
from bisect_convert.model.outcome import Outcome, Stage
from bisect_convert.recipes import UNFIT
from bisect_convert.worker import compression, private_api, tracebacks, unpacking
from bisect_convert.worker.as_tensorflow import as_tensorflow
from bisect_convert.worker.comparison import differs
from bisect_convert.worker.cut.sections import Carved, carve, entry_name
from bisect_convert.worker.read.input_shapes import declared
from bisect_convert.worker.request import About, Carve, Compare, Probe
from bisect_convert.worker.rewrite import recipes_applied
from bisect_convert.worker.survey import Made, Survey, surveying
from bisect_convert.worker.warned import kept_warnings
from bisect_convert.worker.weights import true_weights as weights_of

__all__ = [
    "carved_section",
    "compare_section",
    "Known",
    "concerning",
    "known_of",
    "known_symbols",
    "limit_memory",
    "probe",
    "write_section",
]

#: What a disk may say that is full, broken or not ours to write to.
_MACHINE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EACCES})


def probe(request: Probe, mark: str | None = None) -> dict[str, Any]:
    """Convert the section and return its outcome as JSON data; never raises for a failure.

    mark: the file beside which it says how far it has come, for who finds this process dead.
    """
    started = time.monotonic()
    limit_memory(request.memory)
    try:
        carved = carved_section(request, request.weights)
        private_api.define_functions(carved.functions)
    except EnvironmentError_:
        raise
    except Exception as error:  # a fault of the cut, of whatever kind, says nothing about the model
        return Outcome(unresolved=f"cannot be cut out: {type(error).__name__}: {error}").to_json()
    made = None
    if request.recipe is not None and request.op is not None:
        try:
            given = recipes_applied.one_batch(carved.graph_def) if request.one_batch else carved.graph_def
            made = recipes_applied.rewritten(given, request.op, request.recipe, run=not request.no_run)
            carved.graph_def = made.graph_def
            private_api.define_functions(made.graph_def.library.function)
        except Exception as error:  # a recipe refuses what it is not made for
            return Outcome(unresolved=f"{UNFIT}: {type(error).__name__}: {error}").to_json()
    outcome = _convert(carved, request, mark)
    if made is not None and outcome.converted:
        if made.compared is not None and made.compared.apart and not made.compared.equal:
            return Outcome(unresolved=f"{UNFIT}: {made.compared}").to_json()
        said = None if made.compared is None else str(made.compared)
        outcome = replace(outcome, call=made.call, compared=said)
    seconds = round(time.monotonic() - started, 3)
    return replace(outcome, seconds=seconds).to_json()


def compare_section(request: Compare) -> dict[str, Any]:
    """Return under "differs" how the section's values in TensorFlow differ from the model's (see `comparison`)."""
    graph_def = _graph(Path(request.folder), request.plan.file)
    return {"differs": differs(graph_def, carved_section(request, False), request.plan)}


def write_section(request: Carve) -> dict[str, Any]:
    """Write the section to `out`/section.pb; returns the packed options with which it fails, and how it does.

    Without our help the converter takes unknown sizes for unlike: where it then fails otherwise than expected, inputs with
    named ranges are added to the options. Not to be checked is what would end the process.
    """
    out = Path(request.out)
    carved = carved_section(request, True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "section.pb").write_bytes(carved.graph_def.SerializeToString())
    packed = concerning(carved, request.plan, request.options)
    if not request.check:
        return {"options": packed, "type": request.type, "message": request.message}
    private_api.define_functions(carved.functions)
    ranged = {**packed, "inputs": [*packed.get("inputs", ()), *_ranges(carved)]}
    tried = []
    for chosen in [packed, ranged] if _ranges(carved) else [packed]:
        tried.append({"options": chosen, **_plain_error(private_api.FrozenGraph(carved.graph_def), chosen)})
        if tried[-1]["type"] == request.type and tried[-1]["message"][:20] == request.message[:20]:
            return {**tried[-1], "code": _code(carved, tried[-1])}
    return tried[0]


def _code(carved: Carved, failure: Mapping[str, Any]) -> str | None:
    """The section as TensorFlow code, where what that makes fails in the same way."""
    text = as_tensorflow(carved.graph_def)
    if text is None:
        return None
    try:
        known: dict[str, Any] = {}
        exec(compile(text, "section", "exec"), known)
        made = [known["section"].get_concrete_function()]
    except Exception:  # TensorFlow may refuse a graph that it was handed as a GraphDef
        return None
    again = _plain_error(made, failure["options"])
    alike = again["type"] == failure["type"] and again["message"][:20] == failure["message"][:20]
    return text if alike else None


def _plain_error(source: Any, packed: dict[str, Any]) -> dict[str, Any]:
    import coremltools as ct

    private_api.reset()
    try:
        with unpacking.in_force(packed.get("conversions", {})):
            model = ct.convert(source, source="tensorflow", skip_model_load=True, **unpacking.unpack(packed))
        if "optimize" in packed:
            compression.optimized(model, packed["optimize"])
    except Exception as error:
        return {"type": type(error).__name__, "message": str(error)}
    return {"type": "", "message": ""}


def _ranges(carved: Carved) -> list[dict[str, Any]]:
    """Inputs that share an unknown size, as packed tensor types with named ranges."""
    return [
        {"kind": "TensorType", "name": name, "shape": [
            {"range": [1, 2048, 1], "symbol": f"size_{symbol}"} if symbol else size
            for symbol, size in zip(symbols, carved.shapes[name], strict=True)
        ]}
        for name, symbols in carved.symbols.items()
    ]  # fmt: skip


def limit_memory(gib: float | None) -> None:
    """Let this process take at most `gib` GiB more address space than it has now (where the system can limit that).

    None: as much as there is; what an earlier request of the same process was allowed does not hold for this one.
    """
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = hard
        if gib is not None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + int(gib * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _convert(carved: Carved, request: Probe, mark: str | None) -> Outcome:
    import coremltools as ct

    plan, known = request.plan, known_of(Path(request.folder))
    survey = Survey({**known.outputs, **_handed(plan)}, known.names) if request.survey else None
    private_api.reset()
    try:
        arguments = unpacking.unpack(concerning(carved, plan, request.options))
        symbols = known_symbols(arguments.get("inputs") or [], plan.symbols)
        own = unpacking.in_force(request.options.get("conversions", {}))
        shared = private_api.shared_symbols(carved.symbols, carved.shapes, symbols)
        surveyed = contextlib.nullcontext() if survey is None else surveying(survey)
        ends = private_api.watched(_teller(mark), lambda: request.frontend or bool(survey and survey.failures))
        with own, shared, surveyed, ends, kept_warnings() as warned:
            model = ct.convert(
                private_api.FrozenGraph(carved.graph_def), source="tensorflow", skip_model_load=True, **arguments
            )
    except private_api.StopAfterFrontend:
        return _of_survey(survey) or Outcome(reached=Stage.LOWERING)
    except (KeyboardInterrupt, SystemExit, UsageError):
        raise
    except BaseException as error:
        _not_of_the_machine(error)
        return _of_survey(survey) or Outcome(tracebacks.classify(error, known.names))
    done = _optimize(model, request.options.get("optimize"), known.names)
    return replace(done, warned=tuple(warned)) if plan.whole else done


def _handed(plan: Plan) -> dict[str, tuple[Made]]:
    """What stands for the inputs that Core ML has none of, under the names that they have in the section."""
    return {entry_name(e): ((e.dtype, e.shape),) for e in plan.entries if e.dtype in HANDLES}


def _of_survey(survey: Survey | None) -> Outcome | None:
    """The first failure that was noted, which is what the converter stops at by itself, and those behind it."""
    if survey is None or not survey.failures:
        return None
    return Outcome(survey.failures[0], further=tuple(survey.failures[1:]))


def _not_of_the_machine(error: BaseException) -> None:
    """Raise OSError where the error is a full or broken disk, which says nothing about the model."""
    if isinstance(error, OSError) and error.errno in _MACHINE:
        raise error
    text = str(error)
    for code in _MACHINE if isinstance(error, RuntimeError) else ():  # those of C++, which has no type for them
        if text.startswith("filesystem error") and os.strerror(code) in text:
            raise OSError(code, os.strerror(code)) from error


def _optimize(model: Any, wanted: Any, names: tuple[str, ...]) -> Outcome:
    """What came of the step that is to follow the conversion, if any is."""
    if wanted is None:
        return Outcome(reached=Stage.BACKEND)
    private_api.reset()
    try:
        compression.optimized(model, wanted)
    except (KeyboardInterrupt, SystemExit, BisectConvertError):
        raise
    except BaseException as error:
        _not_of_the_machine(error)
        return Outcome(compression.classify(error, names, compression.compressible(model)))
    return Outcome(reached=Stage.OPTIMIZE)


def _teller(mark: str | None) -> Callable[[Stage, str | None], None]:
    """Let the file beside the mark say how far the conversion has come, for who finds this process dead."""
    place = None if mark is None else Path(mark).with_suffix(".stage")

    def tell(stage: Stage, pass_name: str | None) -> None:
        if place is not None:
            place.write_text(json.dumps([int(stage), pass_name]))

    return tell


def concerning(carved: Carved, plan: Plan, packed: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the packed arguments that hold for the section too."""
    chosen = dict(packed)
    present = {n.name: n for n in carved.graph_def.node if n.op in ("Placeholder", "PlaceholderWithDefault")}
    if "inputs" in chosen and not plan.whole:
        kept = set(plan.ops) & present.keys()
        named = [i for i in chosen["inputs"] if i.get("name") in kept]
        if len(chosen["inputs"]) == 1 and chosen["inputs"][0].get("name") is None and len(plan.inputs) == 1:
            named = [{**chosen["inputs"][0], "name": n} for n in plan.inputs if n in kept]
        # the section's other inputs have the sizes that follow from the model's own
        named = [i for i in named if _agrees(i, declared(present[i["name"]]))]
        chosen["inputs"] = named
        if not named:
            del chosen["inputs"]
    if not plan.whole:
        chosen.pop("outputs", None)
        chosen.pop("classifier_config", None)
    return chosen


def _agrees(spec: dict[str, Any], own: list[int | None] | None) -> bool:
    sizes = spec.get("static")
    return (
        sizes is None
        or own is None
        or (fits(sizes, own) and not any(b and a is None for a, b in zip(sizes, own, strict=True)))
    )


def known_symbols(inputs: list[Any], symbols: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return symbol name -> MIL symbol, for the dimensions that the caller's own input types leave open."""
    known: dict[str, Any] = {}
    for spec in inputs:
        shape = getattr(getattr(spec, "shape", None), "symbolic_shape", None)
        for name, size in zip(symbols.get(spec.name, ()), shape or (), strict=False):
            if name and not isinstance(size, int):
                known.setdefault(name, size)
    return known


def carved_section(request: About, true_weights: bool) -> Carved:
    """Return the section that a request is about, cut out of the model that was written into its folder."""
    folder = Path(request.folder)
    weights = weights_of(folder) if true_weights else None
    return carve(_graph(folder, request.plan.file), request.plan, weights)


@lru_cache(maxsize=4)
def _graph(folder: Path, file: str) -> Any:
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString((folder / file).read_bytes())
    if file != "graph.pb":
        graph_def.library.CopyFrom(_graph(folder, "graph.pb").library)
    return graph_def


@dataclass(frozen=True)
class Known:
    """What a probe needs to know of the model: its ops' names, and what each makes."""

    names: tuple[str, ...]
    outputs: Mapping[str, tuple[tuple[str, tuple[int | None, ...] | None], ...]]


@lru_cache(maxsize=2)
def known_of(folder: Path) -> Known:
    """Return what is known of the model that was written into the folder."""
    ops = [op for graph in facts.read(folder).graphs.values() for op in graph.ops.values()]
    return Known(tuple({op.name for op in ops}), {op.name: tuple((t.dtype, t.shape) for t in op.outputs) for op in ops})
