"""Shared by the slices: which elements of its input each output axis walks over.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from mcusim.graph import Shape, Signature
from mcusim.ops.shared.tiles import is_feature_map
from mcusim.region import Region, Span

__all__ = ["Cut", "Walk", "walk_needs", "whole_walks"]


class Walk(NamedTuple):
    """Output element i along an axis is input element `start + i * stride`, of `length`, along input axis `source`.

    source: None for a new axis of size 1.   is_dropped: the output has no such axis; its one element is taken.
    """

    source: int | None
    start: int
    stride: int
    length: int
    is_dropped: bool = False

    def needs(self, outputs: Span) -> Span:
        """Hull of the input elements that these outputs show."""
        if outputs.stop <= outputs.start:
            return Span(0, 0)
        first, last = (self.start + i * self.stride for i in (outputs.start, outputs.stop - 1))
        return Span(min(first, last), max(first, last) + 1)


class Cut(NamedTuple):
    """What the slice kernel trusts.   source: the input that is cut.   outputs: the walks of each output's axes."""

    source: int
    outputs: tuple[tuple[Walk, ...], ...]


def whole_walks(shape: Shape) -> list[Walk]:
    """Walks that take all of every axis."""
    return [Walk(axis, 0, 1, size) for axis, size in enumerate(shape)]


def walk_needs(signature: Signature, walks: tuple[Walk, ...], rows: Span, cols: Span) -> Region | None:
    """Input region, where rows stay rows and columns columns; else None."""
    if len(walks) != 4 or not is_feature_map(signature.input(0)) or (walks[1].source, walks[2].source) != (1, 2):
        return None
    return Region(walks[1].needs(rows), walks[2].needs(cols))
