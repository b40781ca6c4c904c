"""Shared by the operators that trade blocks of pixels for channels.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mcusim.graph import Attributes, Shape, TensorType
from mcusim.ops.shared.operands import operand, refusal

__all__ = ["BlockAttributes", "Blocks", "checked_block"]


@dataclass(frozen=True, slots=True)
class BlockAttributes(Attributes):
    """Attributes of such an operator, under TFLite's names. block_size: pixels on a block's side."""

    block_size: int = 0


class Blocks(NamedTuple):
    """What the block kernel trusts.   gathers: blocks of pixels become channels; else channels become blocks."""

    size: int
    gathers: bool


def checked_block(op: str, attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[int, Shape]:
    """Block size and the NHWC shape it applies to."""
    assert isinstance(attributes, BlockAttributes)
    shape = operand(op, inputs, 0).shape
    if len(shape) != 4 or attributes.block_size < 1:
        raise refusal(
            op,
            f"blocks of {attributes.block_size} do not go with shape {shape}",
            "give it an NHWC tensor and a block_size of 1 or more",
        )
    return attributes.block_size, shape
