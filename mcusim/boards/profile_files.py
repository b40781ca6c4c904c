"""Profile files: TOML text to a typed value, with errors that name the key and say what to write instead.

Knows nothing of boards: `decode` fills any frozen `msgspec.Struct` and collects every problem it meets, so that
`mcusim profiles check` can list them all while loading raises the first. `profile_template` is the commented file
that `mcusim profiles new` writes.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import typing
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

import msgspec

from mcusim.boards.profile_template import TEMPLATE
from mcusim.errors import ProfileError
from mcusim.files import is_circular, is_here_gone, parse_toml, reason_of
from mcusim.units import parse_bytes, parse_hz

__all__ = ["decode", "is_path", "profile_template", "read_toml", "readable_part", "show"]

# A profile is a page of text; more than this is some other file, given by mistake. The time tomllib takes grows with
# the square of a dotted key's length, so a line has a limit too.
MAX_FILE_BYTES = 64 * 1024
MAX_LINE_CHARACTERS = 10_000

_T = TypeVar("_T", bound=msgspec.Struct)
_LOOK = "`mcusim profiles new NAME` writes a commented example"

# What people write where mcusim wants one base unit: suffix -> (suffix mcusim uses, factor).
_UNITS: Mapping[str, tuple[str, float]] = {
    "ghz": ("hz", 1e9),
    "mhz": ("hz", 1e6),
    "khz": ("hz", 1e3),
    "kb": ("bytes", 1024),
    "kib": ("bytes", 1024),
    "k": ("bytes", 1024),
    "mb": ("bytes", 1024**2),
    "mib": ("bytes", 1024**2),
    "m": ("bytes", 1024**2),
    "b": ("bytes", 1),
    "w": ("mw", 1e3),
    "uw": ("mw", 1e-3),
    "bits": ("bytes", 0.125),
    "bytes": ("bits", 8),
}

# Words with another home: what they are called here.
_SYNONYMS: Mapping[str, str] = {
    "frequency": "clock_hz",
    "clock": "clock_hz",
    "cpu": "core",
    "model": "default_model",
    "network": "default_model",
    "length": "size_bytes",
    "size": "size_bytes",
    "latency": "wait_states",
    "ram": "[[memory]]",
    "sram": "[[memory]]",
    "banks": "[[memory]]",
}


def is_path(name: str) -> bool:
    """Whether a `--profile` value names a file rather than a built-in board."""
    return name.lower().endswith(".toml") or "/" in name or "\\" in name


def read_toml(path: Path, where: str) -> dict[str, Any]:
    """The tables of a TOML file. `where` is the path as the user gave it.

    Raises ProfileError: not there, not a file, unreadable, too long, not UTF-8, or not TOML (with its line).
    """
    document = _parse(_read(path, where), where)
    if not document:
        raise ProfileError("the file is empty", where=where, fix=_LOOK)
    return document


def _read(path: Path, where: str) -> str:
    try:
        if path.is_dir():
            raise ProfileError("this is a folder, not a profile", where=where, fix="name one .toml file in it")
        if not path.exists() and not is_circular(path) and (path.is_absolute() or not is_here_gone()):
            raise ProfileError(
                "there is no such file", where=where, fix=f"`mcusim profiles` lists the built-in boards; {_LOOK}"
            )
        if path.exists() and not path.is_file():  # a pipe or a device: reading it could wait for ever
            raise ProfileError("this is not a regular file", where=where, fix="copy the profile into a file")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ProfileError(
            f"cannot be read ({reason_of(error)})", where=where, fix="check the path and its permissions"
        ) from None
    if len(content) > MAX_FILE_BYTES:
        raise ProfileError(f"the file is longer than {MAX_FILE_BYTES} bytes", where=where, fix=_LOOK)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ProfileError("the text is not UTF-8", where=f"{where} line {line}", fix="save it as UTF-8") from None


def _parse(text: str, where: str) -> dict[str, Any]:
    for number, content in enumerate(text.splitlines(), start=1):
        if len(content) > MAX_LINE_CHARACTERS:
            what = f"the line has more than {MAX_LINE_CHARACTERS} characters"
            raise ProfileError(what, where=f"{where} line {number}", fix=_LOOK)
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        position = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)", str(error))
        line = int(position[1]) if position and position[1] else text.count("\n") + 1
        what = str(error)[: position.start()] if position else str(error)
        what = f"not valid TOML: {what[:1].lower()}{what[1:]}"
        if position and position[2]:
            what += f" at column {position[2]}"
        fix = "write `key = value`, texts in quotes, tables as [flash] and [[memory]]"
        raise ProfileError(what, where=f"{where} line {line}", fix=fix) from None
    except (RecursionError, ValueError):  # nested too deep; an integer of thousands of digits
        raise ProfileError("not a profile: nested too deep or a number too long", where=where, fix=_LOOK) from None


def decode(kind: type[_T], document: Mapping[str, Any], where: str) -> tuple[_T | None, list[ProfileError]]:
    """Fill the Struct `kind` from TOML tables: the value, or None and every problem with its key.

    Keys are checked before types: an unknown one is reported with the nearest known key, or with the value in the
    unit mcusim uses.
    """
    problems: list[ProfileError] = []
    value = _struct(kind, document, where, problems)
    return (None if problems else value), problems


def readable_part(kind: type[msgspec.Struct], document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what does not read left out, or an example's value in its place where one has to be there.

    So the rest can be judged too, when `decode` has found problems.
    """
    example = {**tomllib.loads(TEMPLATE.replace("@NAME@", "example")), "power": _EXAMPLE_POWER, "price": {"usd": 1.0}}
    return _readable(kind, document, example)


_EXAMPLE_POWER = {"active_low_mw": 0.001, "active_high_mw": 100_000.0}
"""Wide enough to go with any other bound."""


def _readable(kind: type[msgspec.Struct], table: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    complete: dict[str, Any] = {}
    for name, (hint, required) in _fields(kind).items():
        child, value, faults = _child(hint), table.get(name), list[ProfileError]()
        if child is None and value is not None:
            _leaf(name, hint, value, "", faults)
            if not faults:
                complete[name] = value
        elif child and not _is_list(hint) and isinstance(value, dict):
            complete[name] = _readable(child, value, example.get(name, {}))
        elif child and _is_list(hint) and isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            like = example[name][0]
            complete[name] = [_readable(child, v, {**like, "name": f"bank {i}"}) for i, v in enumerate(value)]
        if required and name not in complete:
            complete[name] = example[name]
    return complete


def _struct(kind: type[_T], table: Mapping[str, Any], place: str, problems: list[ProfileError]) -> _T | None:
    fields = _fields(kind)
    children = {name: child for name, (hint, _) in fields.items() if (child := _child(hint)) is not None}
    before = len(problems)
    for key in table:
        if key not in fields:
            fix = _unknown_fix(key, table[key], fields, children)
            problems.append(ProfileError(f"unknown key {show(key)}", where=place, fix=fix))
    values: dict[str, Any] = {}
    for name, (hint, required) in fields.items():
        if name in table:
            values[name] = _value(name, hint, table[name], place, problems)
        elif required and not (_renamed(name, table) and len(problems) > before):
            header = f"the table [{_header(name, hint)}]" if name in children else f"the key {name}"
            problems.append(ProfileError(f"{header} is missing", where=place, fix=f"add it; {_LOOK}"))
    return kind(**values) if len(problems) == before else None


def _value(name: str, hint: Any, value: Any, place: str, problems: list[ProfileError]) -> Any:
    child = _child(hint)
    if child is None:
        return _leaf(name, hint, value, place, problems)
    if _is_list(hint):
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            fix = f"write [[{name}]] above the keys of each one, with two brackets"
            problems.append(ProfileError(f"{name} is not a list of tables", where=place, fix=fix))
            return None
        return tuple(
            _struct(child, item, f"{place} [[{name}]] {_label(item, index)}", problems)
            for index, item in enumerate(value, start=1)
        )
    if not isinstance(value, dict):
        fix = f"write [{name}] on a line of its own and its keys below"
        problems.append(ProfileError(f"{name} is {show(value)}, not a table", where=place, fix=fix))
        return None
    return _struct(child, value, f"{place} [{name}]", problems)


def _leaf(name: str, hint: Any, value: Any, place: str, problems: list[ProfileError]) -> Any:
    choices = _choices(hint)
    if choices and isinstance(value, str):
        if value.lower() in choices:
            value = value.lower()
        else:
            problems.append(ProfileError(f"{name} is {show(value)}", where=place, fix=_one_of(value, choices)))
            return None
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError:
        fix = _type_fix(name, hint, value, choices)
        problems.append(ProfileError(f"{name} is {show(value)}", where=place, fix=fix))
        return None


def _type_fix(name: str, hint: Any, value: Any, choices: tuple[str, ...]) -> str:
    if choices:
        return _one_of(str(value)[:20], choices)
    suggested = _amount(name, value)
    if suggested is not None:
        return f"write {name} = {suggested:_}"
    kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a text in quotes"}
    for kind, words in kinds.items():
        if kind is hint or kind in typing.get_args(hint):
            return f"write {words}"
    return 'write a list of texts, as in ["one", "two"]'


def _amount(name: str, value: Any) -> int | None:
    """The whole number meant by `1e8`, `"100 MHz"` or `"256k"` for a key in hertz or bytes."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, str):
        try:
            if name.endswith("_hz"):
                return parse_hz(value)
            if name.endswith("_bytes"):
                return parse_bytes(value)
            return int(value, 0)
        except (ValueError, OverflowError):
            return None
    return None


def _unknown_fix(key: str, value: Any, fields: Mapping[str, Any], children: Mapping[str, type[msgspec.Struct]]) -> str:
    lower = key.lower()
    if lower in fields:
        return f"write it in lower case: {lower}"
    converted = _other_unit(lower, value, fields)
    if converted:
        return converted
    for name, child in children.items():
        for candidate in (lower, lower.removeprefix(f"{name}_"), re.sub(rf"^{name}_", "size_", lower)):
            renamed = candidate if candidate in child.__struct_fields__ else _rename(candidate, child.__struct_fields__)
            if renamed and renamed != "source":
                return f"write {renamed} below [{_header(name, fields[name][0])}]"
    synonym = _SYNONYMS.get(lower) or _SYNONYMS.get(lower.split("_")[0], "")
    if synonym.strip("[]") in fields:
        return f"it is called {synonym} here"
    near = difflib.get_close_matches(lower, list(fields), n=2, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"the keys here are {', '.join(fields)}"


def _other_unit(key: str, value: Any, fields: Iterable[str]) -> str | None:
    """`clock_mhz = 100` -> `write clock_hz = 100_000_000`, if the name with mcusim's unit is a known key."""
    target = _rename(key, fields)
    if target is None:
        return None
    factor = _UNITS[key.rpartition("_")[2]][1]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value * factor < 2**63:
        return f"write {target}, in that unit"
    amount = value * factor
    return f"write {target} = {int(amount):_}" if float(amount).is_integer() else f"write {target} = {amount:g}"


def _rename(key: str, fields: Iterable[str]) -> str | None:
    stem, _, suffix = key.rpartition("_")
    if not stem or suffix not in _UNITS:
        return None
    target = f"{stem}_{_UNITS[suffix][0]}"
    return target if target in fields else None


def _renamed(name: str, table: Mapping[str, Any]) -> bool:
    """Whether a missing key is there in another unit or under another word: one report is enough then."""
    return any(_rename(key.lower(), (name,)) or _SYNONYMS.get(key.lower()) == name for key in table)


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, tuple[Any, bool]]:
    """Name -> (type, required) of a Struct."""
    return {item.name: (item.type, item.required) for item in msgspec.structs.fields(kind)}


@cache
def _child(hint: Any) -> type[msgspec.Struct] | None:
    """The Struct inside `X`, `X | None` or `tuple[X, ...]`."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    for argument in typing.get_args(hint):
        inner = _child(argument)
        if inner is not None:
            return inner
    return None


def _is_list(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple


def _choices(hint: Any) -> tuple[str, ...]:
    kinds = typing.get_args(hint) if isinstance(hint, UnionType) else (hint,)
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, Enum):
            return tuple(str(member.value) for member in kind)
    return ()


def _one_of(value: str, choices: tuple[str, ...]) -> str:
    bare = re.sub(r"[^a-z0-9+]", "", value.lower())
    ending = [choice for choice in choices if bare and re.sub(r"[^a-z0-9+]", "", choice).endswith(bare)]
    near = ending[:1] or difflib.get_close_matches(value.lower(), choices, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}use one of {', '.join(choices)}"


def _header(name: str, hint: Any) -> str:
    return f"[{name}]" if _is_list(hint) else name


def _label(item: Mapping[str, Any], index: int) -> str:
    name = item.get("name")
    return name if isinstance(name, str) and 0 < len(name) <= 40 and name.isprintable() else f"number {index}"


def show(value: object) -> str:
    """A value as TOML would have it, cut to one short line: for messages."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = f"{value:_}" if isinstance(value, int) and abs(value) < 10**18 else repr(value)
    except ValueError:  # Python does not print integers of more than 4300 digits
        text = "a number of thousands of digits"
    except RecursionError:
        text = "a table nested too deep"
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def profile_template(name: str) -> str:
    """The commented TOML that `mcusim profiles new NAME` writes; it loads as it stands.

    Raises ProfileError if `name` is not a board name (lower-case letters, digits, `.`, `_`, `-`).
    """
    if not re.fullmatch(NAME_PATTERN, name):
        fix = "use lower-case letters, digits, '.', '_' and '-', at most 64 of them, a letter or digit first"
        raise ProfileError(f"{show(name)} is not a board name", where="mcusim profiles new", fix=fix)
    return TEMPLATE.replace("@NAME@", name)


NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
