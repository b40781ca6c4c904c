#!/usr/bin/env python3
"""Write what the docs show from what mcusim says itself: docs/cli.md, the real report in the README, plots.

With --check: change nothing, exit 1 if something is not current.
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from mcusim.boards import load_board
from mcusim.cli.app import app
from mcusim.memory.planning import plan_memory
from mcusim.models import load
from mcusim.render.bars import memory_plot
from mcusim.render.layer_times import layers_plot
from mcusim.render.timeline import timeline_plot
from mcusim.simulation import simulate

ROOT = Path(__file__).resolve().parents[1]
README_QUESTION = "run --profile stm32f412 --layers none"

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


def readme() -> str:
    """The README with the answer to its first command between its two marks."""
    environment = {**os.environ, "COLUMNS": "88", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mcusim", *README_QUESTION.split()]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8", env=environment)
    block = f"```text\n$ scripts/mcusim {README_QUESTION}\n{answer.stdout.rstrip()}\n```"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"(<!-- result -->\n).*?(\n<!-- /result -->)", lambda m: m[1] + block + m[2], text, flags=re.DOTALL)


def timeline(model: str, runtime: str, board: str) -> str:
    """The memory timeline of a network as SVG."""
    return timeline_plot(plan_memory(load(model), runtime), load_board(board), "svg").decode()


def memory(model: str, runtime: str, board: str) -> str:
    """The memory bars of a network as SVG."""
    return memory_plot(simulate(model, profile=board, runtime=runtime), "svg").decode()


def layers(model: str, runtime: str, board: str) -> str:
    """The times of a network's layers as SVG."""
    return layers_plot(simulate(model, profile=board, runtime=runtime), "svg").decode()


PAGES: dict[str, Callable[[], str]] = {
    "docs/cli.md": page,
    "README.md": readme,
    "docs/images/timeline-mcunet-in3.svg": partial(timeline, "mcunet-in3", "tflm", "stm32h743"),
    "docs/images/timeline-person-det.svg": partial(timeline, "person-det", "tinyengine", "stm32f746"),
    "docs/images/memory-mcunet-in3.svg": partial(memory, "mcunet-in3", "tinyengine", "stm32f746"),
    "docs/images/layers-mcunet-in3.svg": partial(layers, "mcunet-in3", "tinyengine", "stm32h743"),
}


def is_comparable(path: Path) -> bool:
    """Whether the file should be what is made here: another release of matplotlib draws the same plot otherwise."""
    if path.suffix != ".svg" or not path.is_file():
        return True
    return f"Matplotlib v{metadata.version('matplotlib')}," in path.read_text(encoding="utf-8")


def main() -> int:
    """Write the pages, or compare them."""
    stale = []
    checks = sys.argv[1:] == ["--check"]
    for name, text in PAGES.items():
        path = ROOT / name
        if checks and not is_comparable(path):
            continue
        wanted = text()
        if not path.is_file() or path.read_text(encoding="utf-8") != wanted:
            stale.append(name)
            if not checks:
                path.parent.mkdir(exist_ok=True)
                path.write_text(wanted, encoding="utf-8")
    if stale and checks:
        print(f"not current: {', '.join(stale)}; run scripts/regen_docs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
