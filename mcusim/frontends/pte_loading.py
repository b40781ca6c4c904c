"""What ExecuTorch's runtime asks of its two allocators while it loads a method: sizes of its structures, in order.

    method allocator   values, tensors and lists; a call's arguments and kernels: it lives as long as the method
    temp allocator     types and layouts of one call's arguments, to find its kernel: given back after each

Both follow from the file alone. A delegate's own requests come on top: its backend makes them.
Source: ExecuTorch, runtime/executor/method.cpp, tensor_parser_portable.cpp; sizes as arm-none-eabi-gcc 12.2 (32 bits)
and gcc (64 bits) give them for the headers in the wheel of executorch 1.5.1. Tests load programs with its library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["LOOKED_UP_BYTES", "MCU_POINTER_BYTES", "STRUCTURES", "Lookup", "Request", "allocated_bytes", "lookup_bytes"]


class Request(NamedTuple):
    """So many structures of a kind, one after the other."""

    kind: str
    repeats: int = 1


class Lookup(NamedTuple):
    """What finding the kernel of one call asks. ranks: of all its tensors together."""

    arguments: int
    ranks: int


MCU_POINTER_BYTES = 4
_POINTERS = {MCU_POINTER_BYTES: 0, 8: 1}
STRUCTURES: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = MappingProxyType(
    {
        "value": ((16, 8), (16, 8)),
        "flag": ((1, 1), (1, 1)),
        "size": ((4, 4), (4, 4)),
        "axis": ((1, 1), (1, 1)),
        "stride": ((4, 4), (4, 4)),
        "tensor": ((32, 4), (64, 8)),
        "handle": ((4, 4), (8, 8)),
        "optional handle": ((8, 4), (16, 8)),
        "pointer": ((4, 4), (8, 8)),
        "integer": ((8, 8), (8, 8)),
        "boxed list": ((12, 4), (24, 8)),
        "array": ((8, 4), (16, 8)),
        "external constant": ((40, 8), (48, 8)),
        "delegate": ((40, 8), (56, 8)),
        "compile option": ((12, 4), (24, 8)),
        "chain": ((16, 4), (32, 8)),
        "arguments": ((8, 4), (16, 8)),
    }
)
"""Size and alignment in bytes, where pointers have 4 and where they have 8 bytes."""
LOOKED_UP_BYTES = {4: 12, 8: 24}
"""A type, and where its layout is: of each argument."""


def allocated_bytes(requests: Iterable[Request], pointer_bytes: int) -> int:
    """What an allocator must have to serve all requests, in order. It starts at an address for any structure."""
    used_bytes = 0
    for kind, repeats in requests:
        size_bytes, alignment = STRUCTURES[kind][_POINTERS[pointer_bytes]]
        used_bytes = -(-used_bytes // alignment) * alignment + size_bytes * repeats
    return used_bytes


def lookup_bytes(lookups: Iterable[Lookup], pointer_bytes: int) -> int:
    """What the temp allocator must have while a method is loaded."""
    each_bytes = LOOKED_UP_BYTES[pointer_bytes]
    return max((each_bytes * arguments + ranks for arguments, ranks in lookups), default=0)
