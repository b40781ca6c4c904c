"""Shared by the resizes: where on the input's grid each output row or column falls.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from struct import Struct

from mcusim.graph import Attributes, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Movement, OpDef, Work, WorkKind, attributes_of
from mcusim.ops.shared.operands import constant_ints, operand, refusal
from mcusim.ops.shared.tiles import bytes_of, is_feature_map, share
from mcusim.region import Region, Span

__all__ = ["Reads", "ResizeAttributes", "flags", "resize", "rounded", "scale_of"]

Reads = Callable[[Signature, int, int, int], tuple[int, int]]
"""Signature, input size, output size, output place -> first and last input place that it reads. Never falling."""

_FLOAT32 = Struct("<f")


@dataclass(frozen=True, slots=True)
class ResizeAttributes(Attributes):
    """Attributes of a resize, under TFLite's names."""

    align_corners: bool = False
    half_pixel_centers: bool = False


def rounded(number: float) -> float:
    """Nearest float32. A sum, product or quotient of two float32, taken in float64 and rounded, is what C gives."""
    nearest: float = _FLOAT32.unpack(_FLOAT32.pack(number))[0]
    return nearest


def scale_of(size: int, outputs: int, align_corners: bool) -> float:
    """Input places to an output place, in float32. Source: TFLite resize_nearest_neighbor.h and resize_bilinear.h."""
    return rounded((size - 1) / (outputs - 1) if align_corners and outputs > 1 else size / outputs)


def _infer(op: str, takes_both: bool, attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, ResizeAttributes)
    shape, size = operand(op, inputs, 0).shape, constant_ints(op, inputs, 1, "size")
    if len(shape) != 4 or len(size) != 2 or min(*size, *shape) < 1:
        raise refusal(op, f"{shape} cannot be resized to {size}", "give it NHWC and a size of two positive numbers")
    if attributes.align_corners and attributes.half_pixel_centers and not takes_both:
        raise refusal(op, "align_corners and half_pixel_centers exclude each other", "set one of them")
    return ((shape[0], *size, shape[3]),)


def _needs(reads: Reads, signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    source, output = signature.input(0), signature.output
    if index or not is_feature_map(output):
        return None
    return Region(
        _read(partial(reads, signature, source.rows, output.rows), output.rows, rows),
        _read(partial(reads, signature, source.cols, output.cols), output.cols, cols),
    )


def _read(reads: Callable[[int], tuple[int, int]], size: int, outputs: Span) -> Span:
    if outputs.stop <= outputs.start:
        return Span(0, 0)
    # Patches of one size reach past the border, where there is nothing more to read.
    first, last = max(outputs.start, 0), min(outputs.stop, size) - 1
    return Span(reads(min(first, size - 1))[0], reads(max(last, 0))[1] + 1)


def _work(kind: WorkKind, taps: int, signature: Signature, rows: int, cols: int, calls: int) -> Work:
    source, output = signature.input(0), signature.output
    outputs = output.shape[0] * rows * cols * output.channels
    return Work(
        kind,
        outputs=outputs,
        inputs=share(signature, source.elements, rows, cols),
        read_bytes=bytes_of(outputs * taps, source),
        written_bytes=bytes_of(outputs, output),
        channels_in=1,
        channels_out=output.channels,
        taps=taps,
        calls=calls,
    )


def resize(
    name: str,
    summary: str,
    options: str,
    reads: Reads,
    *,
    taps: int,
    takes_both: bool = False,
    prepare: Callable[[Call], object] | None = None,
    kernel: str = "",
) -> OpDef:
    """A resize that reads `taps` input places for an output place; one that reads a single place only moves it.

    takes_both: align_corners and half_pixel_centers may be set at once.
    """
    return OpDef(
        name=name,
        summary=summary,
        attributes=ResizeAttributes,
        options=options,
        infer=partial(_infer, name, takes_both),
        needs=partial(_needs, reads),
        work=partial(_work, WorkKind.COPY if taps == 1 else WorkKind.ELEMENTWISE, taps),
        most_inputs=2,
        shape_inputs=(1,),
        movement=Movement.MOVES if taps == 1 else Movement.COMPUTES,
        prepare=prepare,
        kernel=kernel,
    )


def check_size(call: Call) -> None:
    """Raise ModelError where the size is computed at run time, which no kernel follows."""
    constant_ints(call.signature.op, call.signature.inputs, 1, "size")


def flags(signature: Signature) -> tuple[bool, bool]:
    """align_corners, half_pixel_centers."""
    attributes = attributes_of(signature, ResizeAttributes)
    return attributes.align_corners, attributes.half_pixel_centers
