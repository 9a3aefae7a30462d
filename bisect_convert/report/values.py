"""What was compared of a rewrite's values, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UNCOMPARED", "Compared"]

#: How it begins where nothing was compared.
UNCOMPARED = "values not compared"


@dataclass(frozen=True)
class Compared:
    """On which values a rewrite and its op compute the same, on which not, and how far they lie apart where the same.

    >>> str(Compared(("random values", "zeros"), (), 6e-8))
    'same values on random values, zeros; largest difference 6e-08'
    >>> str(Compared(("zeros",), ("the ends of types",), 0.0, "above 255"))
    'same values on zeros; differs above 255'
    """

    same: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    largest: float = 0.0
    where: str | None = None
    """For which values they differ, where these lie together."""

    @property
    def equal(self) -> bool:
        """True where they compute the same on values as models have them."""
        return bool({"random values", "values from 0 to 1"} & set(self.same))

    def __str__(self) -> str:
        if not self.same and not self.apart:
            return f"{UNCOMPARED}: TensorFlow cannot run the op here"
        said = [f"same values on {', '.join(self.same)}"] if self.same else []
        said += [f"largest difference {self.largest:.0e}"] if self.largest else []
        said += [f"differs {self.where or 'on ' + ', '.join(self.apart)}"] if self.apart else []
        return "; ".join(said)
