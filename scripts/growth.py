"""How the time grows with a model's ops and with the places where it does not convert, beside a bare script."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmark_models import build_in
from line_plot import Panel, svg
from processes import bare, ours, run, seconds_until

__all__ = ["measure"]

#: The ops of the models with one place; of those with several places, and how many these are.
_SIZES = (100, 1_000, 12_000, 100_000)
_OPS, _PLACES = 2_000, (1, 10, 50, 200)


@dataclass(frozen=True)
class Row:
    """What one model took, in seconds: the bare script, a conversion of it that succeeds, our first finding, and us."""

    ops: int
    places: int
    bare: float
    succeeding: float
    first: float
    ours: float


def measure(most: int, drawing: Path) -> None:
    """Print a table of models of 100 to `most` ops, and draw it."""
    started, rows = time.monotonic(), []
    print(f"{'ops':>8}{'places':>8}{'bare script':>13}{'succeeds':>10}{'first finding':>15}{'bisect-convert':>16}")
    models = [*((ops, 1) for ops in _SIZES if ops <= most), *((_OPS, places) for places in _PLACES)]
    for ops, places in models:
        rows.append(row := _measured(ops, places))
        print(
            f"{row.ops:8,}{row.places:8}{row.bare:11.1f} s{row.succeeding:8.1f} s{row.first:13.1f} s{row.ours:14.1f} s",
            flush=True,
        )
    drawing.parent.mkdir(exist_ok=True)
    drawing.write_text(svg(list(_panels(rows))))
    print(f"one run of each, {time.monotonic() - started:.0f} s in all; drawn in {drawing}")


def _measured(ops: int, places: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        failing, whole = f"{ops}-{places}", f"{ops}-0"
        build_in(Path(folder), failing, whole)
        alone = run(bare(Path(folder) / failing)).seconds
        succeeding = run(bare(Path(folder) / whole)).seconds
        first, all_of_it = seconds_until(ours(Path(folder) / failing), "bisect-convert: found: ")
        return Row(ops, places, alone, succeeding, first, all_of_it)


def _panels(rows: list[Row]) -> Iterator[Panel]:
    by_size = [row for row in rows if row.places == 1]
    by_place = [row for row in rows if row.ops == _OPS]
    named = {
        "bisect-convert": lambda row: row.ours,
        "the same, first finding": lambda row: row.first,
        "a conversion that succeeds": lambda row: row.succeeding,
        "the bare script that fails": lambda row: row.bare,
    }
    lines = {
        name: [(row.ops, of(row)) for row in sorted(by_size, key=lambda row: row.ops)] for name, of in named.items()
    }
    yield Panel("one place", "ops", "seconds", lines)
    lines = {name: [(row.places, of(row)) for row in by_place] for name, of in named.items()}
    yield Panel(f"{_OPS:,} ops", "places that do not convert", "seconds", lines)
