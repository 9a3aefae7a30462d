"""What one search has asked already: outcomes by what was asked, each kind of question with a key of its own type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bisect_convert.model.cuts import Section
from bisect_convert.model.outcome import Outcome, Signature, Stage

__all__ = ["Conversion", "Form", "Memory", "Settled", "Trial"]


@dataclass(frozen=True)
class Conversion:
    """A section converted: up to the frontend only, with true weights (`fresh`), with other options than the caller's."""

    section: Section
    frontend: bool = False
    fresh: bool = False
    options: str | None = None


@dataclass(frozen=True)
class Form:
    """Any section of this form or pattern (see `forms`), which is all that counts but for its weights."""

    form: str
    frontend: bool = False


@dataclass(frozen=True)
class Trial:
    """A remedy tried: on a section, or on any of a form."""

    alike: Section | str
    options: str | None
    recipe: str | None
    one_batch: bool = False


@dataclass(frozen=True)
class Settled:
    """A question that was asked until it was settled, since answers differ."""

    section: Section
    target: Signature
    fresh: bool


Key = Conversion | Form | Trial | Settled


class Memory:
    """Outcomes by key; what a question about less can be answered with is found under the key of the larger one."""

    def __init__(self) -> None:
        self._known: dict[Key, Outcome] = {}

    def get(self, key: Key) -> Outcome | None:
        """Return the outcome under exactly this key."""
        return self._known.get(key)

    def put(self, key: Key, outcome: Outcome) -> None:
        """Keep the outcome under the key."""
        self._known[key] = outcome

    def first(self, key: Key, outcome: Outcome) -> None:
        """Keep the outcome unless there is one already."""
        self._known.setdefault(key, outcome)

    def conversion(self, key: Conversion) -> Outcome | None:
        """Return the outcome of the conversion; that of a whole one tells what a mere frontend would have come to."""
        found = self._known.get(key)
        if found is None and key.frontend:
            full = self._known.get(replace(key, frontend=False, fresh=False, options=None))
            if full is not None and (full.failure is None or full.failure.signature.stage <= Stage.LOWERING):
                found = full
        return found

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()

    def keep_only(self, kept: Mapping[Conversion, Outcome]) -> None:
        """Forget everything but these."""
        self._known = {key: outcome for key, outcome in kept.items()}

    def with_true_weights(self) -> dict[Conversion, Outcome]:
        """Return what is known of conversions with true weights."""
        return {k: found for k, found in self._known.items() if isinstance(k, Conversion) and k.fresh}
