#!/usr/bin/env python3
"""Write what the docs show from what mcusim says itself: docs/cli.md, the report in the README, a table, plots.

With --check: change nothing, exit 1 if something is not current.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from mcusim.boards import load_board
from mcusim.cli.app import app
from mcusim.designing.optimising import compare_subspaces
from mcusim.lowering.lower import lower
from mcusim.memory.planning import plan_memory
from mcusim.published.tables import DOCUMENTS
from mcusim.published.tables.document import Figure, Origin
from mcusim.published.tables.msfcnn import compare_msfcnn
from mcusim.render.bars import memory_plot
from mcusim.render.layer_times import layers_plot
from mcusim.render.patches import patches_plot
from mcusim.render.spaces import space_plot
from mcusim.render.style import COLUMN_INCHES
from mcusim.render.sweep import sweep_plot
from mcusim.render.timeline import timeline_plot
from mcusim.render.tradeoff import front_plot
from mcusim.runtimes import find_runtime
from mcusim.schedule import StageKind, parse_schedule
from mcusim.searching import CUT_KINDS, Space, search
from mcusim.simulation.simulate import simulate
from mcusim.sweeping.points import sweep_points
from mcusim.sweeping.running import run_sweep
from mcusim.sweeping.spec import read_spec
from mcusim.zoo.loading import load

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
    return _between("table4", table4(), _between("result", block, text))


def _between(mark: str, content: str, text: str) -> str:
    """The text with `content` between the two marks."""
    pattern = rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)"
    return re.sub(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text, flags=re.DOTALL)


def table4() -> str:
    """Table 4 of the MCUNet line of work, a line a row: what does not fit struck out, below eight bits in italics."""
    table = DOCUMENTS["table4"]().tables[0]
    keys = [column.key for column in table.columns]
    lines = [
        "| ImageNet, [Table 4](results/table4.md) | MACs M | simulated | SRAM KiB | simulated | counted as | top-1 % |",
        "|---|--:|--:|--:|--:|---|--:|",
    ]
    for group in table.groups:
        lines.append(f"| **{group.title.partition(':')[0]}** | | | | | | |")
        for row in group.rows:
            macs, sram, top1 = (row.cells[keys.index(key)] for key in ("macs", "sram", "top1"))
            assert isinstance(macs, Figure)
            assert isinstance(sram, Figure)
            assert isinstance(top1, Figure)
            name = f"*{row.label}*" if row.is_grey else row.label
            name += f" ({row.origin})" if row.origin is not Origin.RELEASED else ""
            size = f"~~{sram.printed}~~" if sram.is_printed_over else sram.printed
            counted = _counted(sram) if sram.value is not None else ("", "")
            made = "" if macs.value is None else f"{macs.value / 1e6:,.1f}"
            cells = (name, str(macs.printed), made, str(size), *counted, str(top1.printed))
            lines.append(f"| {' | '.join(cells)} |".replace("<", "\\<"))
    return "\n".join(lines)


def _counted(sram: Figure) -> tuple[str, str]:
    value = f"{(sram.value or 0) / 1024:.1f}"
    return f"~~{value}~~" if sram.is_over else value, f"{sram.counted_as}, {sram.basis}"


def schedules() -> str:
    """docs/patch.md with msf-CNN's plans beside the front between its two marks."""
    patch, stream = StageKind.PATCH, StageKind.STREAM
    kinds = frozenset({patch})
    spaces = [Space(3, 16, kinds), Space(8, 32, kinds), Space(8, 32, kinds | {stream})]
    rows = [
        "| network | RAM, bytes | msf-CNN | patches, 3 stages | patches, 8 stages | streams too |",
        "|---" * 6 + "|",
    ]
    last = ""
    for row in compare_msfcnn(spaces):
        ours = " | ".join("-" if factor is None else f"{factor:.2f}" for factor in row.ours)
        rows.append(f"| {row.network if row.network != last else ''} | {row.ram_bytes:,} | {row.theirs:.2f} | {ours} |")
        last = row.network
    text = (ROOT / "docs" / "patch.md").read_text(encoding="utf-8")
    table = "\n".join(rows)
    return _between("msf-cnn", table, text)


def timeline(model: str, runtime: str, board: str) -> str:
    """The memory timeline of a network as SVG."""
    return timeline_plot(plan_memory(load(model), runtime), load_board(board), "svg").decode()


def memory(model: str, runtime: str, board: str) -> str:
    """The memory bars of a network as SVG."""
    return memory_plot(simulate(model, profile=board, runtime=runtime), "svg").decode()


def front(model: str, board: str) -> str:
    """The front of a network's schedules as SVG."""
    return front_plot(search(model, profile=board, kinds=CUT_KINDS), "svg").decode()


def stage(model: str, spec: str) -> str:
    """The first stage of a schedule on its feature maps, as SVG."""
    rules = find_runtime("tinyengine").rules
    schedule = parse_schedule(spec)
    program = lower(load(model), schedule, rules, rules.default_input_place(schedule))
    return patches_plot(program, 0, spec, "svg", COLUMN_INCHES).decode()


def layers(model: str, runtime: str, board: str) -> str:
    """The times of a network's layers as SVG."""
    return layers_plot(simulate(model, profile=board, runtime=runtime), "svg").decode()


def space(name: str, board: str) -> str:
    """The parts of a search space on a board as SVG."""
    return space_plot(compare_subspaces(name, profile=board, sample=20), "svg", COLUMN_INCHES).decode()


def swept(boards: Sequence[str]) -> str:
    """The zoo on some boards, swept anew, as SVG."""
    with TemporaryDirectory() as folder:
        spec = Path(folder) / "sweep.toml"
        spec.write_text(f'networks = "all"\nboards = {json.dumps(boards)}\n', encoding="utf-8")
        run_sweep(read_spec(spec), Path(folder) / "out", processes=1)
        return sweep_plot(sweep_points(str(Path(folder) / "out"), "sram", "accuracy", "board"), "svg").decode()


PAGES: dict[str, Callable[[], str]] = {
    "docs/cli.md": page,
    "README.md": readme,
    "docs/patch.md": schedules,
    "docs/images/timeline-mcunet-in3.svg": partial(timeline, "mcunet-in3", "tflm", "stm32h743"),
    "docs/images/timeline-person-det.svg": partial(timeline, "person-det", "tinyengine", "stm32f746"),
    "docs/images/front-mbv2-w1.0-r224.svg": partial(front, "mbv2-w1.0-r224", "stm32h743"),
    "docs/images/patches-mbv2-w1.0-r224.svg": partial(stage, "mbv2-w1.0-r224", "patch:4x4@13"),
    "docs/images/bands-mbv2-w1.0-r224.svg": partial(stage, "mbv2-w1.0-r224", "stream:4@13"),
    "docs/images/memory-mcunet-in3.svg": partial(memory, "mcunet-in3", "tinyengine", "stm32f746"),
    "docs/images/space-mcunet-stm32f746.svg": partial(space, "mcunet", "stm32f746"),
    "docs/images/sweep-zoo.svg": partial(swept, ("nrf52840", "stm32f412", "stm32f746", "stm32h743")),
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
