"""SignalFilterBankLog: the highest bit, and what lies behind it by a table of 128 straight pieces."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece
from mcusim.ops.signal_filter_bank_log import SCALE_BITS, SEGMENT_TABLE, SEGMENTS, SignalFilterBankLogAttributes

__all__ = ["run"]

ROUND = 1 << (SCALE_BITS - 1)
LN_2 = 45426
"""In units of 2**-16."""


def run(
    prepared: SignalFilterBankLogAttributes, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece
) -> None:
    for place, channel in enumerate(inputs[0].tolist()):
        value = (channel << prepared.input_correction_bits) & 0xFFFFFFFF
        outputs[0][place] = min(_logarithm(value, prepared.output_scale), 0x7FFF) if value > 1 else 0


def _logarithm(value: int, scale: int) -> int:
    whole = value.bit_length() - 1
    rest = value - (1 << whole)
    rest = rest << (SCALE_BITS - whole) if whole < SCALE_BITS else rest >> (whole - SCALE_BITS)
    step = (1 << SCALE_BITS) // SEGMENTS
    segment = rest // step
    low, high = SEGMENT_TABLE[segment], SEGMENT_TABLE[segment + 1]
    fraction = rest + low + ((high - low) * (rest - segment * step) >> SCALE_BITS)
    natural = (LN_2 * ((whole << SCALE_BITS) + fraction) + ROUND >> SCALE_BITS) & 0xFFFFFFFF
    return ((scale * natural + ROUND) & 0xFFFFFFFF) >> SCALE_BITS
