"""What TFLM's glue to CMSIS-NN asks of a node beyond the reference kernels, where it has a Prepare of its own.

No wheel has these kernels; the lines are those of the public sources.
Where a kernel goes on and computes something else (int8 of five dimensions), so does the line.
Source: tensorflow/tflite-micro 0cc6f98, tensorflow/lite/micro/kernels/cmsis_nn: fully_connected.cc, depthwise_conv.cc,
transpose.cc (TransposeEval drops the error of more than four axes), pad.cc, maximum_minimum.cc,
batch_matmul.cc.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from mcusim.graph import DType, Signature
from mcusim.runtimes.condition_rules import quantised, rank, zero_point
from mcusim.runtimes.conditions import OUT, Conditions, Numbers
from mcusim.runtimes.tflm_conditions import TFLM_CONDITIONS

__all__ = ["CMSIS_NN_CONDITIONS"]

INT8, INT16 = DType.INT8, DType.INT16
_NO_ZERO_POINTS = (zero_point(0, 0, INT16), zero_point(OUT, 0, INT16))


def per_channel_of_int8(numbers: Numbers) -> str:
    """fully_connected.cc: a scale a channel only for int8 activations and int8 weights."""
    source, weights = numbers.operand(0), numbers.operand(1)
    if source is None or weights is None or weights.quantization is None or not weights.quantization.is_per_channel:
        return ""
    if source.dtype is INT8 and weights.dtype is INT8:
        return ""
    return f"input 1 has a scale a channel, which it takes for int8 only, and input 0 is {source.dtype}"


def four_axes(signature: Signature) -> str:
    """transpose.cc, pad.cc, maximum_minimum.cc: of int8, CMSIS-NN is given four axes."""
    source = signature.input(0)
    if source.dtype is not INT8 or len(source.shape) <= 4:
        return ""
    return f"input 0 has rank {len(source.shape)}, and of int8 it handles four axes"


def _of_four_axes(op: str) -> Conditions:
    known = TFLM_CONDITIONS[op]
    return replace(known, shapes=(*known.shapes, four_axes))


_DENSE, _DEPTHWISE = TFLM_CONDITIONS["FULLY_CONNECTED"], TFLM_CONDITIONS["DEPTHWISE_CONV_2D"]

CMSIS_NN_CONDITIONS: Mapping[str, Conditions] = MappingProxyType(
    {
        **TFLM_CONDITIONS,
        "FULLY_CONNECTED": Conditions.of(
            "float32 float32 any? ... > =0 ...",
            "int8 int8|int4 any? ... > =0 ...",
            "int16 int8 any? ... > =0 ...",
            shapes=_DENSE.shapes,
            numbers=(*_DENSE.numbers, per_channel_of_int8, *_NO_ZERO_POINTS),
        ),
        **{op: _of_four_axes(op) for op in ("TRANSPOSE", "PAD", "PADV2", "MAXIMUM", "MINIMUM")},
        "BATCH_MATMUL": replace(TFLM_CONDITIONS["BATCH_MATMUL"], shapes=(rank(0, 2, 4), rank(1, 2, 4))),
        "DEPTHWISE_CONV_2D": Conditions.of(
            "float32 float32 any? > =0",
            "int8 int8|int4 any? > =0",
            "int16 int8 any? > =0",
            shapes=_DEPTHWISE.shapes,
            numbers=(*_DEPTHWISE.numbers, quantised(1, INT16, channels=3), *_NO_ZERO_POINTS),
        ),
    }
)
