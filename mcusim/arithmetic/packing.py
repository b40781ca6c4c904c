"""Elements of 4 and 2 bits: several in a byte, the first in its lowest bits, as .tflite files pack constants."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import DType

__all__ = ["bytes_from", "pack", "pack_at", "unpack", "unpack_at"]

Bytes = NDArray[np.uint8]
Elements = NDArray[Any]


def pack(elements: Elements, dtype: DType) -> Bytes:
    """The bytes that hold `elements`, in their order; unused bits of the last are 0.

    elements: integers in the type's range; what lies beyond it is cut off, not clamped.
    """
    in_byte = 8 // dtype.bits
    flat = elements.astype(np.uint8).reshape(-1) & np.uint8((1 << dtype.bits) - 1)
    flat = np.concatenate([flat, np.zeros(-len(flat) % in_byte, np.uint8)])
    shifts = np.arange(0, 8, dtype.bits, dtype=np.uint8)
    packed: Bytes = np.bitwise_or.reduce(flat.reshape(-1, in_byte) << shifts, axis=1)
    return packed


def unpack(packed: Bytes, count: int, dtype: DType) -> Elements:
    """The first `count` elements of `packed`, one a byte: int8, or uint8 for uint4."""
    mask = np.uint8((1 << dtype.bits) - 1)
    shifts = np.arange(0, 8, dtype.bits, dtype=np.uint8)
    elements = ((packed[:, None] >> shifts) & mask).reshape(-1)[:count]
    if dtype.unpacked is DType.UINT8:
        return elements
    sign = np.uint8(1 << (dtype.bits - 1))
    return ((elements ^ sign) - sign).view(np.int8)


def unpack_at(storage: Bytes, first_bit: int, count: int, dtype: DType) -> Elements:
    """`count` elements of `storage` from a bit on, which is a multiple of the type's bits."""
    skipped = first_bit % 8 // dtype.bits
    return unpack(storage[first_bit // 8 : -(-(first_bit + count * dtype.bits) // 8)], skipped + count, dtype)[skipped:]


def pack_at(storage: Bytes, first_bit: int, elements: Elements, dtype: DType) -> None:
    """Write `elements` into `storage` from a bit on. Neighbours in the first and last byte stay as they are."""
    skipped, count = first_bit % 8 // dtype.bits, elements.size
    home = storage[first_bit // 8 : -(-(first_bit + count * dtype.bits) // 8)]
    whole = unpack(home, len(home) * 8 // dtype.bits, dtype).copy()
    whole[skipped : skipped + count] = elements.reshape(-1)
    home[...] = pack(whole, dtype)


def bytes_from(elements: NDArray[Any], count: int) -> bytes | None:
    """So many bytes from the first of a contiguous array on: its own, and what the file that it is a view of holds
    behind them. None where there are not so many.
    """
    if count <= elements.nbytes:
        return elements.tobytes()[:count]
    owner: object = elements
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if not isinstance(owner, bytes) or not elements.flags.c_contiguous:
        return None
    whole = np.frombuffer(owner, np.uint8)
    start = elements.ctypes.data - whole.ctypes.data
    return owner[start : start + count] if start + count <= len(owner) else None
