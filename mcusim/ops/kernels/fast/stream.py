"""Steps of a network encoded into commands, and runs of commands joined into programs: a tier of a session.

    steps       0 CONV_2D   1 LOGISTIC   2 MUL        3 CUMSUM (none)     4 ADD
    encode      1 command   1 command    1 command    None                1 command
    join        [ one program of three commands ]     plain kernel        [ one program ]

Two things pass from step to step. Weights and tables that are packed once are shared by all sessions. And the compiled
tier remembers which int8 tensor is a table's image of another: MUL(x, LOGISTIC(x)), which is how networks write SWISH,
then is a table itself, and needs no multiplication.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from mcusim.graph import ABSENT
from mcusim.ops.kernels.fast.command import Array, Command, Declined, Encode, address_of
from mcusim.ops.kernels.fast.driver import program, run, run_calls
from mcusim.ops.kernels.fast.moving import encode_moves
from mcusim.ops.registry import OPS, Piece, StateRole
from mcusim.ops.rooms import room
from mcusim.ops.shared.float_sums import FloatSums
from mcusim.ops.shared.late import Late
from mcusim.ops.shared.lookups import PreparedUnary
from mcusim.program import Iteration

__all__ = ["Stream", "StreamRunner", "encoder"]

T = TypeVar("T")

ARITHMETIC = "arithmetic"
"""The kernel of sums and products."""

CALLS_AT_ONCE = 64
"""Calls of a batch between two chances to interrupt."""


class Copied(Protocol):
    """A copy of rows that lie in several places.   copy: NHWC.   parts: views of them, in order of rows."""

    @property
    def copy(self) -> Array: ...

    @property
    def parts(self) -> tuple[Array, ...]: ...


class Step(Protocol):
    """A step with its arrays: `arena.BoundStep`."""

    @property
    def prepared(self) -> object: ...

    @property
    def inputs(self) -> tuple[Array, ...]: ...

    @property
    def outputs(self) -> tuple[Array, ...]: ...

    @property
    def piece(self) -> Piece: ...

    @property
    def time(self) -> int: ...

    @property
    def gathers(self) -> Sequence[Copied]: ...

    @property
    def scatters(self) -> Sequence[Copied]: ...

    @property
    def iteration(self) -> Iteration: ...


class Stream:
    """The compiled tier of one network: its sessions share packed weights and tables, which are never changed."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}
        self._images: dict[int, tuple[int, Array]] = {}
        """View of a tensor of int8 -> the view of which it is the image, and the table of 256 bytes."""
        self._images_of: dict[int, set[int]] = {}
        """View -> its images, so that a step looks at no others."""

    def encode(self, storage: Array, step: Step) -> Sequence[Command] | None:
        """The commands of a step, or None where an encoder declines or there is none."""
        try:
            return [*_gathered(step.gathers), *self._commands(step), *_scattered(step.scatters)]
        except Declined:
            return None
        finally:  # a declined step changes its tensors too: what is known of them is forgotten
            self._note_images(step)

    def _note_images(self, step: Step) -> None:
        """Forget images of what this step changes, and remember one that it makes."""
        planned = step.iteration.step
        changed = {*planned.writes, *planned.updates}
        # A tensor that changes is no image any more, and nothing is an image of it.
        for view in changed:
            for image in (view, *self._images_of.pop(view, ())):
                source, _ = self._images.pop(image, (ABSENT, None))
                self._images_of.get(source, set()).discard(image)
        ready = step.prepared
        if not isinstance(ready, PreparedUnary) or ready.table is None or ready.table.dtype != np.int8:
            return
        if ready.table.size == 256 and step.inputs[0].dtype == np.int8 and planned.reads[0] not in changed:
            self._images[planned.writes[0]] = planned.reads[0], ready.table
            self._images_of.setdefault(planned.reads[0], set()).add(planned.writes[0])

    def _image(self, step: Step) -> tuple[int, Array] | None:
        """Which of a step's two inputs is an image of the other, and its table."""
        planned = step.iteration.step
        # A piece that is padded past the border holds elements of which no table was asked.
        if len(planned.reads) != 2 or planned.rows != planned.computed_rows or planned.cols != planned.computed_cols:
            return None
        for position in (0, 1):
            source, table = self._images.get(planned.reads[position], (ABSENT, None))
            if table is not None and source == planned.reads[1 - position]:
                return position, table
        return None

    def join(self, storage: Array, commands: Sequence[object]) -> StreamRunner:
        """A runner of what `encode` made of some steps, in order."""
        steps = cast("Sequence[Sequence[Command]]", commands)
        return StreamRunner([command for step in steps for command in step])

    def _commands(self, step: Step) -> list[Command]:
        planned = step.iteration.step
        op = OPS[planned.signature.op]
        if op.state is StateRole.READ:
            return encode_moves([(step.outputs[0], step.inputs[0])], step.inputs[0])
        if op.state is StateRole.ASSIGN:
            return encode_moves([(step.inputs[0], step.inputs[1])], step.inputs[1])
        if isinstance(step.prepared, Late):
            raise Declined("its weights are computed at run time")
        if isinstance(step.prepared, FloatSums):
            raise Declined("it sums floats, in an order of its own")
        encode = encoder(op.kernel)
        if encode is None or not planned.reads or planned.reads[0] == ABSENT:
            raise Declined("it has no fast kernel, or reads a constant, behind which there is no slack")

        def shared(key: Hashable, make: Callable[[], T]) -> T:
            whole_key = step.time, key
            if whole_key not in self._made:
                self._made[whole_key] = make()
            return cast(T, self._made[whole_key])

        image = self._image(step) if op.kernel == ARITHMETIC else None
        if image is not None:  # x * LOGISTIC(x), say
            position, table = image
            encode_function = import_module(f"{__package__}.{ARITHMETIC}").encode_function
            try:
                return cast(
                    "list[Command]",
                    encode_function(step.prepared, table, position, step.inputs[1 - position], step.outputs[0], shared),
                )
            except Declined:
                pass
        return encode(step.prepared, step.inputs, step.outputs, step.piece, shared)


class StreamRunner:
    """Runs commands by one call of compiled code, which keeps what they point to alive."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self._commands = tuple(commands)
        self._program = program(self._commands)
        self._workspace = room(max((command.workspace_bytes for command in commands), default=0))
        self._call = address_of(self._program), len(self._commands), address_of(self._workspace)

    def run(self) -> None:
        run(*self._call)

    def run_calls(
        self, inward: Sequence[tuple[Array, Array]], outward: Sequence[tuple[Array, Array]], calls: range
    ) -> None:
        """Run these calls of a batch.   inward, outward: (batch, its place in the arena), both contiguous."""
        ports = [
            word for batch, home in (*inward, *outward) for word in (address_of(batch), home.nbytes, address_of(home))
        ]
        table = np.array(ports, np.int64)
        # Compiled code cannot be interrupted: Ctrl-C is looked at between two portions.
        for first in range(calls.start, calls.stop, CALLS_AT_ONCE):
            end = min(first + CALLS_AT_ONCE, calls.stop)
            run_calls(*self._call, address_of(table), len(inward), len(outward), first, end)


@lru_cache(None)
def encoder(kernel: str) -> Encode | None:
    """The encoder beside the kernel of this name, or None, as for a kernel that is no module of this package."""
    if not kernel or "." in kernel:
        return None
    name = f"{__package__}.{kernel}"
    return cast(Encode, import_module(name).encode) if find_spec(name) is not None else None


def _gathered(gathers: Sequence[Copied]) -> list[Command]:
    return [
        command
        for whole in gathers
        for inside, part in _rows(whole)
        for command in encode_moves([(inside, part)], part)
    ]


def _scattered(scatters: Sequence[Copied]) -> list[Command]:
    return [
        command
        for whole in scatters
        for inside, part in _rows(whole)
        for command in encode_moves([(part, inside)], inside)
    ]


def _rows(whole: Copied) -> Iterator[tuple[Array, Array]]:
    row = 0
    for part in whole.parts:
        yield whole.copy[:, row : row + part.shape[1]], part
        row += part.shape[1]
