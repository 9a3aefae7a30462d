"""One run over one model: open it, search it, and put the report together from what is known at any moment."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bisect_convert import options as convert_options
from bisect_convert.compose import compose
from bisect_convert.finder import load_model, signature_note
from bisect_convert.hunt import Found, Hunt
from bisect_convert.loadfail import load_causes
from bisect_convert.paths import check_path
from bisect_convert.prober import Prober
from bisect_convert.report import Finding, Report
from bisect_convert.workers import Workers

__all__ = ["Run"]


class Run:
    """A model opened for one set of options, and what a search has found out about it so far; close it in the end.

    workers: those of a caller, who ends them, or what starts some of our own.
    """

    def __init__(
        self,
        model: Any,
        convert_kwargs: Mapping[str, Any],
        workers: Workers | Callable[[], Workers],
        *,
        signature: str | None = None,
        allow_code: bool = False,
    ) -> None:
        self.started = time.monotonic()
        self.packed = convert_options.pack(convert_kwargs)
        if isinstance(model, (str, os.PathLike)):
            check_path(model, signature)
        self.findings: list[Finding] = []
        self.found: list[Found | None] = []
        self.notes: list[str] = []
        self.complete = False
        self._own = not isinstance(workers, Workers)
        self.workers = workers if isinstance(workers, Workers) else workers()
        self.folder = Path(tempfile.mkdtemp(dir=self.workers.folder))
        request = {"signature": signature, "inputs": self.packed.get("inputs"), "allow_code": allow_code}
        request["outputs"] = [o["name"] for o in self.packed.get("outputs", ()) if o.get("name")]
        try:
            self.versions = self.workers.versions()
            self.workers.ask({"do": "check", "options": dict(self.packed)})
            self.loaded = load_model(model, self.workers, self.folder, request)
        except BaseException:
            self.close()
            raise
        self.load_seconds = time.monotonic() - self.started

    def close(self) -> None:
        """Leave no process (but those that were lent) and no file behind."""
        if self._own:
            self.workers.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def search(self, prober: Prober) -> None:
        """Find every cause; what is found stands in `findings` at once, `complete` and `notes` at the end."""
        if self.loaded.failure is not None:
            self._keep(None, load_causes(self.loaded))
            return
        hunt = Hunt(prober)
        for found in hunt.causes():
            self._keep(found, [compose(found, prober)])
        if not self.findings and hunt.complete and self.loaded.slim:
            for found in hunt.causes_with_weights():
                self._keep(found, [compose(found, prober)])
        self.complete = hunt.complete
        self.notes += hunt.notes

    def _keep(self, found: Found | None, findings: list[Finding]) -> None:
        self.findings += findings
        self.found += [found] * len(findings)

    def report(self, prober: Prober) -> Report:
        """Return the report on what is known now."""
        model = self.loaded.model
        verdict = "fails" if self.findings else "converts" if self.complete else "inconclusive"
        total = time.monotonic() - self.started
        return Report(
            path=model.path, signature=model.signature, ops=model.ops, functions=len(model.graphs) - 1,
            digest=model.digest, coremltools=self.versions["coremltools"], tensorflow=self.versions["tensorflow"],
            options=convert_options.shown(self.packed), verdict=verdict, complete=self.complete,
            findings=tuple(self.findings),
            asked=prober.asked, cached=prober.cached,
            seconds={
                "total": round(total, 2), "load": round(self.load_seconds, 2),
                "search": round(total - self.load_seconds, 2),
            },
            notes=tuple([*signature_note(self.loaded), *self.notes]), journal=tuple(prober.journal),
        )  # fmt: skip
