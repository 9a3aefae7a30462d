"""Find the ops that keep a TensorFlow model from converting to Core ML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bisect_convert.diagnose.compare import compare
    from bisect_convert.diagnose.find import find
    from bisect_convert.evaluator.evaluation import evaluate
    from bisect_convert.fix.convert import NotConverted, convert
    from bisect_convert.report.report import Report
    from bisect_convert.session.section import Section
    from bisect_convert.session.session import Session

__version__ = "0.1.0"
__all__ = ["NotConverted", "Report", "Section", "Session", "__version__", "compare", "convert", "evaluate", "find"]

_HOMES = {
    "compare": "bisect_convert.diagnose.compare",
    "evaluate": "bisect_convert.evaluator.evaluation",
    "NotConverted": "bisect_convert.fix.convert",
    "convert": "bisect_convert.fix.convert",
    "find": "bisect_convert.diagnose.find",
    "Report": "bisect_convert.report.report",
    "Section": "bisect_convert.session.section",
    "Session": "bisect_convert.session.session",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the command's help and pytest's start need none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
