"""Where each operand of a step lies in piece (i, j) of its stage: for whoever runs, draws or emits a Program.

Rows and columns are independent. An operand along one axis is a short table with one entry a piece, and the first
element that piece (i, j) reads lies at the sum of two entries.

    A tensor of 8 rows. A step reads rows [-1, 3) in piece 0 and [1, 5) in piece 1. A line buffer keeps 4 rows.

      piece   asked     inside    outside          stretches of rows, row r at slot r modulo 4
        0     [-1, 3)   [0, 3)    one row above    rows 0 to 2 at slots 0 to 2
        1     [ 1, 5)   [1, 5)    nothing          rows 1 to 3 at slots 1 to 3, row 4 at slot 0

    address = start of the buffer + start of the view + rows[i].offset_bits / 8 + cols[j].offset_bits / 8

What of `asked` lies outside of the tensor is padding: the kernel makes it up. A runtime with patches of one size
computes and stores it too. There `computed` is the larger interval, and the view of a piece starts where that starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mcusim.graph import ABSENT, DType, TensorType
from mcusim.ops import OPS
from mcusim.program import Program, Stage, Step, ViewKind
from mcusim.region import Region, Span, clip

__all__ = ["AxisPlace", "Layout", "Operand", "Place", "RowRun", "StepOperands", "operands", "stage_operands"]

_FEATURE_MAP_RANK = 4
_ENTIRE = (ViewKind.WHOLE, ViewKind.OUTSIDE)


class Layout(NamedTuple):
    """How the elements of a view follow each other, as the step sees them. In bits: elements of int4 share a byte.

    start_bits: from the start of the buffer to the view.   pixel_bits: from one column to the next.
    row_bits: from one row to the next.   image_bits: from one image of a batch to the next.
    row_capacity: of a line buffer, where row r lies at slot r modulo this; else 0.
    """

    start_bits: int
    pixel_bits: int
    row_bits: int
    image_bits: int
    row_capacity: int

    @property
    def row_pitch_bytes(self) -> int:
        """From one row to the next. Rows of packed elements need not start at bytes: for those see `row_bits`."""
        return self.row_bits // 8


class AxisPlace(NamedTuple):
    """An operand along one axis, in one piece.

    asked: the interval that is read or written. Of an input it may reach past the border, into the padding.
    inside: the part of it that lies in the tensor, and so in memory.
    computed: as `asked`, for a runtime that computes border patches at full size; elsewhere the same.
    held: the interval that the view holds. Of a line buffer it is the whole axis, whose rows come round.
    offset_bits: from the start of the view to the first element of `inside`.
    """

    asked: Span
    inside: Span
    computed: Span
    held: Span
    offset_bits: int

    @property
    def before(self) -> int:
        """Rows or columns of padding in front of `inside`."""
        return self.inside.start - self.asked.start if self.inside.length else self.asked.length

    @property
    def after(self) -> int:
        """Rows or columns of padding behind `inside`."""
        return self.asked.stop - self.inside.stop if self.inside.length else 0


class RowRun(NamedTuple):
    """Rows that lie one after the other.   first_bit: of the first element in use, from the start of the buffer."""

    first_bit: int
    rows: int


class Place(NamedTuple):
    """An operand in one piece.

    asked: the region that is read or written, as in `AxisPlace`.   region: the part of it inside the tensor.
    held: the region that the view holds.   runs: stretches of rows of `region`; two where a line buffer wraps around.
    """

    asked: Region
    region: Region
    held: Region
    runs: tuple[RowRun, ...]

    @property
    def first_byte(self) -> int:
        """Of the first element, from the start of the buffer, or of the tensor where that lies outside the arena."""
        return self.runs[0].first_bit // 8


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that a step reads or writes.

    view: index.   buffer: index, ABSENT where the tensor lies outside the arena.   view_kind: what the view holds.
    kind: the tensor as the step sees it. A relabelled one has other rows than the tensor that the view was made for.
    step: that reads or writes it.   position: among the inputs, or among the outputs.
    writer: the step of the same stage that writes it; None where it comes from before the stage.
    """

    view: int
    buffer: int
    view_kind: ViewKind
    kind: TensorType
    layout: Layout
    step: Step
    position: int
    is_read: bool
    writer: Step | None

    @property
    def is_map(self) -> bool:
        """Whether it has rows and columns. Anything else is read and written whole, as one row of one column."""
        return len(self.kind.shape) == _FEATURE_MAP_RANK

    @property
    def is_entire(self) -> bool:
        """Whether the view holds all of the tensor."""
        return self.view_kind in _ENTIRE

    @property
    def whole(self) -> Region:
        """All of the tensor."""
        return Region(Span(0, self.kind.rows), Span(0, self.kind.cols))

    def at(self, row: int, col: int) -> Place:
        """Where the operand lies in piece (row, col) of the stage."""
        asked = self._asked(self.step.rows[row], self.step.cols[col])
        region = Region(clip(asked.rows, self.kind.rows), clip(asked.cols, self.kind.cols))
        held = Region(self._held(row, True), self._held(col, False))
        first_bit = self.layout.start_bits + self._offset_bits(region.cols, held.cols, False)
        return Place(asked, region, held, tuple(self._runs(region.rows, held.rows, first_bit)))

    def along_rows(self) -> tuple[AxisPlace, ...]:
        """Its rows in each row piece. An operator that makes rows of columns asks for all of them."""
        return tuple([self._along(piece, True) for piece in range(len(self.step.rows))])

    def along_cols(self) -> tuple[AxisPlace, ...]:
        """Its columns in each column piece, as `along_rows`."""
        return tuple([self._along(piece, False) for piece in range(len(self.step.cols))])

    def runs_of_rows(self, row: int) -> tuple[RowRun, ...]:
        """The stretches of rows in a row piece, as if columns began where the view does: `cols[j].offset_bits` add."""
        place = self._along(row, True)
        return tuple(self._runs(place.inside, place.held, self.layout.start_bits))

    # -- one axis -----------------------------------------------------------------------------------------------------

    def _along(self, piece: int, by_rows: bool) -> AxisPlace:
        step = self.step
        spans, computed = (step.rows, step.computed_rows) if by_rows else (step.cols, step.computed_cols)
        asked, held = self._interval(spans[piece], by_rows), self._held(piece, by_rows)
        larger = asked if computed[piece] == spans[piece] else self._interval(computed[piece], by_rows)
        inside = clip(asked, self.kind.rows if by_rows else self.kind.cols)
        return AxisPlace(asked, inside, larger, held, self._offset_bits(inside, held, by_rows))

    def _interval(self, span: Span, by_rows: bool) -> Span:
        """What an interval of the step's output asks of it along one axis."""
        output = self.step.signature.outputs[0] if self.step.signature.outputs else self.kind
        if by_rows:
            return self._asked(span, Span(0, output.cols)).rows
        return self._asked(Span(0, output.rows), span).cols

    def _asked(self, rows: Span, cols: Span) -> Region:
        """What a region of the step's output asks of it."""
        call = self.step.signature
        if not (rows.length and cols.length):
            return Region(Span(0, 0), Span(0, 0))
        if self.is_read:
            region = OPS[call.op].needs(call, self.position, rows, cols)
            # An operator without a region to name (None) reads all of its input, like FULLY_CONNECTED.
            return self.whole if region is None or not self.is_map else region
        first = call.outputs[0]
        # Outputs may differ in size (SPLIT_V). Such a step is never cut, and writes all of each.
        is_cut = (rows, cols) != (Span(0, first.rows), Span(0, first.cols))
        return Region(rows, cols) if is_cut and self.is_map else self.whole

    def _held(self, piece: int, by_rows: bool) -> Span:
        whole = self.whole.rows if by_rows else self.whole.cols
        # A whole tensor, one from before the stage, and a line buffer's rows begin at 0; a piece begins where its
        # writer does.
        if self.is_entire or self.writer is None or (by_rows and self.view_kind is ViewKind.LINES):
            return whole
        return (self.writer.computed_rows if by_rows else self.writer.computed_cols)[piece]

    # -- addresses ----------------------------------------------------------------------------------------------------

    def _offset_bits(self, inside: Span, held: Span, by_rows: bool) -> int:
        """From the start of the view to the first element along one axis."""
        if not by_rows:
            return (inside.start - held.start) * self.layout.pixel_bits
        capacity = self.layout.row_capacity
        # Rows of a line buffer come round: row 5 of a buffer of 4 rows lies at slot 1, in place of row 1.
        slot = inside.start % capacity if capacity else inside.start - held.start
        return slot * self.layout.row_bits

    def _runs(self, rows: Span, held: Span, first_bit: int) -> Iterator[RowRun]:
        start, capacity = rows.start, self.layout.row_capacity
        if not capacity or not rows.length:
            yield RowRun(first_bit + self._offset_bits(rows, held, True), rows.length)
            return
        # At the end of the buffer a stretch of rows breaks off, and goes on at slot 0.
        while start < rows.stop:
            slot = start % capacity
            length = min(rows.stop - start, capacity - slot)
            yield RowRun(first_bit + slot * self.layout.row_bits, length)
            start += length


class StepOperands(NamedTuple):
    """The operands of a step, in the order of the node's inputs and outputs.

    None stands for constants, absent inputs and outputs without storage.
    """

    reads: tuple[Operand | None, ...]
    writes: tuple[Operand | None, ...]


def operands(program: Program) -> tuple[StepOperands, ...]:
    """Of every step, in the order of time."""
    return tuple([step for stage in program.stages for step in stage_operands(program, stage)])


def stage_operands(program: Program, stage: Stage) -> tuple[StepOperands, ...]:
    """Of every step of a stage, in order."""
    # Views are one a storage, so within a stage a view has one writer. Inputs of the stage have none.
    writers = {view: step for step in stage.steps for view in step.writes if view != ABSENT}
    return tuple(
        [
            StepOperands(
                tuple([_operand(program, step, p, True, writers) for p in range(len(step.reads))]),
                tuple([_operand(program, step, p, False, writers) for p in range(len(step.writes))]),
            )
            for step in stage.steps
        ]
    )


def _operand(program: Program, step: Step, position: int, is_read: bool, writers: dict[int, Step]) -> Operand | None:
    index = (step.reads if is_read else step.writes)[position]
    kind = (step.signature.inputs if is_read else step.signature.outputs)[position]
    if index == ABSENT or kind is None:
        return None
    if kind.dtype is DType.RESOURCE:  # a handle stands for the value that is read from it or assigned to it
        kind = step.signature.outputs[0] if step.signature.outputs else step.signature.input(position + 1)
    view = program.views[index]
    capacity = view.row_capacity if view.kind is ViewKind.LINES else 0
    layout = _layout(kind, view.kind in _ENTIRE, view.offset_bytes, view.row_pitch_bytes, capacity)
    return Operand(index, view.buffer, view.kind, kind, layout, step, position, is_read, writers.get(index))


def _layout(kind: TensorType, is_entire: bool, offset_bytes: int, pitch_bytes: int, capacity: int) -> Layout:
    """An entire tensor is packed: its pitch follows from its shape. A piece holds the images of a batch row by row."""
    if len(kind.shape) != _FEATURE_MAP_RANK:
        bits = kind.elements * kind.dtype.bits
        return Layout(8 * offset_bytes, bits, bits, bits, 0)
    batch, rows, cols, channels = kind.shape
    pixel_bits = channels * kind.dtype.bits
    if is_entire:
        return Layout(8 * offset_bytes, pixel_bits, cols * pixel_bits, rows * cols * pixel_bits, 0)
    return Layout(8 * offset_bytes, pixel_bits, 8 * pitch_bytes, 8 * pitch_bytes // max(batch, 1), capacity)
