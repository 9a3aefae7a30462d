"""What workers are asked, as data that travels as JSON: one class for each kind of request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from bisect_convert.model.cuts import Plan
from bisect_convert.report.plain import restored

__all__ = [
    "About", "Carve", "Check", "Compare", "Events", "Fix", "Load", "Numbers", "Passes", "Probe", "Ready", "Request", "Run",
    "Same", "Save", "Time", "Weights", "from_json",
]  # fmt: skip


@dataclass(frozen=True)
class Request:
    """Anything that a worker may be asked; `timeout`: the seconds it may take, None: as long as it likes."""

    do: ClassVar[str]
    timeout: float | None = field(default=None, kw_only=True)

    def to_json(self) -> dict[str, Any]:
        """Return plain data from which `from_json` restores an equal request."""
        return {"do": self.do, **asdict(self)}


@dataclass(frozen=True)
class Ready(Request):
    """Which versions are there, and do they fit together?"""

    do: ClassVar[str] = "ready"


@dataclass(frozen=True)
class Check(Request):
    """Are these packed arguments of `ct.convert` such that objects can be made of them?"""

    do: ClassVar[str] = "check"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Passes(Request):
    """What is the default pass pipeline?"""

    do: ClassVar[str] = "passes"


@dataclass(frozen=True)
class Load(Request):
    """Open the model at `path`, freeze it and write it into `folder` as facts.

    inputs: packed input types that the caller gives; outputs: names of those it wants; define: let the GraphDef's own
    functions count as known to TensorFlow; no_run: execute nothing of the graph.
    """

    do: ClassVar[str] = "load"
    path: str = ""
    folder: str = ""
    signature: str | None = None
    allow_code: bool = False
    no_run: bool = field(default=False, kw_only=True)
    inputs: tuple[Mapping[str, Any], ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Weights(Request):
    """Write the true values of all large weights of the model in `folder` beside it, if they are not there."""

    do: ClassVar[str] = "weights"
    folder: str = ""


@dataclass(frozen=True)
class About(Request):
    """Anything about a section of the model that was written into `folder`; `memory` in GiB."""

    folder: str
    plan: Plan
    memory: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Probe(About):
    """Convert the section.

    options: packed arguments; frontend: stop after lowering; weights: with the true ones; op and recipe: with the op
    rewritten by a recipe; one_batch: with a first dimension of 1 where one is open; no_run: whose values are not compared;
    trial: as a remedy is tried; survey: go on behind an op that fails in lowering.
    """

    do: ClassVar[str] = "probe"
    options: Mapping[str, Any] = field(default_factory=dict)
    frontend: bool = False
    weights: bool = False
    trial: bool = False
    op: str | None = None
    recipe: str | None = None
    one_batch: bool = False
    no_run: bool = False
    survey: bool = False


@dataclass(frozen=True)
class Carve(About):
    """Write the section to `out`/section.pb, and see (`check`) whether it fails with this type and message."""

    do: ClassVar[str] = "carve"
    out: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    type: str = ""
    message: str = ""
    check: bool = False


@dataclass(frozen=True)
class Compare(About):
    """Does the section compute in TensorFlow what it computes inside its model?"""

    do: ClassVar[str] = "compare"


@dataclass(frozen=True)
class Run(About):
    """Run the section in TensorFlow: feeds and values are .npz files keyed by tensors' names, `fetch` names the latter."""

    do: ClassVar[str] = "run"
    feeds: str = ""
    values: str = ""
    fetch: tuple[str, ...] = ()


@dataclass(frozen=True)
class Save(About):
    """Write the section with its true weights to `out`, as what its ending says.

    A frozen graph for .pb, TensorFlow code for .py, with these packed options a model for .mlpackage and .mlmodel; else a
    SavedModel.
    """

    do: ClassVar[str] = "save"
    out: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fix(Request):
    """Edit the model that was written into `folder` until it converts; write it, true weights and all, to `out` if given.

    options: packed arguments; memory in GiB; no_run: execute nothing of the graph; patches: functions of the user's own
    (see `fix.patches`), made first; search: look for further edits; foreseen: a file that says what a script needs to know of
    the program, as soon as it is likely to convert.
    """

    do: ClassVar[str] = "fix"
    folder: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    out: str = ""
    memory: float | None = None
    no_run: bool = False
    patches: tuple[Mapping[str, str], ...] = ()
    search: bool = True
    foreseen: str = ""


@dataclass(frozen=True)
class Same(Request):
    """Has the model at `path` a program of this `structure` (see `worker.structure`)?"""

    do: ClassVar[str] = "same"
    path: str = ""
    structure: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Events(Request):
    """Write graphs and texts, as `render.tensorboard` makes them, to `out` as an events file of TensorBoard."""

    do: ClassVar[str] = "events"
    out: str = ""
    graphs: tuple[Mapping[str, Any], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Numbers(About):
    """Does the converted model compute what the original does?

    samples: "random", "zeros", or an .npz file of NUMBER/INPUT; tolerance: in parts of an output's scale, None: by the
    precision; against: the .mlpackage to compare, else the model is converted with the options.
    """

    do: ClassVar[str] = "numbers"
    options: Mapping[str, Any] = field(default_factory=dict)
    samples: str = "random"
    tolerance: float | None = None
    against: str | None = None


@dataclass(frozen=True)
class Time(About):
    """Where does the time go when the section, with its true weights, is converted? options: packed arguments."""

    do: ClassVar[str] = "time"
    options: Mapping[str, Any] = field(default_factory=dict)


_KINDS: dict[str, type[Request]] = {
    kind.do: kind
    for kind in (
        Ready, Check, Passes, Load, Weights, Probe, Carve, Compare, Run, Save, Fix, Same, Events, Numbers, Time,
    )
}  # fmt: skip


def from_json(data: Mapping[str, Any]) -> Request:
    """Restore a request from `to_json`; raises KeyError for one that there is not.

    >>> from_json(Passes(timeout=3.0).to_json())
    Passes(timeout=3.0)
    """
    return restored(_KINDS[data["do"]], data)
