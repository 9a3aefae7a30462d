"""One request done in a worker process: what each kind of request comes to."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bisect_convert.errors import BisectConvertError
from bisect_convert.worker import request as requests

__all__ = ["lent", "work"]

#: Seconds from which on a request has likely left a model's worth of memory behind.
_LONG = 2.0


def work(data: Mapping[str, Any], mark: str | None = None) -> dict[str, Any]:
    """Do a request, as JSON data, and return the answer; a fault of the request is an answer with "error".

    mark: a file for this process's id, beside which a probe says how far it has come; the process is one of ours then.
    """
    if mark is not None:
        Path(mark).write_text(str(os.getpid()))
    began = time.monotonic()
    try:
        answer = _done(requests.from_json(data), mark)
    except SystemExit as left:
        return {"death": f"exit {left.code or 0}"}
    except BisectConvertError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except MemoryError:
        return {"memory": True}
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        return {"error": "EnvironmentError_", "message": f"the model cannot be worked on: {error.strerror}{place}"}
    if mark is not None and time.monotonic() - began > _LONG:
        from bisect_convert.worker.process import give_back

        give_back()
    return answer


def lent(data: Mapping[str, Any]) -> dict[str, Any]:
    """Do a request as `work` does, in a process of somebody else's, which is afterwards as it was."""
    from bisect_convert.worker import process

    try:
        with process.as_it_was():
            return work(data)
    except BisectConvertError as error:  # packages that cannot be used
        return {"error": type(error).__name__, "message": str(error)}


def _done(request: requests.Request, mark: str | None) -> dict[str, Any]:
    """The answer; what needs tensorflow is imported here, where it is needed."""
    from bisect_convert.worker import imports, preload

    known = preload.versions()
    if isinstance(request, requests.Ready):
        return known
    imports.import_wanted()
    from bisect_convert.worker import events, execution, unpacking
    from bisect_convert.worker.read import opening, rereading

    match request:
        case requests.Check():
            return unpacking.checked(request.options)
        case requests.Passes():
            return {"pipeline": unpacking.default_pipeline()}
        case requests.Load():
            return opening.read_model(request)
        case requests.Weights():
            rereading.write_weights(Path(request.folder))
            return {}
        case requests.Run():
            return execution.run(request)
        case requests.Save():
            return execution.save(request)
        case requests.Events():
            return events.write(request)
    try:
        return _converted(request, mark)
    finally:
        if mark is not None:  # our folder for temporary files; coremltools keeps its own until its process ends
            for left in Path(tempfile.gettempdir()).glob("*.mlpackage"):
                shutil.rmtree(left, ignore_errors=True)


def _converted(request: requests.Request, mark: str | None) -> dict[str, Any]:
    """The answer to what is converted for."""
    from bisect_convert.worker import conversion, fixing, structure, timing
    from bisect_convert.worker.numbers.check import check

    match request:
        case requests.Carve():
            return {"carved": conversion.write_section(request)}
        case requests.Compare():
            return conversion.compare_section(request)
        case requests.Numbers():
            return {"numbers": check(request)}
        case requests.Time():
            return {"times": timing.times(request)}
        case requests.Probe():
            return {"outcome": conversion.probe(request, mark)}
        case requests.Fix():
            return {"fix": fixing.fix(request)}
        case requests.Same():
            return {"same": structure.same_program(request.path, request.structure)}
    raise TypeError(type(request).__name__)
