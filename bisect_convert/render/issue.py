"""One finding as an issue to post: title, versions, error, code that shows it by itself, what was tried."""

from __future__ import annotations

from collections.abc import Mapping

from bisect_convert.render import words
from bisect_convert.render.markdown import escaped, fenced
from bisect_convert.report.findings import Finding, Remedy

__all__ = ["issue"]

_ROWS = 30
_NO_CODE = "`repro.py`, with `section.pb` beside it: the section cannot be said in text, or is too large for it."


def issue(finding: Finding, code: str | None, versions: Mapping[str, str | None], system: str) -> str:
    """Return the issue as Markdown that needs no file beside it, where the section can be said in code; no path is in it.

    code: a program that shows the failure; versions: of packages, by name; system: the machine's, in a few words.
    """
    rows = finding.error_message.strip().splitlines() or ["no message"]
    kinds = ", ".join(dict.fromkeys(c.op for c in finding.culprits)) or "the call"
    named = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    blocks = [
        f"# {escaped(f'coremltools.convert fails on {kinds}: {finding.error_type}: {rows[0]}'[:200])}",
        f"**Versions:** {escaped(f'{named}, {system}')}",
        "**Error:**",
        fenced([f"{finding.error_type}: {rows[0]}", *rows[1:_ROWS]]),
        "**To reproduce:**",
        _NO_CODE if code is None else fenced(code.splitlines(), "python"),
    ]
    if finding.explanation:
        blocks.append(f"**Why:** {escaped(finding.explanation)}")
    tried = [f"- {_tried(r)}: {escaped(r.summary)}" for r in finding.remedies]
    blocks += ["**What was tried:**", "\n".join(tried)] if tried else []
    blocks.append(f"The smallest failing section: {escaped(words.evidence(finding))}.")
    return "\n\n".join(blocks) + "\n"


def _tried(remedy: Remedy) -> str:
    said = "converts so" if remedy.verified else remedy.tried
    return f"{said} ({remedy.compared})" if remedy.verified and remedy.compared else said
