"""The boundary of the Python API: what a caller hands over is looked at once, and errors speak of arguments.

A public function keeps its name, whatever it is called at home; a call that does not suit it, and a value of another
kind than its signature says, are an InputError in one sentence. What has rules of its own (networks, boards, sizes in
bytes) is judged by `arguments.py`, further in.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from os import PathLike
from typing import Any, SupportsFloat, SupportsIndex

from mcusim.errors import InputError, McusimError
from mcusim.wording import in_python

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


def _is_words(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


_KINDS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "None": (lambda value: value is None, "None"),
    "bool": (_is_truth, "True or False"),
    "int": (_is_whole, "a whole number"),
    "float": (_is_number, "a number"),
    "str": (lambda value: isinstance(value, str), "text"),
    "PathLike[str]": (lambda value: isinstance(value, PathLike), "a path"),
    "Sequence[str]": (_is_words, "a list of texts"),
    "Iterable[int]": (_is_words, "a list of whole numbers"),
}
"""A part of an annotation -> whether a value is one, and the words for it."""

_JUDGED_FURTHER_IN = ("_bytes", "_hz", "_ms")


def _checks(signature: inspect.Signature) -> dict[str, Sequence[str]]:
    """Parameter -> the kinds that it may have, of those whose annotation says it in words of `_KINDS` only."""
    checks: dict[str, Sequence[str]] = {}
    for name, parameter in signature.parameters.items():
        kinds = str(parameter.annotation).split(" | ")
        if all(kind in _KINDS for kind in kinds) and not name.endswith(_JUDGED_FURTHER_IN):
            checks[name] = kinds
    return checks


def boundary(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function` as the facade offers it, called `name`."""
    signature = inspect.signature(function)
    checks = _checks(signature)

    @wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        try:
            given = signature.bind(*args, **named).arguments
        except TypeError as error:
            raise _unsuited(str(error), f"mcusim.{name}", signature) from None
        for argument, kinds in checks.items():
            if argument in given and not any(_KINDS[kind][0](given[argument]) for kind in kinds):
                value = given[argument]
                kind_words = " or ".join([_KINDS[kind][1] for kind in kinds])
                what = f"it is {type(value).__name__} {value!r:.60}"
                raise ArgumentError(what, where=argument, fix=f"give it {kind_words}")
        try:
            return function(*args, **named)
        except McusimError as error:
            error.reword(in_python)
            raise

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
