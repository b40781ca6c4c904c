"""Network + board + runtime + schedule -> Report: does it fit, how long does it take, which layer is to blame."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike

from mcusim.boards import Board
from mcusim.conventions import Convention
from mcusim.errors import ScheduleError
from mcusim.frontends.checks import float_reason
from mcusim.graph import Flow
from mcusim.lowering.rules import InputPlace
from mcusim.memory.accounting import (
    PlacedNetwork,
    find_other_counting,
    flash_info,
    memory_of,
    sram_as_convention,
    sram_info,
)
from mcusim.memory.flash import firmware_runs
from mcusim.memory.linked_firmware import LinkedFirmware
from mcusim.memory.placement import shared_bytes
from mcusim.ops import OPS
from mcusim.ops.totals import count_parameters
from mcusim.pricing.breakdown import UNTOLD, breakdown
from mcusim.pricing.prices import Coefficients, coefficients
from mcusim.pricing.stages import stage_infos
from mcusim.pricing.stored import Calibration, arena_memory, read_calibration
from mcusim.question.question import BoardName, Model, Question, Settled
from mcusim.report import (
    Basis,
    ConventionInfo,
    EnergyInfo,
    InputInfo,
    LatencyInfo,
    LayerInfo,
    ModelInfo,
    ProfileInfo,
    Report,
    RuntimeInfo,
    ScheduleInfo,
    SramInfo,
    Verdict,
)
from mcusim.runtimes import Runtime
from mcusim.runtimes.refusals import left_out, refusals
from mcusim.schedule import LAYER, Schedule, StageKind
from mcusim.searching import best_schedule
from mcusim.units import cycles_to_ms, format_hz, format_ms

__all__ = ["prices_for", "report_of", "simulate"]

_UNTOLD = {
    Flow.LOOPS: "nothing tells how often a WHILE repeats its body",
    Flow.CHOOSES: "nothing tells which subgraph an IF runs",
}


def simulate(
    model: Model,
    *,
    profile: BoardName,
    runtime: Runtime | str | None = None,
    schedule: Schedule | str = "layer",
    input_place: InputPlace | str | None = None,
    clock_hz: int | None = None,
    sram_budget_bytes: int | None = None,
    flash_budget_bytes: int | None = None,
    max_ms: float | None = None,
    convention: str | None = None,
    firmware: LinkedFirmware | None = None,
    calibration: Calibration | str | PathLike[str] | None = None,
    what_if: bool = False,
    planner: str | None = None,
    reorder: bool = False,
) -> Report:
    """What `model` needs on the board `profile`.

    model: a Graph, the name of a published network, the path of a `.tflite` file, or a description for `load`.
    profile: a board's name, the path of a profile, or a Board.
    runtime: `NAME` or `NAME@VERSION`; if None the first of `runtimes.choosing.preferred` that can run the network.
    schedule: see `mcusim.schedule`; `auto` is the best of those that the runtime can run.
    input_place: `arena` or `external`; the runtime's own choice if None.
    clock_hz, sram_budget_bytes, flash_budget_bytes, max_ms: replace or add to the board's own.
    what_if: whether a budget may be larger than what the board has.
    convention: counts SRAM instead of the runtime: a convention or another runtime, by name (`mcusim.memory.counting`).
    firmware: whose code counts instead of the estimate (`mcusim.memory.linked_firmware.read_linked_firmware`).
    calibration: a file of `mcusim calibrate`, whose measurements price instead of the package's alone.
    planner: places the buffers instead of the runtime's own: one of `mcusim.planners.PLANNERS`.
    reorder: whether independent layers run in the order with the lowest peak instead of the file's.
    Raises McusimError where the model, board, runtime, schedule or an option is wrong.
    """
    question = Question(
        model=model,
        profile=profile,
        runtime=runtime,
        schedule=schedule,
        input_place=input_place,
        clock_hz=clock_hz,
        sram_budget_bytes=sram_budget_bytes,
        flash_budget_bytes=flash_budget_bytes,
        max_ms=max_ms,
        what_if=what_if,
        convention=convention,
        firmware=firmware,
        calibration=calibration,
        planner=planner,
        reorder=reorder,
    )
    return report_of(question)


def report_of(question: Question) -> Report:
    """The answer to a question. Raises McusimError where it is wrong."""
    settled = question.settled()
    found_with, is_auto = settled.graph.source.schedule, settled.schedule.is_auto
    # A network that was searched together with its schedule needs that one to fit.
    warnings = settled.warnings
    if settled.schedule == LAYER and found_with not in ("", str(LAYER)):
        warnings += (
            f"schedule: this network was found together with {found_with}: --schedule {found_with} runs it so.",
        )
    if is_auto:
        schedule, advice = _best_schedule(question, settled)
        settled, warnings = replace(settled, schedule=schedule), (*warnings, *advice)
    try:
        report = _report(question, settled)
    except ScheduleError as error:
        if not is_auto:
            raise
        raise _of_found(error, settled.schedule) from None
    return replace(report, warnings=(*warnings, *report.warnings)) if warnings else report


def _of_found(error: ScheduleError, schedule: Schedule) -> ScheduleError:
    """An error about a schedule that nobody typed, in words of the one that was."""
    fix = f"name a schedule instead of auto ({error.fix}), or count without the convention"
    return ScheduleError(f"it found '{schedule}', but {error.what}", where="schedule 'auto'", fix=fix)


def _best_schedule(question: Question, settled: Settled) -> tuple[Schedule, tuple[str, ...]]:
    """The best schedule that the runtime can run, and warnings.

    Where none fits: the nearest, and what the stages that the runtime lacks would give.
    """
    runtime = settled.runtime
    # Budgets above the board's own are allowed here: the question was checked, and this only asks for the best
    # schedule.
    asked = replace(question, model=settled.graph, runtime=runtime, what_if=True, planner=None, reorder=False)
    schedule, fits = best_schedule(asked, kinds=runtime.cut_stages)
    lacking = sorted(set(StageKind) - runtime.stages)
    # Stages that the runtime lacks are worth a sentence only if they would make it fit.
    if fits or not lacking or runtime.counted_by:
        return schedule, ()
    wider, would_fit = best_schedule(asked, kinds=set(StageKind) - {StageKind.LAYER})
    if not would_fit:
        return schedule, ()
    nothing_fits = f"schedule: nothing fits that {runtime.name} can run"
    return schedule, (f"{nothing_fits}; with {' and '.join(lacking)} stages, {wider} would.",)


def _report(question: Question, settled: Settled) -> Report:
    graph, board, runtime, budgets = settled.graph, settled.board, settled.runtime, settled.budgets
    convention = (runtime.counted_by or None) if question.convention is None else question.convention
    counting = find_other_counting(convention, runtime)
    where = settled.input_place()
    prices = None if float_reason(graph) else prices_for(runtime, board, question.calibration)
    # Memory is that of the runtime even where a convention counts: the layers show what runs.
    memory = memory_of(graph, settled.schedule, runtime, where)
    _, program, placement, alive_bytes, _ = memory
    layers, missing, caveats, amounts, macs, cycles = breakdown(
        program, alive_bytes, placement.held_bytes, runtime, prices
    )
    refused = refusals(program, board, runtime, missing)
    shared = shared_bytes(program, runtime, placement)
    refused += [f"{shared}."] if shared else []
    stages = stage_infos(program)
    sram, convention_info, sram_warnings = _sram(memory, settled, counting)
    weight_bytes, params = count_parameters(graph)
    flash, flash_warnings = flash_info(graph, runtime, weight_bytes, budgets.flash_bytes, question.firmware)
    latency, latency_warning = _latency(settled, layers, cycles, amounts, prices)
    energy, energy_warning = _energy(latency, board, settled.power_clock_hz)
    published = graph.source.published
    # A caveat is of a kernel that nobody has confirmed for such a layer: then whether it runs is not known.
    is_unsure = bool(caveats) and not all(runtime.kernel(node.signature).is_confirmed for node in graph.nodes)
    runs = False if refused else None if is_unsure else firmware_runs(graph, runtime, question.firmware)
    # A time limit takes part only where one was asked for.
    fits = [sram.fits, flash.fits, *([latency.fits] if budgets.max_ms is not None else [])]
    warnings = (
        *refused,
        *left_out(program, runtime),
        *(
            f"{runtime.name}, {len(names)} layer{'s' * (len(names) > 1)}: {caveat}."
            for caveat, names in caveats.items()
        ),
        *sram_warnings,
        *flash_warnings,
        *latency_warning,
        *energy_warning,
    )
    return Report(
        verdict=_verdict(fits, runs),
        model=ModelInfo(
            graph.name,
            graph.source.description,
            graph.tensors[graph.inputs[0]].shape if graph.inputs else (),
            macs,
            params,
            published.params if published else None,
            weight_bytes,
        ),
        profile=ProfileInfo(board.name, str(board.core), board.clock_hz, board.sram_bytes, board.flash_bytes),
        runtime=RuntimeInfo(
            runtime.name,
            runtime.shown_version(latency.version),
            runs,
            planner=runtime.planner_name if runtime.has_placement else None,
            why=settled.why_runtime,
        ),
        convention=convention_info,
        schedule=ScheduleInfo(
            str(settled.schedule), stages, sum([stage.recomputed_macs for stage in stages]), settled.is_reordered
        ),
        input=InputInfo(program.input_bytes, where.value),
        sram=sram,
        flash=flash,
        latency=latency,
        energy=energy,
        layers=layers,
        warnings=warnings,
    )


def _verdict(fits: list[bool | None], runs: bool | None) -> Verdict:
    """What the budgets say; nothing where the runtime cannot run the network, as another may run it in less."""
    # A refused network would still have figures. They say nothing of whether the network fits another runtime.
    if runs is False:
        return Verdict.UNKNOWN
    if False in fits:
        return Verdict.DOES_NOT_FIT
    return Verdict.FITS if runs and None not in fits else Verdict.UNKNOWN


def _sram(
    memory: PlacedNetwork, settled: Settled, counting: Runtime | Convention | None
) -> tuple[SramInfo, ConventionInfo, tuple[str, ...]]:
    """What the runtime takes, or what `counting` counts instead, and warnings."""
    runtime, graph, board = memory.runtime, memory.graph, settled.board
    schedule, budget_bytes = settled.schedule, settled.budgets.sram_bytes
    if counting is None:
        sram, warnings = sram_info(memory, board, budget_bytes)
        return sram, ConventionInfo(runtime.name, runtime.memory_basis, f"placed by {runtime.planner_name}"), warnings
    if isinstance(counting, Runtime):
        theirs = memory_of(graph, schedule, counting, settled.input_place(runtime=counting))
        sram, warnings = sram_info(theirs, board, budget_bytes)
        name = counting.name
        warning = f"SRAM: counted as {name} takes it, not {runtime.name}; the layers show {runtime.name}'s."
        info = ConventionInfo(name, counting.memory_basis, f"placed by {counting.planner_name}")
        return sram, info, (*warnings, warning)
    own, _ = sram_info(memory, board, budget_bytes)
    place = settled.input_place()
    sram, convention, warning = sram_as_convention(counting, graph, schedule, board, own, runtime, place)
    return sram, convention, (warning,)


# ---------------------------------------------------------------------------------------------------------------------
# Time, energy, schedule, warnings


def prices_for(
    runtime: Runtime, board: Board, calibration: Calibration | str | PathLike[str] | None = None
) -> Coefficients | None:
    """What the runtime's kernels cost on a board, by the memory that its arena lies in; None if nobody measured."""
    learned = read_calibration(calibration) if isinstance(calibration, str | PathLike) else calibration
    return coefficients(runtime, board, arena_memory(board), learned)


def _latency(
    settled: Settled,
    layers: tuple[LayerInfo, ...],
    cycles_of: tuple[int | None, ...],
    amounts: tuple[float, ...],
    prices: Coefficients | None,
) -> tuple[LatencyInfo, tuple[str, ...]]:
    """The time of one inference, and warnings.   cycles_of: each layer; None where they are not known."""
    limit_ms = settled.budgets.max_ms
    not_priced = _why_not_priced(settled, layers, prices) if prices is None or None in cycles_of else ""
    if prices is None or not_priced:
        basis = Basis.PROVISIONAL if prices is None else prices.basis
        return LatencyInfo(None, None, None, None, basis, limit_ms, None), (f"latency: {not_priced}",)
    # Rounded layer by layer, so that the layers add up to the total on the page.
    cycles = sum([cycles or 0 for cycles in cycles_of])
    ms = cycles_to_ms(cycles, settled.board.clock_hz)
    interval = prices.interval(amounts)
    low_ms, high_ms = ms * interval.low, ms * interval.high
    warnings = [f"time: {note}." for note in prices.notes]
    newer_times = prices.times_of_newer(amounts)
    if prices.newer is not None and newer_times is not None:
        warnings.append(
            f"version: {prices.version} answers, as it was measured nearest to this board; {prices.newer.version}, "
            f"which was measured on others, would take about {format_ms(ms * newer_times)}: --runtime "
            f"{settled.runtime.name}@{prices.newer.version}."
        )
    warnings += [] if prices.networks else [f"time: {prices.evidence}: the interval is wide."]
    fits = None if limit_ms is None else _holds(low_ms, high_ms, limit_ms)
    if limit_ms is not None and fits is None:
        span = f"{format_ms(low_ms)} to {format_ms(high_ms)}"
        warnings.append(f"time: not sure whether {format_ms(limit_ms)} is held: it may take {span}.")
    info = LatencyInfo(cycles, ms, low_ms, high_ms, prices.basis, limit_ms, fits, prices.evidence, prices.version)
    return info, tuple(warnings)


def _why_not_priced(settled: Settled, layers: tuple[LayerInfo, ...], prices: Coefficients | None) -> str:
    """Why the time of the network is not known, in a sentence; "" where it is."""
    graph = settled.graph
    if prices is None:
        reason = float_reason(graph)
        if reason:
            return f"{graph.name} {reason}, and only integer kernels were measured: quantise it to int8."
        return f"nobody has measured {settled.runtime.name} yet."
    unpriced = sorted({layer.op for layer in layers if layer.cycles is None})
    untold = [op for op in unpriced if op in OPS and OPS[op].flow in UNTOLD]
    if untold:
        return f"{' and '.join([_UNTOLD[OPS[op].flow] for op in untold])}; layers of subgraphs show one pass."
    return f"mcusim does not know {', '.join(unpriced)} yet." if unpriced else ""


def _holds(low_ms: float, high_ms: float, limit_ms: float) -> bool | None:
    """Whether all of the interval keeps the limit (True), or none of it (False); None where the limit lies inside."""
    return True if high_ms <= limit_ms else False if low_ms > limit_ms else None


def _energy(
    latency: LatencyInfo, board: Board, power_clock_hz: int | None
) -> tuple[EnergyInfo | None, tuple[str, ...]]:
    """Power times time (assumption A8), and a warning where it is not known.

    Milliwatts times milliseconds are microjoules.   power_clock_hz: of `Settled`.
    """
    power = board.power
    if power is None:
        figures = f"'s power figures are for {format_hz(power_clock_hz)}" if power_clock_hz else " has no power figures"
        return None, (f"energy: not known, as the profile{figures}.",)
    if latency.ms is None or latency.low_ms is None or latency.high_ms is None:
        return None, ("energy: not known, as the time is not.",)
    low, high = power.active_low_mw, power.active_high_mw
    info = EnergyInfo((low + high) / 2 * latency.ms, low * latency.low_ms, high * latency.high_ms, latency.basis)
    return info, ()
