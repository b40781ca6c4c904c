"""Shared by the operators that put tensors side by side.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.graph import DType, Quantization, Tensor
from mcusim.ops.registry import Call
from mcusim.ops.shared.movement import check_movable
from mcusim.ops.shared.resizing import rounded

__all__ = ["Join", "Regrade", "prepare_join"]


class Regrade(NamedTuple):
    """uint8 input of another quantisation than the output's: round(stored * factor + bias) + zero_point.

    factor, bias: float32.
    """

    factor: float
    bias: float
    zero_point: int


class Join(NamedTuple):
    """What the join kernel trusts.

    axis: of the output.   starts: for each input, its first place along the axis.   stacks: inputs lack that axis.
    regrades: for each input, None where its bytes are copied as they are.
    """

    axis: int
    starts: tuple[int, ...]
    stacks: bool
    regrades: tuple[Regrade | None, ...]


def prepare_join(call: Call, axis: int, *, stacks: bool = False) -> Join:
    """Inputs one after the other along `axis` of the output."""
    positions = range(len(call.inputs))
    check_movable(call, *positions)
    starts, start = [], 0
    for position in positions:
        starts.append(start)
        start += 1 if stacks else call.signature.input(position).shape[axis]
    # TFLM copies bytes whatever the scales are; only desktop TFLite's uint8 kernel looks at them.
    looks = call.outputs[0].dtype is DType.UINT8 and not stacks
    regrades = [_regrade(call, call.input(position)) if looks else None for position in positions]
    return Join(axis, tuple(starts), stacks, tuple(regrades))


def _regrade(call: Call, source: Tensor) -> Regrade | None:
    """Source: TFLite concatenation.h, ConcatenationWithScaling."""
    old, new = source.quantization, call.outputs[0].quantization
    if not isinstance(old, Quantization) or not isinstance(new, Quantization):
        raise ModelError("a uint8 tensor has no scale", where=call.where, fix="quantise the network again")
    if (old.scales, old.zero_points) == (new.scales, new.zero_points):
        return None
    factor = rounded(old.scales[0] * rounded(1.0 / new.scales[0]))
    return Regrade(factor, rounded(-old.zero_points[0] * factor), new.zero_points[0])
