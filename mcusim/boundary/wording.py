"""One argument, two spellings: `what_if=True` in Python, `--what-if` in the shell.

Sentences are written once, with options as the shell spells them; `where` may also hold the bare name of an argument.
Each side shows them in its own words: errors, and answers that hold sentences (`Worded`). Whole commands in backticks
are typed into a shell, whoever reads them.

    >>> in_python("use --budget or --what-if; `mcusim fit --what-if` asks too")
    'use budget or what_if=True; `mcusim fit --what-if` asks too'
    >>> in_python("--schedule layer@3+patch:1x2@2 runs it")
    'schedule="layer@3+patch:1x2@2" runs it'
    >>> in_shell("sram_budget_bytes", ["--sram-budget"])
    '--sram-budget'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Protocol, Self, runtime_checkable

__all__ = ["Worded", "argument_of", "in_python", "in_shell", "options_in", "without_options"]

_ARGUMENTS = {
    "--sram-budget": "sram_budget_bytes",
    "--flash-budget": "flash_budget_bytes",
    "--input": "input_place",
    "--max-macs": "most_macs",
    "--max-overhead": "most_overhead",
    "--resolution": "resolutions",
    "--patches": "grids",
    "--stages": "max_stages",
    "--grid": "max_grid",
    "--max-memory": "mcusim.limits.memory_limit",
}
"""Options whose argument is not spelt alike."""

_SWITCHES = {"what_if", "skip_unreadable", "diagnose", "per_tensor", "reorder", "most_macs"}
_NAMING = {"runtime", "schedule", "form", "input_place", "planner"}
"""Arguments whose value is a word; behind any other option a word is the sentence's own."""

_OPTION = re.compile(
    r"(?<![\w-])(?P<option>--[a-z][a-z-]*[a-z])"
    r"(?:[ =](?P<value>[A-Z]{2,}\b|-?\d[\w.]*|[a-z]+=[\w.]+|[a-z][a-z0-9-]*(?:[:@+]\w+)*))?"
)
_COMMAND = re.compile(r"(`(?:mcusim|python) [^`]*`)")


@runtime_checkable
class Worded(Protocol):
    """An answer that holds sentences, some of which may name options."""

    def reworded(self, worded: Callable[[str], str]) -> Self:
        """The same answer in other words: of the shell, or of Python."""


def argument_of(option: str) -> str:
    """The name that an option has in Python."""
    return _ARGUMENTS.get(option, option.removeprefix("--").replace("-", "_"))


def options_in(text: str) -> set[str]:
    """The options of its own command that a sentence names: those inside whole commands are left out."""
    return {match["option"] for match in _OPTION.finditer(_COMMAND.sub("", text))}


def in_python(text: str) -> str:
    """A sentence with every option as an argument."""
    parts = _COMMAND.split(text)
    parts[::2] = [_OPTION.sub(_spelt, part) for part in parts[::2]]
    return "".join(parts)


def _spelt(match: re.Match[str]) -> str:
    name, value = argument_of(match["option"]), match["value"]
    if name in _SWITCHES:
        return f"{name}=True" + (f" {value}" if value else "")
    if not value:
        return name
    if value[0].isalpha() and value.islower() and "=" not in value and name not in _NAMING:
        return f"{name} {value}"
    return f'{name}="{value}"' if value.islower() and value[0].isalpha() else f"{name}={value}"


def without_options(text: str, known: Collection[str] = ()) -> str:
    """A sentence for whoever has these options only: clauses that name another are left out, unless nothing is left."""
    clauses = [clause for clause in text.split(", ") if options_in(clause) <= {*known}]
    return ", ".join(clauses).removeprefix("or ") or text


def in_shell(where: str, options: Iterable[str]) -> str:
    """A place as a command with these options names it: a bare argument as the option that it came from."""
    return next((option for option in sorted(options) if argument_of(option) == where), where)
