"""What a session and its sections work on together: the model, its names, its probes, and requests about sections."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from bisect_convert.diagnose.diagnosis import Diagnosis
from bisect_convert.errors import BisectConvertError, UsageError
from bisect_convert.model import cuts
from bisect_convert.model.graph import Graph, Model, Tensor
from bisect_convert.model.loaded import Loaded
from bisect_convert.model.names import op_of
from bisect_convert.model.outcome import Outcome
from bisect_convert.numbers.comparison import compared
from bisect_convert.probe.errands import Errands
from bisect_convert.probe.prober import Prober
from bisect_convert.render.names import unwrapped
from bisect_convert.report.findings import Culprit
from bisect_convert.report.numbers import Numbers
from bisect_convert.report.questions import Question
from bisect_convert.session.stepper import Walk

__all__ = ["Workspace", "annotated", "like", "near"]

#: Seconds for what is no probe, where the session has no limit of its own: with made-up values a loop may never end.
_LONGEST = 120.0


class Workspace:
    """A run and its walk, and what can be asked about a section of the model besides the search.

    make_prober: makes one about a model and arguments, for when the search has gone over to others.
    """

    def __init__(
        self,
        run: Diagnosis,
        walk: Walk,
        make_prober: Callable[[Loaded, Mapping[str, Any]], Prober],
        timeout: float | None = None,
    ) -> None:
        self._make_prober = make_prober
        self._timeout = _LONGEST if timeout is None else timeout
        self.run = run
        self.walk = walk
        self.loaded = walk.prober.loaded
        self.model: Model = self.loaded.model
        self._options = dict(walk.prober.options)
        self._own: Prober | None = None
        self._turned: Workspace | None = None
        self._numbers = itertools.count()

    @property
    def turned(self) -> Workspace:
        """The workspace of the model and arguments that the search is about now: this one, as long as these are the same."""
        if self._asks(self.walk.prober):
            return self
        if self._turned is None or not self._turned._asks(self.walk.prober):
            self._turned = Workspace(self.run, self.walk, self._make_prober, self._timeout)
        return self._turned

    @property
    def prober(self) -> Prober:
        """The search's own where it is about this model and these arguments; what it knows is not asked again."""
        self.walk.rest()
        if self._asks(self.walk.prober):
            return self.walk.prober
        if self._own is None:
            self._own = self._make_prober(self.loaded, self._options)
            self._own.journal = self.walk.prober.journal
        return self._own

    def _asks(self, prober: Prober) -> bool:
        return prober.loaded is self.loaded and prober.options == self._options

    def no_evidence(self) -> None:
        """Let the report say that a person answered in the converter's place."""
        note = "some questions were answered by hand, so this report is no evidence"
        self.run.notes += [note] if note not in self.run.notes else []

    def close(self) -> None:
        """End the search and its processes, and remove its files."""
        self.walk.close()
        self.run.close()

    def graph(self, name: str) -> Graph:
        """Return the graph of that name; raises UsageError where there is none."""
        if name not in self.model.graphs:
            raise UsageError(f"the model has no graph {name!r}{_meant(name, self.model.graphs)}")
        return self.model.graphs[name]

    def find(self, op: str, graph: str | None) -> tuple[Graph, str]:
        """Return the graph and the op that are meant: in the main graph, else in the only body that has such an op.

        The type of an op names it too, where no other has it, and so does the end of its name.
        """
        if not isinstance(op, str):
            raise UsageError(f"an op is named by a string, not by {op!r}")
        name = op_of(op)
        homes = [self.graph(graph)] if graph is not None else list(self.model.graphs.values())
        homes = [home for home in homes if name in home.ops]
        for found in (self._of_type(name, graph), self._ending_in(name, graph)) if not homes else ():
            if len(found) == 1:
                return found[0]
        if not homes:
            names = (n for g in self.model.graphs.values() for n in g.order)
            raise UsageError(f"the model has no op {op!r}{_meant(name, names)}")
        if len(homes) > 1 and homes[0].name:
            raise UsageError(f"{name} is in several bodies; say which with graph=: {', '.join(h.name for h in homes)}")
        if name not in homes[0].order:
            raise UsageError(f"{name} follows from constants alone: it goes with the ops that read it")
        return homes[0], name

    def _of_type(self, kind: str, graph: str | None) -> list[tuple[Graph, str]]:
        """The ops of a type, in the graph or in any."""
        homes = [self.graph(graph)] if graph is not None else list(self.model.graphs.values())
        return [(home, op) for home in homes for op in home.sorted(home.atoms) if home.ops[op].type == kind]

    def _ending_in(self, end: str, graph: str | None) -> list[tuple[Graph, str]]:
        """The ops whose names end in these parts, in the graph or in any."""
        homes = [self.graph(graph)] if graph is not None else list(self.model.graphs.values())
        return [(home, op) for home in homes for op in home.sorted(home.atoms) if op.endswith(f"/{end}")]

    def convert(self, cut: cuts.Section, question: Question, *, true_weights: bool = False) -> Outcome:
        """Return what came of converting the section, all stages; never probed twice."""
        return self.prober.outcome(cut, question, fresh=true_weights)

    def compared(self, cut: cuts.Section, inputs: str, tolerance: float | None) -> Numbers:
        """Return how far the converted section is from what TensorFlow makes of the same inputs."""
        if inputs not in ("random", "zeros"):
            raise UsageError(f"a section is compared on random inputs or zeros, not {inputs!r}")
        done = compared(self.prober, inputs, inputs, tolerance, section=cut)
        if done.numbers is None:
            raise UsageError(f"this section does not convert: {done.failed}")
        return done.numbers

    def values(self, cut: cuts.Section, wanted: Sequence[Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
        """Run the section in TensorFlow and return the tensors that leave it; inputs that are not given are made up."""
        home = self.graph(cut.graph)
        feeds = {t.name: _as_input(t, given[t.name]) if t.name in given else _made_up(t) for t in wanted}
        fetch = [t.name for t in home.leaving(cut.ops) if t.dtype not in ("variant", "resource")]
        number = next(self._numbers)
        paths = [self.run.folder / f"{kind}{number}.npz" for kind in ("feeds", "values")]
        np.savez(paths[0], **feeds)
        try:
            self._done(lambda errands: errands.run(cut, paths[0], paths[1], tuple(fetch), self._timeout))
            with np.load(paths[1]) as values:
                return {name: values[name] for name in fetch}
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    def save(self, cut: cuts.Section, path: Path) -> None:
        """Write the section with its true weights, as what the path's ending says; raises UsageError where it cannot."""
        if path.exists():
            raise UsageError(f"{path} exists already; name a new folder or file")
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        self._done(lambda errands: errands.save(cut, path, self._timeout, self._options))

    def suffix(self) -> str:
        """Return the ending of the files that the session's arguments make."""
        return ".mlmodel" if self._options.get("convert_to") == "neuralnetwork" else ".mlpackage"

    def culprits(self, cut: cuts.Section) -> list[Culprit]:
        """Return the culprits found so far that are in the section."""
        known = [c for finding in self.run.findings for c in finding.culprits]
        return [c for c in known if (c.function or "") == cut.graph and c.name in cut.ops]

    def _done(self, errand: Callable[[Errands], dict[str, Any]]) -> None:
        """Have a worker do the errand; raises UsageError or BisectConvertError where it could not."""
        try:
            answer = errand(self.prober.errands)
        except cuts.Unsliceable as reason:
            raise UsageError(f"this section cannot be cut out: {reason}") from None
        if answer.get("death") == "timeout":
            raise BisectConvertError(
                f"this ran over its time limit of {self._timeout:g} s; a longer one is Session's timeout"
            )
        if "death" in answer or "memory" in answer:
            raise BisectConvertError(f"this ended the worker process ({answer.get('death', 'out of memory')})")


def annotated(graph: Graph) -> nx.DiGraph[str]:
    """Return the graph's DAG with each op's type, layer and outputs on its node; the caller may change it."""
    dag: nx.DiGraph[str] = nx.DiGraph(graph.dag)
    for name in dag:
        op = graph.ops[name]
        dag.nodes[name].update(op=op.type, layer=op.layer, outputs=op.outputs)
    return dag


def _as_input(tensor: Tensor, value: Any) -> Any:
    array = np.asarray(value)
    shape = tensor.shape
    if shape is not None and (
        len(shape) != array.ndim or any(a is not None and a != b for a, b in zip(shape, array.shape, strict=True))
    ):
        wanted = "x".join("?" if s is None else str(s) for s in shape) or "a scalar"
        raise UsageError(f"{tensor.name} has shape {wanted}, not {'x'.join(map(str, array.shape)) or 'a scalar'}")
    return array if tensor.dtype in ("string", "bfloat16") else array.astype(tensor.dtype)


def _made_up(tensor: Tensor) -> Any:
    """Random values that are the same each time; unknown sizes are 1."""
    if tensor.shape is None or tensor.dtype in ("variant", "resource", "string"):
        raise UsageError(f"{tensor.name} ({tensor.dtype}) cannot be made up; pass a value for it")
    random = np.random.default_rng(0)
    shape = tuple(1 if size is None else size for size in tensor.shape)
    if tensor.dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    if "int" in tensor.dtype:
        return random.integers(0, 2, shape).astype(tensor.dtype)
    values = random.standard_normal(shape)
    return values.astype(np.float32 if tensor.dtype == "bfloat16" else tensor.dtype)


def like(graph: Graph, words: str) -> frozenset[str]:
    """Return the ops of that type; else those that have the words in their name, layer or type, whatever the case."""
    if not words or set(words) & set("*?["):
        return frozenset()
    typed = frozenset(n for n in graph.atoms if graph.ops[n].type.lower() == words.lower())
    sought = words.lower()
    return typed or frozenset(
        n for n in graph.atoms if sought in n.lower() or sought in (graph.ops[n].layer or "").lower()
        or sought in graph.ops[n].type.lower()
    )  # fmt: skip


def _meant(name: str, names: Iterable[str]) -> str:
    """The names that are alike, or have this as a part, as the end of an error."""
    found = near(name, names)
    return f"; did you mean {', '.join(found)}?" if found else ""


def near(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return up to three names that are like this one, have it as a part, or have a part that is like it."""
    known = list(dict.fromkeys(names))
    parts: dict[str, list[str]] = {}
    for each in known:
        for part in re.split("[/_]", unwrapped(each).lower()):
            parts.setdefault(part, []).append(each)
    found = difflib.get_close_matches(name, known, 3, 0.5)
    found += [k for k in known if name and name.lower() in k.lower()]
    found += [k for part in difflib.get_close_matches(name.lower(), parts, 3) for k in parts[part]]
    return tuple(dict.fromkeys(found))[:3]
