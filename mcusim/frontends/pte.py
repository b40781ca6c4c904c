"""ExecuTorch programs (.pte): the memory plan that they carry, and the operators that they call.

A program is compiled ahead of time: where each tensor lies in which buffer is written in the file, so its memory is
read, not estimated. What its kernels compute is their own: it is no Graph, and is not executed here.
Source: ExecuTorch, schema/program.fbs; slots are the numbers of its fields. A union takes two: its kind, its table.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.frontends.flatbuffer import I8, I32, I64, U8, U32, U64, Flatbuffer, Table
from mcusim.frontends.onnx.reading import file_content
from mcusim.frontends.pte_loading import MCU_POINTER_BYTES, Lookup, Request, allocated_bytes, lookup_bytes
from mcusim.graph import Shape

__all__ = ["PteMethod", "PteProgram", "PteTensor", "PteValue", "parse_pte", "read_pte"]

_ITEM_BYTES = {0: 1, 1: 1, 2: 2, 3: 4, 4: 8, 5: 2, 6: 4, 7: 8, 11: 1, 12: 1, 13: 1, 15: 2, 27: 2, 28: 4, 29: 8}
"""Bytes of an element by ScalarType; 0 for what is not listed."""
_TENSOR, _KERNEL, _DELEGATE = 5, 1, 2
"""Kinds of KernelTypes and InstructionArguments."""
_INTEGERS, _TENSORS, _OPTIONAL_TENSORS = 7, 10, 11
_IN_THE_FILE = (6, 8, 9)
"""Kinds whose elements the runtime leaves where they are: strings, lists of doubles and of booleans."""
_EXTERNAL = 1
"""Where the elements of a tensor lie: in another file."""


@dataclass(frozen=True, slots=True)
class PteValue:
    """A value of a method by its kind, a number of the schema's KernelTypes.

    items: of a list, the values in it.   scalar: the ScalarType of a tensor.   place: its buffer and offset in bytes.
    """

    kind: int
    items: tuple[int, ...] = ()
    shape: Shape = ()
    scalar: int = 0
    size_bytes: int = 0
    place: tuple[int, int] | None = None
    is_dynamic: bool = False
    is_external: bool = False

    @property
    def is_tensor(self) -> bool:
        return self.kind == _TENSOR


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
    requests: what loading it asks of the method's allocator, in order.   lookups: of the temporary one, a call each.
    arguments: the values of each call.   lists: values that are lists of tensors.   inputs, outputs: values.
    """

    name: str
    buffer_bytes: tuple[int, ...]
    tensors: tuple[PteTensor, ...]
    calls: tuple[str, ...]
    live_bytes: int
    requests: tuple[Request, ...]
    lookups: tuple[Lookup, ...]
    has_delegates: bool
    arguments: tuple[tuple[int, ...], ...]
    lists: Mapping[int, tuple[int, ...]]
    values: tuple[PteValue, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def method_bytes(self, pointer_bytes: int = MCU_POINTER_BYTES) -> int:
        """What the method's allocator must have; a delegate's own structures come on top."""
        return allocated_bytes(self.requests, pointer_bytes)

    def load_bytes(self, pointer_bytes: int = MCU_POINTER_BYTES) -> int:
        """What the temporary allocator must have while the method is loaded; kernels may ask for more."""
        return lookup_bytes(self.lookups, pointer_bytes)

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
    return parse_pte(file_content(path), name=path.stem, where=str(path))


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
    values = [_value(each, number) for number, each in enumerate(plan.tables(2, "value"))]
    lists = {number: value.items for number, value in enumerate(values) if value.kind in (_TENSORS, _OPTIONAL_TENSORS)}
    chains = [_chain(plan, chain, operators, delegates) for chain in plan.tables(5, "chain")]
    calls = [call for chain in chains for call in chain if call.name]
    inputs, outputs = plan.integers(3), plan.integers(4)
    for value in (*inputs, *outputs):
        if not 0 <= value < len(values):
            raise plan.buffer.corrupt(f"an input or output is value {value} of {len(values)}")
    touched = _touched(calls, lists)
    last = max(len(calls) - 1, 0)
    for value in inputs:  # an input is there from the start, an output until the end
        touched[value] = (0, touched.get(value, (0, 0))[1])
    for value in outputs:
        touched[value] = (touched.get(value, (last, last))[0], last)
    tensors = []
    for number, held in enumerate(values):
        if held.place is not None:
            buffer, offset_bytes = held.place
            life = touched.get(number, (0, last))
            tensors.append(PteTensor(number, held.shape, held.size_bytes, buffer, offset_bytes, *life))
    sizes = plan.integers(8, I64)[1:]  # number 0 is reserved for constants
    if any(size < 0 for size in sizes):
        raise plan.buffer.corrupt("a planned buffer has a negative size")
    return PteMethod(
        name=plan.text(0) or f"method {index}",
        buffer_bytes=tuple(sizes),
        tensors=tuple(tensors),
        calls=tuple(call.name for call in calls),
        live_bytes=_live_bytes(tensors),
        requests=tuple(_requests(plan, values, chains, len(inputs))),
        lookups=tuple(_lookups(values, calls)),
        has_delegates=bool(delegates),
        arguments=tuple(call.arguments for call in calls),
        lists=lists,
        values=tuple(values),
        inputs=inputs,
        outputs=outputs,
    )


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


def _value(table: Table, number: int) -> PteValue:
    """One value of a method: a tensor, a list, or something that needs no memory beside itself."""
    kind = table.number(0, U8)
    if kind == _TENSOR:
        return _tensor(table, number)
    if kind not in (_INTEGERS, _TENSORS, _OPTIONAL_TENSORS):
        return PteValue(kind)
    held = table.table(1, f"list {number}")
    if held is None:
        return PteValue(kind)
    # A list of integers names values by int64, a list of tensors by int32.
    return PteValue(kind, items=held.integers(0, I64 if kind == _INTEGERS else I32))


def _tensor(table: Table, number: int) -> PteValue:
    tensor = table.table(1, f"tensor {number}")
    if tensor is None:
        raise table.buffer.corrupt(f"tensor {number} is missing")
    shape = tensor.integers(2)
    if any(size < 0 for size in shape):
        raise table.buffer.corrupt(f"tensor {number} has shape {shape[:6]}")
    scalar = tensor.number(0, I8)
    size_bytes = math.prod(shape) * _ITEM_BYTES.get(scalar, 0)
    place = tensor.table(6, f"place of tensor {number}")
    more = tensor.table(9, f"details of tensor {number}")
    return PteValue(
        _TENSOR,
        shape=shape,
        scalar=scalar,
        size_bytes=size_bytes,
        place=None if place is None else (place.number(0, U32), place.number(1, U32) + (place.number(2, U32) << 32)),
        is_dynamic=tensor.number(8, I8) != 0,
        is_external=more is not None and place is None and more.number(2, I8) == _EXTERNAL,
    )


class _Call(NamedTuple):
    """One instruction. name: of its operator or delegate, "" where it only moves or jumps."""

    name: str
    arguments: tuple[int, ...] = ()
    is_delegate: bool = False


def _chain(plan: Table, chain: Table, operators: Sequence[str], delegates: Sequence[str]) -> list[_Call]:
    calls: list[_Call] = []
    for instruction in chain.tables(2, "instruction"):
        kind, called = instruction.number(0, U8), instruction.table(1, instruction.what)
        if called is None or kind not in (_KERNEL, _DELEGATE):
            calls.append(_Call(""))
            continue
        names = operators if kind == _KERNEL else delegates
        index = called.number(0, I32)
        if not 0 <= index < len(names):
            raise plan.buffer.corrupt(f"{instruction.what} calls operator {index} of {len(names)}")
        name = names[index] if kind == _KERNEL else f"delegate: {names[index]}"
        calls.append(_Call(name, called.integers(1), kind == _DELEGATE))
    return calls


def _touched(calls: Sequence[_Call], lists: Mapping[int, tuple[int, ...]]) -> dict[int, tuple[int, int]]:
    """The first and the last call that touches each value."""
    touched: dict[int, tuple[int, int]] = {}
    for at, call in enumerate(calls):
        for argument in call.arguments:
            for value in (argument, *lists.get(argument, ())):
                touched[value] = (touched.get(value, (at, 0))[0], at)
    return touched


# What loading asks for


def _requests(
    plan: Table, values: Sequence[PteValue], chains: Sequence[Sequence[_Call]], inputs: int
) -> Iterator[Request]:
    """What loading a method asks of its allocator, in the runtime's order."""
    yield Request("value", len(values))
    if inputs:
        yield Request("flag", inputs)
    external = sum(value.is_external for value in values)
    if external:
        yield Request("external constant", external)
    for value in values:
        yield from _requests_of_a_value(value)
    delegates = list(plan.tables(7, "delegate"))
    yield Request("delegate", len(delegates))
    for delegate in delegates:
        yield Request("compile option", delegate.span(2, 4)[1])
    yield Request("chain", len(chains))
    for chain in chains:
        yield Request("pointer", len(chain))
        yield Request("arguments", len(chain))
        for call in chain:
            if call.name:
                yield Request("pointer", len(call.arguments))


def _requests_of_a_value(value: PteValue) -> Iterator[Request]:
    rank, count = len(value.shape), len(value.items)
    if value.is_tensor:
        if value.is_dynamic:
            yield from (Request("size", rank), Request("axis", rank))
        yield from (Request("stride", rank), Request("tensor"))
    elif value.kind == _INTEGERS:
        yield from (Request("pointer", count), Request("integer", count), Request("boxed list"))
    elif value.kind == _TENSORS:
        yield from (Request("handle", count), Request("pointer", count), Request("boxed list"))
    elif value.kind == _OPTIONAL_TENSORS:
        yield from (Request("pointer", count), Request("optional handle", count), Request("boxed list"))
    elif value.kind in _IN_THE_FILE:
        yield Request("array")


def _lookups(values: Sequence[PteValue], calls: Sequence[_Call]) -> Iterator[Lookup]:
    for call in calls:
        if not call.is_delegate:
            called = [values[argument] for argument in call.arguments if 0 <= argument < len(values)]
            yield Lookup(len(call.arguments), sum(len(value.shape) for value in called))
