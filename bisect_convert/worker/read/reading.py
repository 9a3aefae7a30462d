"""What a model is read for: whose it is, what its caller said, and what has been found out on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bisect_convert.model.facts import Handed, Variant
from bisect_convert.model.outcome import Outcome
from bisect_convert.report.fix import State

__all__ = ["Left", "Reading"]


@dataclass(frozen=True)
class Left:
    """What is known of the large weights of a graph that was frozen with stand-ins for them.

    digest: of their true values; variables: constants that are stand-ins -> their keys in the checkpoint; true: constants
    that have their true values; files: the model's own, as in `Unread`; value: of a key, where that is to be had only now.
    """

    digest: str
    variables: Mapping[str, str]
    true: frozenset[str]
    files: tuple[tuple[str, int, int], ...]
    value: Callable[[str], Any] | None = None


@dataclass(frozen=True)
class Reading:
    """What goes into a model's facts beside its graph, and how that is to be taken.

    inputs: packed input types of the caller; outputs: the names that it wants; sources: op name -> "file:line"; define:
    let the GraphDef's own functions count as known to TensorFlow, as they are to be where it comes from a file;
    layers: of a Keras model, name -> class; named: the layers that variables are called after; state: variables that are
    inputs and outputs; no_run: execute nothing of the graph; allow_code: run code in the model's file; left: where it was
    frozen without its large weights.
    """

    path: str = ""
    signature: str | None = None
    signatures: tuple[str, ...] = ()
    inputs: tuple[Mapping[str, Any], ...] = ()
    outputs: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    define: bool = False
    no_run: bool = False
    allow_code: bool = False
    handed: Handed = Handed()
    failure: Outcome | None = None
    variants: tuple[Variant, ...] = ()
    large: Mapping[str, str] = field(default_factory=dict)
    blamed: tuple[tuple[str, str], ...] | None = None
    layers: Mapping[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    left: Left | None = None
    state: tuple[State, ...] = ()
