"""`Session`: a model in a person's hand, to be cut up, converted in parts, and searched a probe at a time."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any

import networkx as nx

from bisect_convert.arguments.packing import pack
from bisect_convert.diagnose.diagnosis import Diagnosis
from bisect_convert.diagnose.find import with_repro
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.errors import UsageError
from bisect_convert.model.files import check_path
from bisect_convert.model.graph import Model
from bisect_convert.model.loaded import Loaded
from bisect_convert.probe.cache import opened
from bisect_convert.probe.client import Workers
from bisect_convert.probe.prober import Prober
from bisect_convert.probe.queries import Observer
from bisect_convert.session.fixing import Fixing
from bisect_convert.session.journal import Journal, Step
from bisect_convert.session.lookup import Lookup
from bisect_convert.session.minimise import shrink
from bisect_convert.session.progress import Progress, watched
from bisect_convert.session.section import Section
from bisect_convert.session.stepper import Walk
from bisect_convert.session.workspace import Workspace, annotated

if TYPE_CHECKING:
    from bisect_convert.report.findings import Finding
    from bisect_convert.report.report import Report

__all__ = ["Session"]


class Session(Lookup, Fixing):
    """A model opened for debugging: the arguments of `coremltools.convert`, unchanged, and ours.

    Opening it loads the model in a process of ours; nothing is converted before it is asked for, and what was asked for
    once is not converted again. Close it, or use it in a `with` block; an abandoned session ends its processes itself.

        look      s.graph  s.graphs  s.model  s.ops("*/attention/*")  s.ops("shift")  s.layers()
        cut       s.whole  s.prefix("op")  s.section("from", "to")  s.around("op", 2)  s.without("op")   join: | - &
        ask       section.convert()  .mlmodel()  .run(inputs)  .code()  .save("dir")  .draw()  .graph_def
        search    s.step()  s.ahead  s.hunt()  s.findings  s.report  s.witness(0)  s.journal
        change    s.minimise(section)  s.minimise(section, fails=lambda part: ...)  s.patch("Erfc", function)  s.fix()

    model: a SavedModel folder, a .keras, .h5 or frozen .pb file, a Keras model, tf.function, concrete function,
    tf.Module or GraphDef. `timeout` (seconds) and `memory` (GiB) hold for each probe; the rest is as for `find`; who
    shares `workers` starts them once. Raises UsageError or ModelError for what cannot be read,
    EnvironmentError_ where tensorflow or coremltools cannot be used.

    >>> from bisect_convert import Session
    >>> with Session(model, convert_to="mlprogram") as session:
    ...     print(session)
    ...     print(session.hunt().findings[0].culprits[0].name)
    <Session: ...model.pb, 7 ops, 0 probes>
    act/Erfc
    """

    def __init__(
        self,
        model: Any,
        *,
        signature: str | None = None,
        timeout: float | None = None,
        memory: float | None = None,
        jobs: int = 1,
        allow_code: bool = False,
        no_run: bool = False,
        verbose: bool = False,
        workers: Workers | None = None,
        executor: Executor | None = None,
        cache: bool | str | os.PathLike[str] = False,
        out: str | os.PathLike[str] | None = None,
        **convert_kwargs: Any,
    ) -> None:
        wishes = Wishes(
            signature=signature, timeout=timeout, memory=memory, jobs=jobs, allow_code=allow_code, verbose=verbose,
            cache=cache, out=out, no_run=no_run,
        )  # fmt: skip
        packed, notes = pack(convert_kwargs), list[str]()
        check_path(model, signature)
        answers = opened(wishes.cache_folder, notes.append)
        run = Diagnosis(model, packed, workers or wishes.workers(executor), wishes, notes)

        def prober(loaded: Loaded, options: Mapping[str, Any], observer: Observer | None = None) -> Prober:
            return wishes.prober(loaded, run.workers, options, answers, observer)

        walk = Walk(
            partial(prober, run.loaded, run.packed),
            lambda asking: run.search(asking, partial(with_repro, wishes.out_folder, asking, run)),
        )
        self._workspace, self._patches = Workspace(run, walk, prober, timeout), {}
        self._close = weakref.finalize(self, self._workspace.close)

    @property
    def model(self) -> Model:
        """The model as plain facts: path, signature, graphs, digest.

        >>> s.model.ops
        7
        """
        return self._workspace.model

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def __repr__(self) -> str:
        name = self.model.path or "a model in memory"
        return f"<Session: {name}, {self.model.ops} ops, {self._workspace.walk.prober.asked} probes>"

    def close(self) -> None:
        """End the session's processes and remove its files; closing twice does nothing.

        >>> s.close()
        """
        self._close()

    @property
    def graph(self) -> nx.DiGraph[str]:
        """The main graph as a networkx DAG of op names: `op`, `layer` and `outputs` on nodes, `tensors` on edges.

        >>> s.graph.nodes["act/Erfc"]["op"], list(s.graph.predecessors("act/Erfc"))
        ('Erfc', ['dense/Relu'])
        """
        return self.graphs[""]

    @property
    def graphs(self) -> dict[str, nx.DiGraph[str]]:
        """The main graph under "", and the function bodies of loops, conds and calls by name.

        >>> list(s.graphs)
        ['']
        """
        return {name: annotated(graph) for name, graph in self.model.graphs.items()}

    @property
    def whole(self) -> Section:
        """The section of all ops of the main graph.

        >>> s.whole
        <Section: 7 of 7 ops, x ... skip/add>
        """
        return self.ops()

    def prefix(self, op: str, *, graph: str | None = None) -> Section:
        """Return the section of all ops up to `op` in topological order.

        >>> list(s.prefix("dense/Relu"))
        ['x', 'dense/MatMul', 'dense/Relu']
        """
        home, name = self._workspace.find(op, graph)
        return Section(
            self._workspace, frozenset(n for n in home.atoms if home.order[n] <= home.order[name]), home.name
        )

    def section(self, first: str, last: str, *, graph: str | None = None) -> Section:
        """Return the section of all ops on a path from `first` to `last`; raises UsageError where there is none.

        >>> list(s.section("dense/MatMul", "act/Erfc"))
        ['dense/MatMul', 'dense/Relu', 'act/Erfc']
        """
        home, start = self._workspace.find(first, graph)
        _, stop = self._workspace.find(last, home.name)
        between = (nx.descendants(home.dag, start) | {start}) & (nx.ancestors(home.dag, stop) | {stop})
        if not between:
            back = "; the other way round there is one" if nx.has_path(home.dag, stop, start) else ""
            raise UsageError(f"no path leads from {start} to {stop}{back}")
        return Section(self._workspace, frozenset(between) & home.atoms, home.name)

    def around(self, op: str, steps: int = 1, *, downstream: int = 0, graph: str | None = None) -> Section:
        """Return the neighbourhood of `op`: what lies within `steps` steps upstream and `downstream` steps downstream.

        >>> list(s.around("Erfc", 1)), list(s.around("act/Erfc", 0, downstream=1))
        (['dense/Relu', 'act/Erfc'], ['act/Erfc', 'out/MatMul'])
        """
        home, name = self._workspace.find(op, graph)
        below = nx.single_source_shortest_path_length(home.dag, name, downstream)
        return Section(self._workspace, (home.upstream({name}, steps) | frozenset(below)) & home.atoms, home.name)

    def without(self, *what: str | Section) -> Section:
        """Return all of the main graph but these op names, globs and sections.

        >>> s.without("act/*", "x").convert().converted
        True
        """
        gone = [w if isinstance(w, Section) else self._named(w) for w in what]
        left = self.whole
        for section in gone:
            left = left - section
        return left

    @property
    def ahead(self) -> Step | None:
        """The question that the search asks next, not yet answered; None where it is over.

        >>> print(s.ahead.question, "-", s.ahead.why)
        the whole model - control: does it fail at all, and how? That failure is the target
        """
        if (question := self._workspace.walk.ahead) is None:
            return None
        return Step.ahead(
            len(self._workspace.walk.steps) + 1, question, Section.of(self._workspace.turned, question.section)
        )

    def step(self, answer: str | None = None) -> Step | None:
        """Run one probe of the search and return what was asked, why, and what came back; None where it is over.

        answer: "fails" (in the target's way), "converts" or "skip" answers in the converter's place.

        >>> print(s.step())
        1. the whole model (7 ops): fails, NotImplementedError: Conversion for TF op 'Erfc' not implemented.
           control: does it fail at all, and how? That failure is the target
        """
        about = self._workspace.turned if self._workspace.walk.ahead is not None else self._workspace
        asked = self._workspace.walk.step(answer)  # it may turn to another form of the model behind that
        if answer is not None:
            self._workspace.no_evidence()
        if asked is None:
            return None
        section = Section.of(about, asked.query.section)
        return Step.answered(len(self._workspace.walk.steps), asked, section)

    def hunt(self, *, progress: bool | None = None) -> Report:
        """Let the search run on to its end and return the report; progress shows in notebooks and on terminals.

        Ctrl-C halts it at the next probe: `report` holds what is known, `step` and `hunt` go on from there.

        >>> report = s.hunt()
        >>> report.verdict, report.complete, [c.name for f in report.findings for c in f.culprits]
        ('fails', True, ['act/Erfc'])
        """
        with Progress(watched() if progress is None else progress) as bar:
            tick = bar.following(self._workspace.walk.prober.journal)
            self._workspace.walk.run_on(tick)
            tick()
        return self.report

    @property
    def report(self) -> Report:
        """What is known now as a report; `complete` once the search is over and nothing was left open.

        >>> s.report.verdict, s.hunt().complete, s.report.complete
        ('inconclusive', True, True)
        """
        return self._workspace.run.report(self._workspace.walk.prober)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the search has found so far.

        >>> report = s.hunt()
        >>> s.findings == report.findings, s.findings[0].culprits[0].op
        (True, 'Erfc')
        """
        return tuple(self._workspace.run.findings)

    def witness(self, finding: int | Finding = 0) -> Section:
        """Return the smallest failing section of a finding, exactly as it was probed.

        >>> s.witness(s.hunt().findings[0])
        <Section: 1 of 7 ops, act/Erfc>
        """
        known = self._workspace.run.findings
        number = finding if isinstance(finding, int) else known.index(finding) if finding in known else len(known)
        found = self._workspace.run.found[number] if -len(known) <= number < len(known) else None
        if found is None:
            raise UsageError(f"there is no such finding with a witness; the search has {len(known)} so far")
        return Section.of(self._workspace.turned, found.witness)

    @property
    def journal(self) -> Journal:
        """Every question so far, by the search and by hand, in the order asked; printing it tells the whole search.

        >>> step = s.step()
        >>> print(s.journal)
          1. the whole model, 7 ops: fails, NotImplementedError: ...
        """
        return Journal(tuple(self._workspace.walk.prober.journal))

    def minimise(
        self, section: Section, fails: Callable[[Section], bool | None] | None = None, *, limit: int = 150
    ) -> Section:  # fmt: skip
        """Return a smallest part of the section that still fails: leave any op out and it no longer does.

        fails: says whether a section is still interesting (None: cannot tell), and is asked about no section twice; by
        default a section is if its conversion fails as that of the whole section does. `limit` bounds the questions.

        >>> s.minimise(s.section("dense/MatMul", "out/MatMul"))
        <Section: 1 of 7 ops, act/Erfc>
        >>> s.minimise(s.whole, fails=lambda part: {"dense/Relu", "skip/add"} <= part.ops)
        <Section: 2 of 7 ops, dense/Relu, skip/add>
        """
        return shrink(section._workspace, section, fails, limit)

    def _named(self, pattern: str) -> Section:
        return self._matching(pattern) or Section(self._workspace, frozenset({self._workspace.find(pattern, "")[1]}))
