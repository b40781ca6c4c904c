"""SignalRfft: samples -> frequencies: real and imaginary parts, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.arithmetic.fourier import RealTransform
from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_types, mismatch, signal
from mcusim.ops.shared.operands import operand

__all__ = ["SIGNAL_RFFT", "SignalRfftAttributes"]


@dataclass(frozen=True, slots=True)
class SignalRfftAttributes(CustomAttributes):
    """fft_length: samples of a transform; shorter frames are filled up with zeros."""

    fft_length: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, SignalRfftAttributes)
    return ((*operand("SignalRfft", inputs, 0).shape[:-1], 2 * (attributes.fft_length // 2 + 1)),)


def _prepare(call: Call) -> RealTransform:
    """Source: TFLM signal, rfft.cc."""
    kinds = (DType.INT16, DType.INT32, DType.FLOAT32)
    dtype = check_types(call, *(((kind,), (kind,)) for kind in kinds))[0]
    length, given = attributes_of(call.signature, SignalRfftAttributes).fft_length, call.input(0).shape
    if length < 4 or length % 2 or not given or given[-1] > length:
        raise mismatch(call, f"{given} does not go with a transform of {length} samples")
    transform = RealTransform(length, 0 if dtype is DType.FLOAT32 else dtype.bits)
    if not transform.is_supported:
        raise mismatch(call, f"TFLM cannot transform {length} samples: its half is no product of 2, 3 and 5")
    return transform


SIGNAL_RFFT = register(
    signal(
        "SignalRfft",
        "samples to frequencies",
        _infer,
        _prepare,
        kernel="signal_rfft",
        attributes=SignalRfftAttributes,
    )
)
