"""Steps from one network of the space to another, drawn from a seeded stream of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from mcusim.designing.draw import Draw
from mcusim.designing.spaces.mcunetv2 import (
    EXPANSIONS,
    GRIDS,
    KERNELS,
    RESOLUTIONS,
    WIDTHS,
    Block,
    Choice,
    Task,
    frame_of,
    last_patched,
)

__all__ = ["Space", "any_choice", "is_runnable", "neighbour"]

PAIRED = 2
"""One step in so many makes two choices anew: what one adds the other may take away."""


@dataclass(frozen=True, slots=True)
class Space:
    """The part of the published space that is searched."""

    task: Task
    resolutions: tuple[int, ...] = RESOLUTIONS
    grids: tuple[int, ...] = GRIDS

    def islands(self) -> Iterator[Space]:
        """Its parts of one resolution and one grid, as far as some map of the network divides into that grid."""
        for resolution in self.resolutions:
            for grid in self.grids:
                if any((resolution >> halvings) % grid == 0 for halvings in range(1, 6)):
                    yield replace(self, resolutions=(resolution,), grids=(grid,))


def any_choice(space: Space, draw: Draw) -> Choice:
    """A network of the space that can be run, each choice with the same chance."""
    while True:
        frame = frame_of(space.task)
        widths = tuple(draw.one(WIDTHS) for _ in range(frame.parts))
        depths = [draw.one(stage.depths) for stage in frame.stages]
        stages = tuple(tuple(_any_block(draw) for _ in range(depth)) for depth in depths)
        choice = Choice(space.task, draw.one(space.resolutions), widths, stages, draw.one(space.grids))
        choice = replace(choice, patched=1 + draw.index(last_patched(choice)))
        if is_runnable(choice):
            return choice


def _any_block(draw: Draw) -> Block:
    return Block(draw.one(KERNELS), draw.one(EXPANSIONS))


def is_runnable(choice: Choice) -> bool:
    """Whether the patches of the stage's output are all of one size, as TinyEngine's generator wants them."""
    if choice.grid == 1:
        return True
    return choice.patched <= last_patched(choice) and choice.units()[choice.patched - 1].out_side % choice.grid == 0


def neighbour(choice: Choice, draw: Draw) -> Choice:
    """The network on the same island with one choice made anew, or two; itself where that cannot be run."""
    moved = draw.one(_MOVES)(choice, draw)
    if draw.index(PAIRED) == 0:
        moved = draw.one(_MOVES)(moved, draw)
    return moved if is_runnable(moved) else choice


def _with_block(choice: Choice, draw: Draw) -> Choice:
    """Another kernel or expansion of one block."""
    stage = draw.index(len(choice.stages))
    blocks = list(choice.stages[stage])
    index = draw.index(len(blocks))
    kernel, expand = blocks[index]
    if draw.index(2):
        blocks[index] = Block(draw.another(KERNELS, kernel), expand)
    else:
        blocks[index] = Block(kernel, draw.another(EXPANSIONS, expand))
    return _with_stage(choice, stage, blocks)


def _with_depth(choice: Choice, draw: Draw) -> Choice:
    """A block more or less at the end of one stage."""
    stage = draw.index(len(choice.stages))
    blocks = list(choice.stages[stage])
    allowed = frame_of(choice.task).stages[stage].depths
    depth = draw.another([d for d in allowed if abs(d - len(blocks)) <= 1], len(blocks))
    blocks = [*blocks, _any_block(draw)][:depth] if depth >= len(blocks) else blocks[:depth]
    return _with_stage(choice, stage, blocks)


def _with_stage(choice: Choice, stage: int, blocks: Sequence[Block]) -> Choice:
    stages = (*choice.stages[:stage], tuple(blocks), *choice.stages[stage + 1 :])
    return replace(choice, stages=stages)


def _with_width(choice: Choice, draw: Draw) -> Choice:
    part = draw.index(len(choice.widths))
    width = draw.another(WIDTHS, choice.widths[part])
    return replace(choice, widths=(*choice.widths[:part], width, *choice.widths[part + 1 :]))


def _with_patched(choice: Choice, draw: Draw) -> Choice:
    return replace(choice, patched=1 + draw.index(last_patched(choice)))


_MOVES: tuple[Callable[[Choice, Draw], Choice], ...] = (
    *[_with_block] * 8,
    *[_with_depth] * 2,
    *[_with_width] * 3,
    _with_patched,
)
"""As often as they stand here: most of what may be chosen are the blocks."""
