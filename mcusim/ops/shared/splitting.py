"""Shared by the splits: one tensor cut into several along an axis.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from mcusim.graph import Shape, Signature
from mcusim.ops.registry import Call
from mcusim.ops.shared.movement import check_movable
from mcusim.ops.shared.slicing import Cut, whole_walks
from mcusim.ops.shared.tiles import is_feature_map
from mcusim.region import Region, Span

__all__ = ["pieces", "prepare_split", "split_needs"]


def pieces(shape: Shape, axis: int, sizes: tuple[int, ...]) -> tuple[Shape, ...]:
    """`shape` with each of `sizes` in turn along `axis`."""
    return tuple((*shape[:axis], size, *shape[axis + 1 :]) for size in sizes)


def split_needs(signature: Signature, source: int, index: int, rows: Span, cols: Span) -> Region | None:
    """Input region where the cut leaves rows and columns alone; else a region means another place for each output."""
    whole = signature.input(source)
    if index != source or not is_feature_map(whole) or signature.output.shape[1:3] != whole.shape[1:3]:
        return None
    return Region(rows, cols)


def prepare_split(call: Call, source: int, axis: int) -> Cut:
    """The parts of input `source`, one after the other along `axis`."""
    check_movable(call, source)
    cuts, start = [], 0
    for output in call.outputs:
        walks = whole_walks(call.signature.input(source).shape)
        size = output.shape[axis]
        walks[axis] = walks[axis]._replace(start=start, length=size)
        cuts.append(tuple(walks))
        start += size
    return Cut(source, tuple(cuts))
