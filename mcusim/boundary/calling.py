"""The boundary of the Python API: what a caller hands over is looked at once; errors and answers speak of arguments.

A public function keeps its name, whatever it is called at home; a call that does not suit it, and a value of another
kind than its signature says, are an InputError in one sentence. What has rules of its own (networks, boards, sizes in
bytes) is judged by `question/arguments.py`, further in.
"""

from __future__ import annotations

import difflib
import inspect
import math
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import wraps
from os import PathLike
from typing import Any, NamedTuple, SupportsFloat, SupportsIndex

from mcusim.boundary.wording import Worded, in_python
from mcusim.errors import InputError, McusimError

__all__ = ["ArgumentError", "boundary"]


class ArgumentError(InputError, TypeError):
    """A call that does not suit the function: an argument is missing, or unknown, or of another kind."""


def _is_truth(value: object) -> bool:
    return isinstance(value, bool) or type(value).__name__ == "bool"  # numpy's is none of Python's


def _is_whole(value: object) -> bool:
    return isinstance(value, SupportsIndex) and not _is_truth(value) and not getattr(value, "shape", ())


def _is_number(value: object) -> bool:
    is_one = isinstance(value, SupportsFloat) and not isinstance(value, str) and not getattr(value, "shape", ())
    return is_one and not _is_truth(value) and math.isfinite(float(value))  # type: ignore[arg-type]


class _Kind(NamedTuple):
    """Whether a value is of a kind, and the words for it."""

    holds: Callable[[object], bool]
    words: str


_KINDS: Mapping[str, _Kind] = {
    "None": _Kind(lambda value: value is None, "None"),
    "bool": _Kind(_is_truth, "True or False"),
    "int": _Kind(_is_whole, "a whole number"),
    "float": _Kind(_is_number, "a number"),
    "str": _Kind(lambda value: isinstance(value, str), "text"),
    "PathLike[str]": _Kind(lambda value: isinstance(value, PathLike), "a path"),
    "Callable": _Kind(callable, "a function"),
}
"""A part of an annotation -> the kind that it means."""

_JUDGED_FURTHER_IN = ("model", "a", "b", "profile", "runtime", "schedule", "input_place", "task", "optimiser")
_UNITS_JUDGED_FURTHER_IN = ("_bytes", "_hz", "_ms")
"""Arguments (and ends of their names) with rules of their own, in words of their own."""

_PART = re.compile(r"(?:[^|\[\]]|\[[^\]]*\])+")
_MANY = re.compile(r"(?:Sequence|Iterable|list|tuple)\[(.*)\]")


def _kind(part: str, home: Mapping[str, object]) -> _Kind | None:
    """What one part of an annotation means; None where that is not known.   home: names of the function's module."""
    many = _MANY.fullmatch(part)
    if part in _KINDS:
        return _KINDS[part]
    if many is not None:
        inner = _kinds(many[1].removesuffix(", ..."), home)
        return None if inner is None else _Kind(lambda value: _are(value, inner), f"a list, each {_words(inner)}")
    named = home.get(part)
    if typing.get_origin(named) is Callable:
        return _KINDS["Callable"]
    if not isinstance(named, type) or named is Any or typing.is_typeddict(named) or hasattr(named, "_is_protocol"):
        return None
    return _Kind(lambda value: isinstance(value, named), f"a {part}")


def _kinds(annotation: str, home: Mapping[str, object]) -> list[_Kind] | None:
    """The kinds that an annotation allows; None where one of them is not known."""
    kinds = [_kind(part.strip(), home) for part in _PART.findall(annotation)]
    known = [kind for kind in kinds if kind is not None]
    return known if len(known) == len(kinds) else None


def _are(values: object, kinds: Sequence[_Kind]) -> bool:
    """Whether it is a list, each item of which is of one of the kinds. What can be read once only is left unread."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping):
        return False
    is_kept = isinstance(values, Sequence | Set)
    return not is_kept or all(any(kind.holds(value) for kind in kinds) for value in values)


def _words(kinds: Sequence[_Kind]) -> str:
    return " or ".join([kind.words for kind in kinds])


def _checks(function: Callable[..., Any], signature: inspect.Signature) -> dict[str, list[_Kind]]:
    """Parameter -> the kinds that it may have, of those that are judged here."""
    home: Mapping[str, object] = getattr(function, "__globals__", {})
    checks: dict[str, list[_Kind]] = {}
    for name, parameter in signature.parameters.items():
        kinds = _kinds(str(parameter.annotation), home)
        if kinds is not None and name not in _JUDGED_FURTHER_IN and not name.endswith(_UNITS_JUDGED_FURTHER_IN):
            checks[name] = kinds
    return checks


def boundary(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function` as the facade offers it, called `name`."""
    signature = inspect.signature(function)
    checks = _checks(function, signature)

    @wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        try:
            given = signature.bind(*args, **named).arguments
        except TypeError as error:
            raise _unsuited(str(error), f"mcusim.{name}", signature) from None
        for argument, kinds in checks.items():
            if argument in given and not any(kind.holds(given[argument]) for kind in kinds):
                value = given[argument]
                what = f"it is {type(value).__name__} {value!r:.60}"
                raise ArgumentError(what, where=argument, fix=f"give it {_words(kinds)}")
        try:
            answer = function(*args, **named)
        except McusimError as error:
            error.reword(in_python)
            raise
        return answer.reworded(in_python) if isinstance(answer, Worded) else answer

    called.__name__ = called.__qualname__ = name
    called.__module__ = "mcusim"
    return called


def _unsuited(message: str, where: str, signature: inspect.Signature) -> ArgumentError:
    """What Python says of a call that does not suit, with the arguments that there are."""
    known = [name for name in signature.parameters if name not in ("args", "named")]
    wrong = message.partition("unexpected keyword argument '")[2].rstrip("'")
    near = difflib.get_close_matches(wrong, known, n=2, cutoff=0.5) if wrong else []
    near = near or [each for each in known if wrong and wrong in each]
    fix = f"did you mean {' or '.join(near)}?" if near else f"its arguments are {', '.join(known)}"
    return ArgumentError(f"the call does not suit: {message}", where=where, fix=fix)
