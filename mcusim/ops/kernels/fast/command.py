"""What encoders make, and the few facts about arrays that they need. No numba here.

    command(fill, {FILL_OUT: 0x7f00, FILL_PITCH: 0, FILL_ROWS: 1, FILL_BYTES: 64, FILL_VALUE: 0})
    = Command(kernel=fill, fields=(0x7f00, 0, 1, 64, 0), workspace_bytes=0, keeps=())

A command is one call of a kernel: its fields are addresses and numbers, int64 each. Its addresses are absolute: they
hold for one session, and the arrays behind them must be kept alive as long as the command.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mcusim.ops.rooms import room

__all__ = [
    "Command",
    "Declined",
    "Encode",
    "FeatureMap",
    "Kernel",
    "Runs",
    "Shared",
    "address_of",
    "command",
    "constant",
    "feature_map",
    "flat",
    "overlap",
    "rows_of",
]

Array = NDArray[Any]
T = TypeVar("T")


class Declined(Exception):
    """This step is not for the fast kernels: the plain one runs it. Says why; no user sees it."""


class Kernel(Protocol):
    """Compiled code.   address: of a C function of (command, workspace)."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> int: ...


class Command(NamedTuple):
    """One call of a kernel.   workspace_bytes: that it may write.   keeps: arrays that its fields point into."""

    kernel: Kernel
    fields: tuple[int, ...]
    workspace_bytes: int = 0
    keeps: tuple[Array, ...] = ()


class Shared(Protocol):
    """What every session of a network needs, and every piece of a step, made once."""

    def __call__(self, key: Hashable, make: Callable[[], T]) -> T: ...


Encode = Callable[[Any, "Sequence[Array]", "Sequence[Array]", Any, Shared], "list[Command]"]
"""An encoder: (prepared, input arrays, output arrays, piece, shared) -> commands that do what the kernel of the same
name does with them. Raises Declined."""


def command(
    kernel: Kernel, fields: Mapping[int, int], *, workspace_bytes: int = 0, keeps: tuple[Array, ...] = ()
) -> Command:
    """A command from its fields by number; all must be there."""
    if sorted(fields) != list(range(len(fields))):
        raise AssertionError(f"fields of '{kernel.name}' are missing: {sorted(fields)}")
    return Command(kernel, tuple(int(fields[k]) for k in range(len(fields))), workspace_bytes, keeps)


def constant(values: Array) -> NDArray[np.uint8]:
    """A copy of a constant's bytes that kernels may read from."""
    aligned = room(values.nbytes)
    aligned[...] = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return aligned


def address_of(array: Array) -> int:
    """Of its first element."""
    address: int = array.__array_interface__["data"][0]
    return address


def overlap(a: Array, b: Array) -> bool:
    """Whether their extents meet."""
    return np.may_share_memory(a, b)


class FeatureMap(NamedTuple):
    """One image of an NHWC array of bytes.   base: address of row 0, column 0 of the tensor, whether held or not."""

    base: int
    pitch: int
    channels: int


def feature_map(array: Array, image: int, origin: tuple[int, int], dtype: type[np.generic] = np.int8) -> FeatureMap:
    """The array, whose first element is at row and column `origin`. Raises Declined where pixels are not packed."""
    if array.ndim != 4 or array.dtype != dtype or array.itemsize != 1:
        raise Declined("it is no feature map of bytes")
    channels = array.shape[3]
    if (channels > 1 and array.strides[3] != 1) or (array.shape[2] > 1 and array.strides[2] != channels):
        raise Declined("its pixels are not packed")
    pitch = array.strides[1]
    # Back from the first element that is held to where row 0, column 0 would lie: kernels count from there.
    base = address_of(array) + image * array.strides[0] - origin[0] * pitch - origin[1] * channels
    return FeatureMap(base, pitch, channels)


def flat(array: Array) -> int:
    """The address of an array whose elements follow one another. Raises Declined."""
    if not array.flags.c_contiguous:
        raise Declined("it is not contiguous")
    return address_of(array)


class Runs(NamedTuple):
    """Arrays of one shape as so many `rows` of `length` elements each.   bases, pitches: of each array, in bytes."""

    rows: int
    length: int
    bases: tuple[int, ...]
    pitches: tuple[int, ...]


def rows_of(*arrays: Array) -> list[Runs]:
    """Arrays of one shape as few runs of elements that follow one another in all of them. Raises Declined."""
    # Axes of one place say nothing about how elements follow each other.
    shape = arrays[0].shape
    dims = [(size, tuple(a.strides[axis] for a in arrays)) for axis, size in enumerate(shape) if size != 1]
    steps = tuple(a.itemsize for a in arrays)
    length = 1
    # Axes that are contiguous in all arrays are one run: a map of 14 x 14 x 32 that fills its buffer is 6,272 elements.
    while dims and dims[-1][1] == tuple(step * length for step in steps):
        length *= dims.pop()[0]
    merged: list[tuple[int, tuple[int, ...]]] = []
    for size, strides in reversed(dims):
        # An axis joins the one inside it if a step along it is a whole walk over that one, in every array.
        if merged and strides == tuple(stride * merged[0][0] for stride in merged[0][1]):
            merged[0] = (size * merged[0][0], merged[0][1])
        else:
            merged.insert(0, (size, strides))
    # More pieces than that would cost more in commands than the plain kernel takes.
    if len(merged) > 2 or (len(merged) == 2 and merged[0][0] > 16):
        raise Declined("it lies in too many pieces")
    # Two axes are left at most: the inner one are the rows of a command, the outer one is unrolled into commands.
    outer = merged[0] if len(merged) == 2 else (1, (0,) * len(arrays))
    count, pitches = merged[-1] if merged else (1, (0,) * len(arrays))
    starts = [address_of(a) for a in arrays]
    return [
        Runs(count, length, tuple(s + k * step for s, step in zip(starts, outer[1], strict=True)), pitches)
        for k in range(outer[0])
    ]
