"""The matrix multiply of the kernels: a register tile, fused with requantisation, packing and clamping.

    C[m, n] = requantise(bias[n] + sum over taps t and bytes k of A[a_base + a_off[m] + tap_off[t] + k] * W[t, k, n])

Of a 3 x 3 convolution of a map of W columns and c channels, m is an output pixel and n an output channel. A tap is a
row of the kernel: 3 c bytes that follow one another. The pixel at row y, column x, with a stride of 1:

    a_off[m]   = (y W + x) c           where its window begins
    tap_off[t] = t W c                 one row further down for each row of the kernel
    c_off[m]   = (y W' + x) c'         where it is written

A tile keeps mr x nr vectors of sums in registers. With AVX-512 these are 6 pixels by 4 vectors of 16 channels: 24 of 32
registers. Each step loads nr vectors of weights once, and for each pixel repeats one group of its bytes in all lanes:

              n: 64 channels                 per step: 4 loads of weights, 6 of activations, 24 dot products
    m: 6   +----+----+----+----+
    pixels |    |    |    |    |
           +----+----+----+----+

Rows of A and of C are found through offset tables, so one tile serves 1x1, k x k (one tap a kernel row), dilated and
pitched cases, without laying out windows. Blocks of four vectors of channels, then the last one to three vectors; the
last rows of a column of tiles are shorter tiles, and a tile may compute its last row twice: the same value is stored.
"""

from __future__ import annotations

from collections.abc import Callable

from mcusim.ops.kernels.fast.vector import (
    BLOCK,
    I32,
    I64,
    PARAM_BYTES,
    VBYTES,
    VI32,
    Emit,
    L,
    Value,
    procedure,
)
from mcusim.ops.kernels.jit import inner

__all__ = ["ROW_PAD", "gemm"]

ROW_PAD = 8
"""Offset tables hold this many extra entries, copies of the last row."""

_ALL = -1 if BLOCK == 64 else (1 << BLOCK) - 1
"""The mask of a whole block."""

Tile = Callable[..., None]


def _tile(mr: int, nr: int) -> Tile:
    """A tile of `mr` rows by `nr` vectors of channels.

    mask: bits of the channels that exist, of the last vector; of the whole block where there are four.
    """

    def tile(
        e: Emit,
        a_base: Value,
        a_off: Value,
        tap_off: Value,
        taps: Value,
        steps: Value,
        w: Value,
        p: Value,
        c_base: Value,
        c_off: Value,
        post: Value,
        mask: Value,
    ) -> None:
        sums = _sums(
            e, mr, nr, [e.add(a_base, e.load(I64, a_off, 8 * m)) for m in range(mr)], tap_off, taps, steps, w, p
        )
        outs = [e.add(c_base, e.load(I64, c_off, 8 * m)) for m in range(mr)]
        parameters = [e.parameters(p, n * PARAM_BYTES, full=nr == 1) for n in range(nr)]
        scaled = [[e.requantize(sums[n][m], parameters[n]) for n in range(nr)] for m in range(mr)]
        limits = e.post(post, wide=nr == 4)
        if nr == 4:
            vectors = [[e.pack(row, limits, natural=False)] for row in scaled]
        else:
            vectors = [[e.narrow(v, limits) for v in row] for row in scaled]
        whole = e.b.icmp_signed("==", mask, e.i(_ALL if nr == 4 else (1 << L) - 1))
        with e.b.if_else(whole) as (then, other):
            with then:
                for row, out in zip(vectors, outs, strict=True):
                    for n, vector in enumerate(row):
                        e.store(vector, out, n * L)
            with other:
                for row, out in zip(vectors, outs, strict=True):
                    for n, vector in enumerate(row[:-1]):
                        e.store(vector, out, n * L)
                    e.masked_store(row[-1], e.add(out, (len(row) - 1) * L), mask)

    return procedure(tile)


def _sums(
    e: Emit, mr: int, nr: int, rows: list[Value], tap_off: Value, taps: Value, steps: Value, w: Value, p: Value
) -> list[list[Value]]:
    """Bias plus products, by vector and row."""
    b = e.b
    bias = [e.load(VI32, p, n * PARAM_BYTES) for n in range(nr)]
    sums = [[e.variable(bias[n]) for _ in range(mr)] for n in range(nr)]
    next_weights = e.variable(w)
    with e.loop(taps) as tap:
        shift = e.load(I64, e.add(tap_off, e.mul(tap.index, 8)))
        at = [e.add(row, shift) for row in rows]
        with e.loop(steps) as step:
            k = e.mul(step.index, 4)
            here = b.load(next_weights)
            weights = [e.load(VI32, here, n * VBYTES) for n in range(nr)]
            b.store(e.add(here, nr * VBYTES), next_weights)
            for m in range(mr):
                # Four activations of one pixel in every lane: each lane multiplies them by the weights of its own
                # channel.
                group = e.splat(e.load(I32, e.add(at[m], k)), L)
                for n in range(nr):
                    b.store(e.dot(b.load(sums[n][m]), group, weights[n]), sums[n][m])
    return [[b.load(place) for place in vector] for vector in sums]


def _column(nr: int, height: int) -> Tile:
    """All rows of one column of tiles, `nr` vectors wide, `height` rows at a time."""
    tall, low, one = _tile(height, nr), _tile(3, nr), _tile(1, nr)

    @inner
    def column(
        rows: int,
        a_base: int,
        a_off: int,
        tap_off: int,
        taps: int,
        steps: int,
        w: int,
        p: int,
        c_base: int,
        c_off: int,
        post: int,
        mask: int,
    ) -> None:
        m = 0
        # Four or five rows that are left go through a tall tile as well: it computes its last row more than once.
        while rows - m > 3:
            tall(a_base, a_off + 8 * m, tap_off, taps, steps, w, p, c_base, c_off + 8 * m, post, mask)
            m += height
        if rows - m > 1:
            low(a_base, a_off + 8 * m, tap_off, taps, steps, w, p, c_base, c_off + 8 * m, post, mask)
        elif rows - m == 1:
            one(a_base, a_off + 8 * m, tap_off, taps, steps, w, p, c_base, c_off + 8 * m, post, mask)

    return column


_four, _three, _two, _one = _column(4, 6), _column(3, 6), _column(2, 8), _column(1, 8)


@inner
def gemm(
    rows: int,
    channels: int,
    a_base: int,
    a_off: int,
    tap_off: int,
    taps: int,
    steps: int,
    w: int,
    p: int,
    c_base: int,
    c_off: int,
    post: int,
    simple: int,
) -> None:
    """Every row and channel.   w, p: what `packing.pack_gemm` and `pack_parameters` made.   simple: of `Requant`."""
    n = 0
    while channels > n:
        left = channels - n
        # Parameters of the long form take so many registers that only one vector of channels fits beside them.
        vectors = min((left + L - 1) // L, 4 if simple != 0 else 1)
        if vectors == 4:
            mask = _ALL if left >= BLOCK else (1 << left) - 1
            _four(rows, a_base, a_off, tap_off, taps, steps, w, p, c_base + n, c_off, post, mask)
        else:
            mask = (1 << min(left - (vectors - 1) * L, L)) - 1
            if vectors == 3:
                _three(rows, a_base, a_off, tap_off, taps, steps, w, p, c_base + n, c_off, post, mask)
            elif vectors == 2:
                _two(rows, a_base, a_off, tap_off, taps, steps, w, p, c_base + n, c_off, post, mask)
            else:
                _one(rows, a_base, a_off, tap_off, taps, steps, w, p, c_base + n, c_off, post, mask)
        n += vectors * L
        w += vectors * VBYTES * taps * steps
        p += vectors * PARAM_BYTES
