"""How what a TFLM kernel keeps and asks for is written down: layouts of C structs, and functions of its call.

Sizes follow from C structs, so a struct is written down once, as a *layout*, and measured for a target's pointer size:
"9i 2p 3i" is 9 ints, 2 pointers, 3 ints (b: 1 byte, h: 2, i: 4, q: 8 and aligned to 8 as on Arm, p: pointer or size_t).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from mcusim.graph import Signature
from mcusim.lowering.rules import Scratch

__all__ = [
    "EVAL_TENSOR",
    "MCU_POINTER_BYTES",
    "Buffers",
    "KernelStorage",
    "StorageRequest",
    "int_array_bytes",
    "layout_bytes",
    "none",
]

MCU_POINTER_BYTES = 4

EVAL_TENSOR = "2p i"

_WIDTHS = {"b": 1, "h": 2, "i": 4, "q": 8}


@cache
def layout_bytes(layout: str, pointer_bytes: int) -> tuple[int, int]:
    """Size and alignment of a C struct whose members, in order, are `layout`."""
    end, alignment = 0, 1
    for member in layout.split():
        width = _WIDTHS.get(member[-1], pointer_bytes)
        end = -(-end // width) * width + int(member[:-1] or 1) * width
        alignment = max(alignment, width)
    return -(-end // alignment) * alignment, alignment


def int_array_bytes(length: int) -> int:
    """Bytes of a TfLiteIntArray: its length, then the numbers."""
    return 4 + 4 * length


class StorageRequest(NamedTuple):
    """All that an operator's storage depends on.

    weight_scales: scales of the weights' quantisation, which only FULLY_CONNECTED asks for; the others count channels.
    """

    signature: Signature
    pointer_bytes: int = MCU_POINTER_BYTES
    weight_scales: int = 1


Buffers = tuple[tuple[str, int], ...]
"""Named buffers that Prepare makes, in order: (name, size in bytes)."""


def none(call: StorageRequest) -> Buffers:
    """Nothing is kept."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KernelStorage:
    """What one operator's kernel keeps in the tail, and its scratch requests, in order.

    source: file it was read in.   params: layout of the parsed options, "" if none.   data: layout of what Init keeps.
    data_compression: members that USE_TFLM_COMPRESSION adds to it.   buffers: what Prepare keeps.
    scratch: requests, which lie in the head; each also costs a handle of one pointer in the tail, those of 0 bytes too.
    """

    source: str
    params: str = ""
    data: str = ""
    data_compression: str = ""
    buffers: Callable[[StorageRequest], Buffers] = none
    scratch: Callable[[StorageRequest], Scratch] = none
