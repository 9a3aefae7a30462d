"""What a probe may take: time enough for any honest conversion, and so little that a section that hangs costs little."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Limits", "spare_memory"]

#: Seconds, from conversions of 100 published models: 0.03 s an op at the median, 0.4 s a MiB of true weights.
_WHOLE, _WHOLE_PER_OP = 120.0, 0.3
_PART, _PART_PER_OP = 5.0, 0.1
_PER_MIB = 4.0
#: How much longer than it took a conversion of the whole may take again, and what is to confirm an accusation may take.
_AGAIN, _CONFIRM = 4.0, 3.0
#: Seconds that a small section never takes unless it hangs.
_PATIENCE = 10.0
#: GiB that a section of few ops never takes.
_PART_MEMORY, _PART_MEMORY_PER_OP = 2.0, 0.02
#: How much of the memory that is free one probe may take, so that nothing else has to be ended for it.
_SHARE = 0.8


def spare_memory(jobs: int, root: Path = Path("/")) -> float | None:
    """Return the GiB that each of so many probes may take where the caller has set no limit, and one that is begun early.

    The least of what the machine has free and what the control groups of this process still allow (a container's limit;
    `root` holds proc and sys). None where the system does not say.
    """
    free = [*_machine(root), *_groups(root)]
    return round(_SHARE * min(free) / 2**30 / (jobs + 1), 2) if free else None


def _machine(root: Path) -> list[int]:
    try:
        rows = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return []
    return [int(row.split()[1]) * 1024 for row in rows if row.startswith("MemAvailable:")]


def _groups(root: Path) -> list[int]:
    """Bytes that each control group around this process still allows, by either version of them; see cgroups(7)."""
    try:
        rows = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return []
    left = []
    for _, controllers, path in (row for row in rows if len(row) == 3):
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        top, limit, used = (
            ("sys/fs/cgroup", "memory.max", "memory.current")
            if not controllers
            else ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
        )
        here = Path(path.strip("/"))
        for part in dict.fromkeys([here, *here.parents, Path()]):
            most, now = (_bytes(root / top / part / name) for name in (limit, used))
            if most is not None:
                left.append(max(0, most - (now or 0)))
    return left


def _bytes(file: Path) -> int | None:
    """What the file says, or None: "max" is no limit."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class Limits:
    """The time limits of the probes of one model.

    ops: of the whole model, bodies and all; mib: of its weights; given: the caller's own limit, in seconds, which holds
    for every probe but those that confirm; memory: the most that a probe may take, in GiB; whole: seconds that the
    control took, where it came to an end.
    """

    ops: int
    mib: float = 0.0
    given: float | None = None
    memory: float | None = None
    whole: float | None = None

    def of(self, ops: int, *, frontend: bool = False, fresh: bool = False) -> float:
        """Return the seconds for a probe of so many ops; `fresh` ones have true weights, and are to confirm.

        >>> Limits(ops=1000).of(1000), Limits(ops=1000, whole=2.0).of(1, frontend=True), Limits(ops=9, given=4).of(3)
        (420.0, 13.1, 4)
        """
        if self.given is not None:
            return max(_CONFIRM * self.given, _PATIENCE) if fresh else self.given
        longest = _WHOLE + _WHOLE_PER_OP * self.ops
        limit = longest
        if ops < self.ops:
            own = _PART + _PART_PER_OP * ops + (0.0 if self.whole is None else _AGAIN * self.whole)
            limit = min(own if frontend else 2 * own, longest)
        return round(_CONFIRM * limit + _PER_MIB * self.mib if fresh else limit, 1)

    def memory_of(self, ops: int) -> float | None:
        """Return the GiB for a probe of so many ops; None where there is no limit.

        >>> Limits(ops=1000, memory=9.0).memory_of(1000), Limits(ops=1000, memory=9.0).memory_of(50)
        (9.0, 3.0)
        """
        if self.memory is None or ops >= self.ops:
            return self.memory
        return min(self.memory, round(_PART_MEMORY + _PART_MEMORY_PER_OP * ops + 4 * self.mib / 1024, 2))
