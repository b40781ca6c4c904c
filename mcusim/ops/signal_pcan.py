"""SignalPCAN: automatic gain of channels by their noise. Inputs: channels, noise, table of gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_ranks, check_types, mismatch, signal
from mcusim.ops.shared.operands import operand

__all__ = ["GAINS", "SIGNAL_PCAN", "SignalPcanAttributes"]

GAINS = 4 * 32 - 3
"""Entries of the table that the largest noise reads: three for each power of two, four apart."""


@dataclass(frozen=True, slots=True)
class SignalPcanAttributes(CustomAttributes):
    """snr_shift: the product of channel and gain is shifted right by so many bits."""

    snr_shift: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return (operand("SignalPCAN", inputs, 0).shape,)


def _prepare(call: Call) -> int:
    """The shift.   Source: TFLM signal, pcan.cc, pcan_argc_fixed.cc."""
    check_types(call, ((DType.UINT32, DType.UINT32, DType.INT16), (DType.UINT32,)))
    check_ranks(call, (1, 1, 1), (1,))
    shift = attributes_of(call.signature, SignalPcanAttributes).snr_shift
    if call.input(0).shape != call.input(1).shape or call.input(2).type.elements < GAINS or not 0 <= shift < 64:
        raise mismatch(
            call, f"channels {call.input(0).shape}, noise {call.input(1).shape} or the gains do not go together"
        )
    return shift


SIGNAL_PCAN = register(
    signal(
        "SignalPCAN",
        "automatic gain of channels by their noise",
        _infer,
        _prepare,
        kernel="signal_pcan",
        attributes=SignalPcanAttributes,
    )
)
