"""L2_POOL_2D: root of the mean square of each window; the border is left out."""

from __future__ import annotations

from dataclasses import replace

from mcusim.graph import DType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.accumulators import check_dtypes
from mcusim.ops.shared.arithmetic import float_limits
from mcusim.ops.shared.pooling import Pool2DAttributes, PreparedPool, pool, pool_windows
from mcusim.ops.shared.windows import check_widths

__all__ = ["L2_POOL_2D"]


def _prepare(call: Call) -> PreparedPool:
    """Source: TFLM l2_pool_2d.cc."""
    check_dtypes(call, (DType.FLOAT32, DType.FLOAT32))
    activation = attributes_of(call.signature, Pool2DAttributes).fused_activation_function
    windows = pool_windows(call.signature)
    check_widths(call, windows)
    return PreparedPool(True, *windows, *float_limits(activation))


L2_POOL_2D = register(
    replace(
        pool("L2_POOL_2D", "root of the mean square of each window; the border is left out", is_average=True),
        prepare=_prepare,
        packs=False,
        kernel="l2_pooling",
    )
)
