"""Drawings of small DAGs: lines of text for a terminal, SVG for pages and notebooks."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from html import escape
from itertools import pairwise

from bisect_convert.render.lanes import lanes
from bisect_convert.render.layout import lay_out
from bisect_convert.render.names import harmless, shorten, unwrapped
from bisect_convert.render.picture import Node, Picture, of_witness
from bisect_convert.report.findings import Culprit, Witness

__all__ = ["STYLE", "lines", "svg", "svg_of"]

_HEIGHT = 46.0
_MARGIN = 16.0
_ROOM = 40
#: A culprit's name in a drawing of text; the text beside has it whole.
_LONGEST = 120
#: The last of a path where it leads straight down.
_STRAIGHT = re.compile(r"V-?\d+$")
#: Wider pictures do not fit beside a text.
_WIDE = 860

#: The colours of a drawing, light and dark; a page that holds several needs them once.
STYLE = """
.bc-svg{--bc-paper:#fff;--bc-ink:#1f2328;--bc-dim:#667085;--bc-box:#f6f7f9;--bc-rim:#c9ced6;--bc-line:#98a2b3;
--bc-good:#75b798;--bc-bad:#c4320a;--bc-bad-box:#fff1eb;--bc-io:#eef4ff;--bc-io-rim:#b2ccff;max-width:100%;height:auto}
@media(prefers-color-scheme:dark){.bc-svg{--bc-paper:#181b20;--bc-ink:#e6e8eb;--bc-dim:#98a2b3;--bc-box:#23272e;
--bc-rim:#414954;--bc-line:#667085;--bc-good:#3f7f60;--bc-bad:#ff8f66;--bc-bad-box:#3a2119;--bc-io:#1b2740;--bc-io-rim:#34558b}}
.bc-paper{fill:var(--bc-paper)}
.bc-box rect{fill:var(--bc-box);stroke:var(--bc-rim)}
.bc-box.bc-input rect,.bc-box.bc-output rect{fill:var(--bc-io);stroke:var(--bc-io-rim)}
.bc-box.bc-gap rect{fill:none;stroke:var(--bc-rim);stroke-dasharray:3 4}
.bc-box.bc-ok rect{stroke:var(--bc-good)}
.bc-box.bc-witness rect{stroke:var(--bc-bad);stroke-dasharray:7 4}
.bc-box.bc-unknown rect{stroke-dasharray:2 4}
a .bc-t{text-decoration:underline dotted;text-underline-offset:3px}
.bc-box.bc-bad rect{fill:var(--bc-bad-box);stroke:var(--bc-bad);stroke-width:2}
.bc-box .bc-tag{fill:var(--bc-bad)!important;stroke:none!important}
.bc-tag-text{font:600 9.5px system-ui,sans-serif;fill:var(--bc-paper);text-anchor:middle;letter-spacing:.03em}
.bc-t{font:600 12.5px system-ui,sans-serif;fill:var(--bc-ink);text-anchor:middle}
.bc-bad .bc-t{fill:var(--bc-bad)}
.bc-n{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:var(--bc-dim);text-anchor:middle}
.bc-e{fill:none;stroke:var(--bc-line);stroke-width:1.4}
.bc-h{fill:var(--bc-line)}
"""


def svg(
    witness: Witness, culprits: Sequence[Culprit], *, limit: int = 60, holding: Collection[str] = ()
) -> str:  # fmt: skip
    """Return a picture of the witness, culprits marked, as one SVG element that needs nothing else."""
    return svg_of(of_witness(witness, culprits, limit=limit, holding=holding), "the smallest failing section")


def svg_of(picture: Picture, label: str, *, style: bool = True) -> str:
    """Return the picture as a well-formed SVG element; `style` False leaves the colours to the page (see `STYLE`)."""
    widths = {n.key: _width(n) for n in picture.nodes}
    layout = lay_out(picture.graph, widths)
    width, height = layout.width + 2 * _MARGIN, layout.height + _HEIGHT + 2 * _MARGIN
    arrows = [_arrow([(x + _MARGIN, y + _MARGIN + _HEIGHT / 2) for x, y in r]) for r in layout.routes.values()]
    shafts, heads = [shaft for shaft, _ in arrows], [head for _, head in arrows]
    boxes = []
    for node in picture.nodes:
        x, y = layout.centres[node.key]
        boxes.append(_box(node, x + _MARGIN - widths[node.key] / 2, y + _MARGIN, widths[node.key]))
    wide = " bc-wide" * (width > _WIDE)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" class="bc-svg{wide}" role="img" aria-label="{escape(harmless(label))}"'
        f' width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
        f' style="min-width:{0.55 * width:.0f}px">',
        *([f"<style>{escape(STYLE, quote=False)}</style>"] if style else []),
        f'<rect class="bc-paper" width="{width:.0f}" height="{height:.0f}" rx="8"/>',
        *(f'<path class="bc-{kind}" d="{"".join(drawn)}"/>' for kind, drawn in (("e", shafts), ("h", heads)) if drawn),
        *boxes,
        "</svg>",
    ])  # fmt: skip


def lines(picture: Picture, *, width: int = 100) -> list[str]:
    """Return the picture as lines of text; names are shortened to fit `width`, those of culprits only where very long."""
    rows = lanes(picture)
    margin = max((len(drawn) for drawn, _ in rows), default=0)
    titles = max((len(_text_title(n)) for n in picture.nodes), default=0)
    drawing = []
    for drawn, node in rows:
        if node is None:
            drawing.append(drawn)
            continue
        mark = f"  <-- {node.mark}" if node.mark else ""
        lead = f"{drawn.ljust(margin)}  {_text_title(node).ljust(min(titles, 32))}  "
        name = (
            shorten(node.name, max(width, _LONGEST))
            if node.blamed
            else shorten(unwrapped(node.name), max(width - len(lead), 12))
        )
        drawing.append((lead + name + mark).rstrip())
    if picture.left_out:
        drawing.append(f"({picture.left_out} more not drawn)")
    return drawing


def _text_title(node: Node) -> str:
    prefix = {"input": "in  ", "output": "out "}.get(node.kind, "")
    return shorten(prefix + node.title, 40)


def _width(node: Node) -> float:
    if node.kind == "gap":
        return 90.0
    tagged = 2 * (_tag_width(node) + 14) - 24 if node.mark else 0.0
    return max(tagged, 7.6 * len(shorten(node.title, _ROOM)), 6.7 * len(_called(node)), 64.0) + 24


def _called(node: Node) -> str:
    return shorten(unwrapped(node.name), _ROOM)


def _tag_width(node: Node) -> float:
    return 6.0 * len(node.mark) + 12


def _box(node: Node, x: float, y: float, width: float) -> str:
    middle = x + width / 2
    round_ = _HEIGHT / 2 if node.kind in ("input", "output") else 7
    classes = f"bc-box bc-{node.verdict or node.kind}{' bc-bad' if node.blamed else ''}"
    title, name = escape(shorten(node.title, _ROOM)), escape(_called(node))
    rows = [(title, "bc-t"), (name, "bc-n")]
    rows = [row for row in rows if row[0]]
    first = y + (_HEIGHT / 2 + 4 if len(rows) == 1 else 20)
    texts = "".join(
        f'<text class="{kind}" x="{_short(middle)}" y="{_short(first + 16 * i)}">{text}</text>'
        for i, (text, kind) in enumerate(rows)
    )
    tag = ""
    if node.mark:
        size = _tag_width(node)
        tag = (
            f'<rect class="bc-tag" x="{_short(x + width - size - 8)}" y="{_short(y - 8)}" width="{_short(size)}"'
            ' height="15" rx="7"/>'
            f'<text class="bc-tag-text" x="{_short(x + width - size / 2 - 8)}" y="{_short(y + 2.8)}">{escape(node.mark)}</text>'
        )
    short = node.verdict and max(len(node.title), len(node.name)) <= _ROOM  # of a map, which has many boxes
    whole = "" if short else f"<title>{escape(harmless(f'{node.title} {node.name}'.strip()))}</title>"
    box = (
        f'<g class="{classes}">{whole}<rect x="{_short(x)}" y="{_short(y)}" width="{_short(width)}"'
        f' height="{_HEIGHT:.0f}" rx="{round_:.0f}"/>{texts}{tag}</g>'
    )
    return f'<a href="{escape(node.link)}">{box}</a>' if node.link else box


def _arrow(points: Sequence[tuple[float, float]]) -> tuple[str, str]:
    """Return line and head of a smooth arrow from below the first box to above the last, through the points between."""
    (x0, y0), *between, (x1, y1) = points
    stops = [(x0, y0 + _HEIGHT / 2)]
    for x, y in between:
        stops += [(x, y - _HEIGHT / 2), (x, y + _HEIGHT / 2)]
    stops.append((x1, y1 - _HEIGHT / 2 - 6))
    stops = [(round(x), round(y)) for x, y in stops]  # so that what is said from stop to stop adds up
    path = f"M{_short(stops[0][0])} {_short(stops[0][1])}"
    for (xa, ya), (xb, yb) in pairwise(stops):
        if _short(xa) == _short(xb):
            path = f"{_STRAIGHT.sub('', path)}V{_short(yb)}"
        else:
            bend, over, down = _short((yb - ya) / 2), _short(xb - xa), _short(yb - ya)
            path += f"c0 {bend} {over} {bend} {over} {down}"
    x, y = stops[-1]
    head = f"M{_short(x - 4)} {_short(y)}h8l-4 6Z"
    return path, head


def _short(number: float) -> str:
    """The number as a whole one, in as few characters as that takes: a map has thousands."""
    return f"{number:.0f}"
