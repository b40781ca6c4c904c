"""Which functions a piece of Arm machine code refers to: branches, calls, and addresses that it holds.

Thumb code, as Cortex-M cores run it. Only what can lead to another function is decoded:

    bl, b, b.w, b<cond>      11110Siiiiiiiiii 1xJxJiiiiiiiiiii and the short forms
    movw + movt              an address in two halves
    words among the code     literal pools, where the mapping symbols say that data lies ($d)

Source: Arm Architecture Reference Manual, Armv7-M (DDI 0403E), A5 and A7.7.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from sys import byteorder

__all__ = ["references", "words"]

_WIDE_FROM = 0b11101 << 11
"""A halfword from here on starts an instruction of 32 bits."""


def references(code: bytes, address: int) -> Iterator[int]:
    """Addresses that the instructions in `code` branch to or make. address: of its first byte, even."""
    halves = _halves(code)
    low: dict[int, int] = {}
    at, end = 0, len(halves)
    while at < end:
        first = halves[at]
        # The program counter of Thumb code reads four bytes ahead of the instruction.
        here = address + 2 * at + 4
        at += 1
        if first < _WIDE_FROM:
            # b, then b<cond> without the two codes that mean udf and svc.
            if first >> 11 == 0b11100:
                yield here + _signed(first & 0x7FF, 11) * 2
            elif first >> 12 == 0b1101 and first >> 8 & 15 < 14:
                yield here + _signed(first & 0xFF, 8) * 2
        elif at < end:
            second = halves[at]
            at += 1
            if first >> 11 == 0b11110 and second & 0x8000:
                yield from _wide_branch(first, second, here)
            # movw keeps the lower half in a register until the movt for that register brings the upper one.
            elif first & 0xFBF0 == 0xF240:
                low[second >> 8 & 15] = _half_of(first, second)
            elif first & 0xFBF0 == 0xF2C0:
                yield _half_of(first, second) << 16 | low.pop(second >> 8 & 15, 0)


def words(data: bytes, address: int) -> Iterator[int]:
    """The 32-bit words of a literal pool. address: of its first byte."""
    for at in range(-address % 4, len(data) - 3, 4):
        yield int.from_bytes(data[at : at + 4], "little")


def _halves(code: bytes) -> array[int]:
    halves = array("H", code[: len(code) & ~1])
    if byteorder == "big":
        halves.byteswap()
    return halves


def _wide_branch(first: int, second: int, here: int) -> Iterator[int]:
    """bl and b.w reach 16 MiB, the conditional form 1 MiB; system instructions share its encoding."""
    sign, j1, j2 = first >> 10 & 1, second >> 13 & 1, second >> 11 & 1
    if second & 0x1000:
        # J1 and J2 are stored as NOT (J XOR sign), so that the short range of old Thumb is a special case of this form.
        offset = sign << 23 | (1 ^ j1 ^ sign) << 22 | (1 ^ j2 ^ sign) << 21 | (first & 0x3FF) << 11 | second & 0x7FF
        yield here + _signed(offset, 24) * 2
    elif not second & 0x4000 and first >> 6 & 15 < 14:
        yield here + _signed(sign << 19 | j2 << 18 | j1 << 17 | (first & 0x3F) << 11 | second & 0x7FF, 20) * 2


def _half_of(first: int, second: int) -> int:
    """The 16 bits that movw and movt carry."""
    return (first & 15) << 12 | (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF


def _signed(value: int, bits: int) -> int:
    return value - ((value >> bits - 1) << bits)
