"""Errors that a user can cause and correction.

    BisectConvertError
    ├── UsageError          an argument that cannot be honoured (exit 2)
    │   └── ModelError      a model that cannot be read (exit 2)
    ├── EnvironmentError_   tensorflow or coremltools is missing, too old, or not as expected (exit 2)
    └── Stopped             the run was interrupted; `report` holds what is known so far (exit 3)

A failing *conversion* is no error: it is an `Outcome` (see `verdict`).
"""

from __future__ import annotations

from typing import Any

__all__ = ["BisectConvertError", "EnvironmentError_", "ModelError", "Stopped", "UsageError"]


class BisectConvertError(Exception):
    """Base of all errors whose message is one line: what is wrong, and what to do next."""


class UsageError(BisectConvertError):
    """An argument that cannot be honoured."""


class ModelError(UsageError):
    """A model that cannot be read."""


class EnvironmentError_(BisectConvertError):
    """The installed tensorflow or coremltools cannot be used."""


class Stopped(BisectConvertError):
    """The run was stopped; `report` is what was known by then, or None."""

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report
