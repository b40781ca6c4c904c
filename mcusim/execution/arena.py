"""The bytes that a network runs in, and where in them each step finds its tensors.

One array of exactly `arena_bytes + held_bytes`; every planned tensor is a view of it at its planned offset.

    WHOLE    all of the tensor           PIECE  the region of this iteration, from the view's start
    OUTSIDE  all of it, the caller's     LINES  its latest rows, row r at r modulo capacity: read through a copy where
                                                they wrap around
Elements of 4 and 2 bits lie packed in the arena and are unpacked for the kernels, which compute on one a byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import NamedTuple

import numpy as np

from mcusim.arithmetic.packing import pack_at, unpack, unpack_at
from mcusim.errors import PlanError
from mcusim.execution.preparation import Array, Preparation, storage_type
from mcusim.graph import ABSENT, DType, TensorType
from mcusim.ops import OPS
from mcusim.ops.registry import SLACK_BYTES, Piece, Run
from mcusim.program import BufferKind, Iteration, Step, View, ViewKind
from mcusim.region import Region, Span, clip

__all__ = ["Arena", "BoundStep", "Packed", "whole_piece"]

BASE_ALIGNMENT = 64
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


class Arena:
    """The bytes of one session, and its steps bound to them.

    storage: uint8, of exactly the bytes that the plan takes.   outside: arrays of external inputs, by view.
    variables: by name, uint8.   home: tensor -> the view that holds it.
    """

    def __init__(self, ready: Preparation) -> None:
        self.ready = ready
        self.storage: Array = _room(ready.placement.arena_bytes + ready.placement.held_bytes)
        tensors = ready.graph.tensors
        self.outside: dict[int, Array] = {
            index: _room(tensors[view.tensor].size_bytes)
            for index, view in enumerate(ready.program.views)
            if view.kind is ViewKind.OUTSIDE
        }
        self.variables: dict[str, Array] = {
            name: _room(variable.size_bytes) for name, variable in ready.variables.items()
        }
        self.home = _homes(ready)

    # -- whole tensors ------------------------------------------------------------------------------------------------

    def tensor(self, index: int) -> Array | None:
        """All of a tensor that has a home, or None: nothing keeps it, or only in pieces.

        Of packed elements it is a copy; of others, the arena's own bytes.
        """
        kind = self.ready.graph.tensors[index].type
        if index in self.ready.variable_of:
            return self._variable(index, kind)
        view = self.home.get(index)
        if view is None or self.ready.program.views[view].kind not in _ENTIRE:
            return None
        if kind.dtype.is_packed:
            return unpack(self._bytes_of(view), kind.elements, kind.dtype).reshape(kind.shape)
        return self._all_of(view, kind)

    def put(self, index: int, elements: Array) -> None:
        """Write all of a tensor, if it has a home."""
        kind, view = self.ready.graph.tensors[index].type, self.home.get(index)
        if not kind.dtype.is_packed:
            home = self.tensor(index)
            if home is not None:
                home[...] = elements
        elif view is not None and self.ready.program.views[view].kind in _ENTIRE:
            pack_at(self._bytes_of(view), 0, elements, kind.dtype)

    def _variable(self, tensor: int, kind: TensorType) -> Array:
        stored = self.variables[self.ready.variable_of[tensor]]
        return stored if kind.dtype is DType.RESOURCE else _shaped(stored, kind)

    def _all_of(self, view: int, kind: TensorType) -> Array:
        return _shaped(self._bytes_of(view)[: kind.size_bytes], kind)

    def _bytes_of(self, view: int) -> Array:
        """The storage from the view's start on."""
        outside = self.outside.get(view)
        if outside is not None:
            return outside
        found = self.ready.program.views[view]
        return self.storage[self.ready.placement.offset_bytes[found.buffer] + found.offset_bytes :]

    # -- steps --------------------------------------------------------------------------------------------------------

    def bound_steps(self) -> Iterator[BoundStep]:
        """Every step of every iteration, in execution order."""
        program = self.ready.program
        times = {id(step): time for time, step in enumerate(program.body())}
        for iteration in program.steps():
            stage = program.stages[iteration.stage]
            written = {view: step for step in stage.steps for view in step.writes}
            yield self._bound(iteration, times[id(iteration.step)], written)

    def _bound(self, iteration: Iteration, time: int, written: Mapping[int, Step]) -> BoundStep:
        step, (rows, cols) = iteration.step, iteration.region
        ready, node = self.ready.steps[time], iteration.step.node
        sources = self.ready.graph.nodes[node].inputs if node != ABSENT else (ABSENT,)
        inputs: list[Array] = []
        origins: list[tuple[int, int]] = []
        gathers: list[Moved] = []
        for position, (tensor, view) in enumerate(zip(sources, step.reads, strict=True)):
            kind = step.signature.inputs[position]
            if view == ABSENT or kind is None:
                inputs.append(self._without_view(tensor, kind, step, position))
                origins.append((0, 0))
                continue
            region = OPS[step.signature.op].needs(step.signature, position, rows, cols)
            wanted = _clipped(region, kind)
            array, moved = self._array(view, kind, self._held(view, kind, iteration, written), wanted)
            gathers += moved
            inputs.append(array)
            origins.append((wanted.rows.start, wanted.cols.start))
        outputs: list[Array] = []
        # Several outputs may differ in size (SPLIT_V); such a step is never cut.
        is_cut = bool(step.writes) and iteration.region != _clipped(None, step.signature.outputs[0])
        scatters: list[Moved] = []
        for view, kind in zip(step.writes, step.signature.outputs, strict=True):
            if view == ABSENT:
                outputs.append(
                    _NOTHING
                    if kind.dtype is DType.RESOURCE
                    else np.zeros(kind.shape, storage_type(kind.dtype, "a tensor"))
                )
                continue
            wanted = _clipped(iteration.region if is_cut else None, kind)
            array, moved = self._array(view, kind, self._held(view, kind, iteration, written), wanted)
            scatters += moved
            outputs.append(array)
        piece = Piece(rows, cols, tuple(origins))
        arrays = tuple(inputs), tuple(outputs)
        return BoundStep(ready.run, ready.prepared, *arrays, piece, iteration, time, tuple(gathers), tuple(scatters))

    def _without_view(self, tensor: int, kind: TensorType | None, step: Step, position: int) -> Array:
        """Constants, variables, handles and absent inputs."""
        if tensor == ABSENT or kind is None:
            return _NOTHING
        if tensor not in self.ready.variable_of:
            constant = self.ready.graph.tensors[tensor].constant
            return _NOTHING if constant is None else constant
        if kind.dtype is not DType.RESOURCE:
            return self._variable(tensor, kind)
        # A handle stands for its variable, in the type of what is read from it or assigned to it.
        value = step.signature.outputs[0] if step.signature.outputs else step.signature.input(position + 1)
        return _shaped(self.variables[self.ready.variable_of[tensor]], value)

    def _held(self, view: int, kind: TensorType, iteration: Iteration, written: Mapping[int, Step]) -> Region:
        """The region of the tensor that the view holds from its start on."""
        found, writer = self.ready.program.views[view], written.get(view)
        whole = Region(Span(0, kind.rows), Span(0, kind.cols))
        if found.kind in _ENTIRE or writer is None:
            return whole
        rows, cols = writer.rows[iteration.row], writer.cols[iteration.col]
        return Region(whole.rows if found.kind is ViewKind.LINES else rows, cols)

    def _array(self, view: int, kind: TensorType, held: Region, wanted: Region) -> tuple[Array, list[Moved]]:
        """The part `wanted` of a tensor, and what must be copied for it."""
        found = self.ready.program.views[view]
        if kind.dtype.is_packed:
            packed = self._packed(found, view, kind, held, wanted)
            return packed.copy, [packed]
        if len(kind.shape) != _FEATURE_MAP_RANK:
            return self._all_of(view, kind), []
        if found.kind is not ViewKind.LINES:
            return self._rows(found, view, kind, held, wanted), []
        capacity, (start, stop) = found.row_capacity, wanted.rows
        self._check_capacity(found, wanted.rows)
        parts = []
        while start < stop:
            length = min(stop - start, capacity - start % capacity)
            place = Region(Span(start % capacity, start % capacity + length), wanted.cols)
            parts.append(self._rows(found, view, kind, Region(Span(0, capacity), held.cols), place))
            start += length
        if len(parts) == 1:
            return parts[0], []
        batch, _, _, channels = kind.shape
        shape = batch, wanted.rows.length, wanted.cols.length, channels
        copy = _room(prod(shape) * parts[0].itemsize).view(parts[0].dtype).reshape(shape)
        return copy, [Wrapped(copy, tuple(parts))]

    def _check_capacity(self, found: View, rows: Span) -> None:
        if found.kind is ViewKind.LINES and rows.length > found.row_capacity:
            name = self.ready.graph.tensors[found.tensor].name
            what = f"'{name}' keeps {found.row_capacity} rows, and {rows.length} are read"
            raise PlanError(what, where=f"network '{self.ready.graph.name}'", fix="lowering bug: report it")

    def _packed(self, found: View, view: int, kind: TensorType, held: Region, wanted: Region) -> Packed:
        """The part `wanted` of a tensor of packed elements: a run a row, or one run where it is all of it."""
        storage, bits = self._bytes_of(view), kind.dtype.bits
        dtype = storage_type(kind.dtype, "a tensor")
        if len(kind.shape) != _FEATURE_MAP_RANK or (found.kind in _ENTIRE and wanted == _clipped(None, kind)):
            return Packed(_room(kind.elements).view(dtype).reshape(kind.shape), storage, (0,), kind.dtype)
        self._check_capacity(found, wanted.rows)
        batch, _, _, channels = kind.shape
        pixel_bits = channels * bits
        row_bits = kind.cols * pixel_bits if found.kind in _ENTIRE else found.row_pitch_bytes * 8
        first_bit = (wanted.cols.start - held.cols.start) * pixel_bits
        rows = range(wanted.rows.start - held.rows.start, wanted.rows.stop - held.rows.start)
        places = [row % found.row_capacity if found.kind is ViewKind.LINES else row for row in rows]
        runs = [first_bit + (image * kind.rows + place) * row_bits for image in range(batch) for place in places]
        shape = batch, wanted.rows.length, wanted.cols.length, channels
        return Packed(_room(prod(shape)).view(dtype).reshape(shape), storage, tuple(runs), kind.dtype)

    def _rows(self, found: View, view: int, kind: TensorType, held: Region, wanted: Region) -> Array:
        """A strided view of rows that lie one after the other."""
        storage, dtype = self._bytes_of(view), storage_type(kind.dtype, "a tensor")
        batch, _, _, channels = kind.shape
        pixel_bytes = channels * dtype.itemsize
        # A relabelled tensor has other rows than the one that its view was made for.
        row_bytes = kind.cols * pixel_bytes if found.kind in _ENTIRE else found.row_pitch_bytes
        first = (wanted.rows.start - held.rows.start) * row_bytes + (wanted.cols.start - held.cols.start) * pixel_bytes
        return np.ndarray(
            (batch, wanted.rows.length, wanted.cols.length, channels),
            dtype,
            storage[first:],
            strides=(kind.rows * row_bytes, row_bytes, pixel_bytes, dtype.itemsize),
        )


def _room(size_bytes: int) -> Array:
    """Zeros: exactly so many bytes, aligned, with slack behind them."""
    room = np.zeros(size_bytes + BASE_ALIGNMENT + SLACK_BYTES, np.uint8)
    start = -room.ctypes.data % BASE_ALIGNMENT
    return room[start : start + size_bytes]


def _shaped(stored: Array, kind: TensorType) -> Array:
    dtype = storage_type(kind.dtype, "a tensor")
    return np.zeros(kind.shape, dtype) if 0 in kind.shape else stored.view(dtype).reshape(kind.shape)


def _clipped(region: Region | None, kind: TensorType) -> Region:
    if region is None or len(kind.shape) != _FEATURE_MAP_RANK:
        return Region(Span(0, kind.rows), Span(0, kind.cols))
    return Region(clip(region.rows, kind.rows), clip(region.cols, kind.cols))


def _homes(ready: Preparation) -> dict[int, int]:
    """Tensor -> view that keeps it: its own, or that of the tensor whose bytes it shares. Whole ones go first."""
    program, nodes = ready.program, ready.graph.nodes
    found = {view.tensor: index for index, view in enumerate(program.views) if view.kind in _ENTIRE}
    for step in program.body():
        if step.node == ABSENT:
            continue
        for tensor, view in zip(nodes[step.node].inputs, step.reads, strict=True):
            if view != ABSENT and tensor != ABSENT and not step.absorbed:
                found.setdefault(tensor, view)
        for tensor, view in zip(nodes[step.node].outputs, step.writes, strict=True):
            if view != ABSENT:
                found.setdefault(tensor, view)
    for index in sorted(program.free):
        node = nodes[index]
        if node.inputs[0] in found:
            found[node.outputs[0]] = found[node.inputs[0]]
    return found


class Canary:
    """Checks a plan while it runs: bytes that belong to nobody are poisoned, and each step may change only its own.

    A step may change its outputs, its scratch and what is held beside the arena; never a buffer that is still alive,
    unless it is one of those.
    """

    PATTERN = 0xA5

    def __init__(self, arena: Arena) -> None:
        self.arena, self.ready = arena, arena.ready
        self.before: Array = arena.storage.copy()

    def prepare(self, step: BoundStep) -> None:
        """Poison what nobody owns."""
        alive = np.zeros(len(self.arena.storage), bool)
        for index in self._alive(step.time) | self._used(step):
            alive[self._range(index)] = True
        self.arena.storage[~alive] = self.PATTERN
        self.before = self.arena.storage.copy()

    def verify(self, step: BoundStep) -> None:
        """Raise PlanError if the step changed what is not its own."""
        changed = self.arena.storage != self.before
        own = {self._buffer(view) for view in step.iteration.step.writes} | set(step.iteration.step.scratch)
        own |= {i for i, buffer in enumerate(self.ready.program.buffers) if buffer.kind is BufferKind.HELD}
        allowed = np.zeros(len(changed), bool)
        for index in own - {ABSENT}:
            allowed[self._range(index)] = True
        for index in self._alive(step.time) - own:
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

    def _used(self, step: BoundStep) -> set[int]:
        views = step.iteration.step.reads + step.iteration.step.writes
        return {self._buffer(view) for view in views} - {ABSENT}

    def _buffer(self, view: int) -> int:
        return self.ready.program.views[view].buffer if view != ABSENT else ABSENT

    def _range(self, buffer: int) -> slice:
        start = self.ready.placement.offset_bytes[buffer]
        return slice(start, start + self.ready.program.buffers[buffer].size_bytes)
