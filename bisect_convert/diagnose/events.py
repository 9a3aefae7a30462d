"""What TensorBoard shows of a report, written by a worker: the records are TensorFlow's."""

from __future__ import annotations

import contextlib
from pathlib import Path

from bisect_convert.errors import EnvironmentError_
from bisect_convert.probe.client import Workers
from bisect_convert.render.tensorboard import board_graphs, board_texts
from bisect_convert.report.report import Report
from bisect_convert.worker.request import Events

__all__ = ["events"]

#: Seconds that writing may take.
_LONGEST = 600.0


def events(report: Report, workers: Workers | None = None) -> bytes:
    """Return the contents of an events file with the report's graph and findings; workers: started where none are given.

    Raises EnvironmentError_ where no worker can write it.
    """
    with contextlib.ExitStack() as ended:
        if workers is None:
            workers = ended.enter_context(Workers())
        place = Path(workers.folder) / "events"
        told = Events(str(place), tuple(board_graphs(report)), tuple(board_texts(report)), timeout=_LONGEST)
        answer = workers.insist(told)
        if "out" not in answer:
            raise EnvironmentError_(f"the process that writes events ended ({answer.get('death', 'memory')})")
        return place.read_bytes()
