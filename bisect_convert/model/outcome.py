"""Facts of a probe and how they are judged: an outcome is a fact, a verdict is an outcome seen against a target."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

__all__ = ["ARGUMENTS", "Failure", "Frame", "Outcome", "Signature", "Stage", "Verdict", "judge", "scrub"]


#: The pass named in the signature of a failure that is the check of `ct.convert`'s arguments.
ARGUMENTS = "arguments"


class Stage(IntEnum):
    """How far a conversion got, in the order in which coremltools works."""

    LOAD = 0
    GRAPH_PASS = 1
    LOWERING = 2
    MIL_PASS = 3
    BACKEND = 4
    OPTIMIZE = 5

    @property
    def word(self) -> str:
        """The stage's name in reports."""
        return self.name.lower()


class Verdict(Enum):
    """An outcome seen against a target; another failure than the target is never FAIL."""

    PASS = "pass"
    FAIL = "fail"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True)
class Frame:
    """One graph level of a converter's traceback: the op being lowered there."""

    op: str
    name: str


@dataclass(frozen=True)
class Signature:
    """What makes two failures the same.

    `raising` are the op types being lowered when the error was raised, from the main graph to the innermost body.
    """

    stage: Stage
    pass_name: str | None
    kind: str
    message: str
    raising: tuple[str, ...] = ()

    def inside(self, level: int = 1) -> Signature:
        """Return the signature that the same failure has when the body `level` calls down is converted alone."""
        return Signature(self.stage, self.pass_name, self.kind, self.message, self.raising[level:])


@dataclass(frozen=True)
class Failure:
    """How a conversion failed; `message` is the converter's own, unshortened; `hint` orders probes, never convicts."""

    signature: Signature
    type: str
    message: str
    hint: tuple[Frame, ...] = ()
    traceback: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain data from which `from_json` restores an equal failure."""
        sign = self.signature
        return {
            "stage": int(sign.stage), "pass": sign.pass_name, "kind": sign.kind, "scrubbed": sign.message,
            "raising": list(sign.raising), "type": self.type, "message": self.message,
            "hint": [[frame.op, frame.name] for frame in self.hint], "traceback": self.traceback,
        }  # fmt: skip

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Failure:
        """Restore a failure from `to_json`."""
        signature = Signature(Stage(raw["stage"]), raw["pass"], raw["kind"], raw["scrubbed"], tuple(raw["raising"]))
        hint = tuple(Frame(op, name) for op, name in raw["hint"])
        return cls(signature, raw["type"], raw["message"], hint, raw["traceback"])


@dataclass(frozen=True)
class Outcome:
    """The facts of one probe: converted (`failure` is None), failed, or `unresolved` (not probed: the reason why).

    >>> print(s.ops("act/Erfc").convert())
    fails in lowering, NotImplementedError: Conversion for TF op 'Erfc' not implemented.
    """

    failure: Failure | None = None
    unresolved: str | None = None
    seconds: float = 0.0
    reached: Stage = Stage.BACKEND
    further: tuple[Failure, ...] = ()
    """What fails behind the first failure of lowering, as far as one pass could tell: hints, in the converter's order."""
    warned: tuple[str, ...] = field(default=(), compare=False)
    """What the converter warned of while it converted the whole model."""
    call: str | None = None
    """Of a recipe tried: how its function is called at this place, with the constants and attributes there."""
    compared: str | None = None
    """Of a recipe tried: on which values it was compared with its op, and what came of it."""

    @property
    def converted(self) -> bool:
        """True where the section went through every stage asked for."""
        return self.failure is None and self.unresolved is None

    @property
    def words(self) -> tuple[str, str]:
        """What came of it in one word, and in one line."""
        if self.unresolved is not None:
            return "unresolved", self.unresolved
        if self.failure is None:
            return "converts", "converts"
        first = self.failure.message.strip().split("\n")[0]
        return "fails", f"{self.failure.type}: {first[:200]}"

    def __str__(self) -> str:
        if self.unresolved is not None:
            return f"not probed: {self.unresolved}"
        if self.failure is None:
            return f"converts ({self.seconds:.2f} s)"
        first = (self.failure.message.strip().splitlines() or [""])[0]
        return f"fails in {self.failure.signature.stage.word}, {self.failure.type}: {first}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def to_json(self) -> dict[str, Any]:
        """Return plain data from which `from_json` restores an equal outcome."""
        data: dict[str, Any] = {"seconds": self.seconds, "reached": int(self.reached)}
        if self.unresolved is not None:
            data["unresolved"] = self.unresolved
        if self.failure is not None:
            data["failure"] = self.failure.to_json()
        if self.further:
            data["further"] = [failure.to_json() for failure in self.further]
        if self.warned:
            data["warned"] = list(self.warned)
        return data | {n: v for n, v in (("call", self.call), ("compared", self.compared)) if v is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """Restore an outcome from `to_json`; raises KeyError, TypeError or ValueError for anything else."""
        raw = data.get("failure")
        return cls(
            None if raw is None else Failure.from_json(raw),
            data.get("unresolved"),
            float(data["seconds"]),
            Stage(data["reached"]),
            tuple(Failure.from_json(f) for f in data.get("further", ())),
            tuple(str(w) for w in data.get("warned", ())),
            data.get("call"),
            data.get("compared"),
        )


def judge(outcome: Outcome, target: Signature) -> Verdict:
    """Return FAIL only for the target's own failure; a section that got past the target's stage is PASS."""
    if outcome.unresolved is not None:
        return Verdict.UNRESOLVED
    if outcome.failure is None:
        return Verdict.PASS if outcome.reached >= target.stage else Verdict.UNRESOLVED
    if outcome.failure.signature == target:
        return Verdict.FAIL
    if outcome.failure.signature.stage > target.stage:
        return Verdict.PASS
    return Verdict.UNRESOLVED


#: A quotation is opened where no word ends and closed where none begins: the apostrophe of "can't" does neither.
_QUOTED = re.compile(r"""(?<!\w)(['"`])(?:(?!\1(?!\w)).)*\1(?!\w)|%\S+""")
_PATH = re.compile(r"[\w.\-]*/[\w./:\-]+")
#: An unknown size, or what is reckoned with it: is0, 2*is1/is0 + 3.
_SYMBOL = re.compile(r"(?:\b\d+\s*[-+*/]+\s*)*\bis\d+\b(?:\s*[-+*/]+\s*(?:is)?\d+\b)*")
_NUMBER = re.compile(r"-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b")
_LIST = re.compile(r"(?:#[\s,]*)+")


def scrub(message: str, names: Iterable[str] = ()) -> str:
    """Return the message without what differs between two occurrences of one failure: names, numbers and symbols.

    Only the first paragraph counts: what follows (coremltools prints the whole node there) describes one instance.
    """
    text = message.split("\n \n")[0].split("\n\n")[0]
    text = _QUOTED.sub("§", text)
    for name in sorted({n for n in names if len(n) > 2 and n in text}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w/]){re.escape(name)}(?:_[\w]+)?(?![\w/])", "§", text)
    text = _SYMBOL.sub("#", text)
    text = _PATH.sub("§", text)
    text = _NUMBER.sub("#", text)
    text = _LIST.sub("# ", text)
    return re.sub(r"\s+", " ", text).strip()
