"""Why it fails, in a sentence or two."""

from __future__ import annotations

from bisect_convert.graph import Model
from bisect_convert.hunt import Found
from bisect_convert.report import Finding

__all__ = ["explain"]


def explain(found: Found, finding: Finding, model: Model) -> str:
    """Return what the failure means for its reader."""
    return ""
