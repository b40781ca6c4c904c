"""The bytes that a network runs in, and where in them each step finds its tensors.

One array of exactly `arena_bytes + held_bytes`; every planned tensor is a view of it at its planned offset.

    WHOLE    all of the tensor           PIECE  the region of this iteration, from the view's start
    OUTSIDE  all of it, the caller's     LINES  its latest rows, row r at r modulo capacity: read through a copy where
                                                they wrap around
Elements of 4 and 2 bits lie packed in the arena and are unpacked for the kernels, which compute on one a byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import numpy as np

from mcusim.arithmetic.packing import pack_at, unpack, unpack_at
from mcusim.errors import PlanError
from mcusim.execution.preparation import Array, Preparation, storage_type
from mcusim.graph import ABSENT, DType, TensorType
from mcusim.lowering.addressing import Operand, Place, RowRun, StepOperands, operands
from mcusim.ops import OPS
from mcusim.ops.registry import Piece, Run, taken_inputs
from mcusim.ops.rooms import room
from mcusim.program import Iteration, Variable, ViewKind
from mcusim.region import Span, clip

__all__ = ["Arena", "BoundStep", "Packed", "whole_piece"]

_NOTHING = np.zeros(0, np.int8)
_FEATURE_MAP_RANK = 4
_ENTIRE = (ViewKind.WHOLE, ViewKind.OUTSIDE)


class Wrapped(NamedTuple):
    """A copy of rows that lie in two places of a line buffer.   parts: views of them, in order of rows."""

    copy: Array
    parts: tuple[Array, ...]

    def gather(self) -> None:
        np.concatenate(self.parts, axis=1, out=self.copy)

    def scatter(self) -> None:
        row = 0
        for part in self.parts:
            part[...] = self.copy[:, row : row + part.shape[1]]
            row += part.shape[1]


class Packed(NamedTuple):
    """Elements of 4 or 2 bits, unpacked to one a byte for a kernel.

    copy: they, contiguous.   runs: the bit of `storage` at which each run of them begins; all are of one length.
    """

    copy: Array
    storage: Array
    runs: tuple[int, ...]
    dtype: DType

    def gather(self) -> None:
        for first_bit, elements in self._pairs():
            elements[...] = unpack_at(self.storage, first_bit, elements.size, self.dtype)

    def scatter(self) -> None:
        for first_bit, elements in self._pairs():
            pack_at(self.storage, first_bit, elements, self.dtype)

    def _pairs(self) -> Iterator[tuple[int, Array]]:
        return zip(self.runs, self.copy.reshape(len(self.runs), self.copy.size // max(len(self.runs), 1)), strict=True)


Moved = Wrapped | Packed
"""What a kernel computes on instead of the arena's own bytes."""


class BoundStep(NamedTuple):
    """One step of one iteration with its arrays.

    time: of the step in the bodies.   gathers: filled before it runs.   scatters: emptied after it.
    """

    run: Run
    prepared: object
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    piece: Piece
    iteration: Iteration
    time: int
    gathers: tuple[Moved, ...] = ()
    scatters: tuple[Moved, ...] = ()

    def execute(self) -> None:
        """Read, compute, write."""
        for moved in self.gathers:
            moved.gather()
        self.run(self.prepared, self.inputs, self.outputs, self.piece)
        for moved in self.scatters:
            moved.scatter()


def whole_piece(output: TensorType | None, inputs: int) -> Piece:
    """All of an output, whose inputs come whole."""
    rows, cols = (output.rows, output.cols) if output is not None else (1, 1)
    return Piece(Span(0, rows), Span(0, cols), ((0, 0),) * inputs)


class _Part(NamedTuple):
    """Rows and columns of a feature map."""

    rows: Span
    cols: Span

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        return slice(None), slice(*self.rows), slice(*self.cols)

    @property
    def origin(self) -> tuple[int, int]:
        return self.rows.start, self.cols.start


class Arena:
    """The bytes of one session, and its steps bound to them.

    storage: uint8, of exactly the bytes that the plan takes.   outside: arrays of external inputs, by view.
    variables: the bytes of each, in the program's order.
    """

    def __init__(self, ready: Preparation) -> None:
        self.ready = ready
        placement = ready.placement
        # Bytes that no buffer owns exist too (gaps), as they do on the device.
        self.storage: Array = room(placement.arena_bytes + placement.held_bytes + placement.kept_bytes)
        tensors = ready.graph.tensors
        self.outside: dict[int, Array] = {
            index: room(tensors[view.tensor].size_bytes)
            for index, view in enumerate(ready.program.views)
            if view.kind is ViewKind.OUTSIDE
        }
        self.variables: list[Array] = [self._stored(variable) for variable in ready.program.variables]
        self._variable_of = {tensor: v for v in ready.program.variables for tensor in v.tensors}

    # -- whole tensors ------------------------------------------------------------------------------------------------

    def tensor(self, index: int) -> Array | None:
        """All of a tensor that has a home, or None: nothing keeps it, or only in pieces.

        Of packed elements it is a copy; of others, the arena's own bytes.
        """
        kind = self.ready.graph.tensors[index].type
        variable = self._variable_of.get(index)
        if variable is not None:
            stored = self._stored(variable)
            return stored if kind.dtype is DType.RESOURCE else _shaped(stored, kind)
        view = self.ready.program.homes[index]
        if view == ABSENT or self.ready.program.views[view].kind not in _ENTIRE:
            return None
        if kind.dtype.is_packed:
            return unpack(self._bytes_of(view), kind.elements, kind.dtype).reshape(kind.shape)
        return self._all_of(view, kind)

    def put(self, index: int, elements: Array) -> None:
        """Write all of a tensor, if it has a home."""
        kind, view = self.ready.graph.tensors[index].type, self.ready.program.homes[index]
        if not kind.dtype.is_packed:
            home = self.tensor(index)
            if home is not None:
                home[...] = elements
        elif view != ABSENT and self.ready.program.views[view].kind in _ENTIRE:
            pack_at(self._bytes_of(view), 0, elements, kind.dtype)

    def _stored(self, variable: Variable) -> Array:
        start = self.ready.placement.offset_bytes[variable.buffer]
        return self.storage[start : start + variable.size_bytes]

    def _all_of(self, view: int, kind: TensorType) -> Array:
        return _shaped(self._bytes_of(view)[: kind.size_bytes], kind)

    def _bytes_of(self, view: int) -> Array:
        """The storage from the view's start to its buffer's end."""
        outside = self.outside.get(view)
        if outside is not None:
            return outside
        held = self.ready.program.views[view]
        return self._of_buffer(held.buffer)[held.offset_bytes :]

    def _of_buffer(self, buffer: int) -> Array:
        """The bytes of a buffer: numpy refuses a view of more."""
        start = self.ready.placement.offset_bytes[buffer]
        return self.storage[start : start + self.ready.program.buffers[buffer].size_bytes]

    # -- steps --------------------------------------------------------------------------------------------------------

    def bound_steps(self, part: int = 0) -> Iterator[BoundStep]:
        """Every step of every iteration, in execution order.   part: of the network, or of a subgraph."""
        program = self.ready.program
        time_of = {id(step): time for time, step in enumerate(program.body())}
        of_step = operands(program)
        for iteration in program.steps(part):
            time = time_of[id(iteration.step)]
            yield self._bound(iteration, time, of_step[time])

    def _bound(self, iteration: Iteration, time: int, placed: StepOperands) -> BoundStep:
        step, ready, node = iteration.step, self.ready.steps[time], iteration.step.node
        sources = self.ready.graph.nodes[node].inputs if node != ABSENT else (ABSENT,)
        inputs: list[Array] = []
        origins: list[tuple[int, int]] = []
        gathers: list[Moved] = []
        for position, (tensor, operand) in enumerate(zip(sources, placed.reads, strict=True)):
            if operand is None:
                # A constant of four dimensions may be cut like any map (a table that is added row by row).
                part = self._asked(iteration, position)
                inputs.append(self._constant(tensor)[part.slices] if part else self._constant(tensor))
                origins.append(part.origin if part else (0, 0))
                continue
            place = operand.at(iteration.row, iteration.col)
            array, moved = self._array(operand, place)
            gathers += moved
            inputs.append(array)
            origins.append((place.region.rows.start, place.region.cols.start))
        outputs: list[Array] = []
        scatters: list[Moved] = []
        for kind, operand in zip(step.signature.outputs, placed.writes, strict=True):
            if operand is None:
                # Handles hold no elements. Outputs that nobody stores are written to memory of their own, as kernels
                # write them all.
                is_handle = kind.dtype is DType.RESOURCE
                outputs.append(_NOTHING if is_handle else np.zeros(kind.shape, storage_type(kind.dtype, "a tensor")))
                continue
            array, moved = self._array(operand, operand.at(iteration.row, iteration.col))
            scatters += moved
            outputs.append(array)
        taken = taken_inputs(step.signature)
        piece = Piece(iteration.region.rows, iteration.region.cols, tuple(origins[:taken]))
        arrays = tuple(inputs[:taken]), tuple(outputs)
        return BoundStep(ready.run, ready.prepared, *arrays, piece, iteration, time, tuple(gathers), tuple(scatters))

    def _asked(self, iteration: Iteration, position: int) -> _Part | None:
        """The part of a constant map that a piece asks for, as of any other map; None where it is taken whole."""
        call, kind = iteration.step.signature, iteration.step.signature.inputs[position]
        if kind is None or len(kind.shape) != _FEATURE_MAP_RANK:
            return None
        region = OPS[call.op].needs(call, position, *iteration.region)
        return None if region is None else _Part(clip(region.rows, kind.rows), clip(region.cols, kind.cols))

    def _constant(self, tensor: int) -> Array:
        """Constants; nothing where an input is absent or only names something."""
        constant = self.ready.graph.tensors[tensor].constant if tensor != ABSENT else None
        return _NOTHING if constant is None else constant

    def _array(self, operand: Operand, place: Place) -> tuple[Array, list[Moved]]:
        """The elements of an operand in one piece, and what must be copied for it."""
        kind, rows = operand.kind, place.region.rows
        # A plan that keeps fewer rows than are read would compute with rows of another place: better to stop.
        if operand.layout.row_capacity and rows.length > operand.layout.row_capacity:
            name = self.ready.graph.tensors[self.ready.program.views[operand.view].tensor].name
            what = f"'{name}' keeps {operand.layout.row_capacity} rows, and {rows.length} are read"
            raise PlanError(what, where=f"network '{self.ready.graph.name}'", fix="lowering bug: report it")
        if kind.dtype.is_packed:
            packed = self._packed(operand, place)
            return packed.copy, [packed]
        if not operand.is_map:
            return self._all_of(operand.view, kind), []
        # A line buffer that wraps around holds the rows in two stretches: kernels get one array, filled from both.
        parts = [self._rows(operand, run, place.region.cols.length) for run in place.runs]
        if len(parts) == 1:
            return parts[0], []
        shape = kind.shape[0], rows.length, place.region.cols.length, kind.channels
        copy = room(prod(shape) * parts[0].itemsize).view(parts[0].dtype).reshape(shape)
        return copy, [Wrapped(copy, tuple(parts))]

    def _packed(self, operand: Operand, place: Place) -> Packed:
        """Packed elements: a run a row, or one run where it is all of the tensor."""
        kind, layout, (rows, cols) = operand.kind, operand.layout, place.region
        storage, dtype = self._buffer(operand), storage_type(kind.dtype, "a tensor")
        if not operand.is_map or (operand.is_entire and place.region == operand.whole):
            copy = room(kind.elements).view(dtype).reshape(kind.shape)
            return Packed(copy, storage, (place.runs[0].first_bit,), kind.dtype)
        shape = kind.shape[0], rows.length, cols.length, kind.channels
        firsts = [run.first_bit + row * layout.row_bits for run in place.runs for row in range(run.rows)]
        runs = [image * layout.image_bits + first for image in range(kind.shape[0]) for first in firsts]
        return Packed(room(prod(shape)).view(dtype).reshape(shape), storage, tuple(runs), kind.dtype)

    def _rows(self, operand: Operand, run: RowRun, cols: int) -> Array:
        """A strided view of rows that lie one after the other."""
        kind, layout, dtype = operand.kind, operand.layout, storage_type(operand.kind.dtype, "a tensor")
        # Strides in bytes: within a piece or line buffer, a row is longer than the columns that are read of it.
        pitches = layout.image_bits // 8, layout.row_bits // 8, layout.pixel_bits // 8, dtype.itemsize
        storage = self._buffer(operand)[run.first_bit // 8 :]
        return np.ndarray((kind.shape[0], run.rows, cols, kind.channels), dtype, storage, strides=pitches)

    def _buffer(self, operand: Operand) -> Array:
        """The bytes of an operand's buffer; of one outside the arena, its own memory."""
        return self.outside[operand.view] if operand.buffer == ABSENT else self._of_buffer(operand.buffer)


def _shaped(stored: Array, kind: TensorType) -> Array:
    dtype = storage_type(kind.dtype, "a tensor")
    return np.zeros(kind.shape, dtype) if 0 in kind.shape else stored.view(dtype).reshape(kind.shape)


class Canary:
    """Checks a plan while it runs: bytes that belong to nobody are poisoned, and each step may change only its own.

    A step may change its outputs, its variables and the working memory that it names, planned or held; never another
    buffer that is still alive.
    """

    PATTERN = 0xA5

    def __init__(self, arena: Arena) -> None:
        self.arena, self.ready = arena, arena.ready
        self.before: Array = arena.storage.copy()

    def run(self, step: BoundStep) -> None:
        """A step by itself, and all that it enters."""
        self.prepare(step)
        step.execute()
        self.verify(step)

    def prepare(self, step: BoundStep) -> None:
        """Poison what nobody owns."""
        alive = np.zeros(len(self.arena.storage), bool)
        # A step may read what it overwrites at this very moment, so its own buffers are not poisoned.
        for index in self._alive(step.time) | self._used(step):
            alive[self._range(index)] = True
        self.arena.storage[~alive] = self.PATTERN
        self.before = self.arena.storage.copy()

    def verify(self, step: BoundStep) -> None:
        """Raise PlanError if the step changed what is not its own."""
        if OPS[step.iteration.step.signature.op].enters:  # the steps that it ran were judged one by one
            return
        changed = self.arena.storage != self.before
        own = {self._buffer(view) for view in step.iteration.step.writes + step.iteration.step.updates}
        own |= {use.buffer for use in step.iteration.step.scratch}
        allowed = np.zeros(len(changed), bool)
        for index in own - {ABSENT}:
            allowed[self._range(index)] = True
        # What another buffer, still alive, shares with an own one stays forbidden, even where both overlap.
        for index in self._alive(step.time) - own - self._taken_over(step.time):
            allowed[self._range(index)] = False
        if (changed & ~allowed).any():
            offset = int(np.argmax(changed & ~allowed))
            raise PlanError(
                f"it changed byte {offset} of the arena, which is not its own",
                where=f"step {step.time} ({step.iteration.step.signature.op})",
                fix="planner bug: report it",
            )

    def _alive(self, time: int) -> set[int]:
        return {i for i, buffer in enumerate(self.ready.program.buffers) if buffer.first <= time < buffer.end}

    def _taken_over(self, time: int) -> set[int]:
        """Of a plan that the model carries: what is needed no more. Whoever may not write over it was refused."""
        if not self.ready.graph.source.offline_offsets:
            return set()
        return {index for index in self._alive(time) if self.ready.program.buffers[index].end == time + 1}

    def _used(self, step: BoundStep) -> set[int]:
        views = step.iteration.step.reads + step.iteration.step.writes
        return {self._buffer(view) for view in views} - {ABSENT}

    def _buffer(self, view: int) -> int:
        return self.ready.program.views[view].buffer if view != ABSENT else ABSENT

    def _range(self, buffer: int) -> slice:
        start, planned = self.ready.placement.offset_bytes[buffer], self.ready.program.buffers[buffer]
        size_bytes = planned.size_bytes
        if self.ready.graph.source.offline_offsets and planned.tensor != ABSENT:
            held = self.ready.graph.tensors[planned.tensor].type  # what only rounds it up may be another's
            size_bytes = size_bytes if held.dtype.is_packed else held.size_bytes
        return slice(start, start + size_bytes)
