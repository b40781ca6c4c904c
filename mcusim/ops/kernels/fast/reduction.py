"""int8 MEAN and SUM over axes that follow one another.

The array is seen as three axes: what lies outside of the summed axes, these, and what lies inside. MEAN over rows and
columns of 1 x 7 x 7 x 320:

    outer 1      count 49 = 7 x 7       inner 320

So 49 vectors of 320 int8 are added into 320 int32 in the workspace, and each sum is requantised once. The zero points
are taken off at the end: count times the zero point is one subtraction. Where the inner size is 1, a plain loop adds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.fast.command import Array, Command, Declined, Shared, command, flat, overlap
from mcusim.ops.kernels.fast.memory import field, fill_exact, ld8, ld32, st8, st32
from mcusim.ops.kernels.fast.packing import factors
from mcusim.ops.kernels.fast.pooling import add_into
from mcusim.ops.kernels.jit import inner, native
from mcusim.ops.registry import Piece
from mcusim.ops.shared.reduction import PreparedReduction

__all__ = ["encode"]

(IN, OUT, OUTER, COUNT, INNER, SHIFT_IN, MULTIPLIER, SHIFT, ZERO, LOWEST, HIGHEST) = range(11)


@inner
def _scaled(total: int, multiplier: int, shift: int) -> int:
    """The doubly rounded product: `quant.requantize` of one number."""
    left, right = max(shift, 0), max(-shift, 0)
    high = ((total << left) * multiplier + (1 << 30)) >> 31
    if right == 0:
        return high
    return (high + (1 << (right - 1)) - (1 if high < 0 else 0)) >> right


@inner
def _stored(command: int, total: int) -> int:
    scaled = _scaled(total - field(command, SHIFT_IN), field(command, MULTIPLIER), field(command, SHIFT))
    return min(max(scaled + field(command, ZERO), field(command, LOWEST)), field(command, HIGHEST))


@native
def reduce(command: int, workspace: int) -> None:
    c, count = field(command, INNER), field(command, COUNT)
    for o in range(field(command, OUTER)):
        source, out = field(command, IN) + o * count * c, field(command, OUT) + o * c
        if c == 1:
            total = 0
            for x in range(count):
                total += ld8(source + x)
            st8(out, _stored(command, total))
            continue
        fill_exact(workspace, 0, 4 * c)
        if c >= 8:
            for x in range(count):
                add_into(workspace, source + x * c, c)
        else:
            for x in range(count):
                for ch in range(c):
                    st32(workspace + 4 * ch, ld32(workspace + 4 * ch) + ld8(source + x * c + ch))
        for ch in range(c):
            st8(out + ch, _stored(command, ld32(workspace + 4 * ch)))


def encode(
    prepared: PreparedReduction, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    source, output, stage, axes = inputs[0], outputs[0], prepared.stage, prepared.axes
    if stage is None or source.dtype != np.int8 or output.dtype != np.int8 or overlap(source, output):
        raise Declined("it is no sum of int8")
    if not axes or axes != tuple(range(axes[0], axes[-1] + 1)):
        raise Declined("its axes do not follow one another")
    count = math.prod(source.shape[axis] for axis in axes)
    [multiplier], [shift] = factors(stage.scaling, 1)
    if count * 256 << max(int(shift), 0) >= 1 << 31 or not 0 <= multiplier < 1 << 31 or shift < -31:
        raise Declined("its sums leave 32 bits")
    inner_size = math.prod(source.shape[axes[-1] + 1 :])
    fields = {
        **{IN: flat(source), OUT: flat(output), OUTER: math.prod(source.shape[: axes[0]]), COUNT: count},
        **{INNER: inner_size, SHIFT_IN: prepared.zero_point * count, MULTIPLIER: multiplier, SHIFT: shift},
        **{ZERO: stage.zero_point, LOWEST: stage.lowest, HIGHEST: stage.highest},
    }
    return [command(reduce, fields, workspace_bytes=4 * inner_size + 64, keeps=(source, output))]
