"""How far a converted model is from its original, as it stands in a report."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Compression", "Headroom", "LayerCost", "Numbers", "OutputDistance"]


@dataclass(frozen=True)
class OutputDistance:
    """One output: the largest difference, and that in parts of its scale; None is no number: NaN, or infinitely far."""

    name: str
    max_abs: float | None
    max_rel: float | None
    scale: float | None


@dataclass(frozen=True)
class Headroom:
    """How near to the limit of float16 the largest number comes, and where; None: beyond it."""

    op: str
    reached: float | None
    limit: float


@dataclass(frozen=True)
class LayerCost:
    """What the compression of one op's weights costs by itself, in parts of the outputs' scale."""

    op: str
    cost: float


@dataclass(frozen=True)
class Compression:
    """What a step of compression costs: in all (None: infinitely much), the worst layers, and which to leave out.

    without: the ops to leave out so that the outputs stay within the tolerance; None where they do, or no few are enough.
    """

    step: str
    total: float | None
    layers: tuple[LayerCost, ...] = ()
    without: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Numbers:
    """What was compared: `by` what, in which `precision`, on how many `samples` of which `inputs`, and what came of it.

    not_compared: why nothing, or not all, was compared.

    >>> Numbers("evaluator", "float16", "random", 5, 0.02, not_compared=("no evaluation of `x`",)).compared
    False
    """

    by: str
    precision: str
    inputs: str
    samples: int
    tolerance: float
    outputs: tuple[OutputDistance, ...] = ()
    headroom: Headroom | None = None
    not_compared: tuple[str, ...] = ()
    against: str | None = None
    """The package that was compared, where it was made elsewhere."""
    device: str = ""
    """What Core ML itself gave, where it was there to be asked."""
    compression: Compression | None = None
    """What the compression that followed the conversion costs, beside that."""

    @property
    def compared(self) -> bool:
        """Whether anything was compared."""
        return bool(self.outputs)
