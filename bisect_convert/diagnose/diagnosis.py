"""The diagnosis of one model: open it, search it, and put the report together from what is known at any moment."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bisect_convert.arguments import packing as convert_options
from bisect_convert.arguments.as_code import call_code
from bisect_convert.diagnose.findings import compose, joined, same_cause
from bisect_convert.diagnose.loading import LOAD_LIMIT, handed_notes, load, reading
from bisect_convert.diagnose.source_text import source_note, with_source_text
from bisect_convert.diagnose.stages import join_stages
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.errors import EnvironmentError_, UsageError
from bisect_convert.explain.argument_causes import label_notes
from bisect_convert.explain.converter_warnings import warning_notes
from bisect_convert.explain.keras_layers import in_keras_terms
from bisect_convert.explain.marked_graphs import marked_graphs
from bisect_convert.explain.model_causes import (
    gone_without,
    left_out,
    of_variant,
    refused_model,
)
from bisect_convert.explain.model_map import model_map
from bisect_convert.explain.training import assigned_state, left_training
from bisect_convert.explain.unloadable import load_causes
from bisect_convert.model.cuts import whole
from bisect_convert.model.facts import EDGES, STATE
from bisect_convert.model.files import REST, STATELESS
from bisect_convert.model.loaded import read_facts
from bisect_convert.numbers import samples
from bisect_convert.numbers.comparison import compared
from bisect_convert.probe.client import Workers
from bisect_convert.probe.prober import Prober
from bisect_convert.report.findings import NUMBERS, Finding
from bisect_convert.report.numbers import Numbers
from bisect_convert.report.questions import Kind
from bisect_convert.report.report import Report
from bisect_convert.report.times import Times
from bisect_convert.search.found import Found
from bisect_convert.search.hunt import Hunt
from bisect_convert.search.slow_ops import by_reader, slow_ops, times_of
from bisect_convert.worker.request import Check, Load

__all__ = ["Diagnosis"]

#: Seconds that a look at the arguments of the call may take.
_CHECK_LIMIT = 600.0


class Diagnosis:
    """A model opened for one set of options, and what a search has found out about it so far; close it in the end.

    workers: those of a caller, who ends them, or what starts some of our own; notes: what is to be said already.
    """

    def __init__(
        self,
        model: Any,
        packed: Mapping[str, Any],
        workers: Workers | Callable[[], Workers],
        wishes: Wishes,
        notes: list[str],
    ) -> None:
        self.started = time.monotonic()
        self.packed = dict(packed)
        self.wishes = wishes
        self.findings: list[Finding] = []
        self.found: list[Found | None] = []
        self.notes = notes
        self.numbers: Numbers | None = None
        self.times: Times | None = None
        self.complete = False
        self._own = not isinstance(workers, Workers)
        self.workers = workers if isinstance(workers, Workers) else workers()
        self.folder = Path(tempfile.mkdtemp(dir=self.workers.folder))
        inputs, outputs = self.packed.get("inputs") or (), self.packed.get("outputs") or ()
        request = Load(
            os.path.abspath(os.fspath(model)) if isinstance(model, (str, os.PathLike)) else "", str(self.folder),
            wishes.signature, wishes.allow_code, tuple(inputs), tuple(o["name"] for o in outputs if o.get("name")),
            timeout=LOAD_LIMIT, no_run=wishes.no_run,
        )  # fmt: skip
        try:
            if request.path:
                self.workers.versions()
            checked = self.workers.ask(Check(dict(self.packed), timeout=_CHECK_LIMIT))
            if "pipeline" in checked:  # one of coremltools' own, by name
                self.packed["pass_pipeline"] = checked["pipeline"]
            if checked.get("death") == "timeout":
                raise EnvironmentError_(f"a look at the arguments did not come to an end within {_CHECK_LIMIT:.0f} s")
            wishes.doing(reading(model))
            self.loaded = self.searched = load(model, self.workers, request)
            self.samples = self._chosen()
            self.versions = self.workers.versions()
        except BaseException:
            self.close()
            raise
        self.load_seconds = time.monotonic() - self.started

    def _chosen(self) -> tuple[str, str] | None:
        """The samples to compare on, as a worker takes them and in words; looked at before any search."""
        wish, model = self.wishes.numbers, self.loaded.model
        if wish == "off":
            return None
        if self.wishes.against is not None and not os.path.exists(self.wishes.against):
            raise UsageError(f"--against {self.wishes.against}: no such file or folder")
        if wish is None or self.loaded.failure is not None:
            return None
        place = samples.beside(model.path) if wish == samples.AUTO else None
        wish = str(place) if place is not None else "random" if wish == samples.AUTO else wish
        return samples.chosen(wish, model.main, self.folder), wish if isinstance(wish, str) else "the caller's"

    def close(self) -> None:
        """Leave no process (but those that were lent) and no file behind."""
        if self._own:
            self.workers.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def search(
        self,
        prober: Prober,
        completed: Callable[[Found, Finding], Finding] = lambda found, finding: finding,
    ) -> None:
        """Find every cause, or the first; what is found stands in `findings` at once, also where this is interrupted.

        `completed` gets each finding before it is kept, and returns it with what there is to add.
        """
        first, slow = self.wishes.first, self.wishes.slow
        if self.loaded.failure is not None:
            self._keep(None, self._load_causes(prober))
            rest = self.folder / REST
            if first or not rest.is_dir():
                return
            prober.turn_to(read_facts(rest))
        self._as_another(prober)
        self._without_variants(prober)
        self.searched = prober.loaded
        if first and self.findings:
            return
        hunt = Hunt(prober)
        if self.wishes.against is not None:
            hunt.complete = True
            list(self._compared(prober, hunt))
            self.complete = self.numbers is not None and self.numbers.compared
            return
        try:
            for found in itertools.chain(hunt.causes(), self._compared(prober, hunt), self._with_weights(hunt)):
                if self.known(found, prober):
                    continue
                finding = compose(found, prober)
                if self._absorbs(finding):
                    continue
                self._keep(found, [completed(found, finding)])
                if first:
                    self.notes.append("stopped at the first finding, as asked")
                    return
            self.complete = hunt.complete
            join_stages(self, prober, hunt)
            if slow is not None and self.complete and not self.findings:
                self._time(prober, slow)
        finally:
            self.notes += hunt.notes

    def _load_causes(self, prober: Prober) -> list[Finding]:
        """What keeps the model from being frozen; where that is state that it assigns, the form with it as inputs is tried."""
        found, stateless = load_causes(self.loaded), self.loaded.folder / STATELESS
        if not stateless.is_dir():
            return assigned_state(found, [], self.loaded.model, converts=None)
        prober.turn_to(known := read_facts(stateless))
        tried = prober.outcome(whole(prober.model), Kind.WITHOUT_CAUSE.asks(STATE))
        prober.turn_to(self.loaded)
        given = [i["name"] for i in known.inputs if i["name"] not in {i["name"] for i in self.loaded.inputs}]
        return assigned_state(found, given, self.loaded.model, converts=tried.converted)

    def _as_another(self, prober: Prober) -> None:
        """Find that `ct.convert` refuses the Keras model as it is; the search goes on in what it is handed over as."""
        handed = self.loaded.handed
        if handed.keras and handed.refused:
            converts = prober.outcome(whole(prober.model), Kind.WHOLE.asks()).converted
            self._keep(None, [refused_model(handed, call_code(handed, self.packed), converts=converts)])

    def _without_variants(self, prober: Prober) -> None:
        """Find the causes that are no ops; the search goes on in the model without them."""
        for variant in (v for v in self.loaded.variants if v.kind != EDGES):
            before = prober.loaded
            outcome = prober.outcome(whole(before.model), Kind.WHOLE.asks(), survey=True)
            if outcome.failure is None:
                return
            given = prober.options.get("inputs")
            prober.turn_to(read_facts(self.loaded.folder / variant.folder))
            if gone := [
                i for i in given or () if i.get("name") in variant.blamed
            ]:  # made constants, they are no inputs
                prober.instead({"inputs": [i for i in given or () if i not in gone] or None})
            without = prober.outcome(whole(prober.model), Kind.WITHOUT_CAUSE.asks(variant.kind), survey=True)
            failure = gone_without(outcome, without)
            if failure is None:  # something else fails first in both: does what was left out fail by itself?
                other, called = prober.loaded, prober.options
                prober.turn_to(before)
                prober.instead({"inputs": given})
                failure = prober.outcome(left_out(before.model, other.model), Kind.LEFT_OUT.asks(variant.kind)).failure
                if failure is None:
                    continue
                prober.turn_to(other)
                prober.instead({"inputs": called.get("inputs")})
            found = of_variant(variant, failure, before.model, converts=without.converted, inputs=given or ())
            self._keep(None, [found])

    def _time(self, prober: Prober, factor: float) -> None:
        self.wishes.doing("timing its conversion")
        answer = prober.errands.times(prober.options)
        if "failed" in answer:
            self.notes.append(f"where the time goes is not known: {answer['failed']}")
            return
        parts = by_reader(prober.model, answer["parts"])
        self.times = times_of(prober.model, parts, self.load_seconds)
        slow = slow_ops(prober.model, parts, factor)
        for found in slow:
            self._keep(found, [compose(found, prober)])
        if not slow:
            self.notes.append(
                f"nothing stands out: no op and no layer takes 1/{factor:g} of the time of the conversion"
            )

    def _with_weights(self, hunt: Hunt) -> Iterator[Found]:
        """A model that converts with its large weights as repeated values is converted once more as it is."""
        seen = self.numbers is not None and self.numbers.compared and "optimize" not in self.packed
        if not self.findings and hunt.complete and self.loaded.slim and not seen:
            yield from hunt.causes_with_weights()

    def _compared(self, prober: Prober, hunt: Hunt) -> Iterator[Found]:
        """A model that converts is compared with its original, for which it is converted with its true weights."""
        if self.samples is None or self.findings or not hunt.complete or self.loaded.failure is not None:
            return
        self.wishes.doing("comparing it with its original")
        done = compared(prober, *self.samples, self.wishes.tolerance, self.wishes.against)
        self.numbers = done.numbers
        self._keep(None, list(done.findings))
        yield from ()

    def known(self, found: Found, prober: Prober) -> bool:
        """Add the places to the finding that has the same cause, where there is one: the rest of it is known then."""
        for number, earlier in enumerate(self.found):
            if earlier is not None and same_cause(earlier, found, prober.model):
                finding = joined(self.findings[number], found, prober.model)
                self.findings[number] = in_keras_terms(finding, self.loaded)
                return True
        return False

    def _absorbs(self, finding: Finding) -> bool:
        """Take the finding into an earlier one that it has its cause in common with, where there is one."""
        merged = left_training([*self.findings, finding], self.loaded.model)
        if len(merged) > len(self.findings):
            return False
        self.findings = [in_keras_terms(f, self.loaded) for f in merged]
        return True

    def _keep(self, found: Found | None, findings: list[Finding]) -> None:
        findings = [
            in_keras_terms(with_source_text(f), self.loaded) for f in left_training(findings, self.loaded.model)
        ]
        self.findings += findings
        self.found += [found] * len(findings)
        for finding in findings:
            self.wishes.found(finding)

    def keep(self, findings: Iterable[Finding], found: Found | None = None) -> None:
        """Add findings that the search of the whole did not make; found: the cause that they are of."""
        self._keep(found, list(findings))

    def report(self, prober: Prober) -> Report:
        """Return the report on what is known now."""
        model = self.loaded.model
        failing = any(not f.slow and f.stage != NUMBERS for f in self.findings)
        differing = any(f.stage == NUMBERS for f in self.findings)
        verdict = "fails" if failing else "differs" if differing else "converts" if self.complete else "inconclusive"
        total = time.monotonic() - self.started
        drawn = (model, tuple(self.findings), self.complete)
        handed = handed_notes(self.loaded, verdict, chosen=self.wishes.signature is not None)
        counted = label_notes(self.packed.get("classifier_config"), model.main, self.loaded.keys)
        own = [*counted, *warning_notes(prober.warned)] if verdict == "converts" else []
        return Report(
            path=model.path, name=self.loaded.handed.called, signature=model.signature, ops=model.ops,
            functions=len(model.graphs) - 1, digest=model.digest,
            coremltools=self.versions["coremltools"], tensorflow=self.versions["tensorflow"],
            options=convert_options.shown(self.packed), verdict=verdict, complete=self.complete,
            findings=tuple(self.findings), numbers=self.numbers, times=self.times,
            asked=prober.asked, cached=prober.cached, call=call_code(self.loaded.handed, self.packed),
            seconds={
                "total": round(total, 2), "load": round(self.load_seconds, 2),
                "search": round(total - self.load_seconds, 2),
            },
            notes=(*handed, *own, *self.notes, *prober.errands.notes, *source_note(model, self.findings)),
            journal=tuple(prober.journal), map=partial(model_map, *drawn), graphs=partial(marked_graphs, *drawn),
        )  # fmt: skip
