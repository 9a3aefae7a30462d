"""A release that renames a private part, or a name that tracebacks are read by, says so in one line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from bisect_convert import find
from bisect_convert.errors import EnvironmentError_
from bisect_convert.probe.client import Workers
from bisect_convert.worker import private_api
from bisect_convert.worker.private_api import frames, parts


def test_all_parts_are_where_they_were() -> None:
    private_api.check()


@pytest.mark.parametrize(("owner", "name"), parts.NEEDED, ids=lambda part: getattr(part, "__name__", str(part)))
def test_a_part_that_is_gone_is_named(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "NEEDED", ((SimpleNamespace(__name__="Here"), name),))
    with pytest.raises(EnvironmentError_, match=rf"^coremltools \S+ with tensorflow \S+ has no Here\.{name}: install "):
        private_api.check()


@pytest.mark.parametrize(("owner", "name", "local"), frames.READ, ids=lambda part: getattr(part, "__name__", str(part)))
def test_a_function_or_a_local_that_tracebacks_are_read_by_is_named_where_it_is_gone(
    owner: Any, name: str, local: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renamed() -> None: ...

    monkeypatch.setattr(owner, name, renamed)
    gone = f"{name}: {local}" if local else None
    monkeypatch.delattr(owner, name) if gone is None else None
    with pytest.raises(EnvironmentError_, match=gone or name):
        private_api.check()


def test_it_is_checked_too_where_a_model_in_memory_is_read(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "NEEDED", ((SimpleNamespace(__name__="Here"), "gone"),))
    with pytest.raises(EnvironmentError_, match="has no Here.gone"):
        find(tf.function(lambda x: x + 1.0, input_signature=[tf.TensorSpec((1, 2))]), workers=workers)
