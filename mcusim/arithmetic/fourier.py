"""Fourier transforms of real signals as KISS FFT computes them: in 16 or 32 bits of fixed point, or in float32.

A real signal of n samples is a complex one of n / 2: even samples real, odd imaginary. That is transformed by radices
4, 2, 3, 5, ... in this order, decimated in time, and its two halves are then told apart. Fixed point halves, or
quarters, before each stage, so that nothing overflows; complex numbers are pairs of arrays.
Source: mborgerding/kissfft, v130 (kiss_fft.c, tools/kiss_fftr.c), which TFLM's signal library is built on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Complex", "RealTransform"]

Array = NDArray[Any]


class Complex(NamedTuple):
    """Real and imaginary parts."""

    real: Array
    imag: Array


MOST_RADIX = 5


class _Arithmetic:
    """Of one sample type.   bits: of fixed point; 0 for float32."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.largest = (1 << (bits - 1)) - 1 if bits else 0

    def constant(self, real: list[float], imag: list[float]) -> Complex:
        """Twiddles: cosines and sines."""
        if not self.bits:
            return Complex(np.array(real, np.float32), np.array(imag, np.float32))
        parts = [np.array([math.floor(0.5 + self.largest * x) for x in part], np.int64) for part in (real, imag)]
        return Complex(parts[0], parts[1])

    def samples(self, values: Array) -> Array:
        return values.astype(np.int64) if self.bits else values

    def wrapped(self, values: Array) -> Array:
        """As a sample: fixed point wraps."""
        if not self.bits:
            return values
        half = 1 << (self.bits - 1)
        return ((values + half) & ((1 << self.bits) - 1)) - half

    def rounded(self, products: Array) -> Array:
        if self.bits == 16:  # products are 32 bits wide, those of 32 bits fit 64
            products = ((products + (1 << 14) + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
            return self.wrapped(products >> 15)
        return self.wrapped((products + (1 << 30)) >> 31)

    def times(self, a: Complex, b: Complex) -> Complex:
        real = a.real * b.real - a.imag * b.imag
        imag = a.real * b.imag + a.imag * b.real
        return Complex(self.rounded(real), self.rounded(imag)) if self.bits else Complex(real, imag)

    def scaled(self, a: Complex, by: Array) -> Complex:
        if not self.bits:
            return Complex(a.real * by, a.imag * by)
        return Complex(self.rounded(a.real * by), self.rounded(a.imag * by))

    def divided(self, a: Complex, by: int) -> Complex:
        """Fixed point only: by the reciprocal, rounded."""
        return self.scaled(a, np.array(self.largest // by)) if self.bits else a

    def plus(self, a: Complex, b: Complex) -> Complex:
        return Complex(self.wrapped(a.real + b.real), self.wrapped(a.imag + b.imag))

    def minus(self, a: Complex, b: Complex) -> Complex:
        return Complex(self.wrapped(a.real - b.real), self.wrapped(a.imag - b.imag))

    def halved(self, values: Array) -> Array:
        return values >> 1 if self.bits else (values * np.float32(0.5)).astype(np.float32)


def _factors(size: int) -> list[int]:
    radices, radix = [], 4
    limit = math.floor(math.sqrt(size))
    while size > 1:
        while size % radix:
            radix = {4: 2, 2: 3}.get(radix, radix + 2)
            if radix > limit:
                radix = size
        size //= radix
        radices.append(radix)
    return radices


def _turned(a: Complex, sign: int) -> Complex:
    """Times i, or -i for a negative sign."""
    return Complex(-sign * a.imag, sign * a.real)


@dataclass(frozen=True, eq=False)
class RealTransform:
    """Of signals of `length` samples, even.   bits: of fixed point, 16 or 32; 0 for float32.   is_inverse: back."""

    length: int
    bits: int
    is_inverse: bool = False

    @property
    def is_supported(self) -> bool:
        """Whether 2, 3, 4 and 5 make its half: for others the source needs memory that TFLM does not give it."""
        return max(self.radices, default=2) <= MOST_RADIX

    @cached_property
    def _arithmetic(self) -> _Arithmetic:
        return _Arithmetic(self.bits)

    @cached_property
    def _half(self) -> int:
        return self.length // 2

    @cached_property
    def radices(self) -> tuple[int, ...]:
        """Of the stages, the outermost first."""
        return tuple(_factors(self._half))

    @cached_property
    def turns(self) -> Complex:
        """Twiddles of the stages: cosines and sines of length / 2 angles."""
        sign = 1 if self.is_inverse else -1
        phases = [sign * 2 * math.pi * i / self._half for i in range(self._half)]
        return self._arithmetic.constant([math.cos(p) for p in phases], [math.sin(p) for p in phases])

    @cached_property
    def ends(self) -> Complex:
        """Those that tell the two halves of a real signal apart."""
        sign = 1 if self.is_inverse else -1
        phases = [sign * math.pi * ((i + 1) / self._half + 0.5) for i in range(self._half // 2)]
        return self._arithmetic.constant([math.cos(p) for p in phases], [math.sin(p) for p in phases])

    def forward(self, signal: Array) -> Complex:
        """signal: (length,).   Returns the first length / 2 + 1 frequencies."""
        at, half = self._arithmetic, self._half
        samples = at.samples(signal)
        half_spectrum = self._complex(Complex(samples[0::2], samples[1::2]))
        real, imag = (np.zeros(half + 1, half_spectrum.real.dtype) for _ in range(2))
        first = at.divided(Complex(half_spectrum.real[:1], half_spectrum.imag[:1]), 2)
        real[0], real[half] = at.wrapped(first.real + first.imag)[0], at.wrapped(first.real - first.imag)[0]
        k = np.arange(1, half // 2 + 1)
        low = at.divided(Complex(half_spectrum.real[k], half_spectrum.imag[k]), 2)
        high = at.divided(Complex(half_spectrum.real[half - k], at.wrapped(-half_spectrum.imag[half - k])), 2)
        even, odd = at.plus(low, high), at.times(at.minus(low, high), self.ends)
        # The middle, which is both, keeps what is written last.
        real[k], imag[k] = at.halved(even.real + odd.real), at.halved(even.imag + odd.imag)
        real[half - k], imag[half - k] = at.halved(even.real - odd.real), at.halved(odd.imag - even.imag)
        return Complex(at.wrapped(real), at.wrapped(imag))

    def backward(self, spectrum: Complex) -> Array:
        """spectrum: the first length / 2 + 1 frequencies.   Returns the signal, not scaled by its length."""
        at, half = self._arithmetic, self._half
        given = Complex(at.samples(spectrum.real), at.samples(spectrum.imag))
        real, imag = (np.zeros(half, given.real.dtype) for _ in range(2))
        ends = given.real[0], given.real[half]
        first = at.divided(Complex(at.wrapped(ends[0] + ends[1])[None], at.wrapped(ends[0] - ends[1])[None]), 2)
        real[0], imag[0] = first.real[0], first.imag[0]
        k = np.arange(1, half // 2 + 1)
        low = at.divided(Complex(given.real[k], given.imag[k]), 2)
        high = at.divided(Complex(given.real[half - k], at.wrapped(-given.imag[half - k])), 2)
        even, odd = at.plus(low, high), at.times(at.minus(low, high), self.ends)
        total, rest = at.plus(even, odd), at.minus(even, odd)
        real[k], imag[k] = total
        real[half - k], imag[half - k] = rest.real, at.wrapped(-rest.imag)
        halves = self._complex(Complex(real, imag))
        signal = np.empty(self.length, halves.real.dtype)
        signal[0::2], signal[1::2] = halves
        return signal

    def _complex(self, x: Complex) -> Complex:
        return self._stage(x, list(self.radices), 1)

    def _stage(self, x: Complex, factors: list[int], stride: int) -> Complex:
        """One stage and all below it.   stride: of the twiddles."""
        if not factors:
            return x
        radix = factors[0]
        parts = [
            self._stage(Complex(x.real[q::radix], x.imag[q::radix]), factors[1:], stride * radix) for q in range(radix)
        ]
        parts = [self._arithmetic.divided(part, radix) for part in parts]
        joined = {2: self._two, 3: self._three, 4: self._four, 5: self._five}[radix](parts, stride)
        return Complex(np.concatenate([p.real for p in joined]), np.concatenate([p.imag for p in joined]))

    def _turn(self, parts: list[Complex], stride: int) -> list[Complex]:
        """Every part but the first times its twiddles."""
        k = np.arange(len(parts[0].real)) * stride
        table = self.turns
        turned = [
            self._arithmetic.times(part, Complex(table.real[k * q], table.imag[k * q]))
            for q, part in enumerate(parts[1:], start=1)
        ]
        return [parts[0], *turned]

    def _two(self, parts: list[Complex], stride: int) -> list[Complex]:
        at = self._arithmetic
        a, b = self._turn(parts, stride)
        return [at.plus(a, b), at.minus(a, b)]

    def _four(self, parts: list[Complex], stride: int) -> list[Complex]:
        at = self._arithmetic
        a, b, c, d = self._turn(parts, stride)
        difference, total = at.minus(a, c), at.plus(a, c)
        side, cross = at.plus(b, d), at.minus(b, d)
        up = _turned(cross, 1 if self.is_inverse else -1)
        return [at.plus(total, side), at.plus(difference, up), at.minus(total, side), at.minus(difference, up)]

    def _three(self, parts: list[Complex], stride: int) -> list[Complex]:
        at = self._arithmetic
        a, b, c = self._turn(parts, stride)
        third = self.turns.imag[stride * len(a.real)]
        total, cross = at.plus(b, c), at.scaled(at.minus(b, c), third)
        middle = Complex(
            at.wrapped(a.real - at.halved(total.real)),
            at.wrapped(a.imag - at.halved(total.imag)),
        )
        up = _turned(cross, 1)
        return [at.plus(a, total), at.plus(middle, up), at.minus(middle, up)]

    def _five(self, parts: list[Complex], stride: int) -> list[Complex]:
        at, table, m = self._arithmetic, self.turns, len(parts[0].real)
        first, second = (Complex(table.real[stride * m * i], table.imag[stride * m * i]) for i in (1, 2))
        a, b, c, d, e = self._turn(parts, stride)
        outer, outer_cross, inner, inner_cross = at.plus(b, e), at.minus(b, e), at.plus(c, d), at.minus(c, d)
        total = at.plus(a, at.plus(outer, inner))

        def real(x: Complex, y: Complex, by: tuple[Array, Array]) -> Complex:
            left, right = at.scaled(x, by[0]), at.scaled(y, by[1])
            return at.plus(at.plus(a, left), right)

        near = real(outer, inner, (first.real, second.real))
        far = real(outer, inner, (second.real, first.real))
        near_cross = at.plus(at.scaled(outer_cross, first.imag), at.scaled(inner_cross, second.imag))
        far_cross = at.minus(at.scaled(inner_cross, first.imag), at.scaled(outer_cross, second.imag))
        up, down = _turned(near_cross, 1), _turned(far_cross, 1)
        return [total, at.plus(near, up), at.minus(far, down), at.plus(far, down), at.minus(near, up)]
