"""CONCATENATION: tensors joined along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

from mcusim.errors import ModelError
from mcusim.graph import Activation, Attributes, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Drawing, attributes_of, register
from mcusim.ops.shared.joining import Join, prepare_join
from mcusim.ops.shared.movement import moves
from mcusim.ops.shared.operands import axis_of, operand, refusal
from mcusim.ops.shared.spreads import union
from mcusim.ops.shared.tiles import is_feature_map
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.region import Region, Span

__all__ = ["CONCATENATION", "ConcatenationAttributes"]


@dataclass(frozen=True, slots=True)
class ConcatenationAttributes(Attributes):
    """Attributes of CONCATENATION, under TFLite's names."""

    axis: int = 0
    fused_activation_function: Activation = Activation.NONE


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, ConcatenationAttributes)
    op = "CONCATENATION"
    shapes = [operand(op, inputs, index).shape for index in range(max(len(inputs), 1))]
    axis = axis_of(op, attributes.axis, shapes[0])
    around = {(len(shape), shape[:axis], shape[axis + 1 :]) for shape in shapes}
    if len(around) > 1:
        raise refusal(op, f"shapes {shapes} do not join along axis {axis}", "make all other dimensions equal")
    return ((*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :]),)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    """Along rows or columns an input starts where those before it end; what lies outside it is clipped away."""
    if not is_feature_map(signature.output) or signature.input(index).is_constant:
        return None
    axis = attributes_of(signature, ConcatenationAttributes).axis % 4
    if axis not in (1, 2):
        return Region(rows, cols)
    before = _starts(signature)[index]
    if axis == 1:
        return Region(Span(rows.start - before, rows.stop - before), cols)
    return Region(rows, Span(cols.start - before, cols.stop - before))


@lru_cache(SIGNATURES_KEPT)
def _starts(signature: Signature) -> tuple[int, ...]:
    """Where each input starts along the axis."""
    axis = attributes_of(signature, ConcatenationAttributes).axis % 4
    return (0, *accumulate(signature.input(index).shape[axis] for index in range(len(signature.inputs))))


def _prepare(call: Call) -> Join:
    attributes = attributes_of(call.signature, ConcatenationAttributes)
    if attributes.fused_activation_function is not Activation.NONE:
        what = f"it has the fused activation {attributes.fused_activation_function}, which TFLM refuses"
        raise ModelError(what, where=call.where, fix="put the activation behind it, as an operator of its own")
    return prepare_join(call, axis_of(call.signature.op, attributes.axis, call.input(0).shape))


CONCATENATION = register(
    replace(
        moves(
            "CONCATENATION",
            "tensors joined along an axis",
            _infer,
            _needs,
            attributes=ConcatenationAttributes,
            options="ConcatenationOptions",
            most_inputs=None,
            prepare=_prepare,
            kernel="joining",
        ),
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=union, alike=slice(None)),
    )
)
