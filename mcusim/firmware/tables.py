"""The constant arrays of a step, laid out as its kernel reads them: weights, biases, multipliers, shifts.

Where every channel allows it, sums are requantised the fast way (`kernels/base.h`, `mcu_mode`). A channel whose sums
may be large, but whose output is the same whatever comes (a dead channel), is given weights of 0 and the bias that
makes that output; its large sums are then gone. A channel with a negative multiplier has its weights turned around.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import requantize
from mcusim.firmware.choice import column_depth
from mcusim.ops.shared.accumulators import Accumulator, OutputStage

__all__ = ["ChannelTable", "Mode", "channel_table", "depthwise_weights", "matrix_words"]

Integers = NDArray[np.int64]


class Mode(StrEnum):
    """How sums become outputs; the constants of `mcu_mode`."""

    RISING_8 = "RISING_8"
    RISING = "RISING"
    SIGNED_8 = "SIGNED_8"
    SIGNED = "SIGNED"
    CAREFUL = "CAREFUL"


@dataclass(frozen=True, slots=True, eq=False)
class ChannelTable:
    """What the sums of each output channel turn into.

    weights: as in the accumulator, 0 in dead channels.   bias: with the input's zero point in it.
    shift: the right shift less one.   mode: of the channels that go a fast way.   is_careful: which ones cannot.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int8]
    mode: Mode
    is_careful: NDArray[np.bool_]
    stage: OutputStage

    @property
    def modes(self) -> frozenset[Mode]:
        """All ways that its channels go."""
        fast = () if self.is_careful.all() else (self.mode,)
        return frozenset((*fast, *((Mode.CAREFUL,) if self.is_careful.any() else ())))

    @property
    def way(self) -> Mode:
        """One that all of its channels can go."""
        return Mode.CAREFUL if self.is_careful.any() else self.mode

    @property
    def marked_shift(self) -> NDArray[np.int8]:
        """Shifts that say which channels go the careful way (`kernels/base.h`)."""
        return np.where(self.is_careful, self.shift + np.int8(CAREFULLY), self.shift)


CAREFULLY = 64
"""What is added to the shift of a channel that needs 64 bits."""


def _staged(sums: Integers, multiplier: Integers, shift: Integers, stage: OutputStage) -> Integers:
    return np.clip(requantize(sums, multiplier, shift) + stage.zero_point, stage.lowest, stage.highest)


def channel_table(
    accumulator: Accumulator, channel_axis: int, *, folds_zero_point: bool = True, weights_zero_point: int = 0
) -> ChannelTable:
    """The tables of an operator with int8 weights.

    weights_zero_point: what the accumulator's weights lack; with one, stored weights are multiplied, and no channel
        is taken for dead: the kernel adds the same to every sum.

    folds_zero_point: the kernel multiplies stored inputs, padding included; the bias makes up for the zero point.
    """
    stage = accumulator.stage
    weights = np.moveaxis(accumulator.weights, channel_axis, 0)
    channels = weights.shape[0]
    multiplier = np.broadcast_to(stage.scaling.multiplier, (channels,)).astype(np.int64)
    shift = np.broadcast_to(stage.scaling.shift, (channels,)).astype(np.int64)
    bias, bound = accumulator.bias.astype(np.int64), accumulator.bound.astype(np.int64)
    # The sums of a channel lie within bias - products and bias + products, whatever the inputs are.
    products = bound - np.abs(bias)
    ends = bias - products, bias + products
    fits = (ends[0] >= -(1 << 31)) & (ends[1] < 1 << 31)
    inner = [np.where(fits, end, 0) for end in ends]
    lowest, highest = (_staged(end, multiplier, shift, stage) for end in inner)
    # If both ends of the range give one output, all sums between them do: the function is monotonic.
    is_constant = (fits & (lowest == highest)) | (multiplier == 0)  # of a multiplier of 0 sums may wrap as they like
    is_dead = is_constant & (shift <= 0) & (weights_zero_point == 0)
    weights = np.where(is_dead.reshape(-1, *[1] * (weights.ndim - 1)), 0, weights).astype(np.int64)
    # A dead channel becomes weights of 0 and a bias whose fast requantisation (multiplier 1/2, shift -1) is that
    # output.
    bias = np.where(is_dead, 4 * (lowest - stage.zero_point), bias)
    multiplier, shift = np.where(is_dead, 1 << 30, multiplier), np.where(is_dead, -1, shift)
    bound = np.where(is_dead, 4 * 256, bound)
    if weights_zero_point == 0:
        weights, bias, multiplier = _turned(weights, bias, multiplier)
    is_careful = ~_is_fast(bound, multiplier, shift, stage)
    weights = weights + weights_zero_point
    if folds_zero_point:
        # sum(w * (x - z)) = sum(w * x) - z * sum(w), so the kernel multiplies stored inputs.
        sums = weights.astype(np.int64).reshape(channels, -1).sum(axis=1)
        bias = bias - accumulator.input_zero_point * sums
    return ChannelTable(
        np.moveaxis(weights, 0, channel_axis).astype(np.int8),
        _wrapped(bias),
        multiplier.astype(np.int32),
        (-1 - shift).astype(np.int8),
        _mode(stage),
        is_careful,
        stage,
    )


def _turned(weights: Integers, bias: Integers, multiplier: Integers) -> tuple[Integers, Integers, Integers]:
    """Weights, biases and multipliers of channels whose multiplier is negative, all with the other sign: every product
    of a sum and a multiplier stays. Not where a weight has no int8 of the other sign."""
    can_turn = weights.reshape(weights.shape[0], -1).min(axis=1, initial=0) > -128
    turned = (multiplier < 0) & (multiplier > -(1 << 31)) & (bias > -(1 << 31)) & can_turn
    sign = np.where(turned, -1, 1)
    return weights * sign.reshape(-1, *[1] * (weights.ndim - 1)), bias * sign, multiplier * sign


def _wrapped(values: Integers) -> NDArray[np.int32]:
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def _is_fast(bound: Integers, multiplier: Integers, shift: Integers, stage: OutputStage) -> NDArray[np.bool_]:
    """The fast way needs twice the sum in 32 bits, a right shift, a multiplier that fills its 31 bits, and the product
    with its constant in 32 bits."""
    right = -shift
    constant = abs(2 * stage.zero_point + 1) << np.clip(right - 1, 0, 31)
    product = (bound * np.abs(multiplier)) >> 31
    is_fast = (bound < 1 << 30) & (right >= 1) & (right <= 22) & (product + constant < (1 << 31) - 2)
    return is_fast & (multiplier >= 1 << 30)


def _mode(stage: OutputStage) -> Mode:
    """The fast way of an output's range."""
    is_rising = stage.lowest >= stage.zero_point
    spans = stage.highest == 127 and stage.lowest == -128
    if is_rising:
        return Mode.RISING_8 if spans else Mode.RISING
    return Mode.SIGNED_8 if spans else Mode.SIGNED


def matrix_words(rows: NDArray[np.int8], runs: int, length: int) -> NDArray[np.uint32]:
    """Weights of one group, (channels, runs * length), as the matrix product reads them (`kernels/gemm.h`).

    Elements of a channel go as columns do: whole words of each run, then what is left of all runs, filled up.
    """
    channels = rows.shape[0]
    words, rest = column_depth(runs, length)
    by_run = rows.reshape(channels, runs, length)
    whole = length // 4 * 4
    ordered = np.zeros((channels + channels % 2, words + rest), np.int8)
    ordered[:channels, :words] = by_run[:, :, :whole].reshape(channels, -1)
    left = by_run[:, :, whole:].reshape(channels, -1)
    ordered[:channels, words : words + left.shape[1]] = left
    # (pair, group of four, k % 4, channel) -> bytes w0[k], w1[k], w0[k + 2], w1[k + 2], then those of k + 1
    by_four = ordered.reshape(-1, 2, (words + rest) // 4, 4).transpose(0, 2, 3, 1)
    stored = np.ascontiguousarray(by_four[:, :, [0, 2, 1, 3], :])
    return stored.reshape(-1).view(np.uint8).view("<u4")


def depthwise_weights(weights: NDArray[Any]) -> NDArray[np.int8]:
    """1HWO weights as (channel, row, column)."""
    return np.ascontiguousarray(np.moveaxis(weights[0], 2, 0)).astype(np.int8)
