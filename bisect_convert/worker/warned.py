"""What the converter warns of, kept: it goes to a log that a probe has nobody to show to."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

__all__ = ["kept_warnings"]

_LOGGER = "coremltools"


class _Kept(logging.Handler):
    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.into = into

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record's text."""
        with contextlib.suppress(Exception):  # a message whose arguments do not fit it
            self.into.append(record.getMessage())


@contextlib.contextmanager
def kept_warnings() -> Iterator[list[str]]:
    """Within, what coremltools logs as a warning, or warns of, comes into the list, and nowhere else."""
    found: list[str] = []
    logger, handler = logging.getLogger(_LOGGER), _Kept(found)
    level, propagate, handlers = logger.level, logger.propagate, logger.handlers
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            yield found
        found += [str(w.message) for w in caught if _LOGGER in w.filename and issubclass(w.category, UserWarning)]
    finally:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
