"""MCUNetV2's search space: what may be chosen, and the network and schedule that a choice stands for.

The frame is ProxylessNAS's as MCUNet uses it: a strided convolution, a block without expansion, five stages of inverted
residual blocks, a last block, and the task's own tail. At width 1.0 it is mcunet-in4's, at 0.5 mcunet-in3's.
Source: MCUNetV2 (arXiv 2110.15352), Appendix B; the frame from the released networks (assumption A45).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from mcusim.designing.spaces.detection_head import HEADS, VOC_CLASSES, Features, detection_head, output_channels
from mcusim.schedule import LAYER, Schedule, StageKind, StageSpec

__all__ = [
    "DEPTHS",
    "EXPANSIONS",
    "GRIDS",
    "KERNELS",
    "RESOLUTIONS",
    "WIDTHS",
    "Block",
    "Choice",
    "Frame",
    "Layer",
    "Task",
    "Unit",
    "frame_of",
    "last_patched",
    "rounded",
    "tail_of",
]

KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)
DEPTHS = (2, 3, 4)
WIDTHS = (0.5, 0.75, 1.0)
RESOLUTIONS = (96, 128, 160, 192, 224, 256)
GRIDS = (1, 2, 3, 4)
"""Patches along an axis; 1 runs layer by layer."""

STEM_CHANNELS, FIRST_CHANNELS = 32, 16
"""Of the first convolution and the first block, at width 1.0."""

Layer = dict[str, Any]
"""A layer as `frontends.description` reads it."""


class Task(StrEnum):
    """What the network is to answer: it decides the tail."""

    IMAGENET = "imagenet"
    VWW = "vww"
    VOC = "voc"


_CLASSES = {Task.IMAGENET: 1000, Task.VWW: 2, Task.VOC: VOC_CLASSES}


class Stage(NamedTuple):
    """A part of the frame. channels: at width 1.0.   stride: of its first block.   depths: that it may have."""

    channels: int
    stride: int
    depths: tuple[int, ...] = DEPTHS


_STAGES = (Stage(24, 2), Stage(40, 2), Stage(80, 2), Stage(96, 1), Stage(192, 2))
_LAST = Stage(320, 1, (1,))
_FEATURE_STAGES = {1: "c8", 3: "c16", 4: "c32"}
"""Stages whose outputs a detector's head reads, the last before the resolution is halved: strides 8, 16 and 32."""


class Frame(NamedTuple):
    """Stages of a task. A detector reads features of 192 channels; the last block is the classifiers'."""

    stages: tuple[Stage, ...]

    @property
    def parts(self) -> int:
        """Parts with a width of their own: the first convolution, the first block, the stages."""
        return 2 + len(self.stages)


def frame_of(task: Task) -> Frame:
    """What is fixed about the networks of a task."""
    return Frame(_STAGES if task is Task.VOC else (*_STAGES, _LAST))


def rounded(channels: int, width: float) -> int:
    """Channels times a width, to the nearest multiple of 8, at least 8 and never below 90 % of the product.

    Source: `make_divisible` of the MobileNet line, which every released network follows.
    """
    wanted = channels * width
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest


class Block(NamedTuple):
    """What an inverted residual block may choose."""

    kernel: int
    expand: int


class Unit(NamedTuple):
    """A block with all that decides what it costs. side: rows of its input.   expand: 0 for the first convolution."""

    side: int
    in_c: int
    out_c: int
    kernel: int
    expand: int
    stride: int

    @property
    def has_shortcut(self) -> bool:
        """Wherever the shapes allow it, as in the released networks; the first block has none."""
        return self.expand > 1 and self.stride == 1 and self.in_c == self.out_c

    @property
    def out_side(self) -> int:
        return -(-self.side // self.stride)

    @property
    def nodes(self) -> int:
        """Computing nodes: convolutions and the addition of the shortcut."""
        return 1 if self.expand == 0 else 2 + (self.expand > 1) + self.has_shortcut

    def reach(self, out_side: int) -> int:
        """Rows of the input that `out_side` rows of the output need, zeros beyond the border counted in."""
        return (out_side - 1) * self.stride + self.kernel

    def macs_of(self, in_side: int, out_side: int) -> int:
        """MACs of a square piece: what expands works on the input's rows, what follows on the output's."""
        inside, outside = in_side * in_side, out_side * out_side
        taps = self.kernel * self.kernel
        if self.expand == 0:
            return outside * taps * self.in_c * self.out_c
        hidden = self.in_c * self.expand
        expanding = inside * self.in_c * hidden if self.expand > 1 else 0
        return expanding + outside * hidden * (taps + self.out_c)

    def least_bytes(self, in_side: int, out_side: int) -> int:
        """Input and output of a square piece's fullest convolution, beside its shortcut; a depthwise is in place."""
        inside, outside = in_side * in_side, out_side * out_side
        if self.expand == 0:
            return outside * self.out_c  # the image may lie elsewhere
        hidden = self.in_c * self.expand
        kept = inside * self.in_c if self.has_shortcut else 0
        expanding = inside * (self.in_c + hidden) if self.expand > 1 else 0
        return max(expanding, outside * (hidden + self.out_c) + kept)

    def layer(self) -> Layer:
        """The block as a description has it."""
        strided = {"stride": self.stride} if self.stride > 1 else {}
        if self.expand == 0:
            convolution = {"op": "conv_2d", "kernel": self.kernel, **strided}
            return {**convolution, "out_channels": self.out_c, "activation": "relu6"}
        block = {"op": "mbconv", "kernel": self.kernel, **strided, "expand": self.expand, "out_channels": self.out_c}
        return {**block, "shortcut": True} if self.has_shortcut else block


def tail_of(task: Task, features: Features) -> list[Layer]:
    """What follows the blocks: pooling and a classifier, or a detector's head on `features`."""
    classes = _CLASSES[task]
    if task is Task.VOC:
        return detection_head(features, output_channels(classes))
    return [
        {"op": "average_pool_2d"},
        {"op": "conv_2d", "kernel": 1, "out_channels": classes, "padding": "valid", "name": "classifier"},
        {"op": "reshape", "shape": [-1, classes]},
    ]


@dataclass(frozen=True, slots=True)
class Choice:
    """A network of the space, and how it is run.

    widths: multipliers of the first convolution, the first block and each stage.   stages: the blocks of each stage.
    grid: patches along an axis.   patched: blocks that run patch by patch, the first convolution being one; at least 1
    where the grid is cut.
    """

    task: Task
    resolution: int
    widths: tuple[float, ...]
    stages: tuple[tuple[Block, ...], ...]
    grid: int = 1
    patched: int = 1

    def units(self) -> list[Unit]:
        """The blocks in order, the first convolution being the first."""
        stem, first = rounded(STEM_CHANNELS, self.widths[0]), rounded(FIRST_CHANNELS, self.widths[1])
        side = self.resolution // 2
        units = [Unit(self.resolution, 3, stem, 3, 0, 2), Unit(side, stem, first, 3, 1, 1)]
        in_c = first
        for stage, width, blocks in zip(frame_of(self.task).stages, self.widths[2:], self.stages, strict=True):
            out_c, stride = rounded(stage.channels, width), stage.stride
            for kernel, expand in blocks:
                units.append(Unit(side, in_c, out_c, kernel, expand, stride))
                side, in_c, stride = units[-1].out_side, out_c, 1
        return units

    @property
    def features(self) -> Features:
        """Channels that a detector's head reads."""
        stages = frame_of(self.task).stages
        return Features(*(rounded(stages[index].channels, self.widths[2 + index]) for index in _FEATURE_STAGES))

    def network(self) -> dict[str, Any]:
        """The network as plain data, padded as MCUNet's files are."""
        layers = [unit.layer() for unit in self.units()]
        known: dict[str, Any] = {"input": [self.resolution, self.resolution, 3], "padding": "explicit"}
        if self.task is Task.VOC:
            known["outputs"] = list(HEADS)
            index = 1
            for stage, blocks in enumerate(self.stages):
                index += len(blocks)
                if stage in _FEATURE_STAGES:
                    layers[index]["name"] = _FEATURE_STAGES[stage]
        return {**known, "layers": layers + tail_of(self.task, self.features)}

    def schedule(self) -> Schedule:
        """Patches over the first blocks, layers behind them."""
        if self.grid == 1:
            return LAYER
        nodes = sum(unit.nodes for unit in self.units()[: self.patched])
        return Schedule((StageSpec(StageKind.PATCH, nodes, self.grid, self.grid),))


def last_patched(choice: Choice) -> int:
    """Most blocks that may run patch by patch: never all, and none whose output a detector's head reads.

    The generator knows one way out of a patch stage.
    """
    if choice.task is not Task.VOC:
        return len(choice.units()) - 1
    return 1 + sum(len(blocks) for blocks in choice.stages[:2])
