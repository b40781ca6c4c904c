"""SignalDelay: a stream of samples, so many later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, DType, Shape, Signature, TensorType, tensor_type
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_types, mismatch, signal
from mcusim.ops.shared.operands import operand

__all__ = ["SIGNAL_DELAY", "SignalDelayAttributes"]

MOST = 1 << 24
"""Samples of delay, far beyond what a microcontroller holds."""


@dataclass(frozen=True, slots=True)
class SignalDelayAttributes(CustomAttributes):
    """delay_length: in samples."""

    delay_length: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return (operand("SignalDelay", inputs, 0).shape,)


def _remembers(call: Signature) -> tuple[TensorType, ...]:
    """The samples that are to come out."""
    kind = call.input(0)
    length = attributes_of(call, SignalDelayAttributes).delay_length
    return (tensor_type((kind.elements // kind.channels, length), DType.INT16),)


def _prepare(call: Call) -> None:
    """Source: TFLM signal, delay.cc."""
    check_types(call, ((DType.INT16,), (DType.INT16,)))
    length = attributes_of(call.signature, SignalDelayAttributes).delay_length
    if not call.input(0).shape or not 0 <= length <= MOST:
        raise mismatch(call, f"{call.input(0).shape} samples cannot be delayed by {length}")


SIGNAL_DELAY = register(
    signal(
        "SignalDelay",
        "a stream of samples, so many later",
        _infer,
        _prepare,
        kernel="signal_delay",
        attributes=SignalDelayAttributes,
        remembers=_remembers,
    )
)
