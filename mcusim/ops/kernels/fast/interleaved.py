"""Depthwise dot products: rows of the kernel in groups, 4 with VNNI, else 2.

The bytes of so many input rows are interleaved, so that an int32 lane holds one channel of a piece of a column, and one
dot serves the whole piece. A kernel of 3 rows is a group of 4 whose last weight is 0. One of 7 rows is two groups: the
second adds to the sums of the first. The picture is in `depthwise_conv_2d`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mcusim.ops.kernels.fast.vector import (
    BLOCK,
    HOST,
    I64,
    PARAM_BYTES,
    VBYTES,
    VI8,
    VI16,
    VI32,
    Emit,
    L,
    Value,
    const,
    procedure,
)
from mcusim.ops.kernels.jit import inner

__all__ = ["interleave", "run_partial", "run_whole"]

VNNI = HOST.vnni


@procedure
def interleave(e: Emit, r0: Value, r1: Value, r2: Value, r3: Value, to: Value, blocks: Value) -> None:
    """BLOCK elements of 4 rows (2 without VNNI) -> 4 vectors of u8 = x + 128 (of int16)."""
    b = e.b
    flip = e.flip() if VNNI else None
    step = L // 4
    index = [step * (d % 4) + d // 4 for d in range(L)]  # so that the unpacks leave the elements in order

    def part(address: Value) -> Value:
        words = e.load(VI32, address)
        return b.bitcast(e.shuffle(words, words, index), VI8)

    with e.loop(blocks) as k:
        at, out = e.mul(k.index, BLOCK), e.add(to, e.mul(k.index, 4 * VBYTES))
        if VNNI:
            r = [b.xor(part(e.add(row, at)), flip) for row in (r0, r1, r2, r3)]
            pairs = [(e.unpack(r[0], r[1], low=low), e.unpack(r[2], r[3], low=low)) for low in (True, False)]
        else:
            r = [part(e.add(row, at)) for row in (r0, r1)]
            # A byte over a byte of zeros, shifted down by eight, is the byte as int16, sign and all.
            zero, eight = const(VI8, 0), const(VI16, 8)
            pairs = [
                (
                    b.ashr(b.bitcast(e.unpack(zero, r[0], low=low), VI16), eight),
                    b.ashr(b.bitcast(e.unpack(zero, r[1], low=low), VI16), eight),
                )
                for low in (True, False)
            ]
        n = 0
        for x, y in pairs:
            for low in (True, False):
                e.store(e.unpack(b.bitcast(x, VI16), b.bitcast(y, VI16), low=low), out, n * VBYTES)
                n += 1


class _Run(NamedTuple):
    """The values that all blocks of a run share.   fixed: (distance, weights) of each tap, where their number is."""

    tap_off: Value
    taps: Value
    weights: Value
    bias: list[Value]
    parameters: list[tuple[Value, ...]]
    post: tuple[Value, Value, Value]
    fixed: list[tuple[Value, list[Value]]]


def _blocks(e: Emit, run: _Run, at: Value, count: int, step: Value) -> list[Value]:
    """`count` blocks of outputs, `step` bytes of interleaved rows apart, packed."""
    sums = [list(run.bias) for _ in range(count)]
    # A kernel of three columns is common, and its weights stay in registers for the whole row.
    if run.fixed:
        for distance, weights in run.fixed:
            for k in range(count):
                place = e.add(e.add(at, distance), e.mul(step, k))
                sums[k] = [e.dot(sums[k][v], e.load(VI32, place, v * VBYTES), weights[v]) for v in range(4)]
    else:
        kept = [[e.variable(value) for value in row] for row in sums]
        with e.loop(run.taps) as tap:
            place = e.add(at, e.load(I64, e.add(run.tap_off, e.mul(tap.index, 8))))
            here = e.add(run.weights, e.mul(tap.index, 4 * VBYTES))
            weights = [e.load(VI32, here, v * VBYTES) for v in range(4)]
            for row in kept:
                for v in range(4):
                    e.b.store(e.dot(e.b.load(row[v]), e.load(VI32, place, v * VBYTES), weights[v]), row[v])
                place = e.add(place, step)
        sums = [[e.b.load(value) for value in row] for row in kept]
    return [e.pack([e.requantize(row[v], run.parameters[v]) for v in range(4)], run.post, natural=True) for row in sums]


def _row(fixed_taps: int, *, masked: bool, count: int) -> Callable[..., None]:
    """`times` times `count` blocks."""

    def row(
        e: Emit,
        x: Value,
        tap_off: Value,
        taps: Value,
        w: Value,
        p: Value,
        out: Value,
        times: Value,
        in_step: Value,
        out_step: Value,
        post: Value,
        mask: Value,
    ) -> None:
        fixed = [
            (e.load(I64, tap_off, 8 * t), [e.load(VI32, w, (4 * t + v) * VBYTES) for v in range(4)])
            for t in range(fixed_taps)
        ]
        bias = [e.load(VI32, p, v * PARAM_BYTES) for v in range(4)]
        parameters = [e.parameters(p, v * PARAM_BYTES, full=masked) for v in range(4)]
        run = _Run(tap_off, taps, w, bias, parameters, e.post(post, wide=True), fixed)
        with e.loop(times) as k:
            at = e.add(x, e.mul(k.index, e.mul(in_step, count)))
            to = e.add(out, e.mul(k.index, e.mul(out_step, count)))
            for packed in _blocks(e, run, at, count, in_step):
                if masked:
                    e.masked_store(packed, to, mask)
                else:
                    e.store(packed, to)
                to = e.add(to, out_step)

    return procedure(row)


_row_three = _row(3, masked=False, count=1)
_row_two = _row(0, masked=False, count=2)
_row_one = _row(0, masked=False, count=1)
_row_masked = _row(0, masked=True, count=1)


@inner
def run_whole(
    x: int, tap_off: int, taps: int, w: int, p: int, out: int, times: int, in_step: int, out_step: int, post: int
) -> None:
    """Whole blocks."""
    if taps == 3:
        _row_three(x, tap_off, taps, w, p, out, times, in_step, out_step, post, 0)
        return
    two = times // 2
    _row_two(x, tap_off, taps, w, p, out, two, in_step, out_step, post, 0)
    if times % 2 == 1:
        _row_one(x + 2 * two * in_step, tap_off, taps, w, p, out + 2 * two * out_step, 1, in_step, out_step, post, 0)


@inner
def run_partial(
    x: int,
    tap_off: int,
    taps: int,
    w: int,
    p: int,
    out: int,
    times: int,
    in_step: int,
    out_step: int,
    post: int,
    left: int,
) -> None:
    """Blocks of which only the first `left` elements exist, or whose parameters need the long form."""
    mask = (1 << left) - 1 if left < 64 else -1
    _row_masked(x, tap_off, taps, w, p, out, times, in_step, out_step, post, mask)
