"""Weights and requantisation parameters as the vector kernels read them, and the proof that these are exact.

numpy only. It runs once for each node of a network.

An example: one channel, weights 3 and -2, bias 10, input zero point -5, with VNNI. The kernel reads u = x + 128, so
u = x - zx + 123, and it starts from 10 - 123 (3 - 2) = -113. For x = (7, 1): u = (135, 129), and
-113 + 135 x 3 + 129 x (-2) = 34, which is 10 + (7 + 5) 3 + (1 + 5) (-2).

The zero point folds into the bias:  sum((x - zx) w) + b = sum(u w) + b - (fold + zx) sum(w),  u = x + fold, where
fold is 128 with VNNI, else 0 (in the example fold + zx = 123).

Sums wrap modulo 2**32 on the way, so only the final one needs to lie in int32:
`sum_range` gives the exact range of each channel, and `requant` refuses what leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import INT32_MAX, INT32_MIN, Integers, Rounding, Scaling, requantize
from mcusim.ops.kernels.fast.command import Declined
from mcusim.ops.kernels.fast.vector import BLOCK, HOST, L, block_order
from mcusim.ops.shared.accumulators import Accumulator, OutputStage

__all__ = [
    "Requant",
    "Weighted",
    "channel_order",
    "factors",
    "group_type",
    "pack_gemm",
    "pack_parameters",
    "post_word",
    "requant",
    "weighted",
]

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Requant:
    """What the fused requantisation reads, for each channel.

    double: 2 m - 2**32.   constant: 2**31 + (half << 32).   sign: -1 where ties away from zero need the sign of the
    sum (right >= 1), else 0.   dead: channels whose output is always the same; their weights count as 0.
    """

    bias: Integers
    double: Integers
    constant: Integers
    right: Integers
    left: Integers
    sign: Integers
    dead: NDArray[np.bool_]

    @property
    def simple(self) -> bool:
        """No left shift, no right shift of 0: the short form is exact."""
        return bool((self.left == 0).all() and (self.right > 0).all())


def factors(scaling: Scaling, channels: int) -> tuple[Integers, Integers]:
    """Multiplier and shift of each channel. Raises Declined for another rounding than TFLM's."""
    if scaling.rounding is not Rounding.DOUBLE:
        raise Declined("it does not round twice")
    multiplier = np.broadcast_to(scaling.multiplier, (channels,)).astype(np.int64)
    return multiplier, np.broadcast_to(scaling.shift, (channels,)).astype(np.int64)


def requant(bias: Integers, multiplier: Integers, shift: Integers, lowest: Integers, highest: Integers) -> Requant:
    """The parameters of channels whose sums, true bias included, lie in [lowest, highest].

    bias: what the kernel starts from, folded zero points included.   multiplier: 0 or in [2**30, 2**31).
    shift: as TFLite has it, to the left.

    Definition, for a sum a, multiplier m in [2**30, 2**31) and right shift r >= 1 with half = 2**(r - 1):

        h = floor((a m + 2**30) / 2**31);     result = (h + half - [h < 0]) >> r

    * m2 = 2 m - 2**32 is an int32, and 2 a m = a m2 + a 2**32, so h = floor((2 a m + 2**31) / 2**32)
      = hi32(a m2 + 2**31) + a modulo 2**32. half joins the 64-bit constant: 2**31 + half 2**32. As |a m2| <= 2**62 and
      the constant is below 2**62, nothing overflows.
    * [h < 0] may be [a < 0]: as m >= 2**30, a <= -2 gives h < 0; a = -1 gives h < 0 or, for m = 2**30, h = 0, and then
      (half - 1) >> r = half >> r = 0.
    * The last sum fits int32 if |a| + half + 256 < 2**31, which is checked here.
    * r = 0 has no sign term and no half; a left shift is a << left first. Both are in the long form only.

    A channel whose result is the same at both ends of its range (results rise with sums: multiplier 0, tiny scales) is
    dead: bias 4 v, multiplier 2**30, shift 1 give v. Real networks have such, with biases near 2**31. Where sums may
    wrap in the registers of the network's runtime, a channel must be dead over all of int32.
    Raises Declined where a sum may come too near to 2**31.
    """
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    largest = np.maximum(np.abs(lowest), np.abs(highest))
    wraps = largest >= np.int64(1) << (31 - left)
    first, last = (
        requantize(np.where(wraps, end, sums << np.where(wraps, 0, left)), multiplier, -right)
        for end, sums in ((INT32_MIN, lowest), (INT32_MAX, highest))
    )
    # Results rise with sums, so equal ends mean one result in between.
    dead = (first == last) & (np.abs(first) < 1 << 20)
    if (wraps & ~dead).any():
        raise Declined("its sums leave 32 bits")
    left, right = np.where(dead, 0, left), np.where(dead, 1, right)
    m, largest = np.where(dead, 1 << 30, multiplier), np.where(dead, 0, largest)
    half = (np.int64(1) << right) >> 1
    if (m < 1 << 30).any() or (m >= 1 << 31).any() or (right > 30).any():
        raise Declined("its factors are out of range")
    if ((largest << left) + half + 256 >= 1 << 31).any():
        raise Declined("its sums come too near to 32 bits")
    sign = np.where(right > 0, -1, 0)
    return Requant(
        np.where(dead, 4 * first, bias), 2 * m - (1 << 32), (1 << 31) + (half << 32), right, left, sign, dead
    )


def post_word(stage: OutputStage) -> int:
    """Lowest, highest and zero point of int8 outputs in bytes 0, 1 and 2."""
    return (stage.lowest & 255) | (stage.highest & 255) << 8 | (stage.zero_point & 255) << 16


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """An int8 operator that sums products: weights (channels, taps) of int8, dead channels 0, and its parameters."""

    weights: NDArray[np.int8]
    requant: Requant


def weighted(accumulator: Accumulator, weights: NDArray[Any]) -> Weighted:
    """The integers of a node with its weights as (channels, taps).

    Negative multipliers, which come from folded batch norms, negate weights and bias instead: only the product of sum
    and multiplier enters the definition, so that is the same.
    Raises Declined.
    """
    multiplier, shift = factors(accumulator.stage.scaling, len(weights))
    sign = np.where(multiplier < 0, -1, 1)
    flat, bias, zero = weights.astype(np.int64) * sign[:, None], accumulator.bias * sign, accumulator.input_zero_point
    if flat.max(initial=0) > 127 or flat.min(initial=0) < -128:
        raise Declined("its weights, less their zero point and times the sign of their factor, are wider than int8")
    # Each product by itself at its least and its most: the exact range of the sum, over all inputs there are.
    ends = flat * (-128 - zero), flat * (127 - zero)
    lowest, highest = bias + np.minimum(*ends).sum(1), bias + np.maximum(*ends).sum(1)
    fold = zero + (128 if HOST.vnni else 0)
    requantised = requant(bias - fold * flat.sum(1), multiplier * sign, shift, lowest, highest)
    return Weighted(np.where(requantised.dead[:, None], 0, flat).astype(np.int8), requantised)


def pack_parameters(requantised: Requant, order: NDArray[np.int64]) -> Bytes:
    """One record of PARAM_BYTES for each vector; `order[v, e]` is the channel of lane e of vector v, or -1 for none."""

    def pick(values: Integers, fill: int) -> Integers:
        return np.where(order >= 0, values[np.maximum(order, 0)], fill)

    def words(values: Integers) -> Bytes:
        return np.ascontiguousarray(values.astype(np.uint64).astype(np.uint32)).view(np.uint8).reshape(len(order), -1)

    def longs(values: Integers) -> Bytes:
        return np.ascontiguousarray(values).view(np.uint8).reshape(len(order), -1)

    double, constant = pick(requantised.double, -(1 << 31)), pick(requantised.constant, 1 << 31)
    parts = [
        words(pick(requantised.bias, 0)),
        *(longs(values[:, start::2]) for values in (double, constant) for start in (0, 1)),
        words(pick(requantised.right, 1)),
        words(pick(requantised.left, 0)),
        words(pick(requantised.sign, 0)),
    ]
    return np.concatenate(parts, axis=1).ravel()


def channel_order(channels: int, simple: bool) -> NDArray[np.int64]:
    """Channel of each lane of each vector: blocks of four in block order, the last one to three as they follow."""
    rows: list[int] = []
    n = 0
    # Whole blocks are packed four vectors at a time, which leaves their bytes in block order.
    while simple and channels - n > 3 * L:
        rows += [n + channel for channel in block_order()]
        n += BLOCK
    rows += range(n, n + -(-(channels - n) // L) * L)
    order = np.array(rows, np.int64).reshape(-1, L)
    return np.where(order < channels, order, -1)


def group_type() -> type[np.signedinteger[Any]]:
    """How weights lie in a lane."""
    return np.int8 if HOST.vnni else np.int16


def pack_gemm(weights: NDArray[np.int8], simple: bool) -> Bytes:
    """Weights (channels, taps, run), runs padded with zeros to whole groups.

    Order: block of vectors, tap, step, vector of the block, lane, element of the group.
    """
    channels, taps, run = weights.shape
    group = HOST.group
    steps = -(-run // group)
    padded = np.zeros((channels + 1, taps, steps * group), group_type())
    padded[:channels, :, :run] = weights
    padded = padded.reshape(channels + 1, taps, steps, group)
    order = channel_order(channels, simple)
    parts, v = [], 0
    while v < len(order):
        n = min(4 if simple else 1, len(order) - v)
        lanes = padded[order[v : v + n].ravel()].reshape(n, L, taps, steps, group)  # order -1: the row of zeros
        parts.append(np.ascontiguousarray(lanes.transpose(2, 3, 0, 1, 4)).view(np.uint8).ravel())
        v += n
    return np.concatenate(parts)
