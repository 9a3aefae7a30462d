"""Where the time of a conversion goes, as it stands in a report."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Share", "Times"]


@dataclass(frozen=True)
class Share:
    """One step, layer or op of the model, and the seconds spent on it; "" is what belongs to none."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Times:
    """The seconds of one conversion, `total`, by step, by layer and by op: each of these adds up to the total.

    reading: the seconds that opening and freezing the model took before.

    >>> Times(3.0, 1.0, (Share("lowering", 3.0),), (Share("", 3.0),), (Share("", 3.0),)).steps[0].name
    'lowering'
    """

    total: float
    reading: float
    steps: tuple[Share, ...]
    layers: tuple[Share, ...]
    ops: tuple[Share, ...]
