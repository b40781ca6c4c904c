"""SignalPCAN: a gain from a table of parabolas, and a soft floor."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]

SNR_BITS, OUTPUT_BITS = 12, 6
"""Fractional bits."""


def run(prepared: int, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """prepared: the shift.   inputs: channels, noise, gains."""
    gains = inputs[2].tolist()
    for place, (channel, noise) in enumerate(zip(inputs[0].tolist(), inputs[1].tolist(), strict=True)):
        gain = _gain(noise, gains) & 0xFFFFFFFF
        outputs[0][place] = _shrunk(((channel * gain) & 0xFFFFFFFFFFFFFFFF) >> prepared & 0xFFFFFFFF)


def _gain(noise: int, gains: list[int]) -> int:
    """A parabola between powers of two; int16."""
    if noise <= 2:
        return gains[noise]
    interval = noise.bit_length()
    base = 4 * interval - 6
    fraction = (noise << (11 - interval) if interval < 11 else noise >> (interval - 11)) & 0x3FF
    result = (gains[base + 2] * fraction) >> 5
    result = _int32(_int32(result + (gains[base + 1] << 5)) * fraction)
    result = (_int32(result + (1 << 14)) >> 15) + gains[base]
    return ((result + 0x8000) & 0xFFFF) - 0x8000


def _int32(value: int) -> int:
    return ((value + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def _shrunk(snr: int) -> int:
    """x * x / 4 below 2, x - 1 above."""
    if snr < 2 << SNR_BITS:
        return ((snr * snr) & 0xFFFFFFFF) >> (2 + 2 * SNR_BITS - OUTPUT_BITS)
    return ((snr >> (SNR_BITS - OUTPUT_BITS)) - (1 << OUTPUT_BITS)) & 0xFFFFFFFF
