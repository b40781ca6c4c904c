"""SignalFilterBankSpectralSubtraction: channels less an estimate of their noise, which it keeps and gives out too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, DType, Shape, Signature, TensorType, tensor_type
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_ranks, check_types, mismatch, signal
from mcusim.ops.shared.operands import operand

__all__ = ["SIGNAL_FILTER_BANK_SPECTRAL_SUBTRACTION", "SignalFilterBankSpectralSubtractionAttributes"]

OP = "SignalFilterBankSpectralSubtraction"


@dataclass(frozen=True, slots=True)
class SignalFilterBankSpectralSubtractionAttributes(CustomAttributes):
    """smoothing, one_minus_smoothing: weights of a channel and of its estimate; alternate ones of odd channels.

    smoothing_bits: fractional bits of the estimate.   spectral_subtraction_bits: of the weights.
    min_signal_remaining: the share of a channel that always stays.   clamping: the estimate is never above the channel.
    """

    alternate_one_minus_smoothing: int = 0
    alternate_smoothing: int = 0
    clamping: bool = False
    min_signal_remaining: int = 0
    num_channels: int = 0
    one_minus_smoothing: int = 0
    smoothing: int = 0
    smoothing_bits: int = 0
    spectral_subtraction_bits: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape = operand(OP, inputs, 0).shape
    return (shape, shape)


def _remembers(call: Signature) -> tuple[TensorType, ...]:
    """The estimates."""
    return (tensor_type(call.input(0).shape, DType.UINT32),)


def _prepare(call: Call) -> SignalFilterBankSpectralSubtractionAttributes:
    """Source: TFLM signal, filter_bank_spectral_subtraction.cc."""
    check_types(call, ((DType.UINT32,), (DType.UINT32, DType.UINT32)))
    check_ranks(call, (1,), (1, 1))
    attributes = attributes_of(call.signature, SignalFilterBankSpectralSubtractionAttributes)
    bits = attributes.smoothing_bits, attributes.spectral_subtraction_bits
    if (attributes.num_channels,) != call.input(0).shape or not all(0 <= count < 32 for count in bits):
        raise mismatch(call, f"{call.input(0).shape} are not {attributes.num_channels} channels, or its bits are wrong")
    return attributes


SIGNAL_FILTER_BANK_SPECTRAL_SUBTRACTION = register(
    signal(
        OP,
        "channels less an estimate of their noise",
        _infer,
        _prepare,
        kernel="signal_filter_bank_spectral_subtraction",
        attributes=SignalFilterBankSpectralSubtractionAttributes,
        remembers=_remembers,
    )
)
