"""Shared by the layers that sum products of float32: TFLM adds them up one after the other, and so does mcusim.

The order is that of TFLM's reference kernels, each product and each sum rounded to float32. A processor with fused
multiply-adds, whose compiler may use them, rounds less often: the last bits of a float network are those of the build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mcusim.errors import ModelError
from mcusim.graph import Activation, DType
from mcusim.ops.registry import Call, Numerics
from mcusim.ops.shared.accumulators import constant_of, unsupported
from mcusim.ops.shared.arithmetic import float_limits
from mcusim.region import Window

__all__ = ["FloatSums", "are_floats", "prepare_float_sums", "refuse_other_orders"]


@dataclass(frozen=True, slots=True, eq=False)
class FloatSums:
    """What the kernels trust.

    weights: float32, as stored.   bias: (channels,), float32, or None.   lowest, highest: of the fused activation.
    windows: along rows and columns, of the layers that have them.
    """

    weights: NDArray[Any]
    bias: NDArray[Any] | None
    lowest: float
    highest: float
    windows: tuple[Window, Window] | None = None


def are_floats(call: Call, *indices: int) -> bool:
    """Whether these inputs and the output are all float32."""
    return all(call.input(index).dtype is DType.FLOAT32 for index in indices) and call.outputs[0].dtype is DType.FLOAT32


def refuse_other_orders(call: Call) -> None:
    """Raise ModelError unless the execution follows TFLM: who else adds in which order is not known."""
    if call.numerics is not Numerics.TFLM:
        raise unsupported(call, f"float32 under the numerics of {call.numerics}")


def prepare_float_sums(
    call: Call,
    *,
    activation: Activation,
    channel_axis: int,
    indices: tuple[int, int, int] = (0, 1, 2),
    windows: tuple[Window, Window] | None = None,
) -> FloatSums:
    """What a layer of float32 with constant weights needs. Raises ModelError where types and shapes do not go together.

    channel_axis: of the weights, along which output channels lie.   indices: of input, weights and bias.
    """
    refuse_other_orders(call)
    weights, bias = constant_of(call, indices[1]), None
    if call.signature.has(indices[2]):
        if call.input(indices[2]).dtype is not DType.FLOAT32:
            raise unsupported(call, f"float32 with a bias of {call.input(indices[2]).dtype}")
        bias, channels = constant_of(call, indices[2]).reshape(-1), weights.shape[channel_axis]
        if bias.size != channels:
            what = f"the bias has {bias.size} elements for {channels} channels"
            raise ModelError(what, where=call.where, fix="export the model again")
    return FloatSums(weights, bias, *float_limits(activation), windows)
