"""Network + board + runtime + schedule -> Report: does it fit, how long does it take, which layer is to blame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from typing import Any

from mcusim.boards import Board, load_board
from mcusim.breakdown import breakdown, count_parameters, stage_infos
from mcusim.errors import InputError
from mcusim.frontends.checks import refuse_float
from mcusim.graph import ABSENT, Graph
from mcusim.lower import lower
from mcusim.models import load
from mcusim.placement import Placement, place
from mcusim.planners import live_bytes
from mcusim.price import Coefficients, coefficients
from mcusim.program import BufferKind, Program
from mcusim.report import (
    AliveInfo,
    BankInfo,
    Basis,
    ConventionInfo,
    EnergyInfo,
    FlashInfo,
    InputInfo,
    LatencyInfo,
    LayerInfo,
    ModelInfo,
    PeakInfo,
    ProfileInfo,
    Report,
    RuntimeInfo,
    ScheduleInfo,
    SramInfo,
    Verdict,
)
from mcusim.rules import InputPlace
from mcusim.runtimes import Runtime, find_runtime
from mcusim.schedule import Schedule, StageKind, parse_schedule
from mcusim.units import cycles_to_ms

__all__ = ["simulate"]

DEFAULT_RUNTIME = "tinyengine"


def simulate(
    model: Graph | str | PathLike[str] | Mapping[str, Any],
    *,
    profile: Board | str | PathLike[str],
    runtime: Runtime | str = DEFAULT_RUNTIME,
    schedule: Schedule | str = "layer",
    input_place: InputPlace | str | None = None,
    clock_hz: int | None = None,
    sram_budget_bytes: int | None = None,
    flash_budget_bytes: int | None = None,
    max_ms: float | None = None,
) -> Report:
    """What `model` needs on the board `profile`.

    model: a Graph, the name of a published network, the path of a `.tflite` file, or a description for `load`.
    profile: a board's name, the path of a profile, or a Board.   runtime: `NAME` or `NAME@VERSION`.
    schedule: see `mcusim.schedule`.   input_place: `arena` or `external`; the runtime's own choice if None.
    clock_hz, sram_budget_bytes, flash_budget_bytes, max_ms: replace or add to the board's own.
    Raises McusimError where the model, board, runtime, schedule or an option is wrong.
    """
    graph = model if isinstance(model, Graph) else load(model)
    board = profile if isinstance(profile, Board) else load_board(profile)
    chosen = runtime if isinstance(runtime, Runtime) else find_runtime(runtime)
    plan = schedule if isinstance(schedule, Schedule) else parse_schedule(schedule)
    where = _input_place(input_place, chosen, plan)
    if clock_hz is not None:
        board = board.with_clock(clock_hz)
    refuse_float(graph)
    program = lower(graph, plan, chosen.rules, where)
    return _report(
        program,
        place(program, chosen.planner),
        board,
        chosen,
        plan,
        where,
        _Budgets(
            board.sram_budget_bytes if sram_budget_bytes is None else sram_budget_bytes,
            board.flash_bytes if flash_budget_bytes is None else flash_budget_bytes,
            max_ms,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Budgets:
    sram_bytes: int
    flash_bytes: int
    max_ms: float | None


def _input_place(wanted: InputPlace | str | None, runtime: Runtime, schedule: Schedule) -> InputPlace:
    rules = runtime.rules
    if wanted is None:
        is_cut = bool(schedule.stages) and schedule.stages[0].kind is not StageKind.LAYER
        return rules.patch_input_place if is_cut and rules.patch_input_place else rules.input_place
    try:
        return InputPlace(wanted)
    except ValueError:
        raise InputError(
            f"'{wanted}' is no place for the input", where="--input", fix="use arena or external"
        ) from None


def _report(
    program: Program,
    placement: Placement,
    board: Board,
    runtime: Runtime,
    schedule: Schedule,
    where: InputPlace,
    budgets: _Budgets,
) -> Report:
    graph = program.graph
    warnings: list[str] = []
    prices = coefficients(runtime.price_family, board.core)
    alive_bytes = live_bytes(program.buffers, program.length)
    layers, missing = breakdown(program, alive_bytes, placement.held_bytes, runtime, prices)
    for why, names in missing.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        warnings.append(f"{runtime.name} cannot run '{names[0]}'{more}: {why}.")
    stages = stage_infos(program)
    sram = _sram(program, placement, alive_bytes, board, runtime, budgets, warnings)
    weight_bytes, params = count_parameters(graph)
    flash = _flash(graph, runtime, weight_bytes, budgets, warnings)
    latency = _latency(layers, prices, board, runtime, budgets, warnings)
    published = graph.source.published
    fits = [sram.fits, flash.fits, *([latency.fits] if budgets.max_ms is not None else [])]
    return Report(
        verdict=_verdict(fits, not missing),
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
        runtime=RuntimeInfo(runtime.name, runtime.version),
        convention=ConventionInfo(runtime.name, runtime.memory_basis),
        schedule=ScheduleInfo(str(schedule), stages, sum([stage.recomputed_macs for stage in stages])),
        input=InputInfo(_input_bytes(program), where.value),
        sram=sram,
        flash=flash,
        latency=latency,
        energy=_energy(latency, board, warnings),
        layers=layers,
        warnings=tuple(warnings),
    )


def _verdict(fits: list[bool | None], runs: bool) -> Verdict:
    """What the budgets say. A network that the runtime cannot run is not said to fit: what it lacks would need more."""
    if False in fits:
        return Verdict.DOES_NOT_FIT
    return Verdict.FITS if runs and None not in fits else Verdict.UNKNOWN


# ---------------------------------------------------------------------------------------------------------------------
# Memory


def _sram(
    program: Program,
    placement: Placement,
    alive_bytes: list[int],
    board: Board,
    runtime: Runtime,
    budgets: _Budgets,
    warnings: list[str],
) -> SramInfo:
    persistent_bytes, unknown = runtime.persistent(program.graph)
    if unknown:
        warnings.append(f"SRAM: {unknown}.")
    if runtime.cores and board.core not in runtime.cores:
        unknown = f"{runtime.name}'s scratch is known for {', '.join(sorted(runtime.cores))}, not for {board.core}"
        warnings.append(f"SRAM: {unknown}.")
    peak = placement.arena_bytes + placement.held_bytes + persistent_bytes
    bases = {runtime.memory_basis, runtime.persistent_basis if persistent_bytes else runtime.memory_basis}
    return SramInfo(
        peak_bytes=peak,
        arena_bytes=placement.arena_bytes,
        scratch_bytes=placement.held_bytes,
        persistent_bytes=persistent_bytes,
        budget_bytes=budgets.sram_bytes,
        fits=False if peak > budgets.sram_bytes else None if unknown else True,
        peak=_peak(program, alive_bytes),
        banks=_banks(board, peak),
        basis=max(bases, key=list(Basis).index),
    )


def _peak(program: Program, alive_bytes: list[int]) -> PeakInfo | None:
    """The first step at which most is alive. The arena may be larger than that: a plan can leave gaps."""
    if not alive_bytes:
        return None
    time = alive_bytes.index(max(alive_bytes))
    alive = [
        AliveInfo(buffer.name, buffer.size_bytes)
        for buffer in program.buffers
        if buffer.first <= time < buffer.end and buffer.kind is not BufferKind.HELD
    ]
    stage, step = _locate(program, time)
    node = program.stages[stage].steps[step].node
    layer = program.graph.nodes[node].name if node != ABSENT else "input patch"
    return PeakInfo(stage, step, layer, tuple(sorted(alive, key=lambda item: -item.bytes)))


def _locate(program: Program, time: int) -> tuple[int, int]:
    for index, stage in enumerate(program.stages):
        if time < len(stage.steps):
            return index, time
        time -= len(stage.steps)
    raise IndexError(time)


@lru_cache(1024)
def _banks(board: Board, peak: int) -> tuple[BankInfo, ...]:
    """The banks of the arena's run, filled from the lowest address; what does not fit shows in the last one."""
    found = []
    run = board.arena_run
    for bank in run:
        used = peak if bank is run[-1] else min(peak, bank.size_bytes)
        peak -= used
        found.append(BankInfo(bank.name, bank.address, bank.size_bytes, used))
    return tuple(found)


def _input_bytes(program: Program) -> int:
    """Bytes of the network's inputs as the runtime sees them: after conversions left to the caller."""
    inputs = {program.buffers[v.buffer].tensor for v in program.views if v.buffer != ABSENT}
    kinds = {BufferKind.INPUT}
    total = sum(b.size_bytes for b in program.buffers if b.kind in kinds and b.tensor in inputs)
    outside = sum(program.graph.tensors[v.tensor].size_bytes for v in program.views if v.buffer == ABSENT)
    return total + outside


def _flash(graph: Graph, runtime: Runtime, weight_bytes: int, budgets: _Budgets, warnings: list[str]) -> FlashInfo:
    stored = runtime.flash(graph)
    if stored.warning:
        warnings.append(f"flash: {stored.warning}.")
    known = stored.model_bytes is not None and stored.code_bytes is not None
    total = stored.model_bytes + stored.code_bytes if known else None  # type: ignore[operator]
    at_least = (stored.model_bytes or weight_bytes) + (stored.code_bytes or 0)
    fits = total <= budgets.flash_bytes if total is not None else (None if at_least <= budgets.flash_bytes else False)
    return FlashInfo(
        stored.model_bytes, weight_bytes, stored.code_bytes, total, budgets.flash_bytes, fits, stored.basis
    )


# ---------------------------------------------------------------------------------------------------------------------
# Time, energy, schedule, warnings


def _latency(
    layers: tuple[LayerInfo, ...],
    prices: Coefficients | None,
    board: Board,
    runtime: Runtime,
    budgets: _Budgets,
    warnings: list[str],
) -> LatencyInfo:
    if prices is None:
        warnings.append(f"latency: nobody has measured {runtime.name} on a {board.core} yet.")
        return LatencyInfo(None, None, None, None, Basis.PROVISIONAL, budgets.max_ms, None)
    unpriced = sorted({layer.op for layer in layers if layer.cycles is None})
    if unpriced:
        warnings.append(f"latency: mcusim does not know {', '.join(unpriced)} yet.")
        return LatencyInfo(None, None, None, None, prices.basis, budgets.max_ms, None)
    cycles = sum([layer.cycles or 0.0 for layer in layers])
    ms = cycles_to_ms(cycles, board.clock_hz)
    fits = None if budgets.max_ms is None else ms <= budgets.max_ms
    return LatencyInfo(cycles, ms, ms * prices.low_factor, ms * prices.high_factor, prices.basis, budgets.max_ms, fits)


def _energy(latency: LatencyInfo, board: Board, warnings: list[str]) -> EnergyInfo | None:
    """Power times time (assumption A8). Milliwatts times milliseconds are microjoules."""
    power = board.power
    if power is None or latency.ms is None or latency.low_ms is None or latency.high_ms is None:
        return None
    low, high = power.active_low_mw, power.active_high_mw
    return EnergyInfo((low + high) / 2 * latency.ms, low * latency.low_ms, high * latency.high_ms, latency.basis)
