"""TFLite_Detection_PostProcess: boxes from their encodings, of which those that overlap a better one are dropped.

Inputs: encodings (1, boxes, 4 or more) as y, x, height, width; scores (1, boxes, classes), perhaps with one for the
background; anchors (boxes, 4). Outputs: boxes as top, left, bottom, right; classes; scores; how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from mcusim.graph import Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, OpDef, Work, WorkKind, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_types, mismatch
from mcusim.ops.shared.operands import refusal
from mcusim.ops.shared.tiles import no_needs

__all__ = ["DETECTION_POST_PROCESS", "DetectionAttributes", "Detector", "box_count", "broken_detection"]

COORDINATES, RANK = 4, 3


@dataclass(frozen=True, slots=True)
class DetectionAttributes(CustomAttributes):
    """max_detections: boxes that are given out.   max_classes_per_detection: classes of each, of the fast way.

    use_regular_nms: each class by itself, of which `detections_per_class` boxes stay; else each box by its best class.
    nms_score_threshold, nms_iou_threshold: below which score a box is dropped, and above which overlap.
    y_scale, x_scale, h_scale, w_scale: by which encodings are divided.   num_classes: without the background.
    """

    max_detections: int = 0
    max_classes_per_detection: int = 1
    detections_per_class: int = 100
    use_regular_nms: bool = False
    nms_score_threshold: float = 0.0
    nms_iou_threshold: float = 0.0
    num_classes: int = 0
    y_scale: float = 1.0
    x_scale: float = 1.0
    h_scale: float = 1.0
    w_scale: float = 1.0


class Detector(NamedTuple):
    """What the kernel trusts.   label_offset: 1 where the first score is the background's.   where: names the node."""

    options: DetectionAttributes
    label_offset: int
    where: str


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, DetectionAttributes)
    many = attributes.max_detections
    if not attributes.use_regular_nms:
        many *= attributes.max_classes_per_detection
    return ((1, many, COORDINATES), (1, many), (1, many), (1,))


def box_count(signature: Signature) -> int:
    """How many boxes are decoded. Raises ModelError where the encodings are no list of boxes of one image."""
    shape = signature.input(0).shape
    if len(shape) != RANK:
        raise refusal("TFLite_Detection_PostProcess", f"encodings {shape} are not of one image", "export it again")
    return shape[1]


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    """Every pair of boxes is compared at worst: an upper bound that few images come near."""
    boxes = box_count(signature)
    kinds = [t for t in signature.inputs if t is not None and not t.is_constant]
    return Work(
        WorkKind.ELEMENTWISE,
        outputs=sum(t.elements for t in signature.outputs),
        inputs=boxes * (COORDINATES + signature.input(1).channels),
        read_bytes=sum(t.size_bytes for t in kinds),
        written_bytes=sum(t.size_bytes for t in signature.outputs),
        channels_out=COORDINATES,
        calls=calls,
        input_bits=32,
        output_bits=32,
    )


def broken_detection(signature: Signature) -> str:
    """What of its shapes and options keeps TFLM from giving detections out; "" for nothing.

    Where a box may have several classes, TFLM counts its places twice: with n classes each, detection i lies at n * i
    and beyond, of outputs that have room for all of them one after another.
    Source: TFLM detection_postprocess.cc (DecodeCenterSizeBoxes, NonMaxSuppressionMultiClassFastHelper).
    """
    options = attributes_of(signature, DetectionAttributes)
    encodings, scores, anchors = (signature.input(index).shape for index in range(3))
    if not (len(encodings) == len(scores) == RANK and len(anchors) == 2 and encodings[0] == scores[0] == 1):
        return f"encodings {encodings}, scores {scores} and anchors {anchors} are not of one image"
    few = anchors[0] < encodings[1] or encodings[2] < COORDINATES
    if few or encodings[1] != scores[1] or anchors[1] != COORDINATES:
        return f"encodings {encodings}, scores {scores} and anchors {anchors} do not go together"
    if scores[2] - options.num_classes not in (0, 1) or options.num_classes < 1:
        return f"{scores[2]} scores are not those of {options.num_classes} classes"
    return _broken_options(options) or _without_room(signature, options)


def _broken_options(options: DetectionAttributes) -> str:
    if not 0 < options.nms_iou_threshold <= 1:
        return f"the overlap {options.nms_iou_threshold:g} is none above 0 and up to 1"
    each = "detections_per_class" if options.use_regular_nms else "max_classes_per_detection"
    for name in ("max_detections", each):
        if getattr(options, name) < 1:
            return f"its {name} is {getattr(options, name)}, and must be 1 at least"
    zeros = [f"{axis}_scale" for axis in "yxhw" if not getattr(options, f"{axis}_scale")]
    return f"its {zeros[0]} is 0, by which it divides" if zeros else ""


def _without_room(signature: Signature, options: DetectionAttributes) -> str:
    each = min(options.max_classes_per_detection, options.num_classes)
    if not options.use_regular_nms and each > 1:
        return f"each box may have {each} classes, where TFLM writes past the end of the outputs"
    for place, needed in enumerate(_infer(options, signature.inputs)):
        if signature.outputs[place].elements < prod(needed):
            return f"output {place} has no room for {options.max_detections} detections: TFLM writes past the end of it"
    return ""


def _prepare(call: Call) -> Detector:
    check_types(call, ((DType.FLOAT32,) * 3, (DType.FLOAT32,) * 4))
    broken = broken_detection(call.signature)
    if broken:
        raise mismatch(call, broken)
    options = attributes_of(call.signature, DetectionAttributes)
    return Detector(options, call.input(1).shape[2] - options.num_classes, call.where)


DETECTION_POST_PROCESS = register(
    OpDef(
        name="CUSTOM:TFLite_Detection_PostProcess",
        summary="boxes from their encodings, overlapping ones dropped",
        attributes=DetectionAttributes,
        infer=_infer,
        needs=no_needs,
        work=_work,
        prepare=_prepare,
        kernel="detection_post_process",
    )
)
