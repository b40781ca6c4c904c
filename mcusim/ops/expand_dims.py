"""EXPAND_DIMS: a dimension of size 1 put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.graph import Attributes, Shape, TensorType
from mcusim.ops.registry import Drawing, register
from mcusim.ops.shared.movement import relabels
from mcusim.ops.shared.operands import axis_of, constant_int, operand
from mcusim.ops.shared.spreads import same

__all__ = ["EXPAND_DIMS"]


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape = operand("EXPAND_DIMS", inputs, 0).shape
    axis = axis_of("EXPAND_DIMS", constant_int("EXPAND_DIMS", inputs, 1, "axis"), (*shape, 1))
    return ((*shape[:axis], 1, *shape[axis:]),)


EXPAND_DIMS = register(
    replace(
        relabels("EXPAND_DIMS", "a dimension of size 1 put in", _infer, options="ExpandDimsOptions", shape_inputs=(1,)),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)
