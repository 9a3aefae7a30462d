"""Where a culprit sits, as sentences without markup: its role between fork and join, and the calls around it."""

from __future__ import annotations

from bisect_convert.render.names import Code, Sentence, harmless
from bisect_convert.report.findings import Body, Context, Enclosing, Finding

__all__ = ["body", "place", "role", "where_short"]

_ROLES = {
    "trunk": "main path",
    "branch": "branch",
    "skip": "skip connection",
    "main_arm": "bypassed by a skip connection",
    "join": "where branches meet",
    "fork": "where branches part",
}
_KINDS = {
    "loop_body": "loop body", "loop_cond": "loop condition", "then": "then-branch", "else": "else-branch",
    "branch": "branch function", "call": "function",
}  # fmt: skip


def role(context: Context) -> str:
    """Return the role's own name in words."""
    return _ROLES.get(context.role, harmless(context.role))


def where_short(finding: Finding) -> str:
    """Return role and innermost enclosing call in a few words, for a table."""
    if not finding.culprits:
        return "-"
    calls = finding.context.enclosing
    return f"{role(finding.context)}{f', in a {_kind(calls[-1])}' if calls else ''}"


def place(context: Context) -> tuple[Sentence, ...]:
    """Return where the culprit sits: its role between fork and join, then each enclosing call, outermost first."""
    return (_role_sentence(context), *(_enclosing_sentence(e) for e in context.enclosing))


def _role_sentence(context: Context) -> Sentence:
    between: Sentence = ()
    if context.fork is not None and context.join is not None:
        between = (" between ", Code(context.fork), " and ", Code(context.join))
    arms = f" of {len(context.arms)}" if len(context.arms) > 1 else ""
    if context.role == "skip":
        return ("on the skip connection", *between, *_beside(context))
    if context.role == "main_arm":
        return ("on the way", *between, " that a skip connection bypasses", *_beside(context))
    if context.role == "branch":
        return (f"on one branch{arms}", *between)
    count = f"{len(context.arms)} branches" if context.arms else "branches"
    if context.role == "fork":
        return (f"at a fork: {count} leave it", *((" and meet at ", Code(context.join)) if context.join else ()))
    if context.role == "join":
        return (f"at a join: {count} meet there", *((", split at ", Code(context.fork)) if context.fork else ()))
    return ("on the main path, in no branch or skip connection" if context.role == "trunk" else harmless(context.role),)


def _beside(context: Context) -> Sentence:
    """How long the other way is, of a skip connection and the one that it bypasses."""
    if len(context.arms) != 2:
        return ()
    short, long = sorted(len(arm) for arm in context.arms)
    other, size = ("what it bypasses", long) if context.role == "skip" else ("the skip connection", short)
    return (f"; {other} has {f'{size} op' if size else 'no op'}{'s' * (size > 1)}",)


def _enclosing_sentence(call: Enclosing) -> Sentence:
    verb = "called by" if call.kind == "call" else "of"
    return (f"in the {_kind(call)} ", Code(call.function), f" {verb} {harmless(call.op)} ", Code(call.name))


def body(inside: Body) -> Sentence:
    """Return which body it is, of which call."""
    return (f"in the {_KINDS.get(inside.kind, harmless(inside.kind))} of ", Code(inside.call))


def _kind(call: Enclosing) -> str:
    return _KINDS.get(call.kind, harmless(call.kind))
