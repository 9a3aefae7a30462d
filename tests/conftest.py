"""What tests share: one conversion server for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bisect_convert.workers import Workers


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Workers that are started once for the whole run."""
    with Workers() as started:
        yield started
