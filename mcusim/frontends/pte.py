"""ExecuTorch programs (.pte): the memory plan that they carry, and the operators that they call.

A program is compiled ahead of time: where each tensor lies in which buffer is written in the file, so its memory is
read, not estimated. What its kernels compute is their own: it is no Graph, and is not executed here.
Source: ExecuTorch, schema/program.fbs; slots are the numbers of its fields. A union takes two: its kind, its table.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from mcusim.errors import ModelError
from mcusim.frontends.flatbuffer import I8, I32, I64, U8, U32, U64, Flatbuffer, Table
from mcusim.frontends.formats import missing_file, not_a_file
from mcusim.graph import Shape

__all__ = ["PteMethod", "PteProgram", "PteTensor", "parse_pte", "read_pte"]

MAX_FILE_BYTES = 2**31 - 1
_ITEM_BYTES = {0: 1, 1: 1, 2: 2, 3: 4, 4: 8, 5: 2, 6: 4, 7: 8, 11: 1, 12: 1, 13: 1, 15: 2, 27: 2, 28: 4, 29: 8}
"""Bytes of an element by ScalarType; 0 for what is not listed."""
_TENSOR, _KERNEL, _DELEGATE = 5, 1, 2
"""Kinds of KernelTypes and InstructionArguments."""


@dataclass(frozen=True, slots=True)
class PteTensor:
    """A tensor that the plan places. buffer: its number, from 1 on.   first, last: instructions that touch it."""

    value: int
    shape: Shape
    size_bytes: int
    buffer: int
    offset_bytes: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class PteMethod:
    """One method.

    buffer_bytes: of each planned buffer.   calls: operators (or `delegate: ID`) in the order of the instructions.
    live_bytes: the most that is alive at once in all buffers, which no plan can undercut.
    """

    name: str
    buffer_bytes: tuple[int, ...]
    tensors: tuple[PteTensor, ...]
    calls: tuple[str, ...]
    live_bytes: int

    @property
    def planned_bytes(self) -> int:
        return sum(self.buffer_bytes)

    @property
    def operators(self) -> tuple[tuple[str, int], ...]:
        """Each operator that is called, and how often; the most frequent first."""
        return tuple(sorted(Counter(self.calls).items(), key=lambda each: (-each[1], each[0])))


@dataclass(frozen=True, slots=True)
class PteProgram:
    """A .pte file. constant_bytes: of its segments and inline constants, a part of `file_bytes`."""

    name: str
    file_bytes: int
    constant_bytes: int
    methods: tuple[PteMethod, ...]


def read_pte(path: str | Path) -> PteProgram:
    """The program in a .pte file. Raises ModelError where there is none, or it is malformed."""
    path = Path(path)
    where = str(path)
    try:
        if not path.is_file():
            raise not_a_file(path) if path.exists() else missing_file(path)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError("the file has more than 2 GiB", where=where, fix="use a smaller network")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fix = "check the path and its permissions"
        raise ModelError(f"it cannot be read: {reason}", where=where, fix=fix) from error
    return parse_pte(content, name=path.stem, where=where)


def parse_pte(content: bytes, *, name: str, where: str) -> PteProgram:
    """The program in the bytes of a .pte file."""
    if content[4:6] != b"ET" or len(content) < 8:
        fix = "write one with executorch: to_edge(...).to_executorch()"
        raise ModelError("the file is no ExecuTorch program (.pte)", where=where, fix=fix)
    flatbuffer = Flatbuffer(content, where)
    program = flatbuffer.root("the program")
    segments = sum(int(each.number(1, U64)) for each in program.tables(4, "segment"))
    inline = sum(each.span(0)[1] for each in program.tables(2, "constant buffer"))
    methods = tuple(_method(each, index) for index, each in enumerate(program.tables(1, "method")))
    if not methods:
        raise ModelError("the program has no methods", where=where, fix="export it again")
    return PteProgram(name, len(content), min(segments + inline, len(content)), methods)


def _method(plan: Table, index: int) -> PteMethod:
    operators = [_operator(each) for each in plan.tables(6, "operator")]
    delegates = [each.text(0) for each in plan.tables(7, "delegate")]
    values = list(plan.tables(2, "value"))
    calls, touched = _calls(plan, operators, delegates, _lists(values))
    last = max(len(calls) - 1, 0)
    for value in plan.integers(3):  # an input is there from the start, an output until the end
        touched[value] = (0, touched.get(value, (0, 0))[1])
    for value in plan.integers(4):
        touched[value] = (touched.get(value, (last, last))[0], last)
    tensors = []
    for number, held in enumerate(values):
        placed = _placed(held, number, touched.get(number, (0, last)))
        if placed is not None:
            tensors.append(placed)
    sizes = plan.integers(8, I64)[1:]  # number 0 is reserved for constants
    if any(size < 0 for size in sizes):
        raise plan.buffer.corrupt("a planned buffer has a negative size")
    name = plan.text(0) or f"method {index}"
    return PteMethod(name, tuple(sizes), tuple(tensors), tuple(calls), _live_bytes(tensors))


def _live_bytes(tensors: Sequence[PteTensor]) -> int:
    """The most that is alive at one instruction."""
    change: Counter[int] = Counter()
    for tensor in tensors:
        change[tensor.first] += tensor.size_bytes
        change[tensor.last + 1] -= tensor.size_bytes
    return max(accumulate(change[at] for at in sorted(change)), default=0)


def _operator(table: Table) -> str:
    overload = table.text(1)
    return f"{table.text(0)}.{overload}" if overload else table.text(0)


def _lists(values: Sequence[Table]) -> dict[int, tuple[int, ...]]:
    """Values that are lists of values."""
    found = {}
    for number, value in enumerate(values):
        if value.number(0, U8) in (10, 11):
            held = value.table(1, f"list {number}")
            found[number] = held.integers(0) if held else ()
    return found


def _calls(
    plan: Table, operators: Sequence[str], delegates: Sequence[str], lists: dict[int, tuple[int, ...]]
) -> tuple[list[str], dict[int, tuple[int, int]]]:
    """Names of what the instructions call, and the first and last instruction that touches each value."""
    calls: list[str] = []
    touched: dict[int, tuple[int, int]] = {}
    for chain in plan.tables(5, "chain"):
        for instruction in chain.tables(2, "instruction"):
            kind, called = instruction.number(0, U8), instruction.table(1, instruction.what)
            if called is None or kind not in (_KERNEL, _DELEGATE):
                continue
            names = operators if kind == _KERNEL else delegates
            index = called.number(0, I32)
            if not 0 <= index < len(names):
                raise plan.buffer.corrupt(f"{instruction.what} calls operator {index} of {len(names)}")
            for argument in called.integers(1):
                for value in (argument, *lists.get(argument, ())):
                    touched[value] = (touched.get(value, (len(calls), 0))[0], len(calls))
            calls.append(names[index] if kind == _KERNEL else f"delegate: {names[index]}")
    return calls, touched


def _placed(value: Table, number: int, life: tuple[int, int]) -> PteTensor | None:
    """A tensor of the plan; None for other values, and for tensors without a place in a planned buffer."""
    tensor = value.table(1, f"tensor {number}") if value.number(0, U8) == _TENSOR else None
    place = tensor.table(6, f"place of tensor {number}") if tensor else None
    if tensor is None or place is None:
        return None
    shape = tensor.integers(2)
    if any(size < 0 for size in shape):
        raise value.buffer.corrupt(f"tensor {number} has shape {shape[:6]}")
    size_bytes = math.prod(shape) * _ITEM_BYTES.get(tensor.number(0, I8), 0)
    offset_bytes = place.number(1, U32) + (place.number(2, U32) << 32)
    return PteTensor(number, shape, size_bytes, place.number(0, U32), offset_bytes, *life)
