"""The kernels, by families of the MIL reference; importing this enters them all."""

from __future__ import annotations

from bisect_convert.evaluator.ops import (  # noqa: F401
    activation,
    constexpr,
    control_flow,
    conv,
    elementwise,
    image_resizing,
    linear,
    normalization,
    pool,
    random,
    recurrent,
    reduction,
    resampling,
    scatter_gather,
    states,
    tensor_operation,
    tensor_transformation,
)  # fmt: skip

__all__: list[str] = []
