"""The map of a model: each region with a picture of what is in it, and how one gets from one to the other."""

from __future__ import annotations

from collections.abc import Iterator

from bisect_convert.render.picture import Node, Picture
from bisect_convert.report.model_map import Region

__all__ = ["Spot", "homes", "spots"]

#: The class of a box by the verdict.
_SHADES = {"culprit": "op", "witness": "witness", "unknown": "unknown", "converts": "ok"}
#: What holds fewer ops is as soon shown as pointed at.
_WORTH_A_WAY = 4
_PARTS = {"layer": "layer", "body": "function", "run": "ops in a row"}


class Spot:
    """A region in the page: its anchor, and the spots of the regions inside that have regions inside themselves.

    like: where one just as it is, findings and all, stands before it, that one: it is not unfolded twice.
    """

    def __init__(self, region: Region, anchor: str = "map", known: _Known | None = None) -> None:
        self.region = region
        self.anchor = anchor
        known = _Known() if known is None else known
        self.like = known.first(self)
        opened = [] if self.like is not None else [(n, r) for n, r in enumerate(region.inside) if r.inside]
        self.inside = [Spot(r, f"{anchor}-{n}", known) for n, r in opened]

    @property
    def count(self) -> str:
        """How many ops it holds, and how often it stands there."""
        count = f"{self.region.ops} op{'s' * (self.region.ops != 1)}"
        return count + (f", {self.region.times} times" if self.region.times > 1 else "")

    @property
    def open(self) -> bool:
        """Whether it is shown unfolded at first: the whole, and the way to the first finding."""
        return self.anchor == "map" or 1 in self.region.findings

    @property
    def chain(self) -> bool:
        """Whether what is inside stands in one row, each feeding the next."""
        return self.region.edges == tuple((n, n + 1) for n in range(len(self.region.inside) - 1))

    @property
    def listed(self) -> tuple[tuple[str, str], ...]:
        """Of ops in a row that nothing was found in, each one's type and name: they need no picture."""
        calm = self.region.verdict not in ("culprit", "witness") and not self.inside
        return tuple((_title(r), _under(r)) for r in self.region.inside) if calm and self._row else ()

    @property
    def unread(self) -> int:
        """How many inputs of a body nothing reads: they are not drawn."""
        return len(self.region.inside) - len(self._drawn)

    @property
    def picture(self) -> Picture:
        """The regions inside as boxes, each with a link to where it is unfolded, or to its finding."""
        anchors = {id(spot.region): spot.anchor for spot in self.inside}
        nodes = [
            Node(
                str(n),
                "op",
                _title(r),
                _under(r),
                r.verdict == "culprit",
                _mark(r),
                _link(r, anchors.get(id(r), "")),
                _SHADES[r.verdict],
            )
            for n, r in self._drawn.items()
        ]
        return Picture(tuple(nodes), tuple((str(a), str(b)) for a, b in self.region.edges))

    @property
    def _row(self) -> bool:
        return self.region.kind == "run" or self.chain

    @property
    def _drawn(self) -> dict[int, Region]:
        """What is inside, by its place, without the inputs that nothing reads."""
        joined = {n for edge in self.region.edges for n in edge}
        every = dict(enumerate(self.region.inside))
        return (
            {n: r for n, r in every.items() if n in joined or r.kind != "Placeholder" or r.findings}
            if joined
            else every
        )


class _Known:
    """The regions that the page has so far, by what is in them and was found there, but for names."""

    def __init__(self) -> None:
        self._forms: dict[tuple[object, ...], int] = {}
        self._spots: dict[int, Spot] = {}

    def first(self, spot: Spot) -> Spot | None:
        """Return the first spot of the same form, where it is worth a way; else keep this one."""
        if spot.region.ops < _WORTH_A_WAY:
            return None
        first = self._spots.setdefault(self._form(spot.region), spot)
        return None if first is spot else first

    def _form(self, region: Region) -> int:
        kind = "" if region.inside and region.kind in _PARTS else region.kind
        facts = (kind, region.ops, region.times, region.verdict, region.findings, region.edges)
        form = (*facts, *map(self._form, region.inside))
        return self._forms.setdefault(form, len(self._forms))


def _title(region: Region) -> str:
    title = region.title if region.kind in _PARTS else region.kind
    return f"{title} ({region.times} times)" if region.times > 1 else title


def _under(region: Region) -> str:
    if region.kind not in _PARTS:
        return f"{region.title}, {region.ops} ops" if region.inside else region.title
    return f"{region.ops} op{'s' * (region.ops != 1)}"


def _mark(region: Region) -> str:
    if not region.findings:
        return ""
    numbers = ", ".join(map(str, region.findings[:3])) + (", ..." if len(region.findings) > 3 else "")
    return f"finding {numbers}" if region.verdict == "culprit" else f"needed for {numbers}"


def _link(region: Region, anchor: str) -> str:
    if anchor:
        return f"#{anchor}"
    return f"#finding-{region.findings[0]}" if region.findings else ""


def spots(region: Region | None) -> Spot | None:
    """Return the map as spots, the whole model first; None where there is none."""
    return None if region is None else Spot(region)


def homes(spot: Spot | None) -> dict[int, str]:
    """Return the anchor of the innermost region that holds each finding's first culprit."""
    found: dict[int, str] = {}
    for each in _walk(spot) if spot is not None else ():
        for region in each.region.inside:
            if region.verdict == "culprit" and not region.inside:
                for number in region.findings:
                    found.setdefault(number, each.anchor)
    return found


def _walk(spot: Spot) -> Iterator[Spot]:
    yield spot
    for inner in spot.inside:
        yield from _walk(inner)
