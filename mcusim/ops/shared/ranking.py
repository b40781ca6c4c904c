"""Shared by ARG_MAX and ARG_MIN: where along an axis the extreme element is.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, OpDef
from mcusim.ops.shared.operands import axis_of, constant_int, operand
from mcusim.ops.shared.reduction import reduce_work
from mcusim.ops.shared.tiles import no_needs

__all__ = ["Extreme", "RankingAttributes", "ranking"]


@dataclass(frozen=True, slots=True)
class RankingAttributes(Attributes):
    """Attributes of such an operator, under TFLite's names."""

    output_type: DType = DType.FLOAT32


class Extreme(NamedTuple):
    """What the kernel trusts.   is_largest: or else the smallest."""

    axis: int
    is_largest: bool


def _infer(op: str, attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape = operand(op, inputs, 0).shape
    axis = axis_of(op, constant_int(op, inputs, 1, "axis"), shape)
    return (shape[:axis] + shape[axis + 1 :],)


def _prepare(op: str, is_largest: bool, call: Call) -> Extreme:
    if not call.outputs[0].dtype.is_integer or call.input(0).dtype.bits < 8:
        what = f"it cannot find the place of {call.input(0).dtype} as {call.outputs[0].dtype}"
        raise ModelError(what, where=call.where, fix="let output_type be int32 or int64")
    axis = axis_of(op, constant_int(op, call.signature.inputs, 1, "axis"), call.input(0).shape)
    return Extreme(axis, is_largest)


def ranking(name: str, summary: str, options: str, *, is_largest: bool) -> OpDef:
    """An operator that gives the place of the first of the extreme elements."""
    return OpDef(
        name=name,
        summary=summary,
        attributes=RankingAttributes,
        options=options,
        infer=partial(_infer, name),
        needs=no_needs,
        work=reduce_work,
        most_inputs=2,
        shape_inputs=(1,),
        prepare=partial(_prepare, name, is_largest),
        kernel="ranking",
    )
