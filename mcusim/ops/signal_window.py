"""SignalWindow: samples weighted, frame by frame. Inputs: samples, weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_types, mismatch, signal
from mcusim.ops.shared.operands import operand

__all__ = ["SIGNAL_WINDOW", "SignalWindowAttributes"]


@dataclass(frozen=True, slots=True)
class SignalWindowAttributes(CustomAttributes):
    """shift: products are shifted right by so many bits."""

    shift: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return (operand("SignalWindow", inputs, 0).shape,)


def _prepare(call: Call) -> int:
    """The shift.   Source: TFLM signal, window.cc."""
    check_types(call, ((DType.INT16, DType.INT16), (DType.INT16,)))
    shift, weights = attributes_of(call.signature, SignalWindowAttributes).shift, call.input(1)
    frame = weights.shape[0] if len(weights.shape) == 1 else 0
    if frame < 1 or call.input(0).type.elements % frame or not 0 <= shift < 32:
        raise mismatch(call, f"{call.input(0).shape} samples are not made of frames of {weights.shape}")
    return shift


SIGNAL_WINDOW = register(
    signal(
        "SignalWindow",
        "samples weighted, frame by frame",
        _infer,
        _prepare,
        kernel="signal_window",
        attributes=SignalWindowAttributes,
    )
)
