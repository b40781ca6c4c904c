"""MIRROR_PAD: a tensor's own elements, mirrored at its edge, put around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Drawing, attributes_of, register
from mcusim.ops.shared.movement import moves
from mcusim.ops.shared.operands import operand, refusal
from mcusim.ops.shared.padding import border, border_of, infer_padded
from mcusim.ops.shared.picking import Picks, prepare_picks
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.tiles import is_feature_map
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type
from mcusim.region import Region, Span

__all__ = ["MIRROR_PAD", "MirrorPadAttributes"]


MODES = (0, 1)
"""REFLECT leaves the edge out of the mirror, SYMMETRIC repeats it."""


@dataclass(frozen=True, slots=True)
class MirrorPadAttributes(Attributes):
    """Attributes of MIRROR_PAD, under TFLite's names. mode: one of `MODES`."""

    mode: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, MirrorPadAttributes)
    op = "MIRROR_PAD"
    if attributes.mode not in MODES:
        raise refusal(op, f"its mode is {attributes.mode}", "use 0 (REFLECT) or 1 (SYMMETRIC)")
    most = [size - 1 + attributes.mode for size in operand(op, inputs, 0).shape]
    if any(max(pads) > limit for pads, limit in zip(border(op, inputs), most, strict=True)):
        raise refusal(op, "the border is wider than what it mirrors", f"pad by at most {most}")
    return infer_padded(op, attributes, inputs)


def _mirrored(span: Span, before: int, size: int, edge: int) -> Span:
    """Hull of the input places that outputs in `span` show; `edge` is 1 where the mirror repeats the edge."""
    if span.stop <= span.start:
        return Span(0, 0)
    first, last = span.start - before, span.stop - 1 - before
    # Place p < 0 shows -p - edge, place p >= size shows 2 * (size - 1) + edge - p: going outwards leads inwards.
    shown = [max(first, 0), min(last, size - 1)] if first < size and last >= 0 else []
    if first < 0:
        shown += [-first - edge, -min(last, -1) - edge]
    if last >= size:
        shown += [2 * (size - 1) + edge - last, 2 * (size - 1) + edge - max(first, size)]
    return Span(min(shown), max(shown) + 1)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    if index or not is_feature_map(signature.output):
        return None
    batch, (top, _), (left, _), _ = border_of(signature)
    if batch != (0, 0):
        return None
    source, edge = signature.input(0), attributes_of(signature, MirrorPadAttributes).mode
    return Region(_mirrored(rows, top, source.rows, edge), _mirrored(cols, left, source.cols, edge))


def _places(before: int, size: int, after: int, edge: int) -> list[int]:
    """Input place of each output place along an axis."""
    places = []
    for place in range(-before, size + after):
        if place < 0:
            place = -place - edge
        elif place >= size:
            place = 2 * (size - 1) + edge - place
        places.append(place)
    return places


def _prepare(call: Call) -> Picks:
    """Source: TFLM mirror_pad.cc, which takes paddings of any other type for none, and still fills the whole output."""
    paddings = call.input(1).dtype
    if paddings not in (DType.INT32, DType.INT64):
        what = f"input 1 is {paddings}, and TensorFlow Lite Micro reads paddings of int32 and int64"
        raise ModelError(what, where=call.where, fix="store it as int32")
    edge = attributes_of(call.signature, MirrorPadAttributes).mode
    sizes = zip(border_of(call.signature), call.signature.input(0).shape, strict=True)
    return prepare_picks(call, [_places(before, size, after, edge) for (before, after), size in sizes])


MIRROR_PAD = register(
    replace(
        moves(
            "MIRROR_PAD",
            "a tensor's own elements, mirrored at its edge, put around it",
            _infer,
            _needs,
            attributes=MirrorPadAttributes,
            options="MirrorPadOptions",
            most_inputs=2,
            shape_inputs=(1,),
            prepare=_prepare,
            kernel="picking",
        ),
        needs_options=True,  # without them TFLM takes its own default, which is not the schema's
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)
