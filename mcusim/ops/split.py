"""SPLIT: one tensor cut into equal parts along an axis. Inputs: axis, tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcusim.graph import Attributes, DType, Node, Shape, Signature, Tensor, TensorType
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.movement import moves
from mcusim.ops.shared.operands import axis_of, constant_int, operand, refusal
from mcusim.ops.shared.slicing import Cut
from mcusim.ops.shared.splitting import pieces, prepare_split, split_needs
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import dtype_of
from mcusim.region import Region, Span

__all__ = ["SPLIT", "SplitAttributes"]


@dataclass(frozen=True, slots=True)
class SplitAttributes(Attributes):
    """Attributes of SPLIT, under TFLite's names."""

    num_splits: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, SplitAttributes)
    parts, shape = attributes.num_splits, operand("SPLIT", inputs, 1, "tensor").shape
    axis = axis_of("SPLIT", constant_int("SPLIT", inputs, 0, "axis"), shape)
    if parts < 1 or shape[axis] % parts:
        raise refusal("SPLIT", f"axis {axis} of {shape} does not split into {parts}", "use a divisor of its size")
    return pieces(shape, axis, (shape[axis] // parts,) * parts)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    return split_needs(signature, 1, index, rows, cols)


def _prepare(call: Call) -> Cut:
    inputs = call.signature.inputs
    return prepare_split(call, 1, axis_of("SPLIT", constant_int("SPLIT", inputs, 0, "axis"), call.input(1).shape))


def _version(node: Node, tensors: Sequence[Tensor]) -> int:
    return {DType.INT8: 2, DType.INT32: 3, DType.INT16: 4}.get(dtype_of(node.signature, 1) or DType.FLOAT32, 1)


SPLIT = register(
    replace(
        moves(
            "SPLIT",
            "one tensor cut into equal parts along an axis",
            _infer,
            _needs,
            attributes=SplitAttributes,
            options="SplitOptions",
            most_inputs=2,
            prepare=_prepare,
            kernel="slicing",
        ),
        version=_version,
        drawing=Drawing(spread=same, alike=slice(1, 2)),
    )
)
