"""Lines over logarithmic axes as an SVG that needs nothing to be drawn or shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Panel", "svg"]

_COLOURS = ("#c0392b", "#2c6fbb", "#3a8f4d", "#888888")
_WIDE, _HIGH, _LEFT, _TOP, _RIGHT, _BOTTOM = 440, 320, 56, 34, 26, 46
_STYLE = (
    "text{font:12px sans-serif;fill:#444}.t{font-size:13px;font-weight:bold}.g{stroke:#ddd}.l{fill:none;stroke-width:2}"
)


@dataclass(frozen=True)
class Panel:
    """One plot: lines by their names, each a sequence of points (x, y), both above 0."""

    title: str
    across: str
    up: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


def svg(panels: Sequence[Panel]) -> str:
    """The panels beside each other, and below them, once, which line is which."""
    drawn = "".join(f'<g transform="translate({n * _WIDE},0)">{_drawn(p)}</g>\n' for n, p in enumerate(panels))
    for number, (name, colour) in enumerate(zip(panels[0].lines, _COLOURS, strict=False)):
        x = _LEFT + 200 * number
        drawn += f'<rect x="{x}" y="{_HIGH}" width="10" height="10" fill="{colour}"/>'
        drawn += f'<text x="{x + 16}" y="{_HIGH + 10}">{name}</text>\n'
    size = f'width="{_WIDE * len(panels)}" height="{_HIGH + 24}"'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}</style>{ground}\n{drawn}</svg>\n'


def _drawn(panel: Panel) -> str:
    across = _Axis([x for line in panel.lines.values() for x, _ in line], _LEFT, _WIDE - _RIGHT)
    up = _Axis([y for line in panel.lines.values() for _, y in line], _HIGH - _BOTTOM, _TOP)
    parts = [f'<text class="t" x="{_LEFT}" y="16">{panel.title}</text>']
    for tick in across.ticks():
        x = across.at(tick)
        parts.append(f'<line class="g" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_HIGH - _BOTTOM}"/>')
        parts.append(f'<text x="{x}" y="{_HIGH - _BOTTOM + 16}" text-anchor="middle">{tick:,}</text>')
    for tick in up.ticks():
        y = up.at(tick)
        parts.append(f'<line class="g" x1="{_LEFT}" x2="{_WIDE - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:,}</text>')
    parts.append(f'<text x="{(_LEFT + _WIDE) / 2}" y="{_HIGH - 10}" text-anchor="middle">{panel.across}</text>')
    parts.append(f'<text x="4" y="{_TOP - 6}">{panel.up}</text>')
    for line, colour in zip(panel.lines.values(), _COLOURS, strict=False):
        points = [(across.at(x), up.at(y)) for x, y in line]
        parts.append(f'<polyline class="l" stroke="{colour}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points]
    return "\n".join(parts)


class _Axis:
    """From values to places between `start` and `end`, from one power of ten to another."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low, self.high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        self.start, self.end = start, end

    def ticks(self) -> list[int]:
        return [10**n for n in range(self.low, self.high + 1)]

    def at(self, value: float) -> float:
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)
