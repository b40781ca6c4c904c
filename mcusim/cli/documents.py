"""JSON documents: typed values -> plain ones, and types -> JSON Schema, so that neither is written twice.

A document is a TypedDict whose values may be NamedTuples, dataclasses, msgspec Structs, enumerations and sequences of
such. All of their fields are in the document, and nothing else may be.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from enum import Enum, StrEnum
from typing import Any, Literal, TypedDict

import msgspec

from mcusim.pricing.systems import System
from mcusim.report import SCHEMA_VERSION, Report

__all__ = ["DIALECT", "RuntimeName", "SystemDocument", "Versioned", "plain", "schema_of", "system_document"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Versioned(TypedDict):
    """What every document begins with."""

    schema_version: Literal[1]


class RuntimeName(TypedDict):
    """A runtime and its version."""

    name: str
    version: str


class ChosenRuntime(RuntimeName):
    """A runtime that answers.   why: it does, where nobody named one; None where somebody did, or it comes first."""

    why: str | None
    pointer_bits: int


class SystemDocument(TypedDict):
    """A runtime at a version on a board, as `System`."""

    runtime: str
    version: str
    option: str
    core: str
    series: str
    board: str
    memory: str


def system_document(system: System) -> SystemDocument:
    return {
        "runtime": system.runtime,
        "version": system.version,
        "option": system.option,
        "core": system.core,
        "series": system.series,
        "board": system.board,
        "memory": system.memory,
    }


def plain(value: object) -> Any:
    """As dicts, lists, strings and numbers."""
    if isinstance(value, Report):
        return value.to_dict()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    if dataclasses.is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def schema_of(title: str, *kinds: Any) -> dict[str, Any]:
    """JSON Schema of documents of any of these types. One that has no version of its own is written with version 1."""
    made = _Schema({Report, *(kind for kind in kinds if "schema_version" not in typing.get_type_hints(kind))})
    schemas = [made.of(kind) for kind in kinds]
    return {
        "$schema": DIALECT,
        "title": title,
        **(schemas[0] if len(schemas) == 1 else {"anyOf": schemas}),
        "$defs": dict(sorted(made.definitions.items())),
    }


class _Schema:
    """Definitions, gathered type by type."""

    def __init__(self, unversioned: Collection[type]) -> None:
        """unversioned: types whose documents begin with a version that is no field of theirs."""
        self._unversioned = unversioned
        self.definitions: dict[str, Any] = {}
        self._kinds: dict[str, type] = {}

    def of(self, hint: Any) -> dict[str, Any]:
        """A value of this type."""
        if hint in _PLAIN:
            return {"type": _PLAIN[hint]}
        if hint is Any or hint is object:
            return {}
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
            return {"anyOf": [self.of(argument) for argument in typing.get_args(hint)]}
        if typing.get_origin(hint) is Literal:
            return {"enum": list(typing.get_args(hint))}
        if typing.get_origin(hint) in (tuple, list, Sequence):
            return self._array(typing.get_args(hint))
        if typing.get_origin(hint) in (dict, Mapping):
            return {"type": "object", "additionalProperties": self.of(typing.get_args(hint)[1])}
        if isinstance(hint, type):
            return self._defined(hint)
        raise TypeError(f"no schema for {hint!r}")

    def _array(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        items = [self.of(argument) for argument in arguments if argument is not Ellipsis]
        if arguments[-1] is Ellipsis or len(arguments) == 1:
            return {"type": "array", "items": items[0]}
        lengths = {"minItems": len(items), "maxItems": len(items)}
        same = all(item == items[0] for item in items)
        return {"type": "array", **({"items": items[0]} if same else {"prefixItems": items}), **lengths}

    def _defined(self, kind: type) -> dict[str, Any]:
        """By reference; types of one name are told apart by their module."""
        name = kind.__name__.lstrip("_")
        if self._kinds.setdefault(name, kind) is not kind:
            name = f"{kind.__module__.rpartition('.')[2]}_{name}"
            self._kinds[name] = kind
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._definition(kind)
        return {"$ref": f"#/$defs/{name}"}

    def _definition(self, kind: type) -> dict[str, Any]:
        if issubclass(kind, StrEnum):
            return {"enum": [member.value for member in kind]}
        fields = self._fields(kind)
        written = (kind.__doc__ or "").split("\n\n")[0]
        described = "" if written.startswith((f"{kind.__name__}(", "dict(")) else " ".join(written.split())
        head: dict[str, Any] = {"type": "object", **({"description": described} if described else {})}
        return {**head, "properties": fields, "required": list(fields), "additionalProperties": False}

    def _fields(self, kind: type) -> dict[str, Any]:
        """Name in the document -> schema."""
        hints = typing.get_type_hints(kind)
        if kind in self._unversioned:
            return {"schema_version": {"const": SCHEMA_VERSION}, **self._each(hints)}
        if issubclass(kind, msgspec.Struct):
            return {item.encode_name: self.of(hints[item.name]) for item in msgspec.structs.fields(kind)}
        if dataclasses.is_dataclass(kind):
            return {item.name: self.of(hints[item.name]) for item in dataclasses.fields(kind)}
        if hasattr(kind, "_fields") or typing.is_typeddict(kind):
            return self._each(hints)
        raise TypeError(f"no schema for {kind!r}")

    def _each(self, hints: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.of(hint) for name, hint in hints.items()}


_PLAIN: dict[Any, str] = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
