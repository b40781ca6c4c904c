"""`mcusim search-net`: a network of the published search space for a row, for figures, or for a board."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

import typer

from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON, WHAT_IF, bytes_option, count_option, option, profile_file, share_option
from mcusim.cli.shell import (
    STDOUT,
    document,
    glyphs,
    refuse_other_ending,
    refuse_overwriting,
    refuse_same_target,
    show,
    terminal_width,
    write_output,
)
from mcusim.cli.usage import asked_again
from mcusim.designing.witnesses import FoundNetwork, Progress
from mcusim.designing.witnesses import search_net as search
from mcusim.designing.witnesses.counting import CONVENTION
from mcusim.designing.witnesses.files import ACCURACY_UNKNOWN, network_file
from mcusim.designing.witnesses.rows import rows as known_rows
from mcusim.errors import InputError
from mcusim.render.designing import found_lines, row_lines

__all__ = ["SearchNetDocument", "search_net"]


class FiguresDocument(TypedDict):
    macs: int
    recomputed_macs: int
    sram_bytes: int
    flash_bytes: int
    params: int


class AskedDocument(TypedDict):
    """A figure against what was asked. off: 0.01 is one percent above.   low, high: where it had to be."""

    of: str
    value: float
    aim: float
    low: float
    high: float
    is_target: bool
    off: float
    is_met: bool


class SearchNetDocument(Versioned):
    """What `mcusim search-net` found. accuracy: nobody has trained it.   network: as `mcusim run` reads it."""

    meets: bool
    row: str | None
    statement: str
    accuracy: None
    profile: str
    task: str
    seed: int
    convention: str
    schedule: str
    figures: FiguresDocument
    asked: list[AskedDocument]
    steps: int
    counted: int
    warnings: list[str]
    network: Mapping[str, Any]


def search_net(
    context: typer.Context,
    row: Annotated[
        str | None,
        option(
            metavar="ROW",
            help="A published row whose network was never released: its board, task and figures. --rows lists them.",
        ),
    ] = None,
    rows: Annotated[bool, typer.Option("--rows", help="List such rows, and stop.")] = False,
    profile: Annotated[str | None, option(metavar="BOARD", help="A board's name, or the path of a TOML file.")] = None,
    task: Annotated[
        str | None, option(metavar="TASK", help="imagenet, vww or voc: what the network ends in. Default: imagenet.")
    ] = None,
    macs: Annotated[str | None, option(metavar="COUNT", help="MACs to meet, such as 119M.")] = None,
    sram: Annotated[str | None, option(metavar="SIZE", help="SRAM to meet, such as 196KiB.")] = None,
    flash: Annotated[str | None, option(metavar="SIZE", help="Flash to meet, such as 1010KiB: model and code.")] = None,
    params: Annotated[str | None, option(metavar="COUNT", help="Parameters to meet, such as 0.67M.")] = None,
    max_macs: Annotated[
        bool, typer.Option("--max-macs", help="As many MACs as possible of what else is asked; takes a minute or so.")
    ] = False,
    sram_budget: Annotated[
        str | None, option(metavar="SIZE", help="The most SRAM allowed. Default: the board's.")
    ] = None,
    flash_budget: Annotated[
        str | None, option(metavar="SIZE", help="The most flash allowed. Default: the board's.")
    ] = None,
    what_if: Annotated[bool, WHAT_IF] = False,
    tolerance: Annotated[
        str, typer.Option(metavar="SHARE", help="How far a figure may be from the one asked for, such as 1% or 0.01.")
    ] = "1%",
    max_overhead: Annotated[
        str | None,
        option(
            metavar="SHARE",
            help="Share of the MACs that patches may compute again. Default: 17%, or what --row allows.",
        ),
    ] = None,
    resolution: Annotated[
        str | None, option(metavar="N[,N]", help="Only these inputs: 96, 128, 160, 192, 224, 256.")
    ] = None,
    patches: Annotated[
        str | None, option(metavar="N[,N]", help="Only these grids: 1 (layer by layer), 2 (2x2), 3 or 4.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Another seed finds another network.")] = 0,
    effort: Annotated[
        int, typer.Option(min=1, metavar="N", help="Steps of one of the search's walks; more finds more.")
    ] = 500,
    output: Annotated[
        str | None, option("--output", "-o", metavar="FILE", help="Write the network as TOML, for `mcusim run FILE`.")
    ] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """A network of MCUNetV2's search space for stated figures, or with as many MACs as a board takes.

    For rows of published tables whose networks were never released it finds a witness: a network that meets the row's
    figures and can be counted, run and drawn. Nobody has trained it: its accuracy is unknown. Exits with 1 when nothing
    meets what is asked, and shows the nearest; -o writes only what meets it.

    \b
    Examples:
      mcusim search-net --row table4:mcunet-h7
      mcusim search-net --macs 60M --sram 128KiB --profile nrf52840
      mcusim search-net --profile nrf52840 --task vww --max-macs --effort 10
    """

    refuse_same_target(output=output, json=json)
    refuse_other_ending(output, ".toml", "--output")
    refuse_overwriting((profile_file(profile),), output=output, json=json)
    if rows:
        show(row_lines(known_rows(), terminal_width(), glyphs()))
        return
    network = search(
        row=row,
        profile=profile,
        task=task,
        macs=count_option(macs, "--macs"),
        sram_bytes=bytes_option(sram, "--sram"),
        flash_bytes=bytes_option(flash, "--flash"),
        params=count_option(params, "--params"),
        most_macs=max_macs,
        sram_budget_bytes=bytes_option(sram_budget, "--sram-budget"),
        flash_budget_bytes=bytes_option(flash_budget, "--flash-budget"),
        what_if=what_if,
        tolerance=share_option(tolerance, "--tolerance"),
        most_overhead=None if max_overhead is None else share_option(max_overhead, "--max-overhead"),
        resolutions=_numbers(resolution, "--resolution"),
        grids=_numbers(patches, "--patches"),
        seed=seed,
        effort=effort,
        progress=_progress(),
    )
    if output is not None and network.meets:
        write_output(
            network_file(network, asked_again(context, ("output", "json", "rows"), ("seed",))), output, "--output"
        )
    if json is not None:
        write_output(document(_document(network)), json, "--json")
    if STDOUT not in (output if network.meets else None, json):
        show(found_lines(network, None if not network.meets else output, terminal_width(), glyphs()))
    if not network.meets:
        raise typer.Exit(1)


def _numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    """Numbers with commas between; None if none were given. Raises InputError."""
    if text is None:
        return None
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        fix = "write numbers with commas between, as in 128,160"
        raise InputError(f"'{text}' is not a list of numbers", where=option, fix=fix) from None


def _progress() -> Progress | None:
    """On standard error, where it is a terminal."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, most: int, off: float) -> None:
        state = f"the nearest is {off:.1%} off in all" if off else "all is met"
        print(
            f"\rsearching: {done:,} of at most {most:,} networks, {state} ".ljust(78),
            end="",
            file=sys.stderr,
            flush=True,
        )
        if done >= most or not off:
            print(file=sys.stderr)

    return show


def _document(network: FoundNetwork) -> SearchNetDocument:

    figures = network.figures
    return {
        "schema_version": 1,
        "meets": network.meets,
        "row": network.row or None,
        "statement": ACCURACY_UNKNOWN,
        "accuracy": None,
        "profile": network.board.name,
        "task": str(network.task),
        "seed": network.seed,
        "convention": CONVENTION,
        "schedule": str(network.schedule),
        "figures": {
            "macs": figures.macs,
            "recomputed_macs": figures.recomputed_macs,
            "sram_bytes": figures.sram_bytes,
            "flash_bytes": figures.flash_bytes,
            "params": figures.params,
        },
        "asked": [
            {
                "of": judged.of,
                "value": judged.value,
                "aim": judged.aim,
                "low": judged.low,
                "high": judged.high,
                "is_target": judged.is_target,
                "off": judged.off,
                "is_met": judged.is_met,
            }
            for judged in network.judged
        ],
        "steps": network.steps,
        "counted": network.counted,
        "warnings": [network.misses_flash] if network.misses_flash else [],
        "network": network.network,
    }
