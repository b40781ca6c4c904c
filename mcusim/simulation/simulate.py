"""Network + board + runtime + schedule -> Report: does it fit, how long does it take, which layer is to blame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from mcusim.arguments import (
    Budgets,
    chosen_runtime,
    the_board,
    the_budgets,
    the_clock,
    the_graph,
    the_input_place,
    the_runtime,
    the_schedule,
)
from mcusim.boards import Board
from mcusim.conventions import Convention
from mcusim.errors import ScheduleError
from mcusim.frontends.checks import float_reason
from mcusim.graph import Flow, Graph
from mcusim.lowering.rules import InputPlace
from mcusim.memory.accounting import (
    Memory,
    find_other_counting,
    flash_info,
    memory_of,
    sram_as_convention,
    sram_info,
)
from mcusim.memory.flash import image_runs
from mcusim.memory.images import Image
from mcusim.memory.placement import shared_bytes
from mcusim.ops import OPS
from mcusim.ops.totals import count_parameters
from mcusim.pricing.breakdown import UNTOLD, breakdown, stage_infos
from mcusim.pricing.prices import Coefficients, coefficients
from mcusim.pricing.stored import Calibration, arena_memory, read_calibration
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
from mcusim.runtimes.refusals import refusals
from mcusim.schedule import Schedule, StageKind
from mcusim.searching import Front, search
from mcusim.units import cycles_to_ms, format_ms

__all__ = ["prices_for", "simulate"]

_UNTOLD = {
    Flow.LOOPS: "nothing tells how often a WHILE repeats its body",
    Flow.CHOOSES: "nothing tells which subgraph an IF runs",
}


def simulate(
    model: Graph | str | PathLike[str] | Mapping[str, Any],
    *,
    profile: Board | str | PathLike[str],
    runtime: Runtime | str | None = None,
    schedule: Schedule | str = "layer",
    input_place: InputPlace | str | None = None,
    clock_hz: int | None = None,
    sram_budget_bytes: int | None = None,
    flash_budget_bytes: int | None = None,
    max_ms: float | None = None,
    convention: str | None = None,
    image: Image | None = None,
    calibration: Calibration | str | PathLike[str] | None = None,
    what_if: bool = False,
) -> Report:
    """What `model` needs on the board `profile`.

    model: a Graph, the name of a published network, the path of a `.tflite` file, or a description for `load`.
    profile: a board's name, the path of a profile, or a Board.
    runtime: `NAME` or `NAME@VERSION`; if None the first of `runtimes.choosing.PREFERENCE` that can run the network.
    schedule: see `mcusim.schedule`; `auto` is the best of those that the runtime can run.
    input_place: `arena` or `external`; the runtime's own choice if None.
    clock_hz, sram_budget_bytes, flash_budget_bytes, max_ms: replace or add to the board's own.
    what_if: whether a budget may be larger than what the board has.
    convention: counts SRAM instead of the runtime: a convention or another runtime, by name (`mcusim.memory.counting`).
    image: a linked firmware (`mcusim.memory.images.read_image`), whose code counts instead of the estimate.
    calibration: a file of `mcusim calibrate`, whose measurements price instead of the package's alone.
    Raises McusimError where the model, board, runtime, schedule or an option is wrong.
    """
    board, plan = the_board(profile), the_schedule(schedule)
    wished = None if runtime is None else the_runtime(runtime)
    budgets = the_budgets(board, sram_budget_bytes, flash_budget_bytes, max_ms, what_if)
    clock = the_clock(clock_hz)
    graph = the_graph(model)
    chosen, why = chosen_runtime(wished, graph, board)
    told: tuple[str, ...] = ()
    if plan.is_auto:
        wanted = None if input_place is None else the_input_place(input_place, chosen, plan)
        plan, told = _best_schedule(graph, board, chosen, wanted, budgets.sram_bytes)
    where = the_input_place(input_place, chosen, plan)
    if clock is not None:
        board = board.with_clock(clock)
    asked = (chosen.counted_by or None) if convention is None else convention
    counting = _Counting(find_other_counting(asked, chosen), input_place, image)
    prices = None if float_reason(graph) else prices_for(chosen, board, calibration)
    try:
        report = _report(memory_of(graph, plan, chosen, where), board, plan, where, budgets, counting, prices)
    except ScheduleError as error:
        if not the_schedule(schedule).is_auto:
            raise
        raise _of_found(error, plan) from None
    return replace(report, runtime=report.runtime._replace(why=why), warnings=(*told, *report.warnings))


def _of_found(error: ScheduleError, found: Schedule) -> ScheduleError:
    """An error about a schedule that nobody typed, in words of the one that was."""
    fix = f"name a schedule instead of auto ({error.fix}), or count without the convention"
    return ScheduleError(f"it found '{found}', but {error.what}", where="schedule 'auto'", fix=fix)


def _best_schedule(
    graph: Graph, board: Board, runtime: Runtime, place: InputPlace | None, sram_bytes: int | None
) -> tuple[Schedule, tuple[str, ...]]:
    """The best schedule that the runtime can run. Where none fits: the nearest, and what stages it lacks would give."""

    def best(kinds: Iterable[StageKind]) -> Front:
        return search(
            graph,
            profile=board,
            runtime=runtime,
            kinds=kinds,
            input_place=place,
            sram_budget_bytes=sram_bytes,
            what_if=True,
        )

    found = best(runtime.cut_stages)
    lacking = sorted(set(StageKind) - runtime.stages)
    if found.best is not None or not lacking or runtime.counted_by:
        return (found.best or found.nearest).schedule, ()
    wider = best(set(StageKind) - {StageKind.LAYER}).best
    if wider is None:
        return found.nearest.schedule, ()
    told = f"schedule: nothing fits that {runtime.name} can run"
    return found.nearest.schedule, (f"{told}; with {' and '.join(lacking)} stages, {wider.schedule} would.",)


@dataclass(frozen=True, slots=True)
class _Counting:
    """What counts instead of the runtime's own rules. other: SRAM.   image: code."""

    other: Runtime | Convention | None
    input_place: InputPlace | str | None
    image: Image | None


def _report(
    memory: Memory,
    board: Board,
    schedule: Schedule,
    where: InputPlace,
    budgets: Budgets,
    counting: _Counting,
    prices: Coefficients | None,
) -> Report:
    graph, program, placement, alive_bytes, runtime = memory
    warnings: list[str] = []
    layers, missing, caveats, amounts = breakdown(program, alive_bytes, placement.held_bytes, runtime, prices)
    refused = refusals(program, board, runtime, missing)
    shared = shared_bytes(program, runtime, placement)
    refused += [f"{shared}."] if shared else []
    warnings += refused
    for caveat, names in caveats.items():
        warnings.append(f"{runtime.name}, {len(names)} layers: {caveat}.")
    stages = stage_infos(program)
    sram, convention = _sram(memory, board, schedule, budgets, counting, warnings)
    weight_bytes, params = count_parameters(graph)
    flash = flash_info(graph, runtime, weight_bytes, budgets.flash_bytes, counting.image, warnings)
    latency = _latency(graph, layers, amounts, prices, board, runtime, budgets, warnings)
    published = graph.source.published
    runs = False if refused else image_runs(graph, runtime, counting.image)
    fits = [sram.fits, flash.fits, *([latency.fits] if budgets.max_ms is not None else [])]
    return Report(
        verdict=_verdict(fits, runs),
        model=ModelInfo(
            graph.name,
            graph.source.description,
            graph.tensors[graph.inputs[0]].shape,
            sum([layer.macs for layer in layers]),
            params,
            published.params if published else None,
            weight_bytes,
        ),
        profile=ProfileInfo(board.name, str(board.core), board.clock_hz, board.sram_bytes, board.flash_bytes),
        runtime=RuntimeInfo(runtime.name, runtime.shown_version(latency.version), runs),
        convention=convention,
        schedule=ScheduleInfo(str(schedule), stages, sum([stage.recomputed_macs for stage in stages])),
        input=InputInfo(program.input_bytes, where.value),
        sram=sram,
        flash=flash,
        latency=latency,
        energy=_energy(latency, board, warnings),
        layers=layers,
        warnings=tuple(warnings),
    )


def _verdict(fits: list[bool | None], runs: bool | None) -> Verdict:
    """What the budgets say; nothing where the runtime cannot run the network, as another may run it in less."""
    if runs is False:
        return Verdict.UNKNOWN
    if False in fits:
        return Verdict.DOES_NOT_FIT
    return Verdict.FITS if runs and None not in fits else Verdict.UNKNOWN


def _sram(
    memory: Memory, board: Board, schedule: Schedule, budgets: Budgets, counting: _Counting, warnings: list[str]
) -> tuple[SramInfo, ConventionInfo]:
    """What the runtime takes, or what `counting` counts instead."""
    runtime, other = memory.runtime, counting.other
    if other is None:
        sram = sram_info(memory, board, budgets.sram_bytes, warnings)
        return sram, ConventionInfo(runtime.name, runtime.memory_basis, f"placed by {runtime.planner_name}")
    graph = memory.graph
    if isinstance(other, Runtime):
        theirs = memory_of(graph, schedule, other, the_input_place(counting.input_place, other, schedule))
        sram = sram_info(theirs, board, budgets.sram_bytes, warnings)
        warnings.append(
            f"SRAM: counted as {other.name} takes it, not {runtime.name}; the layers show {runtime.name}'s."
        )
        return sram, ConventionInfo(other.name, other.memory_basis, f"placed by {other.planner_name}")
    own = sram_info(memory, board, budgets.sram_bytes, [])
    place = the_input_place(counting.input_place, runtime, schedule)
    sram, convention, told = sram_as_convention(other, graph, schedule, board, own, runtime, place)
    warnings.append(told)
    return sram, convention


# ---------------------------------------------------------------------------------------------------------------------
# Time, energy, schedule, warnings


def prices_for(
    runtime: Runtime, board: Board, calibration: Calibration | str | PathLike[str] | None = None
) -> Coefficients | None:
    """What the runtime's kernels cost on a board, by the memory that its arena lies in; None if nobody measured."""
    learned = read_calibration(calibration) if isinstance(calibration, str | PathLike) else calibration
    return coefficients(runtime, board, arena_memory(board), learned)


def _latency(
    graph: Graph,
    layers: tuple[LayerInfo, ...],
    amounts: tuple[float, ...],
    prices: Coefficients | None,
    board: Board,
    runtime: Runtime,
    budgets: Budgets,
    warnings: list[str],
) -> LatencyInfo:
    reason = float_reason(graph) if prices is None else ""
    if reason:
        warnings.append(f"latency: {graph.name} {reason}, and only integer kernels were measured: quantise it to int8.")
        return LatencyInfo(None, None, None, None, Basis.PROVISIONAL, budgets.max_ms, None)
    if prices is None:
        warnings.append(f"latency: nobody has measured {runtime.name} yet.")
        return LatencyInfo(None, None, None, None, Basis.PROVISIONAL, budgets.max_ms, None)
    unpriced = sorted({layer.op for layer in layers if layer.cycles is None})
    untold = [op for op in unpriced if op in OPS and OPS[op].flow in UNTOLD]
    if untold:
        told = " and ".join([_UNTOLD[OPS[op].flow] for op in untold])
        warnings.append(f"latency: {told}; layers of subgraphs show one pass.")
        return LatencyInfo(None, None, None, None, prices.basis, budgets.max_ms, None)
    if unpriced:
        warnings.append(f"latency: mcusim does not know {', '.join(unpriced)} yet.")
        return LatencyInfo(None, None, None, None, prices.basis, budgets.max_ms, None)
    cycles = sum([layer.cycles or 0 for layer in layers])
    ms = cycles_to_ms(cycles, board.clock_hz)
    interval = prices.interval(amounts)
    low_ms, high_ms, limit_ms = ms * interval.low, ms * interval.high, budgets.max_ms
    if not prices.networks:
        warnings.append(f"time: {prices.evidence}: the interval is wide.")
    fits = None if limit_ms is None else _holds(low_ms, high_ms, limit_ms)
    if limit_ms is not None and fits is None:
        told = f"{format_ms(low_ms)} to {format_ms(high_ms)}"
        warnings.append(f"time: not sure whether {format_ms(limit_ms)} is held: it may take {told}.")
    return LatencyInfo(cycles, ms, low_ms, high_ms, prices.basis, limit_ms, fits, prices.evidence, prices.version)


def _holds(low_ms: float, high_ms: float, limit_ms: float) -> bool | None:
    """Whether all of the interval keeps the limit (True), or none of it (False); None where the limit lies inside."""
    return True if high_ms <= limit_ms else False if low_ms > limit_ms else None


def _energy(latency: LatencyInfo, board: Board, warnings: list[str]) -> EnergyInfo | None:
    """Power times time (assumption A8). Milliwatts times milliseconds are microjoules."""
    power = board.power
    if power is None:
        warnings.append("energy: not known, as the profile has no power figures at this clock.")
        return None
    if latency.ms is None or latency.low_ms is None or latency.high_ms is None:
        warnings.append("energy: not known, as the time is not.")
        return None
    low, high = power.active_low_mw, power.active_high_mw
    return EnergyInfo((low + high) / 2 * latency.ms, low * latency.low_ms, high * latency.high_ms, latency.basis)
