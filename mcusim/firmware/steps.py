"""One step as C sees it: where its operands lie, in which pieces it runs, what it has emitted so far.

Of a step that runs whole, every place is a number. In a cut stage rows and columns come from the stage's tables:

    const mcu_span rows = kws_spans_4[i], cols = kws_spans_7[j];
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.firmware.choice import KernelChoice
from mcusim.firmware.text import literal, struct
from mcusim.graph import ABSENT, Graph, TensorType
from mcusim.program import Program, Stage, Step, View, ViewKind
from mcusim.region import Span

__all__ = ["Memory", "SpanTables", "StepText"]

ENTIRE = (ViewKind.WHOLE, ViewKind.OUTSIDE)


@dataclass(frozen=True, slots=True)
class Memory:
    """Where everything lies, in bytes from the start of the one array.

    offsets: by buffer.   variables: by tensor, states and handles alike.   pointers: of external inputs, by tensor.
    remembered: by node, what its operator keeps for itself.
    size_bytes: of the array.
    """

    offsets: tuple[int, ...]
    variables: Mapping[int, int]
    pointers: Mapping[int, int]
    remembered: Mapping[int, tuple[int, ...]]
    size_bytes: int


class SpanTables:
    """The tables of intervals of all stages; equal ones are one."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.names: dict[tuple[Span, ...], str] = {}

    def name(self, spans: tuple[Span, ...]) -> str:
        return self.names.setdefault(spans, f"{self.prefix}_spans_{len(self.names)}")

    def text(self) -> str:
        """Their definitions."""
        lines = []
        for spans, name in self.names.items():
            pairs = ", ".join(f"{{{span.start}, {span.length}}}" for span in spans)
            lines.append(f"static const mcu_span {name}[{len(spans)}] = {{{pairs}}};\n")
        return "".join(lines)

    @property
    def size_bytes(self) -> int:
        return sum(4 * len(spans) for spans in self.names)


@dataclass(slots=True)
class StepText:
    """A step while its text is made.

    index: on the axis of time.   layer: prefix of its constants.   choice: its kernel.   prepared: its integers.
    written: view -> the step of this stage that writes it.
    arrays: constants, by full name.   others: constants that are no operands.   declarations: definitions of structs.
    lines: of its call.   includes: files.
    modes: ways in which its sums become outputs.
    """

    program: Program
    memory: Memory
    tables: SpanTables
    stage: Stage
    step: Step
    index: int
    layer: str
    arena: str
    choice: KernelChoice
    prepared: object
    written: Mapping[int, Step]
    external: str
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    declarations: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    others: dict[str, NDArray[Any]] = field(default_factory=dict)
    includes: list[str] = field(default_factory=list)
    modes: set[str] = field(default_factory=set)

    # -- facts --------------------------------------------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        return self.program.graph

    @property
    def is_cut(self) -> bool:
        """Whether rows and columns come from tables."""
        return self.stage.row_pieces * self.stage.col_pieces > 1 or self._is_region

    @property
    def _is_region(self) -> bool:
        """Whether its one piece is less than all of its output, or it reads less than all of a tensor."""
        views = [self.program.views[v] for v in (*self.step.reads, *self.step.writes) if v != ABSENT]
        return any(view.kind not in ENTIRE for view in views)

    def kind(self, position: int) -> TensorType:
        return self.step.signature.input(position)

    @property
    def output(self) -> TensorType:
        return self.step.signature.output

    def tensor(self, position: int) -> int:
        """Index of an input's tensor."""
        if self.step.node == ABSENT:
            return ABSENT
        return self.graph.nodes[self.step.node].inputs[position]

    def constant(self, position: int) -> NDArray[Any] | None:
        """The elements of a constant input."""
        tensor = self.tensor(position)
        return self.graph.tensors[tensor].constant if tensor != ABSENT else None

    # -- what is emitted ----------------------------------------------------------------------------------------------

    def store(self, name: str, values: NDArray[Any]) -> str:
        """A constant array of the step; its name in C."""
        full = f"{self.layer}_{name}"
        self.arrays[full] = values
        return full

    def define(self, kind: str, fields: Mapping[str, object], suffix: str = "") -> str:
        """A constant struct of the step; the expression of its address."""
        name = f"{self.layer}{suffix}"
        self.declarations.append(struct(kind, name, fields))
        return f"&{name}"

    def include(self, *files: str) -> None:
        self.includes += [file for file in files if file not in self.includes]

    def call(self, function: str, *arguments: object) -> None:
        self.lines.append(f"{function}({', '.join(map(str, arguments))});")

    # -- addresses ----------------------------------------------------------------------------------------------------

    def at(self, offset: int) -> str:
        """An address in the array."""
        return f"{self.arena} + {offset}" if offset else self.arena

    def scratch(self) -> str:
        """The step's working memory."""
        roles = {role for role, _ in self.choice.scratch}
        # Planned scratch may hold more than this kernel's roles: weights beneath an output, for one, are no working
        # memory.
        buffers = [use.buffer for use in self.step.scratch if use.role in roles]
        return self.at(self.memory.offsets[buffers[0]]) if buffers else "0"

    def remembered(self) -> list[str]:
        """Addresses of what the step's operator keeps for itself from call to call."""
        return [self.at(offset) for offset in self.memory.remembered.get(self.step.node, ())]

    def whole(self, position: int) -> str:
        """Address of an input that lies in one piece: a view, a constant or a variable."""
        view, tensor = self.step.reads[position], self.tensor(position)
        if tensor in self.memory.variables:
            return self.at(self.memory.variables[tensor])
        if view != ABSENT:
            return self._base(self.program.views[view])
        values = self.constant(position)
        assert values is not None, "an input is a view, a variable or a constant"
        return f"(const int8_t *){self.store(f'input_{position}', stored_elements(values))}"

    def home(self, tensor: int) -> str:
        """Address of a tensor that lies in one piece, whoever reads or writes it."""
        if tensor in self.memory.variables:
            return self.at(self.memory.variables[tensor])
        values = self.graph.tensors[tensor].constant
        if values is None:
            return self._base(self.program.views[self.program.homes[tensor]])
        full = f"{self.layer}_answer_{tensor}"
        self.others[full] = stored_elements(values)
        return f"(const int8_t *){full}"

    def part_function(self, number: int) -> str:
        """The function that runs a subgraph."""
        return f"{self.layer.rsplit('_', 1)[0]}_part_{number}"

    def whole_output(self, position: int = 0) -> str:
        """Address of an output that lies in one piece."""
        return self._base(self.program.views[self.step.writes[position]])

    def _base(self, view: View) -> str:
        if view.kind is ViewKind.OUTSIDE:
            return f"{self.external}({self.memory.pointers[view.tensor]})"
        return self.at(self.memory.offsets[view.buffer] + view.offset_bytes)

    def _start(self, index: int, by_rows: bool) -> str:
        """The first row or column that a view holds."""
        view = self.program.views[index]
        # A view that holds the tensor whole begins at row and column 0; a line buffer does so along its rows.
        if view.kind in ENTIRE or (view.kind is ViewKind.LINES and by_rows):
            return "0"
        writer = self.written.get(index)
        assert writer is not None, "a piece is written in the stage that reads it"
        return self.span(writer.rows if by_rows else writer.cols, by_rows, "first")

    def span(self, spans: tuple[Span, ...], by_rows: bool, part: str) -> str:
        """`first` or `count` of the interval of this iteration."""
        # Equal in all iterations, it is a number in the text, and needs no table.
        values = [span.start if part == "first" else span.length for span in spans]
        if len(set(values)) == 1:
            return literal(values[0])
        return f"{self.tables.name(spans)}[{'i' if by_rows else 'j'}].{part}"

    def map_in(self, position: int) -> str:
        """Declares where an input lies; the expression of its address."""
        kind, view_index = self.kind(position), self.step.reads[position]
        row, col, pitch, ring = "0", "0", row_bytes(kind), 0
        base = self.whole(position)
        if view_index != ABSENT:
            view = self.program.views[view_index]
            row, col = self._start(view_index, True), self._start(view_index, False)
            if view.kind not in ENTIRE:
                pitch = view.row_pitch_bytes
            ring = view.row_capacity if view.kind is ViewKind.LINES else 0
        name = f"in{position}" if position else "in"
        self.lines.append(f"const mcu_in {name} = {{{base}, {row}, {col}, {pitch}, {ring}}};")
        return f"&{name}"

    def map_out(self, position: int = 0) -> str:
        """Declares where an output lies and which region of it is computed; the expression of its address."""
        index, kind = self.step.writes[position], self.step.signature.outputs[position]
        view = self.program.views[index]
        pitch = row_bytes(kind) if view.kind in ENTIRE else view.row_pitch_bytes
        ring = view.row_capacity if view.kind is ViewKind.LINES else 0
        row, col = self._start(index, True), self._start(index, False)
        name = f"out{position}" if position else "out"
        region = ", ".join(self.region())
        self.lines.append(
            f"const mcu_out {name} = {{{self.whole_output(position)}, {row}, {col}, {pitch}, {ring}, {region}}};"
        )
        return f"&{name}"

    def region(self) -> tuple[str, str, str, str]:
        """First row, rows, first column and columns of the output region."""
        rows, cols = self.step.rows, self.step.cols
        return (
            self.span(rows, True, "first"),
            self.span(rows, True, "count"),
            self.span(cols, False, "first"),
            self.span(cols, False, "count"),
        )


def row_bytes(kind: TensorType) -> int:
    """Of a row of a whole tensor."""
    return kind.cols * kind.channels * (kind.dtype.bits // 8) if len(kind.shape) == 4 else kind.size_bytes


def stored_elements(values: NDArray[Any]) -> NDArray[Any]:
    """A constant as it is stored: bool as bytes."""
    return values.view(np.uint8) if values.dtype == np.bool_ else values


def product(sizes: Sequence[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result
