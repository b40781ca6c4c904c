"""A command line: what is wrong with it, in one sentence, and the line that asks the same again."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Collection
from typing import Any

import typer

__all__ = ["UsageError", "asked_again", "explain"]

# Typer brings its own copy of click or imports the installed one, by version; this is the base of its usage errors.
UsageError: type[Any] = typer.BadParameter.__mro__[1]

_EXPECTED = {
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
}
"""pydantic's kind of error -> what an option wants."""


def explain(error: Any, asked: str = "mcusim") -> str:
    """Command, what is wrong, and the nearest thing that exists. asked: the command, where the error does not know."""
    context = error.ctx
    where = context.command_path if context is not None else asked
    shown = f"{where}: " if where != "mcusim" else ""
    option = getattr(error, "option_name", None)
    message = " ".join(str(error.format_message()).split()).rstrip(".")
    if option and type(error).__name__ == "NoSuchOption":
        known = [name for param in context.command.params for name in (*param.opts, *param.secondary_opts)]
        return f"{shown}there is no option {option}; {_nearest(option, known, where)}"
    commands = getattr(context and context.command, "commands", {})
    if commands and message.startswith("No such command"):
        name = message.partition("'")[2].partition("'")[0]
        return f"{shown}there is no command '{name}'; {_nearest(name, commands, where)}"
    return f"{shown}{_wrong_number(error) or message[:1].lower() + message[1:]}; `{where} --help` shows an example"


def _wrong_number(error: Any) -> str:
    """An option's number that is none, or out of range, as pydantic found for Typer; "" for anything else."""
    errors: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    expected = _EXPECTED.get(errors[0]["type"]) if errors else None
    if expected is None:
        return ""
    return f"{error.param.opts[0]}: '{errors[0]['input']}' is not {expected.format(**errors[0].get('ctx', {}))}"


def _nearest(name: str, known: Any, where: str) -> str:
    near = difflib.get_close_matches(name, [other for other in known if len(other) > 2], n=2, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"`{where} --help` lists them"


def asked_again(context: typer.Context, no_question: Collection[str], always_said: Collection[str] = ()) -> str:
    """The command that asks the same question again: its options that differ from their defaults.

    no_question: parameters that say what is written or shown.   always_said: those named even with their default.
    """
    words = context.command_path.split()
    for param in context.command.params:
        value = context.params.get(str(param.name))
        if value is None or param.name in no_question or (value == param.default and param.name not in always_said):
            continue
        named = [] if param.param_type_name == "argument" else [param.opts[0]]
        for one in value if isinstance(value, list | tuple) else [value]:
            words += named if one is True else [*named, str(one)]
    return shlex.join(words)
