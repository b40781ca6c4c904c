"""LLVM vector code for the int8 kernels: what numba cannot say.

Every intrinsic takes machine addresses and counts as int64 and nothing else. Two ways to multiply share one code base:

* with VNNI an int32 lane holds four unsigned activations (x + 128) or four signed weights; `vpdpbusd` adds their four
  products to an int32 lane, without saturation;
* elsewhere it holds two int16 activations or weights, whose products `vpmaddwd`, or generic vector code, adds up.

Kernel sets, by register width and multiply; the environment variable MCUSIM_KERNELS forces one of those that the host
can run, `plain` none of them:

    vnni512   vnni256   madd512   madd256   generic
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, cast

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mcusim.errors import InputError
from mcusim.ops.kernels.jit import KERNEL_SET

__all__ = [
    "BLOCK",
    "HOST",
    "KERNEL_SETS",
    "PARAM_BYTES",
    "Emit",
    "Host",
    "block_order",
    "const",
    "detect",
    "function",
    "procedure",
]

Value = Any
"""An LLVM value. llvmlite has no types."""

I1, I8, I16, I32, I64 = ir.IntType(1), ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
F32 = ir.FloatType()


@dataclass(frozen=True, slots=True)
class Host:
    """The vector abilities that the kernels are compiled for.

    lanes: int32 lanes of a vector.   vnni: vpdpbusd of that width.   x86: saturating packs by name.
    permutes: bytes of two vectors of 512 bits (VBMI).
    """

    lanes: int
    vnni: bool
    x86: bool
    permutes: bool = False

    @property
    def group(self) -> int:
        """Activations in an int32 lane."""
        return 4 if self.vnni else 2


KERNEL_SETS: Mapping[str, Host] = MappingProxyType(
    {
        "vnni512": Host(16, True, True),
        "vnni256": Host(8, True, True),
        "madd512": Host(16, False, True),
        "madd256": Host(8, False, True),
        "generic": Host(8, False, False),
    }
)


def available() -> list[str]:
    """The kernel sets that this host can run, best first."""
    features = llvm.get_host_cpu_features()
    has: Callable[[str], bool] = lambda name: bool(features.get(name, False))  # noqa: E731
    x86 = llvm.get_process_triple().startswith(("x86_64", "i686"))
    narrow = x86 and has("avx2") and has("fma")
    wide = narrow and all(map(has, ("avx512f", "avx512bw", "avx512vl", "avx512dq")))
    runs = {
        "vnni512": wide and has("avx512vnni"),
        "vnni256": narrow and (has("avxvnni") or (wide and has("avx512vnni"))),
        "madd512": wide,
        "madd256": narrow,
        "generic": True,
    }
    return [name for name in KERNEL_SETS if runs[name]]


def detect(forced: str) -> Host:
    """The forced kernel set, or the best. Raises InputError for one that is unknown or that the host cannot run."""
    known = available()
    if forced and forced not in known:
        what = f"'{forced}' is a kernel set that {'this machine cannot run' if forced in KERNEL_SETS else 'is unknown'}"
        raise InputError(what, where=KERNEL_SET, fix=f"use {', '.join(known)} or plain, or unset it")
    host = KERNEL_SETS[forced or known[0]]
    permutes = host.vnni and host.lanes == 16 and bool(llvm.get_host_cpu_features().get("avx512vbmi", False))
    return replace(host, permutes=permutes)


HOST = detect(os.environ.get(KERNEL_SET, ""))
L = HOST.lanes
VI8 = ir.VectorType(I8, 4 * L)
VI16 = ir.VectorType(I16, 2 * L)
VI32 = ir.VectorType(I32, L)
VI64 = ir.VectorType(I64, L // 2)
VF32 = ir.VectorType(F32, L)
NARROW = ir.VectorType(I8, L)
VBYTES = 4 * L
BLOCK = 4 * L
"""Channels or elements of a block: four vectors."""
PARAM_BYTES = 32 * L
"""Requantisation parameters of one vector of channels."""


def const(kind: ir.Type, value: float) -> ir.Constant:
    """A constant, in every lane of a vector type."""
    if isinstance(kind, ir.VectorType):
        return ir.Constant(kind, [value] * kind.count)
    return ir.Constant(kind, value)


def block_order() -> list[int]:
    """Channel of lane `n * L + e` (vector n of four, lane e): the order in which in-lane unpacks leave a block, and
    that in-lane packs undo."""
    return [16 * (e // 4) + 4 * n + e % 4 for n in range(4) for e in range(L)]


class Emit:
    """A thin layer over the IR builder: loads, stores and the few compound operations of the kernels."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.b = builder

    def i(self, value: int) -> ir.Constant:
        return ir.Constant(I64, value)

    def add(self, x: Value, y: Value) -> Value:
        return self.b.add(x, self.i(y) if isinstance(y, int) else y)

    def mul(self, x: Value, y: Value) -> Value:
        return self.b.mul(x, self.i(y) if isinstance(y, int) else y)

    def pointer(self, address: Value, kind: ir.Type) -> Value:
        return self.b.inttoptr(address, ir.PointerType(kind))

    def _at(self, kind: ir.Type, address: Value, offset: int) -> Value:
        place = self.b.gep(self.pointer(address, I8), [self.i(offset)])
        return self.b.bitcast(place, ir.PointerType(kind))

    def load(self, kind: ir.Type, address: Value, offset: int = 0) -> Value:
        """What lies at a byte address, of any alignment."""
        value = self.b.load(self._at(kind, address, offset))
        value.align = 1
        return value

    def store(self, value: Value, address: Value, offset: int = 0) -> None:
        self.b.store(value, self._at(value.type, address, offset)).align = 1

    def masked_store(self, value: Value, address: Value, mask: Value) -> None:
        """Store the bytes of `value` whose bit is set in the i64 `mask`; the others are not touched."""
        lanes = value.type.count
        bits = self.b.bitcast(self.b.trunc(mask, ir.IntType(lanes)) if lanes < 64 else mask, ir.VectorType(I1, lanes))
        pointer = ir.PointerType(value.type)
        kind = ir.FunctionType(ir.VoidType(), [value.type, pointer, I32, bits.type])
        function = self.b.module.declare_intrinsic(f"llvm.masked.store.v{lanes}i8.p0", fnty=kind)
        self.b.call(function, [value, self.pointer(address, value.type), ir.Constant(I32, 1), bits])

    def splat(self, scalar: Value, lanes: int) -> Value:
        kind = ir.VectorType(scalar.type, lanes)
        empty = ir.Constant(kind, ir.Undefined)
        one = self.b.insert_element(empty, scalar, ir.Constant(I32, 0))
        return self.b.shuffle_vector(one, empty, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))

    def shuffle(self, x: Value, y: Value, index: Sequence[int]) -> Value:
        return self.b.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, len(index)), list(index)))

    def call(self, name: str, result: ir.Type, *arguments: Value) -> Value:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        return self.b.call(self.b.module.declare_intrinsic(name, fnty=kind), list(arguments))

    def clamp(self, value: Value, lowest: Value, highest: Value) -> Value:
        kind = f"v{value.type.count}i{value.type.element.width}"
        above = self.call(f"llvm.smax.{kind}", value.type, value, lowest)
        return self.call(f"llvm.smin.{kind}", value.type, above, highest)

    def flip(self) -> Value:
        """0x80 in every byte of a vector of bytes.

        Loaded, and from a variable: LLVM 22 never ends selecting vpdpbusd over an xor with a constant that it knows.
        """
        module = self.b.module
        try:
            word = module.get_global("mcusim_flip")
        except KeyError:
            word = ir.GlobalVariable(module, I32, "mcusim_flip")
            word.initializer, word.linkage = ir.Constant(I32, -0x7F7F7F80), "weak"
        return self.b.bitcast(self.splat(self.b.load(word), L), VI8)

    def loop(self, count: Value) -> AbstractContextManager[Any]:
        """`with e.loop(n) as k`: the body for k.index = 0 .. n - 1."""
        counted: AbstractContextManager[Any] = cgutils.for_range(self.b, count, intp=I64)
        return counted

    def each(self, out: Value, count: Value, piece: Callable[[Value], Value], step: int = 0) -> None:
        """Store `piece(place)`, `step` bytes (L), at every such place of `count`; the last as far as there are places.

        step: a power of two.
        """
        step = step or L
        # A power of two, so that count // step and count % step are a shift and a mask.
        whole, left = self.b.lshr(count, self.i(step.bit_length() - 1)), self.b.and_(count, self.i(step - 1))
        with self.loop(whole) as k:
            at = self.mul(k.index, step)
            self.store(piece(at), self.add(out, at))
        with self.b.if_then(self.b.icmp_signed("!=", left, self.i(0))):
            at = self.mul(whole, step)
            self.masked_store(piece(at), self.add(out, at), self.b.sub(self.b.shl(self.i(1), left), self.i(1)))

    def variable(self, value: Value) -> Value:
        """A place for a value that a loop changes; a register once LLVM is done."""
        return cgutils.alloca_once_value(self.b, value)  # type: ignore[no-untyped-call]

    # -- the compound operations --------------------------------------------------------------------------------------

    def dot(self, sums: Value, activations: Value, weights: Value) -> Value:
        """sums + the products of the groups in the lanes. Wraps modulo 2**32, and so may pass int32 on the way."""
        if HOST.vnni:
            return self.call(f"llvm.x86.avx512.vpdpbusd.{32 * L}", VI32, sums, activations, weights)
        if HOST.x86:
            name = "llvm.x86.avx512.pmaddw.d.512" if L == 16 else "llvm.x86.avx2.pmadd.wd"
            pairs = self.call(name, VI32, self.b.bitcast(activations, VI16), self.b.bitcast(weights, VI16))
            return self.b.add(sums, pairs)
        half = const(VI32, 16)
        low = [self.b.ashr(self.b.shl(x, half), half) for x in (activations, weights)]
        high = [self.b.ashr(x, half) for x in (activations, weights)]
        return self.b.add(sums, self.b.add(self.b.mul(*low), self.b.mul(*high)))

    def parameters(self, address: Value, offset: int = 0, *, full: bool = False) -> tuple[Value, ...]:
        """Multiplier even, odd, constant even, odd, shift[, left shift, sign mask] of a vector of channels.

        The bias lies before them, at `offset`.
        """
        first = offset + 4 * L
        longs = tuple(self.load(VI64, address, first + k * 4 * L) for k in range(4))
        return longs + tuple(self.load(VI32, address, first + (16 + 4 * k) * L) for k in range(3 if full else 1))

    def requantize(self, sums: Value, parameters: tuple[Value, ...]) -> Value:
        """int32 lanes: the doubly rounded sum, no zero point, not clamped. `packing.requant` has the proof.

        With the long form of the parameters left shifts and shifts of 0 are exact too, for two more instructions.
        """
        b = self.b
        m_even, m_odd, c_even, c_odd, shift = parameters[:5]
        if len(parameters) > 5:
            sums = b.shl(sums, parameters[5])
        half = const(VI64, 32)
        pairs = b.bitcast(sums, VI64)

        def lower(x: Value) -> Value:
            """Its lower half, sign and all: of factors too, or LLVM takes the slow multiply of whole 64 bits."""
            return b.ashr(b.shl(x, half), half)

        # Even and odd lanes are multiplied apart, as a product of two int32 needs a lane of 64 bits.
        even = b.add(b.mul(lower(pairs), lower(m_even)), c_even)
        odd = b.add(b.mul(b.ashr(pairs, half), lower(m_odd)), c_odd)
        # Of each product only the upper half counts: those of the even lanes and of the odd ones take turns.
        upper = [k + 1 if k % 2 == 0 else L + k for k in range(L)]
        high = self.shuffle(b.bitcast(even, VI32), b.bitcast(odd, VI32), upper)
        sign = b.ashr(sums, const(VI32, 31))
        if len(parameters) > 5:
            sign = b.and_(sign, parameters[6])
        return b.ashr(b.add(high, b.add(sums, sign)), shift)

    def post(self, word: Value, *, wide: bool) -> tuple[Value, Value, Value]:
        """Zero point, lowest and highest out of `packing.post_word`, for `pack` (wide) or `narrow`."""
        zero, low, high = (self.b.trunc(self.b.ashr(word, self.i(bits)), I8) for bits in (16, 0, 8))
        if wide:
            return self.splat(self.b.sext(zero, I16), 2 * L), self.splat(low, BLOCK), self.splat(high, BLOCK)
        zero, low, high = (self.splat(self.b.sext(x, I32), L) for x in (zero, low, high))
        return zero, low, high

    def pack(self, v: Sequence[Value], post: tuple[Value, Value, Value], *, natural: bool) -> Value:
        """Four vectors of sums -> one of int8, plus zero point, clamped.

        In memory order if the vectors are in block order; or, for one more shuffle (`natural`), if they follow one
        another. Saturating packs are monotone, so clamping after them is clamping the exact value.
        """
        zero, low, high = post
        if not HOST.x86:
            return self._pack_generic(v, post, natural)
        words = "avx512.pack%s.512" if L == 16 else "avx2.pack%s"
        to16, to8 = f"llvm.x86.{words % 'ssdw'}", f"llvm.x86.{words % 'sswb'}"
        halves = [
            # Zero points are added while sums have 16 bits: saturation there cuts off only what the clamp would cut off
            # too.
            self.call(f"llvm.sadd.sat.v{2 * L}i16", VI16, self.call(to16, VI16, v[k], v[k + 1]), zero)
            for k in (0, 2)
        ]
        packed = self.clamp(self.call(to8, VI8, *halves), low, high)
        if not natural:
            return packed
        step = L // 4
        lanes = self.b.bitcast(packed, VI32)
        return self.b.bitcast(self.shuffle(lanes, lanes, [4 * (d % step) + d // step for d in range(L)]), VI8)

    def _pack_generic(self, v: Sequence[Value], post: tuple[Value, Value, Value], natural: bool) -> Value:
        zero, low, high = post
        first = self.b.extract_element(zero, ir.Constant(I32, 0))
        zero32 = self.splat(self.b.sext(first, I32), L)
        limits = const(VI32, -128), const(VI32, 127)
        narrow = [self.b.trunc(self.clamp(self.b.add(x, zero32), *limits), NARROW) for x in v]
        halves = [self.shuffle(narrow[k], narrow[k + 1], range(2 * L)) for k in (0, 2)]
        blocks = [n * L + 4 * q + e for q in range(L // 4) for n in range(4) for e in range(4)]
        order = list(range(4 * L)) if natural else blocks
        return self.clamp(self.shuffle(halves[0], halves[1], order), low, high)

    def unpack(self, x: Value, y: Value, *, low: bool) -> Value:
        """Interleave the low or high halves of every 16-byte lane of x and y."""
        count = x.type.count
        per = 16 * count // VBYTES  # elements of 16 bytes
        starts = [lane * per + (0 if low else per // 2) for lane in range(count // per)]
        return self.shuffle(x, y, [place for s in starts for k in range(per // 2) for place in (s + k, count + s + k)])

    def words(self, x: Value) -> list[Value]:
        """A vector of int8 as two of int16, which `products` takes."""
        zero, eight = const(VI8, 0), const(VI16, 8)
        return [self.b.ashr(self.b.bitcast(self.unpack(zero, x, low=low), VI16), eight) for low in (True, False)]

    def products(self, x: Sequence[Value], y: Sequence[Value]) -> list[Value]:
        """Of two pairs of `words`: four vectors of int32 in block order."""
        name = "llvm.x86.avx512.pmulh.w.512" if L == 16 else "llvm.x86.avx2.pmulh.w"
        wide = ir.VectorType(I32, 2 * L)
        widened = []
        for a, c in zip(x, y, strict=True):
            lower = self.b.mul(a, c)
            if HOST.x86:
                upper = self.call(name, VI16, a, c)
            else:
                whole = self.b.mul(self.b.sext(a, wide), self.b.sext(c, wide))
                upper = self.b.trunc(self.b.ashr(whole, const(wide, 16)), VI16)
            widened += [self.b.bitcast(self.unpack(lower, upper, low=low), VI32) for low in (True, False)]
        return widened

    def narrow(self, v: Value, post: tuple[Value, Value, Value]) -> Value:
        """One vector in memory order -> int8, plus zero point, clamped. |v| < 2**31 - 128."""
        return self.b.trunc(self.clamp(self.b.add(v, post[0]), post[1], post[2]), NARROW)


def procedure(body: Callable[..., None]) -> Callable[..., None]:
    """Make `body(emit, *arguments)`, which makes LLVM code, a procedure that compiled code calls with int64s."""
    return cast(Callable[..., None], _intrinsic(body, types.void))


def function(body: Callable[..., Value]) -> Callable[..., int]:
    """The same where `body` returns an int64."""
    return cast(Callable[..., int], _intrinsic(body, types.int64))


def _intrinsic(body: Callable[..., Value], returns: Any) -> Any:
    parameters = list(inspect.signature(body).parameters.values())

    def typed(typing_context: Any, *arguments: Any) -> tuple[Any, Callable[..., Value]]:
        def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Value]) -> Value:
            result = body(Emit(builder), *values)
            return context.get_dummy_value() if returns is types.void else result

        return returns(*([types.int64] * len(arguments))), codegen

    typed.__name__ = body.__name__
    # Numba binds arguments by signature, and knows no `*arguments`.
    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return intrinsic(typed)
