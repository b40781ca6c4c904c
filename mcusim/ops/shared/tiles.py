"""Shared by the operators that have no window: which part of a tensor a region is, and what a part of the work is."""

from __future__ import annotations

from collections.abc import Callable

from mcusim.graph import Signature, TensorType
from mcusim.ops.registry import Work, WorkKind
from mcusim.region import Region, Span

__all__ = [
    "bytes_of",
    "constant_bytes",
    "entire",
    "is_feature_map",
    "no_needs",
    "over_alike",
    "same_region",
    "share",
    "transfer",
]


def is_feature_map(tensor: TensorType) -> bool:
    """Whether it is NHWC: only those are cut into rows and columns."""
    return len(tensor.shape) == 4


def entire(span: Span, size: int) -> Span:
    """All of an axis of `size`, if `span` asks for anything at all."""
    return Span(0, size) if span.stop > span.start else Span(0, 0)


def no_needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    """`needs` of an operator that is not tileable."""
    return None


def same_region(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    """`needs` of an operator whose output element comes from the same place of input 0."""
    if index or not is_feature_map(signature.output) or not is_feature_map(signature.input(0)):
        return None
    return Region(rows, cols)


def share(signature: Signature, elements: int, rows: int, cols: int) -> int:
    """The part of `elements`, which all of output 0 takes, that `rows` times `cols` of it take; rounded down."""
    output = signature.output
    return elements * rows * cols // ((output.rows or 1) * (output.cols or 1))


def bytes_of(elements: int, tensor: TensorType) -> int:
    """Bytes that so many elements of the tensor's type take."""
    return elements * tensor.dtype.bits // 8


def constant_bytes(signature: Signature) -> int:
    """Constants that a kernel streams: all but the small integers that were read before it ran."""
    return sum(t.size_bytes for t in signature.inputs if t is not None and t.is_constant and t.values is None)


def over_alike(*positions: int) -> Callable[[Signature], tuple[int, ...]]:
    """`overwrites` of an operator that reads no element of an input after it wrote the output at that place.

    The input must have as many elements as the output, none of them narrower: then an output element covers no input
    element that is still to be read, if they are computed in order.
    """

    def overwrites(signature: Signature) -> tuple[int, ...]:
        output = signature.output
        return tuple([p for p in positions if signature.has(p) and _is_alike(signature.input(p), output)])

    return overwrites


def _is_alike(source: TensorType, output: TensorType) -> bool:
    return source.elements == output.elements and source.dtype.bits >= output.dtype.bits


def transfer(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    """`work` of an operator that copies: it reads no more than there is, and no more than it writes."""
    outputs = share(signature, sum(t.elements for t in signature.outputs), rows, cols)
    sources = [t for t in signature.inputs if t is not None and not t.is_constant]
    inputs = min(outputs, share(signature, sum(t.elements for t in sources), rows, cols))
    return Work(
        WorkKind.COPY,
        outputs=outputs,
        inputs=inputs,
        read_bytes=max((bytes_of(inputs, t) for t in sources), default=0),
        written_bytes=bytes_of(outputs, signature.output),
        weight_bytes=calls * constant_bytes(signature),
        channels_in=signature.output.channels,
        channels_out=signature.output.channels,
        calls=calls,
        input_bits=sources[0].dtype.bits if sources else 8,
        output_bits=signature.output.dtype.bits,
    )
