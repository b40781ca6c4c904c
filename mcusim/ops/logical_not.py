"""LOGICAL_NOT: true where x is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcusim.graph import DType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.accumulators import unsupported
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.lookups import PreparedUnary

__all__ = ["LOGICAL_NOT"]


def _prepare(call: Call) -> PreparedUnary:
    """Source: TFLM elementwise.cc."""
    if not call.input(0).dtype is call.outputs[0].dtype is DType.BOOL:
        raise unsupported(call, f"{call.input(0).dtype} to {call.outputs[0].dtype}")
    return PreparedUnary(np.arange(256) == 0)


LOGICAL_NOT = register(
    replace(unary("LOGICAL_NOT", "true where x is not", options="LogicalNotOptions"), prepare=_prepare, kernel="unary")
)
