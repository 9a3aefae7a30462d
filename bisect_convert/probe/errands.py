"""What workers are asked that is no probe: a section written out, its values compared, the passes in force.

A fault of ours in one of them costs what it was to tell, and a note says so: it never ends a search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bisect_convert.errors import EnvironmentError_, UsageError
from bisect_convert.model.cuts import Section, Unsliceable, whole
from bisect_convert.model.outcome import Failure
from bisect_convert.probe.door import Door
from bisect_convert.worker.request import Carve, Compare, Numbers, Passes, Run, Save, Time

__all__ = ["Errands"]

#: Seconds for what no conversion is part of.
_LONGEST = 120.0
#: A comparison takes so many times what a conversion may: it converts more than once, and runs the model.
_COMPARED = 5.0


class Errands:
    """Errands about sections of the door's model; `notes` says which of them were skipped, and why.

    no_run: no graph is executed in TensorFlow.
    """

    def __init__(self, door: Door, *, no_run: bool = False) -> None:
        self.notes: list[str] = []
        self._no_run = no_run
        self._door = door

    def carve(
        self, section: Section, folder: Path, failure: Failure, options: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Write the section, true weights and all, to `folder`/section.pb; returns what else its repro needs.

        Raises EnvironmentError_ where a worker fails by a fault of ours.
        """
        try:
            about = self._door.about(Carve, section, fresh=True)
        except Unsliceable:
            return None
        request = replace(
            about, options=dict(options), out=str(folder.absolute()), type=failure.type, message=failure.message,
            check=bool(failure.traceback),
        )  # fmt: skip
        return self._door.errand(request).get("carved")

    def differs(self, section: Section) -> str | None:
        """Return in what the section's values in TensorFlow differ from the model's: "" in nothing, None if unknown."""
        if self._no_run:
            return None
        try:
            answer = self._door.errand(self._door.about(Compare, section, fresh=True))
        except Unsliceable:
            return None
        except EnvironmentError_ as fault:
            self._skipped("the values of a section were not compared with the model's", fault)
            return None
        return answer.get("differs")

    def numbers(
        self, section: Section | None, samples: str, options: Mapping[str, Any], tolerance: float | None,
        against: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Return how far a converted section, or the model, is from its original; "not_compared": why that is not known."""
        if self._no_run:
            return {"not_compared": "no graph is to be run"}
        try:
            about = self._door.about(Numbers, section or whole(self._door.loaded.model), fresh=True)
            limit = None if about.timeout is None else _COMPARED * about.timeout
            request = replace(
                about, samples=samples, options=options, tolerance=tolerance, against=against, timeout=limit
            )
            answer = self._door.errand(request)
        except (Unsliceable, EnvironmentError_) as fault:
            return {"not_compared": str(fault)}
        return dict(answer.get("numbers") or {"not_compared": f"the process ended ({answer.get('death', 'memory')})"})

    def times(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return where the time of converting the model goes, as "parts" and "total"; "failed": why that is not known."""
        try:
            about = self._door.about(Time, whole(self._door.loaded.model), fresh=True)
            limit = None if about.timeout is None else _COMPARED * about.timeout
            answer = self._door.errand(replace(about, options=dict(options), timeout=limit))
        except EnvironmentError_ as fault:
            return {"failed": str(fault)}
        return dict(answer.get("times") or {"failed": f"the process ended ({answer.get('death', 'memory')})"})

    def passes(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the pass pipeline in force, packed: the caller's or the default; empty where no worker can tell it."""
        given = options.get("pass_pipeline")
        if not given:
            try:
                given = self._door.errand(Passes(timeout=_LONGEST)).get("pipeline")
            except EnvironmentError_ as fault:
                self._skipped("the passes were not looked into", fault)
        return dict(given or {"name": "", "passes": [], "options": {}})

    def run(
        self, section: Section, feeds: Path, values: Path, fetch: tuple[str, ...], timeout: float
    ) -> dict[str, Any]:
        """Run the section in TensorFlow on the .npz `feeds`, its values into `values`; returns the worker's answer.

        Raises Unsliceable, and UsageError where TensorFlow cannot run it, or is not to.
        """
        if self._no_run:
            raise UsageError("no graph is to be run: the session was opened with no_run")
        about = self._door.about(Run, section)
        return self._door.now(replace(about, feeds=str(feeds), values=str(values), fetch=fetch, timeout=timeout))

    def save(self, section: Section, out: Path, timeout: float, options: Mapping[str, Any]) -> dict[str, Any]:
        """Write the section with its true weights to `out`; returns the worker's answer. Raises as `run` does.

        options: packed, for where it is to be converted, which has the time that confirming a failure has.
        """
        about = self._door.about(Save, section, fresh=True)
        limit = about.timeout if out.suffix in (".mlpackage", ".mlmodel") else timeout
        return self._door.now(replace(about, out=str(out.absolute()), options=dict(options), timeout=limit))

    def _skipped(self, what: str, fault: EnvironmentError_) -> None:
        note = f"{what}: {fault}"
        self.notes += [note] if note not in self.notes else []
