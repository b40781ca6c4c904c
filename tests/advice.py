"""Advice that can be followed: an option named by a sentence is one of the command that says it.

`assert_followed` is asked about every error that any test of the suite gets from a command line (`watch`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import wraps
from typing import Any

import typer
from typer.testing import CliRunner

from mcusim.boundary.wording import options_in
from mcusim.cli.app import app, options_of
from mcusim.errors import McusimError

__all__ = ["assert_followed", "typed_commands", "watch"]

_TYPED = re.compile(r"`mcusim ([^`]*)`")


def typed_commands(text: str) -> list[tuple[str, ...]]:
    """The whole commands in backticks of a sentence, as words."""
    return [tuple(line.split()) for line in _TYPED.findall(text)]


def assert_followed(words: Sequence[str], text: str) -> None:
    """Every option of a sentence exists: of the command that says it, or of the one in backticks."""
    own = options_of(tuple(words)) | {word.partition("=")[0] for word in words}  # what was typed is no advice
    assert options_in(text) <= own, f"`mcusim {' '.join(words[:2])}` has no {options_in(text) - own}: {text}"
    for line in typed_commands(text):
        named = {word.partition("=")[0] for word in line if word.startswith("--")}
        assert named <= options_of(line), f"`mcusim {line[0]}` has no {named - options_of(line)}: {text}"


def watch() -> None:
    """From now on every error that a test gets from typer's runner is looked at."""
    invoke = CliRunner.invoke

    @wraps(invoke)
    def looked_at(self: CliRunner, app_: typer.Typer, args: Any = None, **how: Any) -> Any:
        result = invoke(self, app_, args, **how)
        if isinstance(result.exception, McusimError) and app_ is app and args is not None:
            error = result.exception
            assert_followed([str(word) for word in args], f"{error.where}: {error.what}; {error.fix}")
        return result

    CliRunner.invoke = looked_at  # type: ignore[method-assign]
