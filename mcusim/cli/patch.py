"""`mcusim patch`: the schedules worth having, and the one to take."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcusim.cli.options import bytes_option, profile_file
from mcusim.cli.shell import (
    STDOUT,
    document,
    glyphs,
    refuse_overwriting,
    refuse_same_target,
    show,
    terminal_width,
    write_output,
)
from mcusim.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcusim.searching import Front, Point, Progress
    from mcusim.searching.explanation import Explanation

__all__ = ["patch"]

KINDS = ("patch", "stream")
WIDE_GRID, WIDE_STAGES = 16, 3
"""The space that takes about a second; beyond it a search shows how far it is."""


def patch(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .tflite file or the name of a published network.")],
    profile: Annotated[str, typer.Option(metavar="BOARD", help="A board's name, or the path of a TOML file.")],
    runtime: Annotated[
        str, typer.Option(metavar="NAME", help="Whose memory rules and kernels, as NAME or NAME@VERSION.")
    ] = "tinyengine",
    kinds: Annotated[
        str | None,
        typer.Option(
            metavar="KIND[,KIND]",
            help="Stages that are allowed: patch, stream. Default: those that the runtime can run.",
            show_default=False,
        ),
    ] = None,
    stages: Annotated[int, typer.Option(min=0, max=8, metavar="N", help="Cut stages in one schedule, at most.")] = 3,
    grid: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Patches along an axis, at most.")] = 16,
    sram_budget: Annotated[
        str | None, typer.Option(metavar="SIZE", help="SRAM to hold, such as 256k.", show_default=False)
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Also: the plan of MCUNetV2's own search space and way of counting.")
    ] = False,
    advice: Annotated[
        bool, typer.Option("--advice", help="Also: which kernels cost most recomputation, and what moving them gives.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="Show every schedule of the front.")] = False,
    json: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the JSON document; - is standard output.", show_default=False),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write one line a schedule as CSV; - is standard output.", show_default=False
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when no schedule fits.")] = False,
) -> None:
    """Which schedule makes a network fit: patch by patch, streamed, or both, and what does it cost?

    Finds every schedule that no other beats in both SRAM and time, exactly, and the cheapest one that fits the board.
    Stages that the runtime cannot run are left out; what they would give is said beside it.

    \b
    Examples:
      mcusim patch mbv2-w0.35-r144 --profile stm32f412
      mcusim patch mbv2-w1.0-r224 --profile stm32h743 --kinds patch,stream --all
      mcusim patch mbv2-w1.0-r224 --profile stm32h743 --paper
      mcusim patch mcunet-in3 --profile stm32f412 --sram-budget 128k --check
      mcusim patch mcunet-vww1 --profile nrf52840 --json -
    """
    from mcusim.models import load
    from mcusim.runtimes import find_runtime
    from mcusim.searching import search
    from mcusim.searching.explanation import explain
    from mcusim.searching.paper_space import search_paper_space

    refuse_same_target(json=json, csv=csv)
    refuse_overwriting((model, profile_file(profile)), json=json, csv=csv)
    chosen_runtime, budget_bytes = find_runtime(runtime), bytes_option(sram_budget, "--sram-budget")
    graph = load(model)

    def searched(allowed: Iterable[str]) -> Front:
        return search(
            graph,
            profile=profile,
            runtime=chosen_runtime,
            max_stages=stages,
            max_grid=grid,
            kinds=allowed,
            sram_budget_bytes=budget_bytes,
            progress=_progress(grid > WIDE_GRID or stages > WIDE_STAGES),
        )

    front = searched(chosen_runtime.cut_stages if kinds is None else _kinds(kinds))
    lacking = [kind for kind in KINDS if kind not in chosen_runtime.cut_stages] if kinds is None else []
    wider = searched(KINDS) if lacking else None
    chosen = front.best or front.nearest
    story = explain(front, chosen)
    if json is not None:
        write_output(document(_document(front, chosen, story, wider)), json, "--json")
    if csv is not None:
        from mcusim.cli.sheets import front_csv

        write_output(front_csv(front), csv, "--csv")
    if STDOUT not in (json, csv):
        from mcusim.render.alternatives import alternative_lines, flash_lines, paper_lines
        from mcusim.render.front import advice_lines, front_lines

        lines = front_lines(front, story, terminal_width(), glyphs(), all_)
        if wider is not None:
            lines += alternative_lines(front, wider, terminal_width())
        if paper:
            lines += paper_lines(search_paper_space(graph), terminal_width(), glyphs())
        lines += flash_lines(front, terminal_width())
        if advice:
            lines += advice_lines(_advice(front, chosen), terminal_width(), glyphs())
        show(lines)
    if check and front.best is None:
        raise typer.Exit(1)


def _kinds(text: str) -> tuple[str, ...]:
    found = tuple(kind.strip().lower() for kind in text.split(",") if kind.strip())
    unknown = [kind for kind in found if kind not in KINDS]
    if unknown or not found:
        what = f"'{unknown[0] if unknown else text}' is no kind of stage"
        raise InputError(what, where="--kinds", fix="use patch, stream or both, with a comma between")
    return found


def _advice(front: Front, point: Point) -> Any:
    """What to change in the network; only those of the zoo have a description to change."""
    from mcusim import zoo
    from mcusim.searching.advice import advise

    if not front.graph.source.description.startswith("zoo:"):
        fix = "leave --advice out, or name a published network (`mcusim models`)"
        raise InputError("a file has no description that could be changed", where="--advice", fix=fix)
    patched = [p for p in (point, *front.points) if p.schedule.stages and p.schedule.stages[0].kind == "patch"]
    if not patched:
        raise InputError("no schedule starts with patches", where="--advice", fix="add --kinds patch")
    # Of those that fit, the deepest stage: there receptive fields matter.
    deepest = max(patched, key=lambda p: (p.fits, p.schedule.stages[0].nodes or 0))
    return advise(zoo.network_description(front.graph.name), deepest.schedule, runtime=front.runtime)


def _progress(shows: bool) -> Progress | None:
    """On standard error, where it is a terminal."""
    if not shows or not sys.stderr.isatty():
        return None

    def told(done: int, most: int) -> None:
        end = "\n" if done == most else ""
        print(f"\rsearching: {done} of {most} layers", end=end, file=sys.stderr, flush=True)

    return told


def _document(front: Front, chosen: Point, story: Explanation, wider: Front | None) -> dict[str, Any]:
    """wider: with the stages too that the runtime lacks."""
    return {
        "schema_version": 1,
        "model": front.graph.name,
        "profile": front.board.name,
        "runtime": {"name": front.runtime.name, "version": front.runtime.version},
        "space": {
            "stages": front.space.stages,
            "grid": front.space.grid,
            "kinds": sorted(map(str, front.space.kinds)),
        },
        "budget_bytes": front.budget_bytes,
        "fits": front.best is not None,
        "missing_bytes": front.missing_bytes,
        "layer": _point(front.layer),
        "best": _point(chosen) if front.best is not None else None,
        "nearest": _point(front.nearest),
        "unsupported": None if wider is None else _point(wider.best or wider.nearest),
        "points": [_point(point) for point in front.points],
        "explanation": {
            "schedule": str(chosen.schedule),
            "peak_before": _fullest(story.fullest_before),
            "peak_after": _fullest(story.fullest_after),
            "stages": [_plain(stage) for stage in story.stages],
            "layers": [_plain(layer) for layer in story.layers],
        },
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "schedule": str(point.schedule),
        "input": str(point.input_place),
        "peak_bytes": point.peak_bytes,
        "live_bytes": point.live_bytes,
        "gap_bytes": point.gap_bytes,
        "cycles": point.cycles,
        "ms": point.ms,
        "macs": point.macs,
        "recomputed_macs": point.recomputed_macs,
        "halo_bytes": point.halo_bytes,
        "fits": point.fits,
    }


def _fullest(fullest: Any) -> dict[str, Any]:
    return {**_plain(fullest), "alive": [_plain(item) for item in fullest.alive]}


def _plain(value: Any) -> dict[str, Any]:
    return {name: list(item) if isinstance(item, tuple) else item for name, item in value._asdict().items()}
