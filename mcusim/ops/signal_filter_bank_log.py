"""SignalFilterBankLog: logarithms of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_ranks, check_types, mismatch, signal
from mcusim.ops.shared.operands import operand

__all__ = ["SCALE_BITS", "SEGMENTS", "SEGMENT_TABLE", "SIGNAL_FILTER_BANK_LOG", "SignalFilterBankLogAttributes"]

SEGMENTS, SCALE_BITS = 128, 16


def _segments() -> tuple[int, ...]:
    pieces = (log2(1 + i / SEGMENTS) - i / SEGMENTS for i in range(SEGMENTS + 1))
    return (*(round(piece * (1 << SCALE_BITS)) for piece in pieces), 0)


SEGMENT_TABLE = _segments()
"""log2(1 + x) - x for x = 0, 1/128, ..., 1 in units of 2**-16, rounded; and a 0 behind."""


@dataclass(frozen=True, slots=True)
class SignalFilterBankLogAttributes(CustomAttributes):
    """input_correction_bits: channels are shifted left by so many first.   output_scale: of the logarithms."""

    input_correction_bits: int = 0
    output_scale: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return (operand("SignalFilterBankLog", inputs, 0).shape,)


def _prepare(call: Call) -> SignalFilterBankLogAttributes:
    """Source: TFLM signal, filter_bank_log.cc, log.cc."""
    check_types(call, ((DType.UINT32,), (DType.INT16,)))
    check_ranks(call, (1,), (1,))
    attributes = attributes_of(call.signature, SignalFilterBankLogAttributes)
    if not 0 <= attributes.input_correction_bits < 32:
        raise mismatch(call, f"channels cannot be shifted by {attributes.input_correction_bits} bits")
    return attributes


SIGNAL_FILTER_BANK_LOG = register(
    signal(
        "SignalFilterBankLog",
        "logarithms of channels",
        _infer,
        _prepare,
        kernel="signal_filter_bank_log",
        attributes=SignalFilterBankLogAttributes,
    )
)
