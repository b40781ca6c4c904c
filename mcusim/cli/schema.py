"""`mcusim schema`: the JSON Schema of the documents that `mcusim run` and `mcusim search` write."""

from __future__ import annotations

import types
import typing
from enum import StrEnum
from typing import Annotated, Any

import typer

from mcusim.cli.shell import document, write_output
from mcusim.errors import InputError
from mcusim.optimising.documents import SEARCH_VERSION, SearchDocument
from mcusim.report import SCHEMA_VERSION, Report

__all__ = ["report_schema", "schema", "search_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(
    of: Annotated[str, typer.Argument(metavar="DOCUMENT", help="report or search.")] = "report",
) -> None:
    """The JSON Schema of a document, made from the types of the document itself.

    `mcusim run --json F` writes one report; with `--profile all`, an object whose `reports` are many, best fit first.
    `mcusim search --json F` writes what a search found.

    \b
    Examples:
      mcusim schema
      mcusim schema search
    """
    known = {"report": report_schema, "search": search_schema}
    if of not in known:
        raise InputError(f"there is no document '{of}'", where="mcusim schema", fix=f"use {' or '.join(known)}")
    write_output(document(known[of]()), "-", "schema")


def search_schema() -> dict[str, Any]:
    """What a search found."""
    definitions: dict[str, Any] = {}
    found = _record(SearchDocument, definitions)
    return {
        "$schema": DIALECT,
        "title": "mcusim search",
        **found,
        "properties": {"schema_version": {"const": SEARCH_VERSION}, **found["properties"]},
        "required": ["schema_version", *found["required"]],
        "$defs": dict(sorted(definitions.items())),
    }


def report_schema() -> dict[str, Any]:
    """One report, or the reports of many boards."""

    definitions: dict[str, Any] = {}
    version = {"const": SCHEMA_VERSION}
    report = _record(Report, definitions)
    definitions["Report"] = {
        **report,
        "properties": {"schema_version": version, **report["properties"]},
        "required": ["schema_version", *report["required"]],
    }
    many = {"type": "array", "items": {"$ref": "#/$defs/Report"}}
    definitions["Reports"] = _closed({"schema_version": version, "reports": many}, "The reports of many boards.")
    return {
        "$schema": DIALECT,
        "title": "mcusim report",
        "anyOf": [{"$ref": "#/$defs/Report"}, {"$ref": "#/$defs/Reports"}],
        "$defs": dict(sorted(definitions.items())),
    }


def _record(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """A NamedTuple or a dataclass as an object."""
    hints = typing.get_type_hints(kind)
    written = (kind.__doc__ or "").split("\n\n")[0]
    described = "" if written.startswith(f"{kind.__name__}(") else " ".join(written.split())
    return _closed({name: _type(hint, definitions) for name, hint in hints.items()}, described)


def _closed(properties: dict[str, Any], description: str) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "description": description} if description else {"type": "object"}
    return {**found, "properties": properties, "required": list(properties), "additionalProperties": False}


def _type(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if isinstance(hint, types.UnionType):
        return {"anyOf": [_type(argument, definitions) for argument in typing.get_args(hint)]}
    if typing.get_origin(hint) is dict:
        return {"type": "object"}
    if typing.get_origin(hint) is tuple:
        arguments = typing.get_args(hint)
        items = _type(arguments[0], definitions)
        if arguments[-1] is Ellipsis:
            return {"type": "array", "items": items}
        return {"type": "array", "items": items, "minItems": len(arguments), "maxItems": len(arguments)}
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        definitions.setdefault(hint.__name__, {"enum": [member.value for member in hint]})
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if hasattr(hint, "_fields"):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = _record(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return {"type": _PLAIN[hint]}


_PLAIN: dict[Any, str] = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
