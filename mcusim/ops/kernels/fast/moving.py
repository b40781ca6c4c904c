"""Bytes from one strided array to another: whatever an operator moves, numpy says where, and this moves it.

TRANSPOSE, SLICE, CONCATENATION, PACK and the like differ only in which views they copy. Each plain kernel gives pairs
(target, source) of views; here a pair becomes one command of at most four loops around a run of bytes:

    columns 2 to 5 of a map of 8 x 8 x 4     shape (8, 3, 4), strides (32, 4, 1)
    target, packed                           shape (8, 3, 4), strides (12, 4, 1)
    merged                                   a run of 12 bytes; 8 times, strides 12 and 32

Axes are merged as long as a step along the outer one is a whole walk over the inner one in both arrays.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from numpy.lib.array_utils import byte_bounds

from mcusim.ops.kernels.fast.command import Array, Command, Declined, address_of, command, overlap, rows_of
from mcusim.ops.kernels.fast.memory import copy_exact, field, fill_exact, ld8, st8
from mcusim.ops.kernels.jit import native

__all__ = ["encode_fill", "encode_moves"]

# SIZE_0 .. SIZE_3, from the outermost axis in; then the strides of both; RUN: bytes that follow one another in both.
(OUT, IN, RUN, SIZE, OUT_STRIDE, IN_STRIDE) = (0, 1, 2, 3, 7, 11)
AXES = 4


@native
def move(command: int, workspace: int) -> None:
    run = field(command, RUN)
    count, out_step, in_step = field(command, SIZE + 3), field(command, OUT_STRIDE + 3), field(command, IN_STRIDE + 3)
    for i in range(field(command, SIZE)):
        for j in range(field(command, SIZE + 1)):
            for k in range(field(command, SIZE + 2)):
                out = field(command, OUT) + i * field(command, OUT_STRIDE) + j * field(command, OUT_STRIDE + 1)
                out += k * field(command, OUT_STRIDE + 2)
                source = field(command, IN) + i * field(command, IN_STRIDE) + j * field(command, IN_STRIDE + 1)
                source += k * field(command, IN_STRIDE + 2)
                if run == 1:
                    for n in range(count):
                        st8(out + n * out_step, ld8(source + n * in_step))
                else:
                    for n in range(count):
                        copy_exact(out + n * out_step, source + n * in_step, run)


(FILL_OUT, FILL_PITCH, FILL_ROWS, FILL_BYTES, FILL_VALUE) = range(5)


@native
def fill(command: int, workspace: int) -> None:
    for y in range(field(command, FILL_ROWS)):
        to = field(command, FILL_OUT) + y * field(command, FILL_PITCH)
        fill_exact(to, field(command, FILL_VALUE), field(command, FILL_BYTES))


def encode_moves(moves: Iterable[tuple[Array, Array]], *inputs: Array) -> list[Command]:
    """(target, source) pairs of arrays of one shape and type, in order. Those that are the same bytes need nothing.

    inputs: what the sources must be views of; numpy makes a copy of what it cannot show as a view.
    """
    commands = []
    lowest, highest = _extents(inputs)
    for target, source in moves:
        if target.size:
            low, high = byte_bounds(source)
            at = bisect_left(lowest, high) - 1  # the last extent that begins before the source ends
            if at < 0 or highest[at] <= low:
                raise Declined("it is more than a view")
            commands += _encode(target, source)
    return commands


def _extents(arrays: Sequence[Array]) -> tuple[list[int], list[int]]:
    """Where the bytes of arrays begin and end, sorted; what meets is one."""
    lowest: list[int] = []
    highest: list[int] = []
    for low, high in sorted(byte_bounds(array) for array in arrays if array.size):
        if highest and low <= highest[-1]:
            highest[-1] = max(highest[-1], high)
        else:
            lowest.append(low)
            highest.append(high)
    return lowest, highest


def _encode(target: Array, source: Array) -> list[Command]:
    if target.dtype != source.dtype or target.shape != source.shape:
        raise Declined("it does more than move")
    run, axes = _axes(target, source)
    if address_of(target) == address_of(source) and all(out == read for _, out, read in axes):
        return []
    if overlap(target, source):
        raise Declined("it overwrites what it has still to read")
    if len(axes) > AXES:
        raise Declined("it moves along too many axes")
    axes = [(1, 0, 0)] * (AXES - len(axes)) + axes  # `move` has four loops always
    fields = {OUT: address_of(target), IN: address_of(source), RUN: run}
    for k, (size, out, read) in enumerate(axes):
        fields |= {SIZE + k: size, OUT_STRIDE + k: out, IN_STRIDE + k: read}
    return [command(move, fields, keeps=(target, source))]


def _axes(target: Array, source: Array) -> tuple[int, list[tuple[int, int, int]]]:
    """Bytes of a run, and (size, stride, stride) of the axes that are left when those that can be are merged."""
    run = target.itemsize
    axes: list[tuple[int, int, int]] = []
    for size, out, read in reversed(list(zip(target.shape, target.strides, source.strides, strict=True))):
        if size == 1:
            continue
        if not axes and out == read == run:
            run *= size
        elif axes and out == axes[0][1] * axes[0][0] and read == axes[0][2] * axes[0][0]:
            axes[0] = size * axes[0][0], axes[0][1], axes[0][2]
        else:
            axes.insert(0, (size, out, read))
    return run, axes


def encode_fill(target: Array, value: int) -> list[Command]:
    """Bytes of one value."""
    return [
        command(
            fill,
            {
                **{FILL_OUT: runs.bases[0], FILL_PITCH: runs.pitches[0], FILL_ROWS: runs.rows},
                **{FILL_BYTES: runs.length * target.itemsize, FILL_VALUE: value & 255},
            },
            keeps=(target,),
        )
        for runs in rows_of(target)
    ]
