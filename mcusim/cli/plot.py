"""`mcusim plot`: pictures of an answer, as SVG, PNG or PDF."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli.options import board_option, named_board, profile_file
from mcusim.cli.sheets import layers_csv, tenants_csv
from mcusim.cli.shell import STDOUT, refuse_overwriting, refuse_same_target, write_bytes, write_output
from mcusim.errors import ModelError, ScheduleError

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

MODEL = typer.Argument(metavar="MODEL", help="A .tflite file or the name of a published network.")
OUTPUT = typer.Option("-o", "--output", metavar="FILE", help="The picture: .svg, .png or .pdf.", show_default=False)
DATA = typer.Option(metavar="FILE", help="Write what is drawn as CSV too; - is standard output.", show_default=False)


@app.callback()
def start() -> None:
    """Pictures of an answer, as SVG, PNG or PDF: legible in print and on a dark page, the same every time.

    \b
    Example:
      mcusim plot timeline mcunet-in3 -o timeline.svg
    """


@app.command(short_help="Which buffer lies where, step by step.")
def timeline(
    model: Annotated[str, MODEL],
    output: Annotated[str, OUTPUT],
    runtime: Annotated[str, typer.Option(metavar="NAME", help="Whose memory rules.")] = "tinyengine",
    planner: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Another planner than the runtime's own, as for `plan`.", show_default=False),
    ] = None,
    schedule: Annotated[str, typer.Option(metavar="SPEC", help="In which pieces the network runs.")] = "layer",
    profile: Annotated[
        str | None, typer.Option(metavar="BOARD", help="A board whose budget is drawn.", show_default=False)
    ] = None,
    data: Annotated[str | None, DATA] = None,
) -> None:
    """The memory timeline: steps across, bytes up, a rectangle for each buffer; the fullest step is marked.

    \b
    Examples:
      mcusim plot timeline mcunet-in3 -o timeline.svg
      mcusim plot timeline mcunet-in3 --runtime tflm --profile stm32h743 -o timeline.png --data timeline.csv
    """
    from mcusim.memory.planning import plan_memory
    from mcusim.models import load
    from mcusim.render.style import check_format
    from mcusim.render.timeline import timeline_plot
    from mcusim.schedule import parse_schedule

    refuse_same_target(output=output, data=data)
    refuse_overwriting((model, profile_file(profile)), output=output, data=data)
    kind, board = check_format(output), board_option(profile)
    pieces = parse_schedule(schedule)
    if pieces.is_auto:
        fix = "name one; `mcusim patch MODEL --profile BOARD` finds the best"
        raise ScheduleError("a timeline is of one schedule", where=f"schedule '{schedule}'", fix=fix)
    plan = plan_memory(load(model), runtime, pieces, planner=planner)
    write_bytes(timeline_plot(plan, board, kind), output, "--output")
    if data is not None:
        write_output(tenants_csv(plan), data, "--data")
    if data != STDOUT:
        count = sum(1 for tenant in plan.tenants() if tenant.size_bytes)
        write_output(f"{output}: {count} buffers on {plan.program.length} steps\n", STDOUT, "--output")


@app.command(short_help="The memory of each layer beside the budget.")
def memory(
    model: Annotated[str, MODEL],
    output: Annotated[str, OUTPUT],
    profile: Annotated[str, typer.Option(metavar="BOARD", help="The board whose budget is drawn.", show_default=False)],
    runtime: Annotated[str, typer.Option(metavar="NAME", help="Whose memory rules.")] = "tinyengine",
    schedule: Annotated[str, typer.Option(metavar="SPEC", help="In which pieces the network runs.")] = "layer",
    data: Annotated[str | None, DATA] = None,
) -> None:
    """The memory that is alive while each layer runs, beside the board's budget.

    \b
    Example:
      mcusim plot memory mcunet-in3 --profile stm32f746 -o memory.svg
    """
    from mcusim.render.bars import memory_plot
    from mcusim.render.style import check_format
    from mcusim.simulation import simulate

    refuse_same_target(output=output, data=data)
    refuse_overwriting((model, profile_file(profile)), output=output, data=data)
    kind, board = check_format(output), named_board(profile)
    report = simulate(model, profile=board, runtime=runtime, schedule=schedule)
    write_bytes(memory_plot(report, kind), output, "--output")
    if data is not None:
        write_output(layers_csv(report), data, "--data")
    if data != STDOUT:
        write_output(f"{output}: {len(report.layers)} layers of {report.model.name}\n", STDOUT, "--output")


@app.command(short_help="The time of each layer, split by cause.")
def layers(
    model: Annotated[str, MODEL],
    output: Annotated[str, OUTPUT],
    profile: Annotated[str, typer.Option(metavar="BOARD", help="The board that it runs on.", show_default=False)],
    runtime: Annotated[str, typer.Option(metavar="NAME", help="Whose kernels.")] = "tinyengine",
    schedule: Annotated[str, typer.Option(metavar="SPEC", help="In which pieces the network runs.")] = "layer",
    data: Annotated[str | None, DATA] = None,
) -> None:
    """The time of each layer, split into compute, requantise and store, memory and overhead; the slowest are named.

    \b
    Example:
      mcusim plot layers mcunet-in3 --profile stm32h743 -o layers.svg --data layers.csv
    """
    from mcusim.render.layer_times import layers_plot
    from mcusim.render.style import check_format
    from mcusim.simulation import simulate

    refuse_same_target(output=output, data=data)
    refuse_overwriting((model, profile_file(profile)), output=output, data=data)
    kind, board = check_format(output), named_board(profile)
    report = simulate(model, profile=board, runtime=runtime, schedule=schedule)
    if report.latency.ms is None:
        why = next((warning for warning in report.warnings if warning.startswith("latency")), "latency: not known")
        raise ModelError(why.rstrip("."), where=f"'{report.model.name}'", fix="ask for another runtime")
    write_bytes(layers_plot(report, kind), output, "--output")
    if data is not None:
        write_output(layers_csv(report), data, "--data")
    if data != STDOUT:
        write_output(f"{output}: {len(report.layers)} layers of {report.model.name}\n", STDOUT, "--output")
