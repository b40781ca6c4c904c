"""SignalFilterBank: energies of frequencies gathered into overlapping channels.

Inputs: energies, weights, unweights (what a frequency gives to the channel before), and for each channel, the first of
which only helps: its first frequency, its first weight, its width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.accumulators import constant_of
from mcusim.ops.shared.custom import CustomAttributes, check_ranks, check_types, mismatch, signal

__all__ = ["SIGNAL_FILTER_BANK", "SignalFilterBankAttributes"]


@dataclass(frozen=True, slots=True)
class SignalFilterBankAttributes(CustomAttributes):
    """num_channels: of the output."""

    num_channels: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, SignalFilterBankAttributes)
    return ((attributes.num_channels,),)


def _prepare(call: Call) -> int:
    """The number of channels.   Source: TFLM signal, filter_bank.cc."""
    check_types(call, ((DType.UINT32, *(DType.INT16,) * 5), (DType.UINT64,)))
    check_ranks(call, (1,) * 6, (1,))
    channels = attributes_of(call.signature, SignalFilterBankAttributes).num_channels
    tables = [constant_of(call, index) for index in (3, 4, 5)]
    if channels < 1 or any(table.size < channels + 1 for table in tables):
        raise mismatch(call, f"it has no tables for {channels} channels")
    first, weight, width = (table.reshape(-1)[: channels + 1].astype(int) for table in tables)
    room = call.input(0).type.elements, min(call.input(1).type.elements, call.input(2).type.elements)
    used = width > 0
    starts = int(first[used].min(initial=0)), int(weight[used].min(initial=0))
    ends = int((first + width)[used].max(initial=0)), int((weight + width)[used].max(initial=0))
    if min(starts) < 0 or ends[0] > room[0] or ends[1] > room[1]:
        raise mismatch(call, "a channel reaches outside of the frequencies or of the weights")
    return channels


SIGNAL_FILTER_BANK = register(
    signal(
        "SignalFilterBank",
        "energies of frequencies gathered into overlapping channels",
        _infer,
        _prepare,
        kernel="signal_filter_bank",
        attributes=SignalFilterBankAttributes,
    )
)
