"""`mcusim search`: the best network of a search space for a board, with its schedule."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import typer

from mcusim.cli.options import (
    FLASH_BUDGET,
    HOLD,
    JSON,
    MAX_MS,
    RUNTIME,
    SRAM_BUDGET,
    WHAT_IF,
    bytes_option,
    hz_option,
    ms_option,
    option,
    profile_file,
)
from mcusim.cli.progress import progress_bar
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
from mcusim.designing.effort import EVALUATIONS, Optimiser
from mcusim.designing.optimising.documents import found_file, search_document
from mcusim.designing.optimising.finding import find_network
from mcusim.designing.spaces import Space, find_space, space_names
from mcusim.errors import InputError
from mcusim.render.optimising import network_lines, space_lines
from mcusim.report import SCHEMA_VERSION

__all__ = ["held_space", "search"]


def search(
    context: typer.Context,
    space: Annotated[
        str | None,
        typer.Argument(
            metavar="SPACE", help="A space of --spaces, a .toml file, or module:function.", show_default=False
        ),
    ] = None,
    spaces: Annotated[bool, typer.Option("--spaces", help="List the spaces that come with mcusim, and stop.")] = False,
    profile: Annotated[str | None, option(metavar="BOARD", help="A board's name, or the path of a TOML file.")] = None,
    runtime: Annotated[str | None, RUNTIME] = None,
    predictor: Annotated[
        str | None,
        option(
            metavar="NAME",
            help="The score to maximise: imagenet, macs, params, or module:function of your own. "
            "Default: imagenet for spaces of ImageNet, else macs.",
        ),
    ] = None,
    sram_budget: Annotated[str | None, SRAM_BUDGET] = None,
    flash_budget: Annotated[str | None, FLASH_BUDGET] = None,
    max_ms: Annotated[str | None, MAX_MS] = None,
    clock_hz: Annotated[str | None, option(metavar="HZ", help="Another clock than the board's own.")] = None,
    what_if: Annotated[bool, WHAT_IF] = False,
    hold: Annotated[list[str] | None, HOLD] = None,
    layer: Annotated[bool, typer.Option("--layer", help="Layer by layer only: no patches.")] = False,
    optimiser: Annotated[
        Optimiser, typer.Option(metavar="NAME", help="tpe, nsga2 (both need mcusim[search]), evolution or random.")
    ] = Optimiser.TPE,
    evaluations: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many networks are evaluated.")
    ] = EVALUATIONS,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Another seed finds another network.")] = 0,
    journal: Annotated[
        str | None, option(metavar="FILE", help="Keep what was evaluated there; go on from it where it exists.")
    ] = None,
    output: Annotated[
        str | None, option("--output", "-o", metavar="FILE", help="Write the network as TOML, for `mcusim run FILE`.")
    ] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """The network of a search space with the highest predicted score that SRAM, flash and time allow, and its schedule.

    What fits is decided as by `mcusim run`. Nobody has trained the network: its accuracy is unknown. Exits with 1 when
    nothing fits, and shows the closest; -o writes only what fits.

    \b
    Examples:
      mcusim search --spaces
      mcusim search mcunet --profile stm32f746 --max-ms 500 --evaluations 50 -o mine.toml
      mcusim search mcunet:vww --profile nrf52840 --hold resolution=80 --hold width=0.5 --evaluations 30
    """
    if spaces:
        known = [find_space(name) for name in space_names()]
        show(space_lines(known, terminal_width(), glyphs()))
        return
    if space is None:
        fix = "name one; --spaces lists those that come with mcusim"
        raise InputError("no space is named", where="mcusim search", fix=fix)
    if profile is None:
        raise InputError("for which board?", where="mcusim search", fix="add --profile BOARD")
    refuse_same_target(output=output, json=json, journal=journal)
    refuse_other_ending(output, ".toml", "--output")
    refuse_overwriting((profile_file(profile), space), output=output, json=json, journal=journal)
    with progress_bar() as progress:
        best = find_network(
            held_space(space, hold),
            profile=profile,
            runtime=runtime,
            predictor=predictor,
            optimiser=optimiser,
            evaluations=evaluations,
            seed=seed,
            sram_budget_bytes=bytes_option(sram_budget, "--sram-budget"),
            flash_budget_bytes=bytes_option(flash_budget, "--flash-budget"),
            max_ms=ms_option(max_ms, "--max-ms"),
            clock_hz=hz_option(clock_hz, "--clock-hz"),
            patches=not layer,
            journal=journal,
            what_if=what_if,
            progress=progress,
        )
    contents = search_document(best)
    written = output if best.fits else None
    if written is not None:
        command = asked_again(context, ("output", "json", "spaces", "journal"), ("seed",))
        write_output(found_file(best, command), written, "--output")
    if json is not None:
        write_output(document({"schema_version": SCHEMA_VERSION, **contents._asdict()}), json, "--json")
    if STDOUT not in (written, json):
        show(network_lines(best, contents, written, terminal_width(), glyphs()))
    if not best.fits:
        raise typer.Exit(1)


def held_space(name: str, hold: list[str] | None) -> Space:
    """The space with the choices of --hold at their values. Raises InputError."""
    fixed: dict[str, Any] = {}
    for one in hold or ():
        choice, equals, value = one.partition("=")
        if not equals or not choice or not value:
            raise InputError(f"'{one}' holds nothing", where="--hold", fix="write NAME=VALUE, as in resolution=144")
        try:
            fixed[choice.strip()] = json_module.loads(value)
        except ValueError:
            fixed[choice.strip()] = value.strip()
    return find_space(name).held(**fixed)
