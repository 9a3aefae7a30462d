"""What would make it convert."""

from __future__ import annotations

from bisect_convert.hunt import Found
from bisect_convert.prober import Prober
from bisect_convert.report import Finding, Remedy

__all__ = ["remedies"]


def remedies(found: Found, finding: Finding, prober: Prober) -> tuple[Remedy, ...]:
    """Return options and rewrites, those that a probe converted with marked as verified."""
    return ()
