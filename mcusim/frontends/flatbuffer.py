"""Reading flatbuffers that nobody has verified: every offset, vector and count is bounded before it is used.

    table   -> soffset -> vtable: (vtable bytes, table bytes, offset of field 0, offset of field 1, ...)
    field   -> a scalar in place, or a uoffset (forwards) to a table, a vector or a string
    vector  -> count, elements

Python's flatbuffers trusts its input; here any bytes give a value or a ModelError. Work and memory are bounded as
well: in a hostile file thousands of tables may point at the same huge vector, which would take quadratic time, so
every table, element and string byte read is charged to a budget in proportion to the size of the file.
Source: FlatBuffers internals (flatbuffers.dev/internals), and its C++ verifier.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, unpack_from
from typing import Any

from mcusim.errors import ModelError

__all__ = ["BOOL", "F32", "I8", "I32", "I64", "U8", "U32", "U64", "Flatbuffer", "Table"]

BOOL, U8, I8, I32, U32, I64, U64, F32 = (Struct(f"<{code}") for code in "?BbiIqQf")

_VTABLE_HEAD = Struct("<HH")
_OFFSET_BYTES = 4
_TABLE_COST = 32
"""What reading a table costs in units of one vector element."""
_WORK_FLOOR = 1 << 16
"""Work that even the smallest file may ask for."""
_WORK_PER_BYTE = 2
"""Real files stay below 1: few of their bytes are structure, and most vectors are read once."""
_WORK_CEILING = 1 << 23
"""Some 50,000 operators, and a few seconds. The largest network we have seen takes 2 % of it."""


class Flatbuffer:
    """The bytes of a file, with a budget for the work of reading it.

    where: names the file in errors.
    """

    __slots__ = ("_layouts", "_work_left", "content", "size_bytes", "where")

    def __init__(self, content: bytes, where: str) -> None:
        self.content, self.size_bytes, self.where = content, len(content), where
        self._work_left = min(_WORK_FLOOR + _WORK_PER_BYTE * len(content), _WORK_CEILING)
        self._layouts: dict[int, tuple[int, tuple[int, ...]]] = {}

    def corrupt(self, what: str) -> ModelError:
        """The error to raise where the file contradicts itself."""
        return ModelError(
            f"the file is corrupted: {what}", where=self.where, fix="download, copy or export the model again"
        )

    def charge(self, work: int) -> None:
        """Take `work` from the budget. Raises ModelError when it is used up."""
        self._work_left -= work
        if self._work_left < 0:
            raise self.corrupt("its parts overlap and unfold to far more than a network of its size has")

    def number(self, layout: Struct, position: int, what: str) -> Any:
        """One scalar."""
        if not 0 <= position <= self.size_bytes - layout.size:
            raise self.corrupt(f"{what} reaches past the end of the file")
        return layout.unpack_from(self.content, position)[0]

    def follow(self, position: int, what: str) -> int:
        """Where the uoffset at `position` points: to a place with at least four bytes."""
        target: int = position + self.number(U32, position, what)
        if target > self.size_bytes - _OFFSET_BYTES:
            raise self.corrupt(f"{what} points past the end of the file")
        return target

    def span(self, position: int, item_bytes: int, what: str) -> tuple[int, int]:
        """Position and count of the elements of the vector to which the uoffset at `position` points."""
        start = self.follow(position, what)
        count: int = U32.unpack_from(self.content, start)[0]
        start += _OFFSET_BYTES
        if count * item_bytes > self.size_bytes - start:
            raise self.corrupt(f"{what} has a vector of {count:,} elements, past the end of the file")
        return start, count

    def root(self, what: str) -> Table:
        return Table(self, self.follow(0, what), what)

    def layout(self, vtable: int, what: str) -> tuple[int, tuple[int, ...]]:
        """Bytes of a table and the offsets of its fields (0 where absent), from its vtable."""
        known = self._layouts.get(vtable)
        if known is None:
            if not 0 <= vtable <= self.size_bytes - _VTABLE_HEAD.size:
                raise self.corrupt(f"{what} lies outside the file")
            vtable_bytes, table_bytes = _VTABLE_HEAD.unpack_from(self.content, vtable)
            fields = (vtable_bytes - _VTABLE_HEAD.size) // 2
            if fields < 0 or vtable_bytes % 2 or vtable + vtable_bytes > self.size_bytes:
                raise self.corrupt(f"{what} has a malformed vtable")
            self.charge(fields)
            offsets = unpack_from(f"<{fields}H", self.content, vtable + _VTABLE_HEAD.size)
            known = self._layouts[vtable] = (table_bytes, offsets)
        return known


class Table:
    """One table. Fields are named by slot: their number in the schema.

    what: names the table in errors ("tensor 7").
    """

    __slots__ = ("_fields", "buffer", "position", "what")

    def __init__(self, buffer: Flatbuffer, position: int, what: str) -> None:
        buffer.charge(_TABLE_COST)
        self.buffer, self.position, self.what = buffer, position, what
        table_bytes, self._fields = buffer.layout(position - buffer.number(I32, position, what), what)
        if table_bytes < _OFFSET_BYTES or position + table_bytes > buffer.size_bytes:
            raise buffer.corrupt(f"{what} reaches past the end of the file")

    def offset(self, slot: int) -> int:
        """Offset of a field from the table's position; 0 if absent."""
        return self._fields[slot] if slot < len(self._fields) else 0

    def number(self, slot: int, layout: Struct, default: float = 0) -> Any:
        """A scalar field."""
        offset = self.offset(slot)
        return self.buffer.number(layout, self.position + offset, self.what) if offset else default

    def table(self, slot: int, what: str) -> Table | None:
        """A table that a field points to; None if absent."""
        offset = self.offset(slot)
        return Table(self.buffer, self.buffer.follow(self.position + offset, what), what) if offset else None

    def span(self, slot: int, item_bytes: int = 1) -> tuple[int, int]:
        """Position and count of the elements of a vector, all inside the file; (0, 0) if absent. Reads none of them."""
        offset = self.offset(slot)
        return self.buffer.span(self.position + offset, item_bytes, self.what) if offset else (0, 0)

    def vector(self, slot: int, element: Struct) -> tuple[Any, ...]:
        """A vector of scalars; empty if absent."""
        start, count = self.span(slot, element.size)
        if not count:
            return ()
        self.buffer.charge(count)
        return unpack_from(f"<{count}{element.format[-1]}", self.buffer.content, start)

    def integers(self, slot: int, element: Struct = I32) -> tuple[int, ...]:
        """As `vector`, typed."""
        return self.vector(slot, element)

    def floats(self, slot: int) -> tuple[float, ...]:
        """As `vector`, of float32."""
        return self.vector(slot, F32)

    def tables(self, slot: int, what: str) -> Iterator[Table]:
        """A vector of tables, in order; errors call them "`what` 0", "`what` 1", ..."""
        start, count = self.span(slot, _OFFSET_BYTES)
        for index in range(count):
            named = f"{what} {index}"
            yield Table(self.buffer, self.buffer.follow(start + _OFFSET_BYTES * index, named), named)

    def text(self, slot: int) -> str:
        """A string that is safe to print; "" if absent."""
        start, count = self.span(slot)
        self.buffer.charge(count)
        text = self.buffer.content[start : start + count].decode("utf-8", "replace")
        return (
            text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
        )
