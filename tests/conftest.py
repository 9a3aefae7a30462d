"""What tests share: one conversion server for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bisect_convert.probe.client import Workers


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Workers that are started once for the whole run."""
    with Workers() as started:
        yield started


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with nothing kept from earlier runs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
