"""What is asked of the converter: why (`Kind`), in which words (`Question`), and what came back (`Probe`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Kind", "Probe", "Question"]


class Kind(Enum):
    """Why a section is probed: the words of the question ({} stands for a detail), the phase, and the reason for it.

    >>> Kind.PREFIX.phase, str(Kind.PREFIX.asks(12))
    ('locate', 'the first 12 ops')
    """

    WHOLE = "the whole model", "control", "does it fail at all, and how? That failure is the target"
    WEIGHTS = "the whole model with its own weights", "control", "it converts with other weights of their size"
    WITHOUT_CAUSE = "without the {}", "control", "a cause that is no op; is the failure gone without it?"
    LEFT_OUT = "the {} alone", "control", "something else fails first: does what was left out fail by itself?"
    REST = "the rest", "continue", "with the culprits cut out, is there another failure?"
    CALL = "call: {}", "call", "is the call at fault? Does it convert with this in its place?"
    ALONE = "{} alone", "locate", "the converter names it; a hint is no evidence until it fails on its own"
    TWINS = "{} and {} more calls of its bodies", "locate", "what shares its bodies may have to be there for it to fail"
    READERS = "{} and what reads it", "locate", "it may need what reads it to fail"
    UPSTREAM = "{} and {} steps upstream", "locate", "it may need what is upstream of it to fail"
    HALF = "a half of them, {} ops", "locate", "halving: does a half fail by itself?"
    PREFIX = "the first {} ops", "locate", "bisecting the prefixes for the last op that is needed"
    LAST = "the last of them and {} steps upstream", "locate", "the last op needed, with what is near it upstream"
    ABOVE = "all that is upstream of it", "locate", "what the last op needed can depend on at all"
    SUFFIX = "the last {} of these ops", "locate", "bisecting the starts for the first op that is needed"
    BETWEEN = "the section between them", "locate", "from the first op needed to the last"
    REGION = "all ops that share tensors of rank above 5", "locate", "such tensors can be neither input nor output"
    MEMBER = "{} of them alone", "locate", "which of the ops with such tensors fail by themselves?"
    LESS = "without some of it", "shrink", "with some ops left out, does it still fail in the same way?"
    ENDMOST = "the last of it", "shrink", "does its last op fail by itself?"
    RIDERS = "without what rides along", "shrink", "sizes go with their consumers; are they needed?"
    BARE = "without all that rides along", "shrink", "sizes go with their consumers; is none of them needed?"
    NAME = "with another name for {}", "shrink", "a graph pass may take one name for the start of another"
    CONSUMER = "with its last consumer", "shrink", "up to the last op that reads it, it would convert"
    WITNESS = "what is left of it", "shrink", "how exactly does what is left fail?"
    BODY = "the {} of {}", "descend", "does the body fail on its own?"
    BODY_FAILURE = "the body", "descend", "how exactly does the body fail?"
    IN_PLACE = "{} in its {}", "descend", "the op inside, with its construct around it"
    INSIDES = "{} with {} ops of its bodies", "descend", "shrinking the construct in place"
    EMPTIED = "with {} ops of its bodies", "descend", "which ops of its bodies are needed?"
    CONFIRM = "confirm", "confirm", "what is left once more, afresh and with the model's own weights"
    WITHOUT = "without it", "confirm", "is what is left free of the failure, which comes and goes?"
    HANDED = "{} behind what does not convert", "continue", "what it reads can be no input; does it fail by itself?"
    INSTANCE = "another instance", "instances", "an op of the same type; does it fail in the same way?"
    PASSES = "with {} of {} passes", "passes", "which passes must have run for it to fail?"
    REMEDY = "remedy: {}", "remedy", "would it convert so?"
    BY_HAND = "by hand: {}", "by hand", "asked by hand"
    MINIMISE = (
        "minimise: {} ops",
        "by hand",
        "asked by hand: with some ops left out, does it still fail in the same way?",
    )

    @property
    def words(self) -> str:
        """How the question reads."""
        return self.value[0]

    @property
    def phase(self) -> str:
        """The part of the search that asks, in one or two words."""
        return self.value[1]

    @property
    def reason(self) -> str:
        """Why it is asked, in one sentence that begins with the phase."""
        return self.value[2] if self.phase in self.value[2] else f"{self.phase}: {self.value[2]}"

    def asks(self, *details: object) -> Question:
        """Return the question of this kind with these details."""
        return Question(self, tuple(str(d) for d in details))


@dataclass(frozen=True)
class Question:
    """A question of the search: its kind, and the details that its words leave open."""

    kind: Kind
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.kind.words.format(*self.details)


@dataclass(frozen=True)
class Probe:
    """One line of the journal: which question was asked, of how many ops, and what came back."""

    question: str
    ops: int
    verdict: str
    detail: str
    cached: bool
    seconds: float
    phase: str = field(default="search", compare=False)
    """The part of the search that asked; told while it goes on, not kept in reports."""
    ahead: int = field(default=0, compare=False)
    """How many questions are likely to follow from it; 0 where it says nothing of that."""
