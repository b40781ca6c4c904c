"""Where a value of the imported network lies, and in which order of axes: layouts are relabelled, not moved.

ONNX's activations are NCHW, TFLite's NHWC. Each value remembers which of its own axes each stored axis is, so that a
transpose of the imported network costs nothing, and bytes move only where an operator needs another order.

    value (N, C, H, W)   order (0, 2, 3, 1)   stored (N, H, W, C)
    value (N, C, L)      order (0, UNIT, 2, 1)  stored (N, 1, L, C)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mcusim.errors import ModelError
from mcusim.frontends.qdq.grids import Grid
from mcusim.frontends.qdq.network import Array
from mcusim.graph import DType, Quantization, Shape

__all__ = ["UNIT", "Held", "Order", "channels_last", "in_order", "plain", "rearranged", "regrouped", "transposed"]

UNIT = -1
"""A stored axis of size 1 that is no axis of the value."""

Order = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A value.

    shape: its own.   order: the value's axis that each stored axis is.   grid: None for reals, and for plain integers.
    tensor: its index in the graph; None for a constant, whose elements lie in the value's own order.
    columns: for a value that was flattened in stored order: which of its own columns each stored column is.
    """

    shape: Shape
    order: Order
    dtype: DType
    grid: Grid | None = None
    tensor: int | None = None
    elements: Array | None = None
    columns: Array | None = None

    @property
    def is_constant(self) -> bool:
        return self.elements is not None

    @property
    def at(self) -> int:
        """The index of its tensor. Raises ModelError for a constant."""
        if self.tensor is None:
            fix = "fold constants before: onnxruntime's quant_pre_process, or onnxslim"
            raise ModelError("it computes on constants alone", where="a node", fix=fix)
        return self.tensor

    @property
    def stored_shape(self) -> Shape:
        return tuple(1 if axis == UNIT else self.shape[axis] for axis in self.order)

    def stored_axis(self, axis: int) -> int:
        """The stored axis that the value's `axis` is."""
        return self.order.index(axis % len(self.shape))

    def real(self) -> Array:
        """A constant's real numbers, in float64."""
        assert self.elements is not None
        if self.grid is None:
            return self.elements.astype(np.float64)
        shape = [1] * self.elements.ndim
        quantization = self.grid.quantization
        if quantization.is_per_channel:
            shape[quantization.axis] = len(quantization.scales)
        scales = np.array(quantization.scales, np.float64).reshape(shape)
        return np.asarray((self.elements - np.array(quantization.zero_points, np.float64).reshape(shape)) * scales)


def plain(rank: int) -> Order:
    """A value's own order."""
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """NHWC for NCHW; rank 3 becomes a map of one row."""
    if rank == 3:
        return (0, UNIT, 2, 1)
    return (0, *range(2, rank), 1) if rank > 2 else plain(rank)


def without_units(order: Sequence[int], shape: Shape) -> Order:
    """The axes that have more than one element, as they lie in memory: what alone tells two layouts apart."""
    return tuple(axis for axis in order if axis != UNIT and shape[axis] != 1)


def in_order(elements: Array, order: Order) -> Array:
    """A constant's elements as they are stored."""
    axes = [axis for axis in order if axis != UNIT]
    moved = np.transpose(elements, axes)
    return np.ascontiguousarray(moved.reshape([1 if axis == UNIT else elements.shape[axis] for axis in order]))


def transposed(held: Held, permutation: Sequence[int]) -> Held:
    """The value whose axis i is `held`'s axis `permutation[i]`, without a byte moved."""
    shape = tuple(held.shape[axis] for axis in permutation)
    if held.elements is not None:
        grid = held.grid
        if grid is not None and grid.quantization.is_per_channel:
            axis = list(permutation).index(grid.quantization.axis)
            grid = replace(grid, quantization=replace(grid.quantization, axis=axis))
        return replace(
            held, shape=shape, order=plain(len(shape)), elements=held.elements.transpose(permutation), grid=grid
        )
    places = list(permutation)
    order = tuple(UNIT if axis == UNIT else places.index(axis) for axis in held.order)
    return replace(held, shape=shape, order=order)


def regrouped(held: Held, shape: Shape, wanted: Order) -> Order | None:
    """The order of `held` reshaped to `shape` with all bytes where they are; None where bytes would have to move.

    wanted: the order to give axes of size 1 their places by, where it agrees.
    Both shapes fall into groups of axes with equal products: (N, C, H, W) and (N, g, C/g, H, W) share N, H and W, and
    C is split. The bytes stay if each group lies together, in its own order.
    """
    groups = _groups(held.shape, shape)
    if groups is None:
        return None
    lying = without_units(held.order, held.shape)
    place = 0
    sequence: list[int] = []
    starts = {inner[0]: (inner, outer) for inner, outer in groups if inner}
    while place < len(lying):
        group = starts.get(lying[place])
        if group is None or lying[place : place + len(group[0])] != tuple(group[0]):
            return None
        sequence += group[1]
        place += len(group[0])
    for candidate in (wanted, plain(len(shape)), channels_last(len(shape))):
        if len([axis for axis in candidate if axis != UNIT]) == len(shape) and without_units(candidate, shape) == tuple(
            sequence
        ):
            return candidate
    ones = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return (*ones, *sequence)


def rearranged(held: Held, shape: Shape, wanted: Order) -> tuple[Order, Order]:
    """Where bytes have to move: the order to bring `held` to, and the order that it then has as `shape`.

    As `wanted` where whole groups of axes can lie so, else both in their own order.
    """
    groups = _groups(held.shape, shape) or []
    home = {axis: group for group in groups for axis in group[1]}
    sequence = [axis for axis in wanted if axis in home]
    outer: list[int] = []
    inner: list[int] = []
    place = 0
    while place < len(sequence):
        group = home[sequence[place]]
        if sequence[place : place + len(group[1])] != group[1]:
            return plain(len(held.shape)), plain(len(shape))
        outer, inner, place = [*outer, *group[1]], [*inner, *group[0]], place + len(group[1])
    ones = [axis for axis, size in enumerate(held.shape) if size == 1]
    if not groups or UNIT in wanted:
        return plain(len(held.shape)), plain(len(shape))
    return (*ones, *inner), wanted


def _groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]] | None:
    """Axes larger than 1 of both shapes, in groups of equal products."""
    inner = [axis for axis, size in enumerate(before) if size != 1]
    outer = [axis for axis, size in enumerate(after) if size != 1]
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(inner) and j < len(outer):
        left, right = [inner[i]], [outer[j]]
        a, b = before[inner[i]], after[outer[j]]
        i, j = i + 1, j + 1
        while a != b:
            if a < b and i < len(inner):
                a, left, i = a * before[inner[i]], [*left, inner[i]], i + 1
            elif b < a and j < len(outer):
                b, right, j = b * after[outer[j]], [*right, outer[j]], j + 1
            else:
                return None
        groups.append((left, right))
    return groups if i == len(inner) and j == len(outer) else None


def per_channel(scales: Sequence[float], axis: int) -> Quantization:
    """Symmetric scales along an axis."""
    return Quantization(tuple(scales), (0,) * len(scales), axis)
