"""The detector's head: that of MCUNet's released person detector, on the backbone's own channels.

Three scales (strides 8, 16, 32), joined downwards by upsampling and upwards by pooling. Each answers through an
expanding 1x1, a depthwise 3x3, a widening 1x1 and a 1x1 with three anchors of 5 + classes numbers. All ratios of
channels are those of that file (`person-det` of the zoo); assumption A47.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["ANCHORS", "HEADS", "VOC_CLASSES", "Features", "detection_head", "output_channels"]

VOC_CLASSES = 20
ANCHORS = 3
"""Boxes at a place of a scale."""

HEADS = ("head_32", "head_16", "head_8")
"""The network's outputs, coarsest first."""


class Features(NamedTuple):
    """Channels of the backbone at strides 8, 16 and 32; its layers there are called `c8`, `c16` and `c32`."""

    c8: int
    c16: int
    c32: int


def output_channels(classes: int) -> int:
    """Numbers at one place: a box, its confidence and its classes for each anchor."""
    return ANCHORS * (5 + classes)


def detection_head(features: Features, outputs: int) -> list[dict[str, Any]]:
    """The layers behind `c32`.   outputs: channels of each of the three answers."""
    c8, c16, c32 = features
    return [
        *_downwards("c32", "c16", c16, expand=3),
        *_downwards("p16", "c8", c8, expand=2),
        *_answer("p8", "head_8", 4 * c8, 3 * c8, outputs),
        *_upwards("p8", "p16", "n16", c16),
        *_answer("n16", "head_16", 2 * c16, 3 * c16, outputs),
        *_upwards("n16", "c32", "n32", c32),
        *_answer("n32", "head_32", 4 * c32, 3 * c32, outputs),
    ]


def _downwards(coarse: str, fine: str, channels: int, expand: int) -> list[dict[str, Any]]:
    """Coarse features upsampled onto finer ones, and a block: `c8` gives `p8`."""
    joined, block = f"{fine}_joined", f"p{fine[1:]}"
    return [
        {"op": "conv_2d", "kernel": 1, "out_channels": channels, "activation": "relu6", "input": coarse},
        {"op": "resize_nearest_neighbor", "scale": 2, "name": f"{fine}_from_{coarse}"},
        {"op": "add", "name": joined, "inputs": [f"{fine}_from_{coarse}", fine]},
        {"op": "mbconv", "kernel": 3, "expand": expand, "out_channels": channels, "shortcut": True, "name": block},
    ]


def _upwards(fine: str, coarse: str, block: str, channels: int) -> list[dict[str, Any]]:
    """Fine features pooled onto coarser ones, and a block."""
    return [
        {"op": "max_pool_2d", "size": 2, "input": fine},
        {
            "op": "conv_2d",
            "kernel": 1,
            "out_channels": channels,
            "activation": "relu6",
            "name": f"{coarse}_from_{fine}",
        },
        {"op": "add", "inputs": [f"{coarse}_from_{fine}", coarse]},
        {"op": "mbconv", "kernel": 3, "expand": 2, "out_channels": channels, "shortcut": True, "name": block},
    ]


def _answer(block: str, name: str, hidden: int, wide: int, outputs: int) -> list[dict[str, Any]]:
    """What one scale says."""
    return [
        {"op": "conv_2d", "kernel": 1, "out_channels": hidden, "activation": "relu6", "input": block},
        {"op": "depthwise_conv_2d", "kernel": 3, "activation": "relu6"},
        {"op": "conv_2d", "kernel": 1, "out_channels": wide, "activation": "relu6"},
        {"op": "conv_2d", "kernel": 1, "out_channels": outputs, "name": name},
    ]
