"""The layer of a culprit as Keras has it: scopes in a graph have numbers behind them that change with each trace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from bisect_convert.model.loaded import Loaded
from bisect_convert.report.findings import Culprit, Finding

__all__ = ["in_keras_terms", "keras_layer"]

_NUMBER = re.compile(r"_\d+$")


def in_keras_terms(finding: Finding, loaded: Loaded) -> Finding:
    """Return the finding with the layers of its culprits as the Keras model calls them, where that is certain."""
    if not loaded.layers:
        return finding
    return replace(finding, culprits=tuple(_named(c, loaded) for c in finding.culprits))


def keras_layer(scope: str, layers: Mapping[str, str], *, exact: bool = False) -> str | None:
    """Return the innermost layer that the scope is of, with those around it; None where two could be meant.

    layers: name -> class; exact: no trace put a number behind the scope.

    >>> layers = {"hue_fix": "HueJitterFix", "dense": "Dense", "dense_1": "Dense"}
    >>> keras_layer("shopnet_1/hue_fix_1", layers), keras_layer("shopnet_1/dense_1", layers)
    ('hue_fix', None)
    """
    found: list[str] = []
    for part in scope.split("/"):
        meant = {name for name in ((part,) if exact else (part, _NUMBER.sub("", part))) if name in layers}
        if len(meant) > 1:
            return None
        found += meant
    return "/".join(found) or None


def _named(culprit: Culprit, loaded: Loaded) -> Culprit:
    name = keras_layer(culprit.layer or "", loaded.layers, exact=loaded.exact)
    if name is None:
        return culprit
    kind, _, arguments = loaded.layers[name.rpartition("/")[2]].partition("(")
    return replace(culprit, keras_layer=name, keras_class=kind, keras_arguments=arguments.removesuffix(")") or None)
