"""recurrent of the MIL reference: sequences first, then batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bisect_convert.evaluator.kernels import Inputs, kernel

__all__: list[str] = []


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * x))


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "sigmoid_hard": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "scaled_tanh": lambda x: 1.7159 * np.tanh(2 / 3 * x),
}


def _steps(x: Any, direction: str) -> Any:
    return x[::-1] if direction == "reverse" else x


def _sequence(i: Inputs, outputs: list[Any], direction: str) -> Any:
    """All hidden states in the order of their inputs, or the last one."""
    if not bool(i.output_sequence):
        return outputs[-1][None]
    return np.stack(outputs[::-1] if direction == "reverse" else outputs)


@kernel("rnn")
def _rnn(i: Inputs) -> Any:
    """recurrent.rnn"""
    act, direction = _ACTIVATIONS[i.word("activation", "tanh")], i.word("direction", "forward")
    h, outputs = i.initial_h, []
    for x in _steps(i.x, direction):
        h = act(x @ i.weight_ih.T + h @ i.weight_hh.T + (0 if i.bias is None else i.bias))
        outputs.append(h)
    return _sequence(i, outputs, direction), h


@kernel("gru")
def _gru(i: Inputs) -> Any:
    """recurrent.gru: gates in the order reset, output, update"""
    gate, act = _ACTIVATIONS[i.word("recurrent_activation", "sigmoid")], _ACTIVATIONS[i.word("activation", "tanh")]
    direction = i.word("direction", "forward")
    after = i.reset_after is None or bool(i.reset_after)
    hidden = np.zeros(i.weight_hh.shape[0], np.float32) if i.bias is None else i.bias
    entering = 0 if i.input_bias is None else i.input_bias
    _, of_output, _ = np.split(i.weight_hh, 3)
    h, outputs = i.initial_h, []
    for x in _steps(i.x, direction):
        x_r, x_o, x_z = np.split(x @ i.weight_ih.T + entering, 3, axis=-1)
        h_r, h_o, h_z = np.split(h @ i.weight_hh.T + hidden, 3, axis=-1)
        r, z = gate(x_r + h_r), gate(x_z + h_z)
        inner = r * h_o if after else (r * h) @ of_output.T + np.split(hidden, 3)[1]
        h = (1 - z) * act(x_o + inner) + z * h
        outputs.append(h)
    return _sequence(i, outputs, direction), h


@kernel("lstm")
def _lstm(i: Inputs) -> Any:
    """recurrent.lstm: gates in the order input, forget, output, cell"""
    direction = i.word("direction", "forward")
    if direction != "bidirectional":
        return _one_way(i, i.initial_h, i.initial_c, direction, "")
    (h_a, h_b), (c_a, c_b) = np.split(i.initial_h, 2, axis=-1), np.split(i.initial_c, 2, axis=-1)
    forth, back = _one_way(i, h_a, c_a, "forward", ""), _one_way(i, h_b, c_b, "reverse", "_back")
    return tuple(np.concatenate(pair, axis=-1) for pair in zip(forth, back, strict=True))


def _one_way(i: Inputs, h: Any, c: Any, direction: str, side: str) -> tuple[Any, Any, Any]:
    weight_ih, weight_hh = i.values["weight_ih" + side], i.values["weight_hh" + side]
    bias, peephole = i.values.get("bias" + side), i.values.get("peephole" + side)
    gate, cell, act = (
        _ACTIVATIONS[i.word(name, default)]
        for name, default in (("recurrent_activation", "sigmoid"), ("cell_activation", "tanh"), ("activation", "tanh"))
    )
    p_i, p_f, p_o = (0, 0, 0) if peephole is None else np.split(peephole, 3)
    outputs = []
    for x in _steps(i.x, direction):
        all_gates = x @ weight_ih.T + h @ weight_hh.T + (0 if bias is None else bias)
        g_i, g_f, g_o, g_z = np.split(all_gates, 4, axis=-1)
        z = cell(g_z)
        if i.clip is not None:
            z = np.clip(z, -i.clip, i.clip)
        c_before = c
        c = gate(g_f + p_f * c_before) * c_before + gate(g_i + p_i * c_before) * z
        h = gate(g_o + p_o * c) * act(c)
        outputs.append(h)
    return _sequence(i, outputs, direction), h, c
