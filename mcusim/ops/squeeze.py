"""SQUEEZE: dimensions of size 1 dropped: those listed, or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcusim.graph import Attributes, Shape, TensorType
from mcusim.ops.registry import Drawing, register
from mcusim.ops.shared.movement import relabels
from mcusim.ops.shared.operands import axis_of, operand, refusal
from mcusim.ops.shared.spreads import same

__all__ = ["SQUEEZE", "SqueezeAttributes"]


@dataclass(frozen=True, slots=True)
class SqueezeAttributes(Attributes):
    """Attributes of SQUEEZE, under TFLite's names. squeeze_dims: empty for every dimension of size 1."""

    squeeze_dims: tuple[int, ...] = ()


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, SqueezeAttributes)
    shape = operand("SQUEEZE", inputs, 0).shape
    dropped = {axis_of("SQUEEZE", axis, shape) for axis in attributes.squeeze_dims}
    wide = sorted(axis for axis in dropped if shape[axis] != 1)
    if wide:
        raise refusal("SQUEEZE", f"dimension {wide[0]} of {shape} is not 1", "list dimensions of size 1 only")
    if not attributes.squeeze_dims:
        dropped = {axis for axis, size in enumerate(shape) if size == 1}
    return (tuple(size for axis, size in enumerate(shape) if axis not in dropped),)


SQUEEZE = register(
    replace(
        relabels(
            "SQUEEZE", "dimensions of size 1 dropped", _infer, attributes=SqueezeAttributes, options="SqueezeOptions"
        ),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)
