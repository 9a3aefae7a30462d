"""The rules that explanations follow, by name, and what one says: remedies ask for the rule, never for its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from bisect_convert.explain.case import Case

__all__ = ["Rule", "Said", "Why", "listed"]


class Rule(Enum):
    """What was recognised in a failure."""

    SLOW = "slow"
    ARGUMENT = "argument"
    NO_CONVERSION = "no_conversion"
    CONSTANT = "constant"
    CAST = "cast"
    CHECK = "check"
    OLD_LOOP = "old_loop"
    COUNTED_LOOP = "counted_loop"
    SHARED_BODIES = "shared_bodies"
    TWO_RESULTS = "two_results"
    NAMES = "names"
    TWO_READERS = "two_readers"
    NESTED = "nested"
    LOOP_INTO_COND = "loop_into_cond"
    CAPTURES_NOTHING = "captures_nothing"
    TABLE = "table"
    SCALAR_INPUT = "scalar_input"
    UNKNOWN_RANK = "unknown_rank"
    RANK = "rank"
    VALUE_WANTED = "value_wanted"
    SPLIT_REST = "split_rest"
    UNKNOWN_SIZE = "unknown_size"
    WRONG_DTYPE = "wrong_dtype"
    SCALAR = "scalar"
    ONE_OPERAND = "one_operand"
    CONFLICT = "conflict"
    ODD_TENSORS = "odd_tensors"
    NO_VALUE = "no_value"
    STEP = "step"
    PASS = "pass"
    NEUTRAL = "neutral"


@dataclass(frozen=True)
class Why:
    """An explanation: the rule that it follows, its text, and the name of what it is about, where a remedy needs it."""

    rule: Rule
    text: str
    about: str = ""


#: What a rule returns: None where it does not apply, else the text, or that and the name of what it is about.
Said = Callable[[Case], "str | tuple[str, str] | None"]


def listed(names: list[str]) -> str:
    """Return the names as a phrase: "`a`, `b` and `c`"."""
    quoted = [f"`{n}`" for n in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
