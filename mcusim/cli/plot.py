"""`mcusim plot`: pictures of an answer, as SVG, PNG or PDF."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli.options import (
    FLASH_BUDGET,
    HOLD,
    JSON,
    MAX_MS,
    MODEL,
    RUNTIME,
    SCHEDULE,
    SRAM_BUDGET,
    WHAT_IF,
    board_option,
    bytes_option,
    ms_option,
    named_board,
    option,
    profile_file,
    share_option,
)
from mcusim.cli.progress import progress_bar
from mcusim.cli.search import held_space
from mcusim.cli.sheets import front_csv, layers_csv, maps_csv, tenants_csv, validation_csv
from mcusim.cli.shell import (
    STDOUT,
    document,
    refuse_overwriting,
    refuse_same_target,
    write_bytes,
    write_output,
)
from mcusim.cli.space import GRID, KINDS, STAGES, stage_kinds
from mcusim.designing.effort import SAMPLE
from mcusim.designing.optimising.subspaces import compare_subspaces, subspaces_document
from mcusim.errors import ModelError, ScheduleError
from mcusim.lowering.lower import lower
from mcusim.memory.planning import plan_memory
from mcusim.pricing.validation import Group, predictions
from mcusim.published.tables.curves import CHARTS
from mcusim.question.arguments import chosen_runtime
from mcusim.render.bars import memory_plot
from mcusim.render.charts import PLOTS, chart_csv
from mcusim.render.layer_times import layers_plot
from mcusim.render.patches import patches_plot
from mcusim.render.spaces import space_plot, subspaces_csv
from mcusim.render.style import check_format
from mcusim.render.sweep import sweep_csv, sweep_plot
from mcusim.render.text import counted
from mcusim.render.timeline import timeline_plot
from mcusim.render.tradeoff import front_plot
from mcusim.render.validation import validation_plot
from mcusim.schedule import parse_schedule
from mcusim.searching import search
from mcusim.searching.stage_maps import stage_maps
from mcusim.simulation.simulate import simulate
from mcusim.sweeping.points import sweep_points
from mcusim.zoo.loading import load

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

OUTPUT = option("-o", "--output", metavar="FILE", help="The picture: .svg, .png or .pdf.")
WIDTH = typer.Option(
    min=2.5, max=20, metavar="INCHES", help="Width of the picture: 3.5 for one of two columns, 7 for a page."
)
DATA = option(metavar="FILE", help="Write what is drawn as CSV too; - is standard output.")


def _kind(output: str, data: str | None, model: str | None = None, profile: str | None = None) -> str:
    """The picture's format. Raises InputError where `output` is no picture, or a target is read by the command."""

    refuse_same_target(output=output, data=data)
    refuse_overwriting((model, profile_file(profile)), output=output, data=data)
    return check_format(output)


def _write(picture: bytes, output: str, rows: str, data: str | None, sentence: str) -> None:
    """A picture, the numbers behind it where they are asked for, and what it shows."""
    write_bytes(picture, output, "--output")
    if data is not None:
        write_output(rows, data, "--data")
    if data != STDOUT:
        write_output(f"{output}: {sentence}\n", STDOUT, "--output")


@app.callback(invoke_without_command=True)
def start(context: typer.Context) -> None:
    """Pictures of an answer, as SVG, PNG or PDF: legible in print and on a dark page, the same every time.

    \b
    Example:
      mcusim plot timeline mcunet-in3 -o timeline.svg
      mcusim plot vww -o vww.svg
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command(short_help="Which buffer lies where, step by step.")
def timeline(
    model: Annotated[str, MODEL],
    output: Annotated[str, OUTPUT],
    runtime: Annotated[str | None, RUNTIME] = None,
    planner: Annotated[
        str | None, option(metavar="NAME", help="Another planner than the runtime's own, as for `plan`.")
    ] = None,
    schedule: Annotated[str, SCHEDULE] = "layer",
    profile: Annotated[str | None, option(metavar="BOARD", help="A board whose budget is drawn.")] = None,
    data: Annotated[str | None, DATA] = None,
) -> None:
    """The memory timeline: steps across, bytes up, a rectangle for each buffer; the fullest step is marked.

    \b
    Examples:
      mcusim plot timeline mcunet-in3 -o timeline.svg
      mcusim plot timeline mcunet-in3 --runtime tflm --profile stm32h743 -o timeline.png --data timeline.csv
    """

    kind, board = _kind(output, data, model, profile), board_option(profile)
    pieces = parse_schedule(schedule)
    if pieces.is_auto:
        fix = "name one; `mcusim patch MODEL --profile BOARD` finds the best"
        raise ScheduleError("a timeline is of one schedule", where=f"schedule '{schedule}'", fix=fix)
    graph = load(model)
    chosen, _ = chosen_runtime(runtime, graph, board)
    plan = plan_memory(graph, chosen, pieces, planner=planner)
    count = sum(1 for tenant in plan.tenants() if tenant.size_bytes)
    sentence = f"{counted(count, 'buffer')} on {counted(plan.program.length, 'step')}"
    _write(timeline_plot(plan, board, kind), output, tenants_csv(plan), data, sentence)


@app.command(short_help="The memory of each layer beside the budget.")
def memory(
    model: Annotated[str, MODEL],
    output: Annotated[str, OUTPUT],
    profile: Annotated[str, option(metavar="BOARD", help="The board whose budget is drawn.")],
    runtime: Annotated[str | None, RUNTIME] = None,
    schedule: Annotated[str, SCHEDULE] = "layer",
    data: Annotated[str | None, DATA] = None,
) -> None:
    """The memory that is alive while each layer runs, beside the board's budget.

    \b
    Example:
      mcusim plot memory mcunet-in3 --profile stm32f746 -o memory.svg
    """

    kind, board = _kind(output, data, model, profile), named_board(profile)
    report = simulate(model, profile=board, runtime=runtime, schedule=schedule)
    sentence = f"{counted(len(report.layers), 'layer')} of {report.model.name}"
    _write(memory_plot(report, kind), output, layers_csv(report), data, sentence)


@app.command(short_help="Predicted against measured times.")
def validation(
    output: Annotated[str, OUTPUT],
    data: Annotated[str | None, DATA] = None,
) -> None:
    """Every published time against the one predicted without its family of networks, and how many are how far off.

    \b
    Example:
      mcusim plot validation -o validation.svg
    """

    kind = _kind(output, data)
    families = predictions(Group.FAMILIES)
    sentence = f"{len(families)} measured times"
    sheet = validation_csv({Group.FAMILIES: families})
    _write(validation_plot(families, kind), output, sheet, data, sentence)


@app.command(short_help="SRAM against time: the front of all schedules.")
def front(
    model: Annotated[str, MODEL],
    output: Annotated[str, OUTPUT],
    profile: Annotated[str, option(metavar="BOARD", help="The board whose budget is drawn.")],
    runtime: Annotated[str | None, RUNTIME] = None,
    kinds: Annotated[str | None, KINDS] = None,
    stages: Annotated[int, STAGES] = 3,
    grid: Annotated[int, GRID] = 16,
    sram_budget: Annotated[str | None, SRAM_BUDGET] = None,
    flash_budget: Annotated[str | None, FLASH_BUDGET] = None,
    what_if: Annotated[bool, WHAT_IF] = False,
    width: Annotated[float, WIDTH] = 6.3,
    data: Annotated[str | None, DATA] = None,
) -> None:
    """The front of SRAM against time: live and as placed, the schedule to take, and the board's budget.

    \b
    Examples:
      mcusim plot front mbv2-w1.0-r224 --profile stm32h743 -o front.svg
      mcusim plot front mcunet-in3 --profile stm32f412 --kinds patch,stream --width 3.5 -o front.pdf --data front.csv
    """

    kind, budget = _kind(output, data, model, profile), bytes_option(sram_budget, "--sram-budget")
    board, graph = named_board(profile), load(model)
    chosen, _ = chosen_runtime(runtime, graph, board)
    with progress_bar() as progress:
        schedules = search(
            graph,
            profile=board,
            runtime=chosen,
            max_stages=stages,
            max_grid=grid,
            kinds=stage_kinds(kinds, chosen.cut_stages),
            sram_budget_bytes=budget,
            flash_budget_bytes=bytes_option(flash_budget, "--flash-budget"),
            what_if=what_if,
            progress=progress,
        )
    sentence = f"{counted(len(schedules.points), 'schedule')} of {schedules.graph.name}"
    _write(front_plot(schedules, kind, width), output, front_csv(schedules), data, sentence)


@app.command(short_help="The patches or bands of a stage on its feature maps.")
def patches(
    model: Annotated[str, MODEL],
    output: Annotated[str, OUTPUT],
    schedule: Annotated[str, option(metavar="SPEC", help="In which pieces the network runs.")],
    stage: Annotated[int, typer.Option(min=1, metavar="N", help="Which of its cut stages is drawn.")] = 1,
    runtime: Annotated[str | None, RUNTIME] = None,
    width: Annotated[float, WIDTH] = 6.3,
    data: Annotated[str | None, DATA] = None,
) -> None:
    """The feature maps of a cut stage, to scale: one patch with its halo, or one band with the rows kept for it.

    Each map is drawn once; layers that are cut alike share it. Grey lies what several patches compute.

    \b
    Examples:
      mcusim plot patches mbv2-w1.0-r224 --schedule patch:4x4@13 -o patches.svg
      mcusim plot patches mbv2-w1.0-r224 --schedule stream:4@13 --width 3.5 -o bands.pdf --data bands.csv
    """

    kind, pieces, graph = _kind(output, data, model), parse_schedule(schedule), load(model)
    rules = chosen_runtime(runtime, graph, None).runtime.rules
    program = lower(graph, pieces, rules, rules.default_input_place(pieces))
    cut = [number for number, one in enumerate(program.stages) if one.is_cut]
    if stage > len(cut):
        what = f"has {counted(len(cut), 'cut stage')}, not {stage}" if cut else "has no cut stage to draw"
        fix = "name one: patch:PxQ@N or stream:R@N"
        if cut:
            fix = "use --stage 1" if len(cut) == 1 else f"use --stage 1 to {len(cut)}"
        raise ScheduleError(what, where=f"schedule '{pieces}'", fix=fix)
    number = cut[stage - 1]
    maps = stage_maps(program, program.stages[number])
    sentence = f"{counted(len(maps), 'map')} of {program.graph.name}"
    _write(patches_plot(program, number, str(pieces), kind, width), output, maps_csv(program, maps), data, sentence)


@app.command(short_help="Table 4: accuracy against SRAM, published and simulated.")
def table4(output: Annotated[str, OUTPUT], data: Annotated[str | None, DATA] = None) -> None:
    """ImageNet top-1 against SRAM on two boards: published as rings, simulated as dots, budgets as lines.

    \b
    Example:
      mcusim plot table4 -o table4.svg
    """
    _plot("table4", output, data)


@app.command(short_help="Visual Wake Words: accuracy against memory and latency.")
def vww(output: Annotated[str, OUTPUT], data: Annotated[str | None, DATA] = None) -> None:
    """Visual Wake Words accuracy against peak SRAM and latency, per layer and per patch, with the Pareto fronts.

    \b
    Example:
      mcusim plot vww -o vww.pdf --data vww.csv
    """
    _plot("vww", output, data)


@app.command(short_help="Four libraries by eleven networks on STM32H743.")
def runtimes(output: Annotated[str, OUTPUT], data: Annotated[str | None, DATA] = None) -> None:
    """Latency, SRAM and flash of eleven networks under four libraries: simulated as bars, measured as diamonds.

    \b
    Example:
      mcusim plot runtimes -o runtimes.svg
    """
    _plot("runtimes", output, data)


def _plot(name: str, output: str, data: str | None) -> None:
    """The chart of a published table, and the numbers behind it."""

    kind = _kind(output, data)
    chart = CHARTS[name]()
    count = sum(len(panel.dots) for panel in chart.panels)
    sentence = f"{count} points in {len(chart.panels)} panels"
    _write(PLOTS[name](chart, kind), output, chart_csv(chart), data, sentence)


@app.command(short_help="The time of each layer, split by cause.")
def layers(
    model: Annotated[str, MODEL],
    output: Annotated[str, OUTPUT],
    profile: Annotated[str, option(metavar="BOARD", help="The board that it runs on.")],
    runtime: Annotated[str | None, RUNTIME] = None,
    schedule: Annotated[str, typer.Option(metavar="SPEC", help="In which pieces the network runs.")] = "layer",
    data: Annotated[str | None, DATA] = None,
) -> None:
    """The time of each layer, split into compute, requantise and store, memory and overhead; the slowest are named.

    \b
    Example:
      mcusim plot layers mcunet-in3 --profile stm32h743 -o layers.svg --data layers.csv
    """

    kind, board = _kind(output, data, model, profile), named_board(profile)
    report = simulate(model, profile=board, runtime=runtime, schedule=schedule)
    if report.latency.ms is None:
        why = next((warning for warning in report.warnings if warning.startswith("latency")), "latency: not known")
        raise ModelError(why.rstrip("."), where=f"'{report.model.name}'", fix="ask for another runtime")
    sentence = f"{counted(len(report.layers), 'layer')} of {report.model.name}"
    _write(layers_plot(report, kind), output, layers_csv(report), data, sentence)


@app.command(short_help="Which part of a search space fits a board best.")
def space(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="As for `mcusim search`.", show_default=False)],
    output: Annotated[str, OUTPUT],
    profile: Annotated[str, option(metavar="BOARD", help="The board that must hold the networks.")],
    runtime: Annotated[str | None, RUNTIME] = None,
    sram_budget: Annotated[str | None, SRAM_BUDGET] = None,
    flash_budget: Annotated[str | None, FLASH_BUDGET] = None,
    max_ms: Annotated[str | None, MAX_MS] = None,
    what_if: Annotated[bool, WHAT_IF] = False,
    hold: Annotated[list[str] | None, HOLD] = None,
    sample: Annotated[int, typer.Option(min=1, metavar="N", help="Networks drawn from each part.")] = SAMPLE,
    least_share: Annotated[
        str, typer.Option(metavar="SHARE", help="A part of which a smaller share fits is never called the best.")
    ] = "0%",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Another seed draws other networks.")] = 0,
    width: Annotated[float, WIDTH] = 6.3,
    data: Annotated[str | None, DATA] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """The first stage of TinyNAS: how many MACs the networks have that a board holds, by width and resolution.

    The part of the space with the most MACs in the mean is where to search. All parts, with their share of networks
    that fit, are written by --data and --json.

    \b
    Examples:
      mcusim plot space mcunet --profile stm32f746 --hold width=0.5 --sample 10 -o space.svg --data space.csv
    """

    kind = _kind(output, data, space, profile)
    refuse_same_target(output=output, data=data, json=json)
    with progress_bar() as progress:
        subspaces = compare_subspaces(
            held_space(space, hold),
            profile=profile,
            runtime=runtime,
            sram_budget_bytes=bytes_option(sram_budget, "--sram-budget"),
            flash_budget_bytes=bytes_option(flash_budget, "--flash-budget"),
            max_ms=ms_option(max_ms, "--max-ms"),
            what_if=what_if,
            sample=sample,
            seed=seed,
            least_share=share_option(least_share, "--least-share"),
            progress=progress,
        )
    best = subspaces.best
    sentence = f"{counted(len(subspaces.parts), 'part')} of {subspaces.space.name}, "
    sentence += "no network of any part fits" if best is None else f"best {best.label}"
    write_bytes(space_plot(subspaces, kind, width), output, "--output")
    if data is not None:
        write_output(subspaces_csv(subspaces), data, "--data")
    if json is not None:
        write_output(document(subspaces_document(subspaces)), json, "--json")
    if STDOUT not in (data, json):
        write_output(f"{output}: {sentence}\n", STDOUT, "--output")


@app.command(short_help="The answers of a sweep: any two figures, and the front of those that fit.")
def sweep(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="As `mcusim sweep -o` wrote it.", show_default=False)],
    output: Annotated[str, OUTPUT],
    x: Annotated[
        str, typer.Option("--x", metavar="NAME", help="sram, flash, time, energy, macs, params or accuracy.")
    ] = "sram",
    y: Annotated[str, typer.Option("--y", metavar="NAME", help="As --x.")] = "accuracy",
    by: Annotated[
        str | None, option(metavar="NAME", help="A panel for each board, runtime, schedule, network or clock.")
    ] = None,
    accuracies: Annotated[
        str | None, option(metavar="FILE", help="Your networks' accuracies: CSV, lines of network,percent.")
    ] = None,
    predictor: Annotated[
        str | None,
        option(metavar="NAME", help="Predict accuracies: a predictor of `mcusim search`, or module:function."),
    ] = None,
    dataset: Annotated[
        str | None,
        option(metavar="NAME", help="The data set of the accuracies. Default: the one with the most answers."),
    ] = None,
    width: Annotated[float, WIDTH] = 6.3,
    data: Annotated[str | None, DATA] = None,
) -> None:
    """Every answer of a sweep as a dot, and the Pareto front of those that fit.

    Accuracy is what is published of the zoo's networks. Others for ImageNet have it from a fit to these
    (docs/search.md), as hollow marks; --accuracies gives your own, --predictor asks a function for them.

    \b
    Examples:
      mcusim plot sweep answers --x sram --y accuracy --by board -o sweep.svg
      mcusim plot sweep answers --x time --y accuracy --accuracies mine.csv -o sweep.pdf --data sweep.csv
    """

    kind = _kind(output, data, accuracies)
    points = sweep_points(folder, x, y, by, accuracies=accuracies, dataset=dataset, predictor=predictor)
    sentence = f"{counted(points.count, 'answer')} in {counted(len(points.panels), 'panel')}"
    if points.left_out:
        sentence += f"; {points.left_out:,} lack a figure of {points.x.title} or {points.y.title}"
        sentence += f" on {points.dataset}" if points.dataset else ""
    _write(sweep_plot(points, kind, width), output, sweep_csv(points), data, sentence)
