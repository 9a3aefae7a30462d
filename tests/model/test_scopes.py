"""Names of layers as the model has them, whatever number a trace puts behind them."""

from __future__ import annotations

import pytest

from bisect_convert.model.scopes import as_the_model_has_them


@pytest.mark.parametrize(
    ("layers", "known"),
    [
        (["sh", "c_sh", "sh_1", "c_sh_1", "sh_1_1", "c_sh_1_1"], {"c_sh", "c_sh_1", "c_sh_1_1"}),
        (["a", "b"], {"a", "b"}),
    ],
)
def test_each_layer_is_found_though_the_number_of_each_is_its_own(layers: list[str], known: set[str]) -> None:
    numbers = [1 if "_1" not in layer.removeprefix("c_") else 2 for layer in layers]
    scopes = {f"net_1/{layer}_{n}": f"net/{layer}" for layer, n in zip(layers, numbers, strict=True)}
    assert as_the_model_has_them(scopes, known) == scopes


@pytest.mark.parametrize(
    ("scopes", "known"),
    [
        (
            ["net_1/c_1", "net_1/c_1_2", "net_1/head"],
            {"c", "c_1"},
        ),  # a sibling without a number: no trace made them all
        (["net/block_1", "net/block_2"], {"block_1", "block_2"}),
        (["net/x_1", "net/x_2"], {"x"}),  # one layer that is called twice
    ],
)
def test_what_is_not_certain_stays_as_it_is(scopes: list[str], known: set[str]) -> None:
    assert as_the_model_has_them(scopes, known) == {}
