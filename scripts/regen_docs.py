#!/usr/bin/env python3
"""Write docs/cli.md from the commands themselves. With --check: change nothing, exit 1 if it is not current."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from mcusim.cli.app import app

TARGET = Path(__file__).resolve().parents[1] / "docs" / "cli.md"

HEAD = """\
# The command line

<!-- Written by scripts/regen_docs.py from the commands' own help: change that, not this. -->

`docs/run.md` tells how to read what `mcusim run` answers.
"""


def page() -> str:
    """The text of docs/cli.md."""
    return "\n".join([HEAD, *_command("mcusim", typer.main.get_command(app))]).rstrip() + "\n"


def _command(path: str, command: Any) -> Iterator[str]:
    """A heading, what it answers, examples, and a table of what it takes; then its own commands."""
    subcommands = getattr(command, "commands", {})
    words = " ".join(_word(param) for param in command.params if not _is_option(param))
    yield f"## `{f'{path} {words}'.strip()}`\n"
    text, _, examples = inspect.cleandoc(command.help or "").replace("\b\n", "").partition("Example")
    yield f"{text.strip()}\n"
    block, _, rest = examples.partition(":\n")[2].partition("\n\n")
    if block:
        yield "```sh\n" + inspect.cleandoc(block) + "\n```\n"
    if rest:
        yield f"{rest.strip()}\n"
    rows = [_row(param) for param in command.params if param.name != "help"]
    if rows:
        yield "\n".join(["| | |", "|---|---|", *rows]) + "\n"
    names = command.list_commands(None) if subcommands else []
    for name in names:
        yield from _command(f"{path} {name}", subcommands[name])


def _is_option(param: Any) -> bool:
    return bool(param.param_type_name == "option")


def _word(param: Any) -> str:
    return str(param.metavar) if param.required else f"[{param.metavar}]"


def _row(param: Any) -> str:
    names = ", ".join(param.opts) if _is_option(param) else str(param.metavar)
    value = f" {param.metavar}" if _is_option(param) and param.metavar and not param.is_flag else ""
    default = f" Default: `{param.default}`." if isinstance(param.default, str) else ""
    return f"| `{names}{value}` | {(param.help or '').replace('|', chr(92) + '|')}{default} |"


def main() -> int:
    """Write the page, or compare it."""
    if sys.argv[1:] == ["--check"]:
        current = TARGET.is_file() and TARGET.read_text(encoding="utf-8") == page()
        if not current:
            print("docs/cli.md is not current: run scripts/regen_docs.py", file=sys.stderr)
        return 0 if current else 1
    TARGET.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
