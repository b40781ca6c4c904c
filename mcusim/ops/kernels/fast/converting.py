"""QUANTIZE and DEQUANTIZE: floats to 8 bits, and a table for whatever 8 bits become.

float32 -> int8           round(x / scale) + zero point, clamped          the vector code below
int8 -> int8, float32     256 results                                     a table, see `lookup`
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels import converting
from mcusim.ops.kernels.fast.command import (
    Array,
    Command,
    Declined,
    Shared,
    address_of,
    command,
    constant,
    overlap,
    rows_of,
)
from mcusim.ops.kernels.fast.lookup import encode_lookup
from mcusim.ops.kernels.fast.memory import field
from mcusim.ops.kernels.fast.vector import F32, I32, NARROW, VF32, VI32, Emit, L, Value, const, procedure
from mcusim.ops.kernels.jit import native
from mcusim.ops.kernels.sections import section
from mcusim.ops.registry import Piece
from mcusim.ops.shared.converting import FromReal

__all__ = ["encode"]

(OUT, OUT_PITCH, IN, IN_PITCH, ROWS, LENGTH, SCALE, ZERO, LOWEST, HIGHEST) = range(10)

FAR = float(1 << 20)
"""Quotients beyond it saturate as those at it."""


@procedure
def _quantise_run(
    e: Emit, out: Value, source: Value, count: Value, scale: Value, zero: Value, lowest: Value, highest: Value
) -> None:
    """Round(source / scale), halves away from zero, + zero, clamped.

    The nearest integer is the quotient cut, and one more away from zero where what was cut off, which is exact, is a
    half or more; adding a half before the cut would round 0.49999997 up.
    """
    b = e.b
    by = e.splat(e.load(F32, scale), L)
    zeros, low, high = (e.splat(b.trunc(x, I32), L) for x in (zero, lowest, highest))

    def piece(at: Value) -> Value:
        real = e.load(VF32, e.add(source, e.mul(at, 4)))
        quotient = b.fdiv(real, by)
        for name, limit in (("maxnum", -FAR), ("minnum", FAR)):
            quotient = e.call(f"llvm.{name}.v{L}f32", VF32, quotient, const(VF32, limit))
        whole = b.fptosi(quotient, VI32)
        rest = b.fsub(quotient, b.sitofp(whole, VF32))
        up = b.zext(b.fcmp_ordered(">=", rest, const(VF32, 0.5)), VI32)
        down = b.sext(b.fcmp_ordered("<=", rest, const(VF32, -0.5)), VI32)
        stored = e.clamp(b.add(b.add(whole, b.add(up, down)), zeros), low, high)
        return b.trunc(stored, NARROW)

    e.each(out, count, piece)


@native
def quantise(command: int, workspace: int) -> None:
    for y in range(field(command, ROWS)):
        _quantise_run(
            field(command, OUT) + y * field(command, OUT_PITCH),
            field(command, IN) + y * field(command, IN_PITCH),
            field(command, LENGTH),
            field(command, SCALE),
            field(command, ZERO),
            field(command, LOWEST),
            field(command, HIGHEST),
        )


def encode(
    prepared: object, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    source, output = section(inputs[0], piece), outputs[0]
    if not isinstance(prepared, FromReal):
        return encode_lookup(converting.run, prepared, source, output, shared)
    if prepared.inverse is not None or output.itemsize != 1 or source.dtype != np.float32 or overlap(source, output):
        raise Declined("it does not make bytes, or makes them in place, or rounds otherwise")
    scale = shared("scale", lambda: constant(np.array([prepared.scale], np.float32)))
    commands = []
    for runs in rows_of(output, source):
        fields = {
            **dict(zip((OUT, IN), runs.bases, strict=True)),
            **dict(zip((OUT_PITCH, IN_PITCH), runs.pitches, strict=True)),
            **{ROWS: runs.rows, LENGTH: runs.length, SCALE: address_of(scale), ZERO: prepared.zero_point},
            **{LOWEST: prepared.lowest, HIGHEST: prepared.highest},
        }
        commands.append(command(quantise, fields, keeps=(source, output, scale)))
    return commands
