"""Options of a .tflite operator <-> its attributes, by reflection: an operator's file in `ops/` is all it takes.

Field `stride_w` of the attribute class is field `StrideW` of the options table that the operator names. Fields that the
table lacks (what lowering sets) keep their default; those that the file leaves out get the schema's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from functools import cache
from struct import Struct
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from mcusim.errors import ModelError
from mcusim.frontends.flatbuffer import U8, Table
from mcusim.frontends.flexbuffer import read_map
from mcusim.frontends.tflite_tables import BUILTIN_OPTIONS, BUILTIN_OPTIONS_2, ELEMENT_TYPES, OPTIONS
from mcusim.graph import Attributes, DType
from mcusim.ops import OPS, OpDef

__all__ = ["DTYPES", "DTYPE_CODES", "read_attributes", "stored_options"]

DTYPES = {number: DType(name.lower()) for number, name in ELEMENT_TYPES.items() if name.lower() in set(DType)}
"""Code in the file -> element type, where mcusim knows it."""

DTYPE_CODES = {dtype: number for number, dtype in DTYPES.items()}
"""Element type -> code in the file."""

_UNIONS = ((3, 4, BUILTIN_OPTIONS), (11, 12, BUILTIN_OPTIONS_2))
"""An operator's two unions: slot of the kind, slot of the table, names of the kinds."""


class _Field(NamedTuple):
    """How one attribute is read: from options, or None where the operator has none in the file.

    stored: its name in the options table.
    """

    name: str
    stored: str
    read: Callable[[Table | None], Any]
    convert: Callable[[Any], Any]


def read_attributes(operator: Table, op: OpDef) -> Attributes:
    """The attributes of an operator's table. Raises ModelError if the options are another operator's, or malformed."""
    if op.name.startswith("CUSTOM:"):
        return _custom_attributes(operator, op)
    if not op.options:
        return op.attributes()
    options = _options(operator, op)
    if options is None and op.needs_options:
        raise operator.buffer.corrupt(f"{operator.what} ({op.name}) lacks its options")
    values: dict[str, Any] = {}
    for name, _, read, convert in _fields(op.name):
        try:
            values[name] = convert(read(options))
        except (ValueError, KeyError) as error:
            raise operator.buffer.corrupt(f"{operator.what} ({op.name}) has an impossible {name}") from error
    return op.attributes(**values)


def _custom_attributes(operator: Table, op: OpDef) -> Attributes:
    """The attributes of a custom operator, from options that are stored by name. Others than its own are left out."""
    start, count = operator.span(5)
    operator.buffer.charge(count)
    stored = operator.buffer.content[start : start + count]
    options = read_map(stored, f"{operator.buffer.where}, {operator.what} ({op.name})")
    values: dict[str, Any] = {"stored": stored}
    hints = get_type_hints(op.attributes)
    for field in fields(op.attributes):
        value = options.get(field.name)
        if field.name != "stored" and value is not None:
            if isinstance(value, str) or not math.isfinite(value):
                raise operator.buffer.corrupt(f"{operator.what} ({op.name}) has an impossible {field.name}")
            values[field.name] = hints[field.name](value)
    return op.attributes(**values)


def stored_options(op: OpDef, attributes: Attributes) -> dict[str, Any]:
    """The options of an operator with these attributes: field of its options table -> value in the file."""
    return {field.stored: _stored(getattr(attributes, field.name)) for field in _fields(op.name)} if op.options else {}


def _stored(value: Any) -> Any:
    """The inverse of `_converter`."""
    if isinstance(value, DType):
        return DTYPE_CODES[value]
    if isinstance(value, Enum):
        return list(type(value)).index(value)
    return list(value) if isinstance(value, tuple) else value


def _options(operator: Table, op: OpDef) -> Table | None:
    for kind_slot, table_slot, names in _UNIONS:
        kind = operator.number(kind_slot, U8)
        if kind == 0:
            continue
        if names.get(kind) != op.options:
            raise ModelError(
                f"{operator.what} ({op.name}) has {names.get(kind, f'options of unknown kind {kind}')}",
                where=operator.buffer.where,
                fix=f"{op.name} takes {op.options}: export the model again",
            )
        return operator.table(table_slot, f"options of {operator.what}")
    return None


@cache
def _fields(op_name: str) -> tuple[_Field, ...]:
    """The fields that attribute class and options table share."""
    op = OPS[op_name]
    table = OPTIONS[op.options]
    hints = get_type_hints(op.attributes)
    stored_fields = []
    for field in fields(op.attributes):
        stored = "".join(part[:1].upper() + part[1:] for part in field.name.split("_"))
        if stored in table:
            stored_fields.append(_Field(field.name, stored, _reader(*table[stored]), _converter(hints[field.name])))
    return tuple(stored_fields)


def _reader(slot: int, code: str, default: float) -> Callable[[Table | None], Any]:
    if code == "text":
        return lambda options: options.text(slot) if options else ""
    if code.startswith("["):
        element = Struct(f"<{code[1:-1]}")
        return lambda options: options.vector(slot, element) if options else ()
    layout = Struct(f"<{code}")
    return lambda options: options.number(slot, layout, default) if options else default


def _converter(hint: Any) -> Callable[[Any], Any]:
    """Value in the file -> value of a field with this type. Raises ValueError or KeyError where there is none."""
    if NoneType in get_args(hint):
        hint = next(kind for kind in get_args(hint) if kind is not NoneType)
    if get_origin(hint) is tuple:
        return tuple
    if hint is DType:
        return DTYPES.__getitem__
    if issubclass(hint, Enum):
        # Our enums declare their members in the order of the schema, which numbers them from 0.
        return dict(enumerate(hint)).__getitem__
    return _finite if hint is float else hint


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(value)
    return value
