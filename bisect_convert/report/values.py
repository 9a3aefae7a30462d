"""What was compared of a rewrite's values, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UNCOMPARED", "Compared"]

#: How it begins where nothing was compared.
UNCOMPARED = "values not compared"


@dataclass(frozen=True)
class Compared:
    """On which values a rewrite and its op compute the same, and on which not; `largest`: how far apart where the same.

    That is in parts of the tensor's scale.

    >>> str(Compared(("random", "zeros"), (), 6e-8))
    'same values, largest difference 6e-08 of scale (random, zeros)'
    >>> str(Compared(("0 to 1",), ("large", "ends of types"), 0.0, "above 255"))
    'same values (0 to 1); differs above 255'
    """

    same: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    largest: float = 0.0
    where: str | None = None
    """For which values they differ, where these lie together."""

    @property
    def equal(self) -> bool:
        """True where they compute the same on values as models have them."""
        return bool({"random", "0 to 1", "sorted", "positive definite"} & set(self.same))

    def __str__(self) -> str:
        if not self.same and not self.apart:
            return f"{UNCOMPARED}: TensorFlow does not run it here"
        apart = f", largest difference {self.largest:.0e} of scale" if self.largest else ""
        said = [f"same values{apart} ({', '.join(self.same)})"] if self.same else []
        said += [f"differs {self.where or 'on: ' + ', '.join(self.apart)}"] if self.apart else []
        return "; ".join(said)
