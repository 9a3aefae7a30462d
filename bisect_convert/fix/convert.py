"""`convert`: a drop-in for `ct.convert` that edits what does not convert."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

from bisect_convert.arguments import packing
from bisect_convert.diagnose.find import find_packed
from bisect_convert.diagnose.wishes import Wishes
from bisect_convert.errors import BisectConvertError
from bisect_convert.fix.converted import fixed
from bisect_convert.fix.destination import Destination
from bisect_convert.fix.opened import kept_folder, opened
from bisect_convert.model.files import check_path
from bisect_convert.probe.client import Workers
from bisect_convert.render.fix_words import agreement_line, edit_lines
from bisect_convert.report.report import Report

__all__ = ["NotConverted", "convert"]


class NotConverted(BisectConvertError):
    """The model does not convert, and no edit that is known makes it; `report` is the diagnosis, which is the message."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


def convert(
    model: Any, *, signature: str | None = None, allow_code: bool = False, timeout: float | None = None,
    memory: float | None = None, jobs: int = 1, **convert_kwargs: Any,
) -> Any:  # fmt: skip
    """Return the MLModel that `ct.convert` makes of the model, or makes of it with edits that change none of its results.

    The arguments are those of `ct.convert`, and ours as for `find`. What converts is converted as ever; where edits were
    needed, a warning says which. Raises NotConverted, which prints and carries the report, where nothing known helps.

    >>> mlmodel = convert(model, convert_to="mlprogram")
    >>> type(mlmodel).__name__
    'MLModel'
    """
    import coremltools as ct

    check_path(model, signature)
    if signature is None:
        try:
            return ct.convert(model, **convert_kwargs)
        except Exception as error:  # whatever it is, it is what the diagnosis is of
            first = error
    else:
        first = None
    wishes = Wishes(signature=signature, allow_code=allow_code, timeout=timeout, memory=memory, jobs=jobs)
    packed = packing.pack(convert_kwargs)
    place = Destination(kept_folder() / f"model{_suffix(packed)}")
    with wishes.workers()() as workers:
        report = _fixed(model, packed, wishes, workers, place)
    if report.fix is None or not report.fix.converted:
        raise NotConverted(report) from first
    if report.fix.edits:
        said = [*edit_lines(report.fix), agreement_line(report.fix)]
        warnings.warn("converted, with edits: " + "; ".join(said), stacklevel=2)
    return opened(place.path, skip_model_load=bool(convert_kwargs.get("skip_model_load", False)))


def _suffix(packed: Mapping[str, Any]) -> str:
    return ".mlmodel" if packed.get("convert_to") == "neuralnetwork" else ".mlpackage"


def _fixed(model: Any, packed: Mapping[str, Any], wishes: Wishes, workers: Workers, place: Destination) -> Report:
    return find_packed(model, packed, wishes, workers, fixing=partial(fixed, destination=place))
