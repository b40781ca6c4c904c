"""SignalEnergy: squared magnitudes of frequencies, of a band of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_ranks, check_types, mismatch, signal
from mcusim.ops.shared.operands import operand

__all__ = ["SIGNAL_ENERGY", "Band", "SignalEnergyAttributes"]


class Band(NamedTuple):
    """Frequencies [start, end)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SignalEnergyAttributes(CustomAttributes):
    """start_index, end_index: the band."""

    end_index: int = 0
    start_index: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return ((operand("SignalEnergy", inputs, 0).elements // 2,),)


def _prepare(call: Call) -> Band:
    """Outside of the band TFLM writes nothing; here it is 0.   Source: TFLM signal, energy.cc."""
    check_types(call, ((DType.INT16,), (DType.UINT32,)))
    check_ranks(call, (1,), (1,))
    attributes = attributes_of(call.signature, SignalEnergyAttributes)
    band = Band(attributes.start_index, attributes.end_index)
    if not 0 <= band.start <= band.end <= min(call.input(0).type.elements // 2, call.outputs[0].type.elements):
        raise mismatch(call, f"frequencies {band.start} to {band.end} are not all there")
    return band


SIGNAL_ENERGY = register(
    signal(
        "SignalEnergy",
        "squared magnitudes of frequencies",
        _infer,
        _prepare,
        kernel="signal_energy",
        attributes=SignalEnergyAttributes,
    )
)
