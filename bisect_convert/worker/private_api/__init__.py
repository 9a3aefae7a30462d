"""Every private part of coremltools and TensorFlow that is leant on: all of them are in this folder.

Imported in workers, and where a model in memory is read: it imports tensorflow and coremltools.
"""

from __future__ import annotations

from typing import Any

import coremltools as ct
import tensorflow as tf
from coremltools.converters.mil.frontend.tensorflow import tf_op_registry
from tensorflow.core.framework import graph_debug_info_pb2
from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2

from bisect_convert.errors import EnvironmentError_
from bisect_convert.worker.private_api import checks, frames, lifting, parts
from bisect_convert.worker.private_api.parts import (
    PASS_REGISTRY,
    AbstractGraphPass,
    FrozenGraph,
    PassPipeline,
    StopAfterFrontend,
    TFConverter,
    body_graph,
    called_flat,
    convert_utils,
    convertible_types,
    define_functions,
    flat_names,
    freeze,
    function_def,
    function_of,
    install,
    installed,
    lowering_by,
    own_context,
    registered,
    reset,
    shared_symbols,
    traced_as_keras,
    watched,
)
from bisect_convert.worker.private_api.saved_function import saved_function
from bisect_convert.worker.private_api.stand_ins import StandIn, freezing_with

__all__ = [
    "PASS_REGISTRY",
    "AbstractGraphPass",
    "FrozenGraph",
    "PassPipeline",
    "StandIn",
    "StopAfterFrontend",
    "TFConverter",
    "body_graph",
    "called_flat",
    "convert_utils",
    "convertible_types",
    "define_functions",
    "freeze",
    "freezing_with",
    "flat_names",
    "function_def",
    "function_of",
    "install",
    "installed",
    "own_context",
    "lowering_by",
    "registered",
    "reset",
    "shared_symbols",
    "traced_as_keras",
    "watched",
    "check",
    "graph_debug_info_pb2",
    "saved_function",
    "saved_model_pb2",
    "trackable_object_graph_pb2",
]

_INSTALL = "install tensorflow>=2.16 and coremltools>=8.3 (known to work: tensorflow 2.21, coremltools 9.0)"


def check() -> None:
    """Raise EnvironmentError_ unless every private part is where it was, and bears the names that tracebacks are read by."""
    needed: list[tuple[Any, str]] = [
        *parts.NEEDED,
        *checks.NEEDED,
        *lifting.NEEDED,
        (tf_op_registry, "_TF_OPS_REGISTRY"),
    ]
    gone = [f"{getattr(owner, '__name__', owner)}.{name}" for owner, name in needed if not hasattr(owner, name)]
    gone += frames.missing()
    if gone:
        raise EnvironmentError_(
            f"coremltools {ct.__version__} with tensorflow {tf.__version__} has no {', '.join(gone[:3])}: {_INSTALL}"
        )
