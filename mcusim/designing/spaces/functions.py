"""Functions of the user's, named `module:function`: a space, a predictor."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
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


class _Ended(Exception):
    """Stands for what is no Exception (GeneratorExit, CancelledError, a class of the user's own) and ended the code."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def called(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of the user's returns, with the process as it was before.

    What it prints goes to standard error, that of programs which it starts too: standard output may be a document. The
    working directory is put back: paths of the command line begin there.   Raises one of USERS_ERRORS where it does.
    """
    with _output_to_error(), _in_place():
        try:
            returned = function(*arguments)
        except (*USERS_ERRORS, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise _Ended(error) from None
    if inspect.iscoroutine(returned):
        returned.close()  # nobody awaits it, and Python would say so in the middle of the answer
    return returned


@contextmanager
def _output_to_error() -> Iterator[None]:
    """Python's standard output and the process's own."""
    try:
        kept = os.dup(1)
    except OSError:  # the process has none
        kept = None
    try:
        if kept is not None:
            _flush()
            with suppress(OSError):  # there is no standard error
                os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            _flush()
            os.dup2(kept, 1)
            os.close(kept)


def _flush() -> None:
    if sys.__stdout__ is not None:
        with suppress(OSError, ValueError):  # a pipe that nobody reads, or closed: whoever writes the answer says so
            sys.__stdout__.flush()


@contextmanager
def _in_place() -> Iterator[None]:
    try:
        place = os.getcwd()
    except OSError:  # it is gone: nothing leads back there
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):  # gone meanwhile
            os.chdir(place)


def told_by(error: BaseException) -> str:
    """What an exception of a user's code says, in one line."""
    if isinstance(error, McusimError):
        return f"{error.where}: {error.what}"
    if isinstance(error, _Ended):
        error = error.error
    kind = type(error).__name__
    try:
        words = str(error)
    except Exception as second:  # its __str__ is the user's code as well
        words = f"its text cannot be had ({type(second).__name__})"
    return " ".join(f"{kind}: {words}".split()).rstrip(": ")
