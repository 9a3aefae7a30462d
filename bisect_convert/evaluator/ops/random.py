"""random of the MIL reference: some numbers of the distribution, which nothing can be equal to."""

from __future__ import annotations

from typing import Any

import numpy as np

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []


def _random(i: Inputs) -> np.random.Generator:
    seed = -1 if i.seed is None else int(i.seed)
    return np.random.default_rng(seed if seed >= 0 else 0)


def _shape(i: Inputs) -> list[int]:
    return [int(n) for n in np.atleast_1d(i.shape)]


@kernel("random_uniform")
def _random_uniform(i: Inputs) -> Any:
    """random.random_uniform"""
    return _random(i).uniform(i.low, i.high, _shape(i))


@kernel("random_normal")
def _random_normal(i: Inputs) -> Any:
    """random.random_normal"""
    return _random(i).normal(i.mean, i.stddev, _shape(i))


@kernel("random_bernoulli")
def _random_bernoulli(i: Inputs) -> Any:
    """random.random_bernoulli"""
    return _random(i).random(_shape(i)) < i.prob


@kernel("random_categorical")
def _random_categorical(i: Inputs) -> Any:
    """random.random_categorical"""
    x = np.asarray(i.x, np.float64)
    powers = np.exp(x - x.max(axis=-1, keepdims=True)) if i.word("mode", "logits") == "logits" else x
    ends = np.cumsum(powers, axis=-1) / powers.sum(axis=-1, keepdims=True)
    drawn = _random(i).random((*x.shape[:-1], int(i.size), 1))
    return np.minimum((drawn > ends[..., None, :]).sum(axis=-1), x.shape[-1] - 1)
