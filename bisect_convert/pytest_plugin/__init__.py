"""The pytest plugin: a fixture that asserts conversion, failing conversions bisected, and models as tests.

Loaded by every pytest that finds it, so it imports nothing but pytest: all else is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bisect_convert.pytest_plugin.bisecting import Bisecting

__all__ = ["BISECTING", "assert_converts", "pytest_addoption", "pytest_configure", "pytest_unconfigure"]

#: Where a pytest run keeps its `Bisecting`, once there is one.
BISECTING: pytest.StashKey[Bisecting] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all of them off.

    pytest --bisect-convert --bisect-convert-out reports
    """
    group = parser.getgroup("bisect-convert", "TensorFlow models that do not convert to Core ML")
    add = group.addoption
    add("--bisect-convert", action="store_true", help="bisect each failure that comes out of coremltools.convert")
    add("--bisect-convert-models", metavar="GLOB", action="append", default=[],
        help="test that the models there convert, but for their known failures (bisect-convert.toml)")  # fmt: skip
    add("--bisect-convert-update", action="store_true", help="rewrite the models' known failures, and pass")
    add("--bisect-convert-out", metavar="DIR", help="write the reports there, a folder for each test")
    add("--bisect-convert-no-cache", action="store_true", help="neither read nor keep outcomes in the user's cache")
    parser.addini("bisect_convert_models", "globs of models, from the root folder: each is a test", "args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Register what the options ask for, and nothing where they ask for nothing.

    [pytest]
    bisect_convert_models = models/*
    """
    if config.getoption("bisect_convert"):
        from bisect_convert.pytest_plugin.failures import Failures

        config.pluginmanager.register(Failures(config), "bisect-convert-failures")
    if config.getoption("bisect_convert_models") or config.getini("bisect_convert_models"):
        from bisect_convert.pytest_plugin.models import Models

        config.pluginmanager.register(Models(config), "bisect-convert-models")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no process behind."""
    if (bisecting := config.stash.get(BISECTING, None)) is not None:
        bisecting.close()


@pytest.fixture
def assert_converts(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Assert that a model converts: returns the Report if it does, fails with the report as the message if not.

    Takes what `bisect_convert.find` takes: the arguments of `coremltools.convert`, unchanged, and ours. With `fix=True` it
    returns the MLModel, made with edits that change no result where the model needs them.

        def test_encoder_converts(assert_converts):
            assert_converts("models/encoder", convert_to="mlprogram")
    """

    def check(model: Any, *, fix: bool = False, **convert_kwargs: Any) -> Any:
        __tracebackhide__ = True
        from bisect_convert.pytest_plugin.bisecting import bisecting

        found = bisecting(request.config)
        return (found.fixed if fix else found.check)(request.node, model, convert_kwargs)

    return check
