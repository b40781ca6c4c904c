"""Shared by the operators that compute each output element from the elements at its place: unary and broadcasting.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from mcusim.graph import Attributes, Shape, Signature, TensorType
from mcusim.ops.registry import Movement, OpDef, Work, WorkKind
from mcusim.ops.shared.operands import operand, refusal
from mcusim.ops.shared.tiles import bytes_of, constant_bytes, entire, is_feature_map, over_alike, same_region, share
from mcusim.region import Region, Span

__all__ = ["binary", "broadcast", "broadcast_needs", "element_work", "infer_same", "unary"]


def infer_same(op: str, attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    """`infer` of an operator whose output has the shape of input 0."""
    return (operand(op, inputs, 0).shape,)


def element_work(kind: WorkKind, signature: Signature, rows: int, cols: int, calls: int) -> Work:
    """`work` of an operator that reads one element of each input for each output element."""
    outputs = share(signature, signature.output.elements, rows, cols)
    sources = [t for t in signature.inputs if t is not None and not t.is_constant]
    return Work(
        kind,
        outputs=outputs,
        inputs=outputs * len(sources),
        read_bytes=sum(bytes_of(outputs, t) for t in sources),
        written_bytes=bytes_of(outputs, signature.output),
        weight_bytes=calls * constant_bytes(signature),
        channels_in=signature.output.channels,
        channels_out=signature.output.channels,
        calls=calls,
        input_bits=sources[0].dtype.bits if sources else 8,
        output_bits=signature.output.dtype.bits,
    )


def unary(
    name: str,
    summary: str,
    *,
    attributes: type[Attributes] = Attributes,
    options: str = "",
    kind: WorkKind = WorkKind.ELEMENTWISE,
    movement: Movement = Movement.COMPUTES,
) -> OpDef:
    """An operator that maps each element of its input by itself; in place where the types are equally wide."""
    return OpDef(
        name=name,
        summary=summary,
        attributes=attributes,
        options=options,
        infer=partial(infer_same, name),
        needs=same_region,
        work=partial(element_work, kind),
        overwrites=over_alike(0),
        movement=movement,
        most_inputs=1,
    )


def broadcast(op: str, a: Shape, b: Shape) -> Shape:
    """The shape that both stretch to: aligned at the end, axes of 1 repeated. Raises ModelError if they do not."""
    rank = max(len(a), len(b))
    long_a, long_b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    if any(x != y and x != 1 and y != 1 for x, y in zip(long_a, long_b, strict=True)):
        raise refusal(op, f"shapes {a} and {b} do not broadcast", "make each pair of axes equal, or one of them 1")
    return tuple(y if x == 1 else x for x, y in zip(long_a, long_b, strict=True))


def _infer_broadcast(op: str, attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return (broadcast(op, operand(op, inputs, 0).shape, operand(op, inputs, 1).shape),)


def broadcast_needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    """`needs` of an operator whose inputs stretch to its output.

    An axis of 1 is needed whole; so is an input of lower rank, which counts as one row and one column.
    """
    source, output = signature.input(index), signature.output
    if source.is_constant or not is_feature_map(output):
        return None
    return Region(
        rows if source.rows == output.rows and is_feature_map(source) else entire(rows, 1),
        cols if source.cols == output.cols and is_feature_map(source) else entire(cols, 1),
    )


def _binary_work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    elements = signature.output.elements
    is_broadcast = any(t is not None and t.elements != elements for t in signature.inputs)
    kind = WorkKind.BROADCAST if is_broadcast else WorkKind.ELEMENTWISE
    return element_work(kind, signature, rows, cols, calls)


def binary(
    name: str,
    summary: str,
    *,
    attributes: type[Attributes] = Attributes,
    options: str = "",
    overwrites: tuple[int, ...] = (0, 1),
    parameters: tuple[int, ...] = (),
) -> OpDef:
    """An operator of two inputs that broadcast. It may compute on top of one that has the output's size."""
    return OpDef(
        name=name,
        summary=summary,
        attributes=attributes,
        options=options,
        infer=partial(_infer_broadcast, name),
        needs=broadcast_needs,
        work=_binary_work,
        overwrites=over_alike(*overwrites),
        parameters=parameters,
        most_inputs=2,
    )
