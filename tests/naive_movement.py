"""Obvious, slow versions of the operators that move, repeat or convert elements. Imports nothing from mcusim.

Element by element with Python's own numbers; `Fraction` where rounding matters.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def places(shape: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*map(range, shape))


def by_place(shape: Sequence[int], dtype: Any, element: Callable[[tuple[int, ...]], Any]) -> Array:
    """The array whose element at each place is what `element` says."""
    elements = np.zeros(shape, dtype)
    for place in places(shape):
        elements[place] = element(place)
    return elements


def pad(x: Array, border: Sequence[tuple[int, int]], value: float) -> Array:
    shape = [before + size + after for size, (before, after) in zip(x.shape, border, strict=True)]

    def element(place: tuple[int, ...]) -> Any:
        inner = [p - before for p, (before, _) in zip(place, border, strict=True)]
        inside = all(0 <= p < size for p, size in zip(inner, x.shape, strict=True))
        return x[tuple(inner)] if inside else value

    return by_place(shape, x.dtype, element)


def mirror_pad(x: Array, border: Sequence[tuple[int, int]], repeats_edge: bool) -> Array:
    shape = [before + size + after for size, (before, after) in zip(x.shape, border, strict=True)]

    def walk(place: int, size: int) -> int:
        """Bounce between the walls until inside."""
        while not 0 <= place < size:
            if place < 0:
                place = -place - 1 if repeats_edge else -place
            else:
                place = 2 * size - 1 - place if repeats_edge else 2 * size - 2 - place
        return place

    def element(place: tuple[int, ...]) -> Any:
        moved = zip(place, border, x.shape, strict=True)
        return x[tuple(walk(p - before, size) for p, (before, _), size in moved)]

    return by_place(shape, x.dtype, element)


def tile(x: Array, times: Sequence[int]) -> Array:
    shape = [size * n for size, n in zip(x.shape, times, strict=True)]
    return by_place(shape, x.dtype, lambda p: x[tuple(i % n for i, n in zip(p, x.shape, strict=True))])


def transpose(x: Array, order: Sequence[int]) -> Array:
    def element(place: tuple[int, ...]) -> Any:
        source = [0] * x.ndim
        for p, axis in zip(place, order, strict=True):
            source[axis] = p
        return x[tuple(source)]

    return by_place([x.shape[axis] for axis in order], x.dtype, element)


def concatenation(parts: Sequence[Array], axis: int) -> Array:
    rows: list[Any] = []
    for part in parts:
        rows += list(np.moveaxis(part, axis, 0))
    return np.moveaxis(np.array(rows, parts[0].dtype), 0, axis)


def gather(x: Array, positions: Array, axis: int) -> Array:
    shape = (*x.shape[:axis], *positions.shape, *x.shape[axis + 1 :])

    def element(place: tuple[int, ...]) -> Any:
        at = positions[place[axis : axis + positions.ndim]]
        return x[(*place[:axis], at, *place[axis + positions.ndim :])]

    return by_place(shape, x.dtype, element)


def space_to_depth(x: Array, block: int) -> Array:
    batch, height, width, channels = x.shape

    def element(place: tuple[int, ...]) -> Any:
        b, r, c, channel = place
        inside, kept = divmod(channel, channels)
        return x[b, r * block + inside // block, c * block + inside % block, kept]

    return by_place((batch, height // block, width // block, channels * block * block), x.dtype, element)


def depth_to_space(x: Array, block: int) -> Array:
    batch, height, width, channels = x.shape
    kept = channels // block**2

    def element(place: tuple[int, ...]) -> Any:
        b, r, c, channel = place
        return x[b, r // block, c // block, ((r % block) * block + c % block) * kept + channel]

    return by_place((batch, height * block, width * block, kept), x.dtype, element)


def half_away(value: Fraction) -> int:
    """Nearest integer, halves away from zero."""
    whole = int(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole


def quantize(x: Array, scale: float, zero_point: int, lowest: int, highest: int) -> list[int]:
    """The quotient is a float32."""
    with np.errstate(over="ignore"):
        quotients = [min(max(np.float32(v) / np.float32(scale), -(2**40)), 2**40) for v in x.ravel()]
    return [min(max(half_away(Fraction(float(q))) + zero_point, lowest), highest) for q in quotients]


def requantize(x: Array, real: float, old_zero: int, new_zero: int, lowest: int, highest: int) -> list[int]:
    """real: old scale over new scale. The multiplier has 31 bits; product and shift are rounded one after the other."""
    exponent = 0
    fraction = Fraction(real)
    while fraction >= 1:
        fraction, exponent = fraction / 2, exponent + 1
    while fraction < Fraction(1, 2):
        fraction, exponent = fraction * 2, exponent - 1
    multiplier = half_away(fraction * 2**31)
    stored = []
    for v in x.ravel():
        shifted = (int(v) - old_zero) * 2 ** max(exponent, 0)
        high = (shifted * multiplier + 2**30) // 2**31
        stored.append(min(max(half_away(Fraction(high, 2 ** max(-exponent, 0))) + new_zero, lowest), highest))
    return stored


def bilinear(x: Array, rows: int, cols: int, align_corners: bool, half_pixel_centers: bool) -> Array:
    """int8, in units of 1/1024 of a pixel."""

    def place_of(output: int, size: int, outputs: int) -> int:
        a, b = (size - 1, outputs - 1) if align_corners and outputs > 1 else (size, outputs)
        scale = (1024 * a + b // 2) // b
        return output * scale + (scale // 2 - 512 if half_pixel_centers else 0)

    def element(place: tuple[int, ...]) -> int:
        b, r, c, channel = place
        y, z = place_of(r, x.shape[1], rows), place_of(c, x.shape[2], cols)
        total = 0
        y0, z0 = max(int(y / 1024), 0), max(int(z / 1024), 0)
        y1, z1 = min(-(-y // 1024), x.shape[1] - 1), min(-(-z // 1024), x.shape[2] - 1)
        for row, wy in ((y0, 1024 - (y - 1024 * y0)), (y1, y - 1024 * y0)):
            for col, wz in ((z0, 1024 - (z - 1024 * z0)), (z1, z - 1024 * z0)):
                total += int(x[b, max(row, 0), max(col, 0), channel]) * wy * wz
        return half_away(Fraction(total, 2**20))

    return by_place((x.shape[0], rows, cols, x.shape[3]), x.dtype, element)
