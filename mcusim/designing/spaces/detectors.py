"""MCUNetV2's space for detectors: its head reads inside the backbone, which a list of parts cannot say."""

from __future__ import annotations

from typing import Any

from mcusim.designing.spaces.choosing import Choices
from mcusim.designing.spaces.mcunetv2 import (
    DEPTHS,
    EXPANSIONS,
    GRIDS,
    KERNELS,
    RESOLUTIONS,
    WIDTHS,
    Block,
    Choice,
    Task,
    frame_of,
)
from mcusim.designing.spaces.space import Space

__all__ = ["detector_space"]


def detector_space() -> Space:
    """The space `mcunetv2:voc`."""
    blocks = len(KERNELS) * len(EXPANSIONS)
    frame = frame_of(Task.VOC)
    size = len(RESOLUTIONS) * len(WIDTHS) ** frame.parts
    size *= sum(blocks**depth for depth in DEPTHS) ** len(frame.stages)
    return Space(
        name="mcunetv2:voc",
        make=_network,
        size=size,
        names={"resolution": RESOLUTIONS},
        grids=GRIDS,
        title="MCUNetV2, detectors",
        task="detection",
        dataset="Pascal VOC",
        source="MCUNetV2, arXiv 2110.15352, Appendix B; the head from MCUNet's released detector (assumption A47)",
    )


def _network(choices: Choices) -> dict[str, Any]:
    resolution = choices.choice(RESOLUTIONS, "resolution")
    frame = frame_of(Task.VOC)
    widths = tuple(choices.choice(WIDTHS, f"part {part} width") for part in range(1, frame.parts + 1))
    stages = []
    for number, stage in enumerate(frame.stages, 1):
        depth = choices.choice(stage.depths, f"stage {number} blocks")
        stages.append(tuple(_block(choices, f"stage {number}.{block}") for block in range(1, depth + 1)))
    return Choice(Task.VOC, resolution, widths, tuple(stages)).network()


def _block(choices: Choices, name: str) -> Block:
    return Block(choices.choice(KERNELS, f"{name} kernel"), choices.choice(EXPANSIONS, f"{name} expand"))
