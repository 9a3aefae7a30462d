"""The commands of several models on this machine: so many at once, over workers that they share."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from bisect_convert.cli import own_command
from bisect_convert.cli.own_command import Ended
from bisect_convert.probe.shared import SharedWorkers

__all__ = ["Here"]


class Here:
    """Runs commands beside each other; a context manager that ends them all."""

    def __init__(self, arguments: argparse.Namespace, limit: float) -> None:
        self._limit = limit
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(arguments.jobs)
        self._workers = SharedWorkers(arguments.jobs, verbose=arguments.verbose, imports=arguments.imports)

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._workers.__exit__()

    def submit(self, words: Sequence[str], out: Path | None) -> Future[Ended]:
        """Run the command with these words in its turn, and let it write into the folder."""
        return self._pool.submit(self._run, [*words, *([] if out is None else ["--out", str(out)])])

    def stop(self) -> None:
        """End the commands that run, and begin no other; each future is done, or cancelled, when this returns."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, words: Sequence[str]) -> Ended:
        with self._workers.line() as line:
            ended = own_command.run(words, self._limit, self._stop, lent=line.environment, kept=(line.end,))
            shared = line.workers.alive
        if shared or ended.status in (0, 1) or ended.late or ended.stopped:
            return ended
        return own_command.run(words, self._limit, self._stop)  # its workers were ended with those of others
