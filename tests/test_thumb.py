"""Thumb instructions that lead to another function, one by one: halfwords as the Armv7-M manual encodes them."""

from __future__ import annotations

import pytest

from mcusim.memory.thumb import references, words

AT = 0x0800_0100


def code(*halves: int) -> bytes:
    return b"".join(half.to_bytes(2, "little") for half in halves)


@pytest.mark.parametrize(
    ("halves", "targets"),
    [
        ((0xE7FE,), [AT]),  # b .
        ((0xE000,), [AT + 4]),  # b to behind the next instruction
        ((0xE3FF,), [AT + 4 + 2046]),  # b as far as it goes
        ((0xD0FE,), [AT]),  # beq .
        ((0xDC7F,), [AT + 4 + 254]),  # bgt as far as it goes
        ((0xDEFE,), []),  # udf shares the encoding
        ((0xDFFE,), []),  # and svc
        ((0xBF00,), []),  # nop
        ((0x4770,), []),  # bx lr
        ((0xF000, 0xF800), [AT + 4]),  # bl
        ((0xF7FF, 0xFFFE), [AT]),  # bl .
        ((0xF000, 0xD800), [AT + 4 + (1 << 23)]),  # bl, bit 22 of the offset
        ((0xF000, 0xF000), [AT + 4 + (1 << 22)]),  # bl, bit 21
        ((0xF3FF, 0xF800), [AT + 4 + (0x3FF << 12)]),  # bl, the upper ten bits
        ((0xF000, 0xB800), [AT + 4]),  # b.w
        ((0xF000, 0x8000), [AT + 4]),  # beq.w
        ((0xF47F, 0xAFFE), [AT]),  # bne.w .
        ((0xF000, 0x8800), [AT + 4 + (1 << 19)]),  # beq.w, bit 18
        ((0xF000, 0xA000), [AT + 4 + (1 << 18)]),  # beq.w, bit 17
        ((0xF03F, 0x8000), [AT + 4 + (0x3F << 12)]),
        ((0xF3BF, 0x8F5F), []),  # dmb shares the encoding of the conditional form
        ((0xF3EF, 0x8005), []),  # mrs
        ((0xF241, 0x2034, 0xF2C2, 0x0000), [0x2000_1234]),  # movw, movt of r0
        ((0xF641, 0x7CFF, 0xF6C0, 0x0C00), [0x0800_1FFF]),  # the same of r12, with the bits i
        ((0xF2C2, 0x0100), [0x2000_0000]),  # movt of r1 alone
        ((0xF241, 0x2034, 0xF2C2, 0x0100), [0x2000_0000]),  # of two registers
        ((0xF8DF, 0x0004, 0xE7FC), [AT]),  # ldr.w is two halfwords, then b
        ((0xF000,), []),  # half an instruction
    ],
    ids=lambda value: " ".join(f"{number:x}" for number in value) or "none",
)
def test_an_instruction_leads_to(halves: tuple[int, ...], targets: list[int]) -> None:
    assert list(references(code(*halves), AT)) == targets


def test_instructions_follow_one_another() -> None:
    assert list(references(code(0xBF00, 0xE7FE, 0xF000, 0xF800, 0xD0FE), AT)) == [AT + 2, AT + 8, AT + 8]


def test_words_begin_at_a_multiple_of_four() -> None:
    data = bytes(range(12))
    assert list(words(data, 0x100)) == [0x03020100, 0x07060504, 0x0B0A0908]
    assert list(words(data, 0x102)) == [0x05040302, 0x09080706]
    assert list(words(data[:7], 0x100)) == [0x03020100]
