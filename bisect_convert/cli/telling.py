"""What the command says on standard error while it searches: a line for each probe, or a moving one, and what was found."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bisect_convert.report.findings import Finding
    from bisect_convert.report.questions import Probe

__all__ = ["Telling", "one_line", "telling"]


@dataclass(frozen=True)
class Telling:
    """Who hears what is being done, of each probe, and of each finding."""

    doing: Callable[[str], None] = lambda what: None
    probe: Callable[[Probe], None] = lambda probe: None
    found: Callable[[Finding], None] = lambda finding: None


def one_line(message: str) -> str:
    """Return the message as the line that the command says: nothing in it moves a terminal."""
    return "bisect-convert: " + "".join(c if c.isprintable() else " " for c in message)


@contextlib.contextmanager
def telling(arguments: argparse.Namespace, say: Callable[[str], None]) -> Iterator[Telling]:
    """Give what hears of the search: a line for each probe with --verbose, else a moving one on a terminal.

    There each finding is said at once, if the report comes to the same terminal as text.
    """
    looked_at = sys.stderr.isatty() and not arguments.quiet
    if not arguments.verbose and not looked_at:
        yield Telling()
        return
    from bisect_convert.session.progress import Progress, said

    at_once = looked_at and sys.stdout.isatty() and arguments.format == "text"
    if arguments.verbose:
        yield Telling(probe=said(say), found=_found(say) if at_once else Telling.found)
        return
    with Progress(doing="starting TensorFlow") as progress:
        above = _found(lambda message: progress.say(one_line(message)))
        yield Telling(progress.doing, progress.told, above if at_once else Telling.found)


def _found(say: Callable[[str], None]) -> Callable[[Finding], None]:
    from bisect_convert.render.found_line import found_line

    return lambda finding: say(f"found: {found_line(finding)}")
