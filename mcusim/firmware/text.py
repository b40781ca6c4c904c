"""Pieces of C text: literals, arrays, comments that no tensor's name can leave."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import McusimError

__all__ = ["array", "checked_name", "comment", "literal", "struct"]

LONGEST_NAME = 40
_KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof "
    "bool true false nullptr main"
)
_HEADERS = (
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic "
    "stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype"
)
KEYWORDS = frozenset(_KEYWORDS.split())
HEADERS = frozenset(_HEADERS.split())
TYPES = {"i1": "int8_t", "u1": "uint8_t", "i2": "int16_t", "u2": "uint16_t", "i4": "int32_t", "u4": "uint32_t"} | {
    "i8": "int64_t",
    "f4": "float",
}


def checked_name(name: str) -> str:
    """A name that may prefix every symbol and be a file's. Raises McusimError for any other."""
    where = f"--name {name[:60]!r}"
    fix = f"use a letter, then up to {LONGEST_NAME - 1} letters, digits and underscores, as in --name keyword_spotter"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name, re.ASCII) or len(name) > LONGEST_NAME:
        raise McusimError("it is no identifier of C that can begin a symbol", where=where, fix=fix)
    if name.lower() in KEYWORDS:
        raise McusimError("it is a keyword of C, or taken", where=where, fix=fix)
    if name.lower() in HEADERS:
        raise McusimError(f"its header would hide <{name.lower()}.h>", where=where, fix=fix)
    return name


def comment(text: str) -> str:
    """`text` as it may stand in a comment, a string or a Makefile: plain characters, not too many."""
    plain = re.sub(r"[^A-Za-z0-9_.:, +=()-]|(?<=/)\*", "_", text[:72])
    return plain.strip()


def literal(value: int | float) -> str:
    """A number. The smallest int32 has no literal of its own in C."""
    if isinstance(value, float):
        return repr(value)
    return "INT32_MIN" if value == -(1 << 31) else f"({value})" if value < 0 else str(value)


def _elements(values: NDArray[Any]) -> Iterable[str]:
    kind = values.dtype.str[1:]
    if kind == "u4":
        return (f"0x{value:08x}u" for value in values.tolist())
    if kind == "i4":
        return ("INT32_MIN" if value == -(1 << 31) else str(value) for value in values.tolist())
    if kind == "i8":
        return (f"INT64_C({value})" if value != -(1 << 63) else "INT64_MIN" for value in values.tolist())
    return map(str, values.tolist())


def array(name: str, values: NDArray[Any]) -> str:
    """The definition of a constant array, wrapped at 120 columns."""
    flat = np.ascontiguousarray(values).reshape(-1)
    kind = TYPES[flat.dtype.str[1:]]
    lines, line = [], ""
    for element in _elements(flat):
        # Eight columns are left for the indentation and the separator.
        if len(line) + len(element) > 112:
            lines.append(line.rstrip())
            line = ""
        line += element + ", "
    lines.append(line.rstrip(", "))
    body = "\n    ".join(lines)
    return f"static const {kind} {name}[{flat.size}] = {{\n    {body}}};\n"


def struct(kind: str, name: str, fields: Mapping[str, object]) -> str:
    """The definition of a constant struct, a field a line. Values: numbers, texts of C, or such mappings again."""
    return f"static const {kind} {name} = {{\n{_fields(fields, 1)}\n}};\n"


def _fields(fields: Mapping[str, object], depth: int) -> str:
    indent = "    " * depth
    return ",\n".join(f"{indent}.{name} = {_value(value, depth)}" for name, value in fields.items())


def _value(value: object, depth: int) -> str:
    match value:
        case bool():
            return str(int(value))
        case int() | float():
            return literal(value)
        case str():
            return value
        case Mapping():
            return f"{{\n{_fields(value, depth + 1)}}}"
        case tuple() | list():
            return "{" + ", ".join(_value(item, depth) for item in value) + "}"
        case _:
            raise TypeError(f"{value!r} has no text in C")
