"""Why the search asks what it asks: one sentence for each kind of question."""

from __future__ import annotations

import re

__all__ = ["why"]

_REASONS = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (r"the whole model$", "control: does it fail at all, and how? That failure is the target"),
        (r"the whole model with its true weights$", "control: it converts with its weights as repeated values"),
        (r"the rest$", "continue: with the culprits cut out, is there another failure?"),
        (r"without (classifier_config|outputs|inputs)$", "is the call at fault? Does it convert without this?"),
        (r"confirm$", "confirm: the witness once more, afresh and with its true weights"),
        (r"another instance$", "instances: an op of the same type; does it fail in the same way?"),
        (r".+ alone$", "locate: the converter names it; a hint is no evidence until it fails on its own"),
        (r".+ and \d+ steps upstream$", "locate: it may need what is upstream of it to fail"),
        (r"the first \d+ ops$", "locate: bisecting the prefixes for the last op that is needed"),
        (r"all that is upstream of it$", "locate: what the last op needed can depend on at all"),
        (r"the last \d+ of these ops$", "locate: bisecting the starts for the first op that is needed"),
        (r"the section between them$", "locate: from the first op needed to the last"),
        (r"without some of it$", "shrink: with some ops left out, does it still fail alike?"),
        (r"without (what|all that) rides along$", "shrink: sizes go with their consumers; are they needed?"),
        (r"with its last consumer$", "shrink: up to the last op that reads it, it would convert"),
        (r"the (witness|body)$", "shrink: how exactly does what is left fail?"),
        (r".+ with \d+ ops of its bodies$", "descend: shrinking the construct in place"),
        (r"the \w+ of .+$", "descend: does the body fail on its own?"),
        (r".+ in its .+$", "descend: the op inside, with its construct around it"),
        (r"remedy: ", "remedy: would it convert so?"),
        (r"by hand: ", "asked by hand"),
        (r"minimise: ", "asked by hand: with some ops left out, does it still fail alike?"),
    )
)


def why(question: str) -> str:
    """Return the reason for a question of the search.

    >>> why("the rest")
    'continue: with the culprits cut out, is there another failure?'
    """
    return next((reason for pattern, reason in _REASONS if pattern.match(question)), "search")
