"""Where the time of a conversion goes, as sentences without markup."""

from __future__ import annotations

from collections.abc import Sequence

from bisect_convert.render.names import harmless, shorten
from bisect_convert.report.report import Report
from bisect_convert.report.times import Share

__all__ = ["times_lines"]

_SHOWN, _WORTH, _NAME = 5, 0.01, 60


def times_lines(report: Report) -> tuple[str, ...]:
    """Return the seconds of the conversion by step, layer and op, the longest first, where that was asked for.

    >>> times_lines(s.hunt())
    ()
    """
    times = report.times
    if times is None:
        return ()
    return (
        f"{times.total:.1f} s for the conversion; {times.reading:.1f} s before it, for reading and freezing the model",
        f"by step: {_listed(times.steps, times.total, 'the converter itself')}",
        f"by layer: {_listed(times.layers, times.total, 'no layer')}",
        f"by op: {_listed(times.ops, times.total, 'no op')}",
    )


def _listed(shares: Sequence[Share], total: float, none: str) -> str:
    """The longest, with their part of the total, and the others in one."""
    named = [s for s in shares if s.name and s.seconds >= _WORTH * total][:_SHOWN]
    rest = total - sum(s.seconds for s in named)
    unnamed = sum(s.seconds for s in shares if not s.name)
    words = [f"{shorten(harmless(s.name), _NAME)} {_seconds(s.seconds, total)}" for s in named]
    others = len(shares) - len(named) - bool(unnamed)
    if others:
        words.append(f"{others} other{'s' * (others != 1)} {_seconds(max(rest - unnamed, 0.0), total)}")
    if unnamed:
        words.append(f"{none} {_seconds(unnamed, total)}")
    return ", ".join(words)


def _seconds(seconds: float, total: float) -> str:
    return f"{seconds:.2f} s ({seconds / total:.0%})" if total else f"{seconds:.2f} s"
