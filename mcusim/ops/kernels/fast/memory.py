"""Loads, stores and copies at machine addresses, for code that numba compiles. Nothing is checked.

    exact   bytes [0, count)                              tensors in the arena: their neighbours must not change
    over    bytes [0, count rounded up to a vector)       a workspace, which is a vector longer than what it holds

"Over" means that up to so many bytes behind the end are read, or written, too: sources have slack behind them, and
only workspaces are written so.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from mcusim.ops.kernels.fast.vector import HOST, I1, I8, I16, I32, I64, VBYTES, VI8, Emit, Value, function, procedure
from mcusim.ops.kernels.jit import inner

__all__ = ["convert", "copy_exact", "copy_over", "fetch", "field", "fill_exact", "ld8", "ld32", "ld64", "st8", "st32"]

V16 = ir.VectorType(I8, 16)


def _reader(kind: ir.Type) -> Callable[[int], int]:
    def read(e: Emit, address: Value) -> Value:
        value = e.load(kind, address)
        return value if kind is I64 else e.b.sext(value, I64)

    return function(read)


def _writer(kind: ir.Type) -> Callable[[int, int], None]:
    def write(e: Emit, address: Value, value: Value) -> None:
        e.store(value if kind is I64 else e.b.trunc(value, kind), address)

    return procedure(write)


ld8, ld16, ld32, ld64 = _reader(I8), _reader(I16), _reader(I32), _reader(I64)
st8, st16, st32, st64 = _writer(I8), _writer(I16), _writer(I32), _writer(I64)


@function
def field(e: Emit, command: Value, index: Value) -> Value:
    """Field `index` of a command."""
    return e.load(I64, e.add(command, e.mul(index, 8)))


@procedure
def copy_exact(e: Emit, to: Value, source: Value, count: Value) -> None:
    """memmove."""
    kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(I8), ir.PointerType(I8), I64, I1])
    memmove = e.b.module.declare_intrinsic("llvm.memmove.p0.p0.i64", fnty=kind)
    e.b.call(memmove, [e.pointer(to, I8), e.pointer(source, I8), count, ir.Constant(I1, 0)])


@procedure
def fill_exact(e: Emit, to: Value, value: Value, count: Value) -> None:
    """memset."""
    kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(I8), I8, I64, I1])
    memset = e.b.module.declare_intrinsic("llvm.memset.p0.i64", fnty=kind)
    e.b.call(memset, [e.pointer(to, I8), e.b.trunc(value, I8), count, ir.Constant(I1, 0)])


@procedure
def copy_over(e: Emit, to: Value, source: Value, count: Value) -> None:
    """Copy in pieces of 16 bytes: 15 over, read and written."""
    with e.loop(e.b.lshr(e.add(count, 15), e.i(4))) as k:
        at = e.mul(k.index, 16)
        e.store(e.load(V16, e.add(source, at)), e.add(to, at))


@procedure
def convert(e: Emit, to: Value, source: Value, count: Value) -> None:
    """Activations as the multiply wants them: x + 128 in a byte (VNNI), else int16. A vector over, read and written."""
    if HOST.vnni:
        flip = e.flip()
        with e.loop(e.b.lshr(e.add(count, VBYTES - 1), e.i(VBYTES.bit_length() - 1))) as k:
            at = e.mul(k.index, VBYTES)
            e.store(e.b.xor(e.load(VI8, e.add(source, at)), flip), e.add(to, at))
        return
    with e.loop(e.b.lshr(e.add(count, 15), e.i(4))) as k:
        value = e.load(V16, e.add(source, e.mul(k.index, 16)))
        e.store(e.b.sext(value, ir.VectorType(I16, 16)), e.add(to, e.mul(k.index, 32)))


@inner
def fetch(
    to: int,
    to_pitch: int,
    source: int,
    pitch: int,
    height: int,
    width: int,
    c: int,
    y_first: int,
    rows: int,
    x_first: int,
    columns: int,
    phases: int,
    times: int,
    zero: int,
) -> None:
    """Copy `rows` input rows from row `y_first` on, columns [x_first, x_first + columns); `zero` outside the image.

    source: address of row 0, column 0, whether it is held or not.   c: bytes of a pixel.
    Columns are split by phase: column q goes to phase q % phases, place q // phases; a phase has
    `ceil(columns / phases)` places. Each channel is written `times` times. 15 bytes over, read and written.
    """
    per = (columns + phases - 1) // phases
    pixel = c * times
    for k in range(rows):
        y = y_first + k
        out = to + k * to_pitch
        if y < 0 or y >= height:
            fill_exact(out, zero, per * phases * pixel)
            continue
        row = source + y * pitch
        if phases == 1 and times == 1:
            left = min(max(-x_first, 0), columns)
            stop = max(min(width - x_first, columns), left)
            if left > 0:
                fill_exact(out, zero, left * c)
            copy_over(out + left * c, row + (x_first + left) * c, (stop - left) * c)
            if stop < columns:
                fill_exact(out + stop * c, zero, (columns - stop) * c)
            continue
        for phase in range(phases):
            for i in range(per):
                x = x_first + i * phases + phase
                if x < 0 or x >= width:
                    fill_exact(out, zero, pixel)
                elif times == 1:
                    copy_over(out, row + x * c, c)
                else:
                    for ch in range(c):
                        value = ld8(row + x * c + ch)
                        for r in range(times):
                            st8(out + ch * times + r, value)
                out += pixel
