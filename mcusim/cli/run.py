"""`mcusim run`: does it fit, how fast is it, which layer is to blame."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli.options import (
    BANK,
    FLASH_BUDGET,
    INPUT,
    JSON,
    LINKED,
    MAX_MEMORY,
    MAX_MS,
    PLANNER,
    RUNTIME,
    SRAM_BUDGET,
    WHAT_IF,
    bytes_option,
    convention_names,
    hz_option,
    layers_option,
    linked_option,
    ms_option,
    option,
    place_option,
    profile_file,
)
from mcusim.cli.shell import (
    STDOUT,
    check_exit,
    complain,
    refuse_overwriting,
    refuse_same_target,
    show,
    terminal_width,
    write_output,
)
from mcusim.cli.usage import asked_again
from mcusim.errors import InputError

__all__ = ["run"]

AUTO_LAYERS = "auto"
_NO_QUESTION = ("layers", "why_time", "json", "csv", "trace", "html", "update_baseline", "check")
_ALWAYS_SAID = ("runtime", "schedule")


def run(
    context: typer.Context,
    model: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...",
            help="A .tflite or .onnx file, or the name of a published network (`mcusim models` lists them); several "
            "have a row each; left out: the board's own default network.",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        str | None,
        option(
            metavar="BOARD",
            help="A board's name (`mcusim profiles` lists them), the path of a TOML file, or all: every board, "
            "best fit first.",
        ),
    ] = None,
    runtime: Annotated[str | None, RUNTIME] = None,
    convention: Annotated[
        str | None,
        option(
            metavar="NAME",
            help=f"Count SRAM by a published rule instead: {', '.join(convention_names())}, or another runtime.",
        ),
    ] = None,
    schedule: Annotated[
        str,
        typer.Option(
            metavar="SPEC",
            help="In which pieces the network runs: layer, auto (the cheapest that fits), or stages joined by +: "
            "patch:PxQ@N, the next N layers in P by Q patches; stream:R@N, in bands of R rows; layer@N.",
        ),
    ] = "layer",
    input_place: Annotated[
        str | None,
        INPUT,
    ] = None,
    planner: Annotated[str | None, PLANNER] = None,
    reorder: Annotated[
        bool, typer.Option("--reorder", help="Independent layers run in the order with the lowest peak.")
    ] = False,
    clock_hz: Annotated[str | None, option(metavar="CLOCK", help="Another clock, such as 480MHz.")] = None,
    sram_budget: Annotated[str | None, SRAM_BUDGET] = None,
    flash_budget: Annotated[str | None, FLASH_BUDGET] = None,
    what_if: Annotated[bool, WHAT_IF] = False,
    max_ms: Annotated[str | None, MAX_MS] = None,
    bank: Annotated[str | None, BANK] = None,
    linked: Annotated[str | None, LINKED] = None,
    calibration: Annotated[
        str | None, option(metavar="FILE", help="Your own times, as `mcusim calibrate` wrote them.")
    ] = None,
    bits: Annotated[
        str | None,
        option(
            metavar="BITS",
            help="Fewer bits per tensor: auto (activations, then weights, cut until it fits, as `mcusim bits` shows); "
            "wNaM, weights of N and activations of M bits, such as w4a8; or the document of `mcusim bits --json`.",
        ),
    ] = None,
    why_time: Annotated[
        bool,
        typer.Option(
            "--why-time",
            help="For the slowest layers the nearest measured kernels and networks, and how the interval came about.",
        ),
    ] = False,
    layers: Annotated[
        str,
        typer.Option(metavar="WHICH", help="Layers to show: auto (the heaviest of many), all, top, none."),
    ] = AUTO_LAYERS,
    json: Annotated[str | None, JSON] = None,
    csv: Annotated[
        str | None,
        option(
            metavar="FILE",
            help="Write one line per layer as CSV (with --profile all: one per board); - is standard output.",
        ),
    ] = None,
    trace: Annotated[
        str | None,
        option(
            metavar="FILE",
            help="Write a trace of one inference for ui.perfetto.dev or chrome://tracing; - is standard output.",
        ),
    ] = None,
    html: Annotated[
        str | None,
        option(
            metavar="FILE",
            help="Write one HTML page that needs no network: timeline, sortable layers, schedules, sources; "
            "- is standard output.",
        ),
    ] = None,
    update_baseline: Annotated[
        str | None,
        option(metavar="FILE", help="Write the JSON document to FILE and say what changed from what was there."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Exit with 1 when a budget is missed, and with 3 when it cannot be known whether it is held "
            "(with --profile all: when no board fits).",
        ),
    ] = False,
    max_memory: Annotated[str | None, MAX_MEMORY] = None,
) -> None:
    """Does a network fit a board, how fast is it there, and which layer is to blame?

    \b
    Examples:
      mcusim run --profile stm32f412
      mcusim run mcunet-in3 --profile stm32h743 --runtime tflm --layers all
      mcusim run mcunet-vww1 --profile all
      mcusim run mcunet-vww0 mcunet-vww1 --profile stm32f746 --runtime all
      mcusim run mbv2-w0.35-r144 --profile stm32f412 --schedule patch:3x3@13
      mcusim run mcunet-in3 --profile stm32f746 --convention table4
      mcusim run mcunet-vww0 --profile stm32f412 --runtime tflm --planner best-fit
      mcusim run mbv1-w0.5-r192 --profile stm32f412 --bits auto
      mcusim run mcunet-vww0 --profile nrf52840 --sram-budget 200k --max-ms 5s --check
      mcusim run mcunet-vww0 --profile stm32f746 --json -
      mcusim run mcunet-vww1 --profile stm32f746 --schedule patch:2x2@5 --trace vww1.trace.json
      mcusim run mcunet-in3 --profile stm32f746 --max-ms 1s --html report.html
      mcusim run mcunet-in3 --profile stm32h743 --why-time
    """

    # What answers is loaded when it is asked, so that --help does without.
    from mcusim.cli.asking import ALL, Asked, ask, ask_all, ask_others, cut_budgets
    from mcusim.cli.run_answers import (
        ONE_ANSWER,
        fits_somewhere,
        page,
        refuse_beside_many,
        tell_boards,
        tell_report,
        write_baseline,
        write_trace,
    )
    from mcusim.pricing.stored import read_calibration
    from mcusim.question.question import Question
    from mcusim.render.reasons import reason_lines
    from mcusim.render.run_report import other_lines
    from mcusim.simulation.reasons import time_reasons

    if profile is None:
        fix = "add --profile BOARD (`mcusim profiles` lists them) or --profile all"
        raise InputError("no board is named", where="mcusim run", fix=fix)
    refuse_same_target(json=json, csv=csv, trace=trace, html=html, update_baseline=update_baseline)
    models = tuple(model or ())
    learned = None if calibration is None else read_calibration(calibration)
    question = Question(
        model=models[0] if models else "",
        profile=profile,
        schedule=schedule,
        input_place=place_option(input_place),
        clock_hz=hz_option(clock_hz, "--clock-hz"),
        sram_budget_bytes=bytes_option(sram_budget, "--sram-budget"),
        flash_budget_bytes=bytes_option(flash_budget, "--flash-budget"),
        max_ms=ms_option(max_ms, "--max-ms"),
        what_if=what_if,
        convention=convention,
        firmware=linked_option(linked),
        calibration=learned,
        planner=planner,
        reorder=reorder,
    )
    asked = Asked(models, runtime, bits, question)
    choice = layers_option(layers)
    is_every_board = profile.strip().lower() == ALL
    is_many = is_every_board or len(models) > 1 or (runtime or "").strip().lower() == ALL
    if is_every_board and bank is not None:
        raise InputError("every board has other banks", where="--bank", fix="name one board with --profile")
    for sentence in cut_budgets(question) if is_every_board else ():
        complain(sentence)
    if is_many:
        refuse_beside_many({"--trace": trace, "--html": html, "--update-baseline": update_baseline})
        if why_time:
            raise InputError("it is about one answer", where="--why-time", fix=ONE_ANSWER)
        if layers != AUTO_LAYERS:
            complain("--layers: of many answers each has a row, and layers are not shown")
        reports = ask_all(asked, profile, bank)
    else:
        answer = ask(asked, profile, bank)
        reports = [answer.report]
    read = {*models, profile_file(profile), linked, calibration, bits, *(report.model.source for report in reports)}
    refuse_overwriting(read, json=json, csv=csv, trace=trace, html=html)
    if is_many:
        tell_boards(reports, json, csv)
    else:
        if trace is not None:
            write_trace(question, answer, trace)
        if html is not None:
            files = {"board": profile_file(profile), "firmware": linked, "calibration": calibration, "bits": bits}
            context.params["runtime"] = answer.runtime.name if runtime is None else runtime  # so that it is asked again
            command = asked_again(context, _NO_QUESTION, _ALWAYS_SAID)
            write_output(page(question, answer, files, command), html, "--html")
        if update_baseline is not None:
            write_baseline(answer.report, update_baseline)
        is_told = STDOUT not in (json, csv, trace, html)
        others = ask_others(asked, answer) if is_told or json is not None else []
        tell_report(answer.report, others, choice, json, csv, is_told)
        if is_told:
            show(other_lines(others, terminal_width()))
        if is_told and why_time:
            reasons = time_reasons(answer.report, answer.graph, answer.board, answer.runtime, learned)
            if reasons is not None:
                show(reason_lines(answer.report, reasons, terminal_width()))
    if check:
        check_exit("mcusim run", [fits_somewhere(reports)])
