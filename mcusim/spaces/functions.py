"""Functions of the user's, named `module:function`: a space, a predictor."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module, invalidate_caches
from typing import Any

from mcusim.errors import InputError, McusimError, did_you_mean

__all__ = ["USERS_ERRORS", "called", "told_by", "user_function"]

USERS_ERRORS = (Exception, SystemExit)
"""A user's code may raise anything, and may call `sys.exit`."""


def user_function(name: str, folder: str, what: str) -> Callable[..., Any]:
    """`module:function`, looked for in `folder` too.   what: "space" or "predictor".

    Raises InputError where there is no such module or function, the module does not load, or it is no function.
    """
    where = f"{what} '{name}'"
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise InputError("it names no function", where=where, fix="write module:function")
    place = os.path.abspath(folder)
    if place not in sys.path:
        sys.path.insert(0, place)
    invalidate_caches()  # the module may have been written a moment ago
    try:
        module = called(import_module, module_name)
    except USERS_ERRORS as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == module_name.partition(".")[0]
        fix = f"is {module_name}.py in {place}, or installed?" if missing else "mend the module"
        raise InputError(f"its module does not load: {told_by(error)}", where=where, fix=fix) from None
    attribute_value = getattr(module, attribute, None)
    if attribute_value is None:
        names = [known for known in vars(module) if not known.startswith("_")]
        fix = did_you_mean(attribute, names, listed_by=f"{module_name}.py")
        raise InputError(f"module {module_name} has no '{attribute}'", where=where, fix=fix)
    if not callable(attribute_value):
        raise InputError(
            f"it is a {type(attribute_value).__name__}, not a function", where=where, fix="name a function"
        )
    function: Callable[..., Any] = attribute_value
    return function


def called(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of the user's returns. What it prints goes to standard error: standard output may be a document.

    Raises one of USERS_ERRORS where it does.
    """
    with redirect_stdout(sys.stderr):
        return function(*arguments)


def told_by(error: BaseException) -> str:
    """What an exception of a user's code says, in one line."""
    if isinstance(error, McusimError):
        return f"{error.where}: {error.what}"
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
