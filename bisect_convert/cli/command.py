"""The command: arguments in, a report on standard output, an exit status. Imports nothing heavy before it must."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bisect_convert.cli import output_folder
from bisect_convert.cli.options import packed_options, parse
from bisect_convert.cli.paging import paged
from bisect_convert.cli.stopping import end_with_parent, stop_at_signals
from bisect_convert.cli.telling import one_line, telling
from bisect_convert.cli.viewers import Viewers, viewers
from bisect_convert.errors import BisectConvertError, Stopped
from bisect_convert.fix.destination import Destination, destination
from bisect_convert.model.files import check_path

if TYPE_CHECKING:
    from bisect_convert.diagnose.diagnosis import Diagnosis
    from bisect_convert.probe.client import Workers
    from bisect_convert.probe.shared import SharedWorkers
    from bisect_convert.report.fix import Fix
    from bisect_convert.report.report import Report

__all__ = ["hand_over", "main"]

_BAD, _INCONCLUSIVE = 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 converts, 1 findings, 2 bad usage or model, 3 inconclusive."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parse(words)
    if words == ["doctor"] and not os.path.exists("doctor"):
        return _guarded(arguments, _examined)
    end_with_parent()
    if not arguments.watch:
        return _guarded(arguments, lambda: _answered(arguments, words))
    from bisect_convert.cli.watching import watch
    from bisect_convert.probe.shared import SharedWorkers

    if arguments.shell or arguments.step:
        return _fail("--watch asks by itself; leave out --shell and --step")
    with SharedWorkers(arguments.jobs, verbose=arguments.verbose, imports=arguments.imports) as warm:
        ask = partial(_guarded, arguments, lambda: _answered(arguments, words, warm))
        return watch(arguments.models, ask, (lambda line: None) if arguments.quiet else _say)


def _examined() -> int:
    from bisect_convert.cli.doctor import main as examined

    return examined()


def _answered(arguments: argparse.Namespace, words: Sequence[str], warm: SharedWorkers | None = None) -> int:
    """Report on the model, or on all of them; warm: workers for one model that are there already."""
    if arguments.dask or len(arguments.models) > 1 or os.path.isdir(arguments.model):
        from bisect_convert.cli.many import run, several

        if (models := several(arguments.models) or (arguments.models if arguments.dask else None)) is not None:
            return run(models, arguments, words, _say)
    return _run(arguments, warm)


def _guarded(arguments: argparse.Namespace, answer: Callable[[], int]) -> int:
    """Return the exit status of what is done, whatever it raises."""
    try:
        return answer()
    except KeyboardInterrupt:
        _say("stopped while the model was being loaded: nothing is known yet")
        return _INCONCLUSIVE
    except BisectConvertError as error:
        return _fail(str(error))
    except BrokenPipeError:  # whoever read the report has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _INCONCLUSIVE
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except Exception as error:  # ours to mend; the status of findings must not stand for it
        if arguments.verbose:
            raise
        return _fail(f"a fault of bisect-convert itself ({type(error).__name__}: {error}); --verbose shows where")


def _run(arguments: argparse.Namespace, warm: SharedWorkers | None) -> int:
    check_path(arguments.model, arguments.signature)
    with viewers(arguments) as shown:
        return _searched(arguments, shown, warm)


def _searched(arguments: argparse.Namespace, shown: Viewers, warm: SharedWorkers | None) -> int:
    from bisect_convert.probe.client import Workers

    options = packed_options(arguments)
    place = None if arguments.fix is None else destination(arguments.fix, options, overwrite=arguments.overwrite)
    folder = contextlib.nullcontext() if arguments.out is None else output_folder.made(arguments.out)
    if arguments.shell or arguments.step:
        with folder as out:
            return _by_hand(arguments, out, shown)
    from bisect_convert.cli.kept_reports import KeptReport

    kept = KeptReport(arguments, options, _cache(arguments))
    if (known := kept.read()) is not None:
        return hand_over(known, arguments, None)
    stop_at_signals()
    own = contextlib.nullcontext(warm.workers()) if warm is not None else None
    with folder as out, own or Workers(arguments.jobs, verbose=arguments.verbose, imports=arguments.imports) as workers:
        # The workers import tensorflow meanwhile: what we import from here on costs no time.
        from bisect_convert.diagnose.find import find_packed
        from bisect_convert.diagnose.wishes import Wishes

        staged = None if out is None else Path(tempfile.mkdtemp(dir=workers.folder))
        with telling(arguments, _say) as told:
            wishes = Wishes(
                signature=arguments.signature, first=arguments.first, slow=arguments.slow, timeout=arguments.timeout,
                memory=arguments.memory, allow_code=arguments.allow_code, no_run=arguments.no_run, strict=True,
                jobs=arguments.jobs, cache=_cache(arguments), out=staged, numbers=_numbers(arguments),
                tolerance=arguments.tolerance, against=arguments.against, anonymous=arguments.anonymous,
                doing=told.doing, told=told.probe, found=told.found,
            )  # fmt: skip
            try:
                report = find_packed(arguments.model, options, wishes, workers, _fixing(place))
                stopped = False
                kept.keep(report)
            except Stopped as stop:
                report, stopped = stop.report, True
        status = _show(shown, report, hand_over(report, arguments, out, staged), workers)
        return _INCONCLUSIVE if stopped and status != _BAD else status


def _by_hand(arguments: argparse.Namespace, out: Path | None, shown: Viewers) -> int:
    from bisect_convert.cli.prompt import interact
    from bisect_convert.probe.client import imports_wanted

    os.environ.update(imports_wanted(arguments.imports))  # the prompt's own workers see them
    ours = {
        n: getattr(arguments, n) for n in ("signature", "timeout", "memory", "jobs", "allow_code", "no_run", "verbose")
    }
    ours |= {"cache": arguments.cache or False, "out": out}
    report = interact(arguments.model, packed_options(arguments), ours, stepwise=arguments.step)
    return 0 if report is None else _show(shown, report, hand_over(report, arguments, out))


def _fixing(place: Destination | None) -> Callable[[Diagnosis], Fix] | None:
    """What makes the converted model, where one is wanted."""
    if place is None:
        return None
    from bisect_convert.fix.converted import fixed

    return partial(fixed, destination=place)


def _numbers(arguments: argparse.Namespace) -> str | None:
    """What a model that converts is compared on; by itself it is, but where one is timed."""
    if arguments.numbers is None:
        return None if arguments.slow is not None or arguments.no_run else "auto"
    return None if arguments.numbers == "off" else str(arguments.numbers)


def _cache(arguments: argparse.Namespace) -> bool | Path:
    """Where outcomes are kept: the user's own folder, unless another or none is wished."""
    if arguments.no_cache or arguments.imports:  # what a user's code does is no part of an outcome's key
        return False
    return arguments.cache is None or Path(arguments.cache)


def hand_over(report: Report, arguments: argparse.Namespace, out: Path | None, staged: Path | None = None) -> int:
    """Write the files and print the report, even where the files cannot be written; return the exit status."""
    fault = None
    if out is not None:
        try:
            report = output_folder.fill(out, report, staged)
        except OSError as error:
            fault = f"--out {out} cannot be written: {error.strerror or error}"
    _print(report, arguments.format, pager=arguments.pager)
    return report.exit_code if fault is None else _fail(fault)


def _show(shown: Viewers, report: Report, status: int, workers: Workers | None = None) -> int:
    """Write the files for other programs and say how to open them; return the status, or another where that fails."""
    try:
        for line in shown.write(report, workers):
            _say(line)
    except BisectConvertError as error:
        return _fail(str(error))
    return status


def _print(report: Report, format: str, *, pager: bool) -> None:
    from bisect_convert.render import render, text

    out = sys.stdout
    if hasattr(out, "reconfigure"):
        out.reconfigure(errors="backslashreplace", **({} if format == "text" else {"encoding": "utf-8"}))
    if format == "text" and out.isatty():
        color = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        shown = text.text(report, _width(), color)
        if not (pager and paged(shown, out)):
            out.write(shown)
    else:
        out.write(render(report, format))
    out.flush()


def _width() -> int:
    import shutil

    return min(shutil.get_terminal_size((100, 24)).columns, 140)


def _fail(message: str) -> int:
    _say(f"error: {message}")
    return _BAD


def _say(message: str) -> None:
    with contextlib.suppress(OSError):
        print(one_line(message), file=sys.stderr, flush=True)
