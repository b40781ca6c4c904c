"""Rebuild the files of results/, the only thing that writes there: published tables and plots beside simulated figures.

Each file begins with the version of mcusim, the command that makes its contents, the boards, and the SHA-256 of
every file of data that went into it. No dates: the same checkout gives the same bytes.

    python scripts/reproduce_results.py [--check] [--to FOLDER] [NAME ...]
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import escape
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from mcusim.cli.sheets import validation_csv
from mcusim.pricing.validation import Group, predictions
from mcusim.published.tables import DOCUMENTS, Inputs
from mcusim.published.tables.curves import CHARTS
from mcusim.render.charts import PLOTS, chart_csv
from mcusim.render.published import SUFFIXES, WRITERS
from mcusim.render.validation import validation_plot, validation_table
from mcusim.version import __version__

ROOT = Path(__file__).resolve().parents[1]
INDEX, VALIDATION = "INDEX.md", "validation"
REPORT_SUFFIXES = (".md", ".csv", ".tex")
FINE, STALE = 0, 1


class Made(NamedTuple):
    """A file of results/. body: what the command writes."""

    name: str
    command: str
    inputs: Inputs
    body: str


def make(name: str) -> Iterator[Made]:
    """The report and the plot called `name`, as far as there are such."""
    if name == VALIDATION:
        yield from make_validation()
    if name in DOCUMENTS:
        document = DOCUMENTS[name]()
        for suffix in REPORT_SUFFIXES:
            target = f"{name}{suffix}"
            body = WRITERS[SUFFIXES[suffix]](document)
            yield Made(target, f"mcusim report {name} -o {target}", document.inputs, body)
    if name in CHARTS:
        chart = CHARTS[name]()
        picture, data = f"plot-{name}.svg", f"plot-{name}.csv"
        command = f"mcusim plot {name} -o {picture} --data {data}"
        yield Made(picture, command, chart.inputs, PLOTS[name](chart, "svg").decode())
        yield Made(data, command, chart.inputs, chart_csv(chart))


def make_validation() -> Iterator[Made]:
    """Every published time beside those predicted without its family, board, version, and single operators."""
    every = {group: predictions(group) for group in Group}
    inputs = Inputs((), (), ())
    yield Made("validation.csv", "mcusim validate --csv validation.csv", inputs, validation_csv(every))
    yield Made("validation.md", "mcusim validate", inputs, validation_table(every))
    picture = validation_plot(every[Group.FAMILIES], "svg").decode()
    yield Made("plot-validation.svg", "mcusim plot validation -o plot-validation.svg", inputs, picture)


def input_files(inputs: Inputs) -> list[Path]:
    """Every file of data behind `inputs`, and the prices, which are behind every latency."""
    package = ROOT / "mcusim"
    paths = [package / "published" / "data" / f"{name}.toml" for name in inputs.published]
    paths += [package / "zoo" / "networks" / f"{name}.toml" for name in inputs.networks]
    paths += [ROOT / "hardware_profiles" / f"{name}.toml" for name in inputs.boards]
    paths += [package / "pricing" / "physics.toml"]
    for folder in (package / "runtimes" / "data", package / "pricing" / "data"):
        paths += [path for path in folder.rglob("*") if path.suffix in (".toml", ".csv", ".json")]
    return sorted(paths)


def emulated_files(made: Made) -> list[Path]:
    """What was counted in emulation, where a file shows it."""
    tables = (ROOT / "mcusim" / "firmware" / "data").glob("*.json")
    return sorted(tables) if made.name.startswith("firmware.") else []


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def provenance(made: Made) -> list[str]:
    """What every file states of itself, line by line."""
    return [
        f"mcusim {__version__}; written by scripts/reproduce_results, do not edit",
        f"command: {made.command}",
        f"profiles: {', '.join(made.inputs.boards) or 'none'}",
        "inputs, with their SHA-256:",
        *(
            f"  {sha256(path.read_bytes())}  {path.relative_to(ROOT)}"
            for path in (*input_files(made.inputs), *emulated_files(made))
        ),
    ]


def stated(made: Made) -> str:
    """The body under its provenance, in the comments of its form."""
    lines = provenance(made)
    return _HEADS[Path(made.name).suffix](lines, made.body)


def _commented(mark: str, lines: Sequence[str], body: str) -> str:
    return "".join(f"{mark} {line}\n" for line in lines) + body


def _markdown(lines: Sequence[str], body: str) -> str:
    # Two hyphens may not stand in a comment, and no command here that writes Markdown has an option.
    return "\n".join(["<!--", *lines, "-->", "", body])


def _svg(lines: Sequence[str], body: str) -> str:
    """As the description of the picture, its first element."""
    description = escape("\n".join(lines), quote=False)
    return re.sub(r"(<svg [^>]*>\n)", lambda head: f"{head[1]} <desc>{description}\n </desc>\n", body, count=1)


_HEADS: dict[str, Callable[[Sequence[str], str], str]] = {
    ".md": _markdown,
    ".csv": partial(_commented, "#"),
    ".tex": partial(_commented, "%"),
    ".svg": _svg,
}


def index(every: dict[str, tuple[str, bytes]]) -> str:
    """The list of all files: name -> (command, content)."""
    lines = [
        "# Results",
        "",
        f"Written by `scripts/reproduce_results` with mcusim {__version__}; do not edit. Each file states the command "
        "that makes it, the boards, and the SHA-256 of its inputs. `scripts/reproduce_results --check` says what is "
        "stale.",
        "",
        "| file | command | SHA-256 |",
        "|---|---|---|",
    ]
    for name, (command, content) in sorted(every.items()):
        lines.append(f"| [{name}]({name}) | `{command}` | `{sha256(content)[:16]}` |")
    return "\n".join(lines) + "\n"


def is_comparable(content: bytes) -> bool:
    """Whether a picture was drawn by the release of matplotlib that is here: another draws the same data otherwise."""
    return f"Matplotlib v{metadata.version('matplotlib')},".encode() in content


def reproduce(folder: Path, names: Sequence[str], *, checks: bool) -> int:
    """Write the files of `names` to `folder`, or compare them with what is there."""
    wanted: dict[str, tuple[str, bytes]] = {}
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        for made in make(name):
            wanted[made.name] = (made.command, stated(made).encode())
    if checks:
        return _check(folder, wanted, is_all=set(names) == set(_names()))
    folder.mkdir(exist_ok=True)
    for name, (_, content) in wanted.items():
        (folder / name).write_bytes(content)
    if set(names) == set(_names()):
        (folder / INDEX).write_text(index(wanted), encoding="utf-8")
        for stray in _strays(folder, wanted):
            print(f"{stray}: nothing here writes it; remove it", file=sys.stderr)
    return FINE


def _check(folder: Path, wanted: dict[str, tuple[str, bytes]], *, is_all: bool) -> int:
    stale, skipped = [], []
    for name, (_, content) in wanted.items():
        path = folder / name
        there = path.read_bytes() if path.is_file() else b""
        if there and path.suffix == ".svg" and not is_comparable(there):
            skipped.append(name)
            print(f"{name}: drawn by another release of matplotlib, not compared", file=sys.stderr)
        elif there != content:
            stale.append(name)
    if is_all:
        stale += _strays(folder, wanted)
        listed = folder / INDEX
        if not skipped and (not listed.is_file() or listed.read_text(encoding="utf-8") != index(wanted)):
            stale.append(INDEX)
    for name in stale:
        print(f"stale: {name}", file=sys.stderr)
    return STALE if stale else FINE


def _strays(folder: Path, wanted: dict[str, tuple[str, bytes]]) -> list[str]:
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return sorted(there - set(wanted) - {INDEX})


def _names() -> list[str]:
    return list(dict.fromkeys([*DOCUMENTS, *CHARTS, VALIDATION]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/reproduce_results", description="Rebuild the files of results/.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(_names())}")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if anything is stale")
    parser.add_argument("--to", type=Path, default=ROOT / "results", metavar="FOLDER", help="instead of results/")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in _names()]
    if unknown:
        parser.error(f"there is no report or plot '{unknown[0]}': use {', '.join(_names())}")
    return reproduce(asked.to, asked.names or _names(), checks=asked.check)


if __name__ == "__main__":
    sys.exit(main())
