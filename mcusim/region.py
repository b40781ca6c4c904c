"""Half-open intervals of rows or columns, and what an output region needs of its inputs: its receptive field.

The halo of a convolution is what two neighbouring pieces both need. With a 3x3 kernel, stride 2 and one row of padding:

    outputs [0, 2)   need rows [-1, 4)    row -1 is padding
    outputs [2, 4)   need rows [ 3, 8)    row 3 is the halo: kernel - stride = 1 row
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Region", "Span", "Window", "clip", "hull"]


class Span(NamedTuple):
    """Rows or columns `[start, stop)`; empty when stop <= start. May reach past the border before it is clipped."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return max(self.stop - self.start, 0)


class Region(NamedTuple):
    """A rectangle of a feature map, all channels."""

    rows: Span
    cols: Span


def clip(span: Span, size: int) -> Span:
    """The part of `span` inside `[0, size)`."""
    start, stop = max(span.start, 0), min(span.stop, size)
    return Span(start, stop) if start < stop else Span(0, 0)


def hull(a: Span, b: Span) -> Span:
    """The smallest interval that holds both; an empty one adds nothing."""
    if a.stop <= a.start:
        return b
    if b.stop <= b.start:
        return a
    return Span(min(a.start, b.start), max(a.stop, b.stop))


class Window(NamedTuple):
    """A sliding window along one axis: output i reads `[i*stride - before, i*stride - before + reach)`.

    reach: taps times dilation, less the gaps at the end: `(kernel - 1) * dilation + 1`.
    """

    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def reach(self) -> int:
        return (self.kernel - 1) * self.dilation + 1

    def needs(self, outputs: Span) -> Span:
        """Input interval that these outputs read, halo included; not clipped: it reaches into the padding."""
        if outputs.stop <= outputs.start:
            return Span(0, 0)
        start = outputs.start * self.stride - self.before
        return Span(start, (outputs.stop - 1) * self.stride - self.before + self.reach)

    def outputs(self, size: int) -> int:
        """How many outputs an axis of `size` gives."""
        return (size + self.before + self.after - self.reach) // self.stride + 1
