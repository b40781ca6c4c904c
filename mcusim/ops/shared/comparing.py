"""Shared by the operators that compare two tensors: stored integers at one scale, anything else as it is.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from mcusim.arithmetic.quant import Scaling, scaling
from mcusim.graph import DType
from mcusim.ops.registry import Call, OpDef
from mcusim.ops.shared.accumulators import per_tensor, rounding_of, unsupported
from mcusim.ops.shared.arithmetic import Operands, below_one, operands
from mcusim.ops.shared.elementwise import binary

__all__ = ["LEFT_SHIFT", "PreparedComparison", "Relation", "comparison"]

LEFT_SHIFT = 8
"""By so many bits stored integers are shifted left before they are scaled."""


class Relation(StrEnum):
    """What a comparison asks of two elements."""

    EQUAL = "equal"
    NOT_EQUAL = "not equal"
    LESS = "less"
    LESS_EQUAL = "less or equal"
    GREATER = "greater"
    GREATER_EQUAL = "greater or equal"


@dataclass(frozen=True, slots=True, eq=False)
class PreparedComparison:
    """What the kernel trusts.   scalings: of stored integers, with their zero points; None for other types."""

    operands: Operands
    relation: Relation
    zero_points: tuple[int, int]
    scalings: tuple[Scaling, Scaling] | None


_ORDERED = (DType.FLOAT32, DType.INT32, DType.INT64)
_EQUALITIES = (Relation.EQUAL, Relation.NOT_EQUAL)
_PLAIN = dict.fromkeys(Relation, _ORDERED) | dict.fromkeys(_EQUALITIES, (*_ORDERED, DType.BOOL))
"""Types that are compared as they are."""


def _prepare(relation: Relation) -> Callable[[Call], PreparedComparison]:
    """Each input is scaled by its own scale, which must be below 1.

    GREATER of int16 is left out: TFLM takes it, and compares by scales that nothing sets.
    Source: TFLM comparisons.cc.
    """

    def prepare(call: Call) -> PreparedComparison:
        a, b = call.input(0), call.input(1)
        if a.dtype is not b.dtype or call.outputs[0].dtype is not DType.BOOL:
            raise unsupported(call, f"{a.dtype} and {b.dtype} to {call.outputs[0].dtype}")
        if a.dtype in _PLAIN[relation]:
            return PreparedComparison(operands(call), relation, (0, 0), None)
        if a.dtype is not DType.INT8:
            raise unsupported(call, a.dtype)
        (scale_a, zero_a), (scale_b, zero_b) = per_tensor(call, a), per_tensor(call, b)
        rounding = rounding_of(call)
        scalings = (scaling(below_one(call, scale_a), rounding), scaling(below_one(call, scale_b), rounding))
        return PreparedComparison(operands(call), relation, (zero_a, zero_b), scalings)

    return prepare


def comparison(name: str, summary: str, relation: Relation, options: str) -> OpDef:
    """An operator whose outputs say whether a relation holds. In place only where an element is as wide as a bool."""
    return replace(binary(name, summary, options=options), prepare=_prepare(relation), kernel="comparing")
