"""What surrounds a network, as data: what an image goes through before, how boxes are read from what comes out, and how
a network was found that stands for another.

Zoo entries declare these, each with its source; users declare or override them (`mcusim evaluate --preprocess`).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["BoxFormat", "Channels", "Corners", "Detection", "Filter", "Integers", "Preprocessing", "Resize", "Witness"]


class Resize(StrEnum):
    """How an image comes to the size of the network's input."""

    CROP = "crop"
    STRETCH = "stretch"
    NONE = "none"


class Filter(StrEnum):
    """How pixels are resampled, in Pillow's words; each looks at all pixels that it shrinks, but `nearest`."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"
    BOX = "box"
    HAMMING = "hamming"


class Channels(StrEnum):
    """Order of colours. AUTO: gray for an input of one channel, else rgb."""

    AUTO = "auto"
    RGB = "rgb"
    BGR = "bgr"
    GRAY = "gray"


class Integers(StrEnum):
    """What an 8-bit input gets: the real value by scale and zero point, or the byte itself, moved to the input's range.

    A float input always gets the real value.
    """

    AFFINE = "affine"
    BYTES = "bytes"


class Preprocessing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an image file becomes the network's input: real value = (byte - mean) / std.

    fraction: of CROP, the share of the shorter side that stays.   mean, std: in bytes, one or one a channel, in the
    order in which the network sees them.   source: who says so.
    """

    resize: Resize = Resize.STRETCH
    fraction: float = 0.875
    filter: Filter = Filter.BILINEAR
    channels: Channels = Channels.AUTO
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)
    integers: Integers = Integers.AFFINE
    source: str = ""


class BoxFormat(StrEnum):
    """Which numbers a detector's outputs hold.

    YOLOV3: raw heads (rows, columns, anchors x (x, y, width, height, objectness, classes)).
    POSTPROCESS: what TFLite_Detection_PostProcess gives: boxes, classes, scores, how many.
    ROWS: one output of rows (four of the box, score, class).
    """

    YOLOV3 = "yolov3"
    POSTPROCESS = "postprocess"
    ROWS = "rows"


class Corners(StrEnum):
    """Order of a decoded box's four numbers; XYWH has the centre first."""

    YXYX = "yxyx"
    XYXY = "xyxy"
    XYWH = "xywh"


class Detection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a detector's outputs, in order, are read: stride and anchors (width, height, ...) of each head; classes.

    labels: names of the classes.   source: who says how boxes are decoded.
    outputs: of POSTPROCESS, which outputs are boxes, classes, scores and the number of boxes (-1: there is none).
    is_relative: decoded boxes are shares of the input's size, not pixels of it.
    least_score, most_overlap, most_candidates: what greedy suppression, class by class, keeps; an overlap of 1 or more
    switches it off. keep: boxes an image at most.
    """

    strides: tuple[int, ...] = ()
    anchors: tuple[tuple[int, ...], ...] = ()
    classes: int = 0
    labels: tuple[str, ...] = ()
    source: str = ""
    format: BoxFormat = BoxFormat.YOLOV3
    outputs: tuple[int, ...] = (0, 1, 2, 3)
    corners: Corners = Corners.YXYX
    is_relative: bool = True
    least_score: float = 0.01
    most_overlap: float = 0.45
    most_candidates: int = 400
    keep: int = 100


class Witness(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a network was found that stands for another, and what it counts.

    of: the published row whose figures it meets, or "".   statement: what a reader must know before using it.
    profile: the board that it was searched for.   convention: that counted its SRAM, under `schedule`.
    macs: nothing computed twice; `recomputed_macs` come on top.   flash_bytes: model and code.
    """

    statement: str
    schedule: str
    profile: str
    convention: str
    seed: int
    command: str
    macs: int
    recomputed_macs: int
    sram_bytes: int
    flash_bytes: int
    params: int
    of: str = ""
