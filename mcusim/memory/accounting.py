"""The SRAM and flash of a Report: what is taken, in which banks, against which budget.

    peak_bytes = arena_bytes + scratch_bytes + persistent_bytes + setup_bytes

    arena        the planner's: activations and planned working memory, gaps included
    scratch      held beside it, as TinyEngine's im2col buffer
    persistent   what the runtime keeps from start to end: TFLM's tensors and operator data, variables
    setup        what an interpreter's arena must have on top, as it sets up in the bytes that it later runs in

The layer that is blamed is the first step at which most is *alive*. Its bytes may be fewer than the arena's: the rest
are gaps, which no layer takes. Whether it fits is True or False only where every part is known; where a part is a bound
or unknown it is None, unless what is known is too much already.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from mcusim.boards.board import Board
from mcusim.conventions import Convention, count, find_convention
from mcusim.graph import ABSENT, Graph
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import UNPACKED_WEIGHTS, InputPlace
from mcusim.memory.banks import moved_bytes
from mcusim.memory.counting import Comparison, count_as, find_counting
from mcusim.memory.flash import flash_of_firmware
from mcusim.memory.linked_firmware import LinkedFirmware
from mcusim.memory.placement import Placement, known_for, setup_bytes
from mcusim.planners import live_bytes
from mcusim.program import Buffer, BufferKind, Buffers, Program
from mcusim.report import AliveInfo, BankInfo, Basis, ConventionInfo, FlashInfo, PartInfo, PeakInfo, SramInfo
from mcusim.runtimes import Runtime
from mcusim.schedule import Schedule
from mcusim.units import format_bytes

__all__ = [
    "PlacedNetwork",
    "find_other_counting",
    "flash_info",
    "memory_of",
    "sram_as_convention",
    "sram_info",
    "unpacked_weights",
    "untold_input",
]


_GRAPHS_KEPT = 4
"""Programs that are found again: one network is asked about on many boards in a row."""


class PlacedNetwork(NamedTuple):
    """A network placed as one runtime does. alive_bytes: in the arena, at each step."""

    graph: Graph
    program: Program
    placement: Placement
    alive_bytes: list[int]
    runtime: Runtime


@lru_cache(_GRAPHS_KEPT)
def memory_of(graph: Graph, schedule: Schedule, runtime: Runtime, where: InputPlace) -> PlacedNetwork:
    """`graph` lowered and placed. Raises ScheduleError for a schedule that does not go with the network."""
    program = lower(graph, schedule, runtime.rules, where)
    placement = known_for(program, runtime)
    return PlacedNetwork(graph, program, placement, live_bytes(program.buffers, program.length), runtime)


def find_other_counting(name: str | None, runtime: Runtime) -> Runtime | Convention | None:
    """What counts instead of `runtime` itself; None if nothing does. Raises RuntimeNameError for an unknown name."""
    counting = None if name is None else find_counting(name)
    if isinstance(counting, Runtime) and counting.counted_by:
        return find_convention(counting.counted_by)
    return None if counting is runtime else counting


# ---------------------------------------------------------------------------------------------------------------------
# SRAM


def unpacked_weights(program: Program, runtime: Runtime) -> str:
    """What it costs that weights of fewer bits are unpacked before a kernel reads them; "" where none are."""
    scratch = BufferKind.SCRATCH
    unpacked = [buffer for buffer in program.buffers if buffer[4] is scratch and buffer.name.endswith(UNPACKED_WEIGHTS)]
    if not unpacked:
        return ""
    largest = max(unpacked, key=lambda buffer: buffer.size_bytes)
    layer = largest.name.removesuffix(UNPACKED_WEIGHTS).strip()
    sentence = f"SRAM: {runtime.name} unpacks weights below 8 bits into scratch before it computes"
    return f"{sentence}, {format_bytes(largest.size_bytes)} for '{layer}': fewer bits save flash, and cost SRAM."


def sram_info(memory: PlacedNetwork, board: Board, budget_bytes: int) -> tuple[SramInfo, tuple[str, ...]]:
    """What a runtime takes; and warnings: what cannot be known, and what does not fit although it seems to."""
    warnings: list[str] = []
    graph, program, placement, alive_bytes, runtime = memory
    persistent_bytes, bound = runtime.persistent(graph)
    unknown = bound
    if unknown:
        warnings.append(f"SRAM: {unknown}.")
    if runtime.cores and board.core not in runtime.cores:
        unknown = f"{runtime.name}'s scratch is known for {', '.join(sorted(runtime.cores))}, not for {board.core}"
        warnings.append(f"SRAM: {unknown}.")
    # An interpreter sets up in the same arena, with temporary structures on top: it may need more than it later uses.
    extra_bytes = setup_bytes(graph, runtime, placement, persistent_bytes)
    peak = placement.arena_bytes + placement.held_bytes + persistent_bytes + extra_bytes
    # The weakest of the bases that went into the sum. `Basis` lists them from the strongest to the weakest.
    bases = {runtime.memory_basis, runtime.persistent_basis if persistent_bytes else runtime.memory_basis}
    pieces = _bytes_in_pieces(board, peak, budget_bytes)
    external, outside = _cost_of_external(board, program), untold_input(board, program.outside_bytes)
    unpacked = unpacked_weights(program, runtime)
    warnings += [warning for warning in (pieces, external, outside, unpacked) if warning]
    if runtime.stack_bytes is not None and peak <= budget_bytes < peak + runtime.stack_bytes:
        warnings.append(
            f"SRAM: the stack takes up to {runtime.stack_bytes:,} bytes, and {budget_bytes - peak:,} are free."
        )
    info = SramInfo(
        peak_bytes=peak,
        arena_bytes=placement.arena_bytes,
        scratch_bytes=placement.held_bytes,
        persistent_bytes=persistent_bytes,
        budget_bytes=budget_bytes,
        # Too much is certain even where a part is missing; enough is not.
        fits=False if peak + (runtime.stack_bytes or 0) > budget_bytes else None if unknown else True,
        peak=_peak(program, alive_bytes),
        banks=_banks(board, peak, _at_peak(memory, persistent_bytes)),
        basis=max(bases, key=list(Basis).index),
        is_bound=bool(bound),
        setup_bytes=extra_bytes,
        recommended_arena_bytes=peak if runtime.setup is not None else None,
        harness_bytes=runtime.harness(graph),
        stack_bytes=runtime.stack_bytes,
    )
    return info, tuple(warnings)


def sram_as_convention(
    convention: Convention,
    graph: Graph,
    schedule: Schedule,
    board: Board,
    own: SramInfo,
    runtime: Runtime,
    input_place: InputPlace | None = None,
) -> tuple[SramInfo, ConventionInfo, str]:
    """The figures as a convention counts them instead of `own`, and a warning that says so."""
    ledger = count(convention, graph, schedule, input_place)
    counted: Comparison = count_as(convention, graph, schedule, input_place)
    sram = SramInfo(
        peak_bytes=counted.total_bytes,
        arena_bytes=counted.arena_bytes,
        scratch_bytes=counted.scratch_bytes,
        persistent_bytes=counted.persistent_bytes,
        budget_bytes=own.budget_bytes,
        fits=counted.total_bytes <= own.budget_bytes,
        peak=None,
        banks=_banks(board, counted.total_bytes, []),
        basis=counted.basis,
    )
    parts = tuple(PartInfo(part.name, part.size_bytes, part.why) for part in ledger.parts)
    warning = f"SRAM: counted as {convention.name} ({convention.what})"
    # Nobody has published how such a runtime places buffers: there is no figure of its own to compare with.
    if runtime.counted_by:
        warning += f", as nobody has published where {runtime.name} puts buffers."
    else:
        warning += f"; {runtime.name} itself takes {own.peak_bytes:,} bytes."
    return sram, ConventionInfo(convention.name, convention.basis, convention.what, parts), warning


def _peak(program: Program, alive_bytes: list[int]) -> PeakInfo | None:
    """The first step at which most is alive. The arena may be larger than that: a plan can leave gaps."""
    plain = program.plain
    if not alive_bytes or (plain is None and not any(stage.steps for stage in program.stages)):
        return None
    time = alive_bytes.index(max(alive_bytes))
    buffers = [program.buffers[index] for index in _alive_at(program, time)]
    alive = [AliveInfo(_name_of(buffer), buffer.size_bytes) for buffer in buffers if buffer.kind.is_planned]
    if plain is not None:
        stage, step, layer = 0, time, program.graph.nodes[plain.nodes[time]].name
    else:
        stage, step = _locate(program, time)
        layer = program.name_of(program.stages[stage].steps[step])
    return PeakInfo(stage, step, layer, tuple(sorted(alive, key=lambda item: -item.bytes)))


def _alive_at(program: Program, time: int) -> Sequence[int]:
    """Buffers by number."""
    buffers = program.buffers
    if isinstance(buffers, Buffers):
        return buffers.lives.alive_at[time]
    return [index for index, (_, _, first, end, *_) in enumerate(buffers) if first <= time < end]


def _name_of(buffer: Buffer) -> str:
    """As the model names it; a tensor without a name goes by its number."""
    return buffer.name or (f"tensor {buffer.tensor}" if buffer.tensor != ABSENT else str(buffer.kind))


def _locate(program: Program, time: int) -> tuple[int, int]:
    for index, stage in enumerate(program.stages):
        if time < len(stage.steps):
            return index, time
        time -= len(stage.steps)
    raise IndexError(time)


def _at_peak(memory: PlacedNetwork, persistent_bytes: int) -> list[tuple[str, int, int]]:
    """(name, offset, end) of what is there at the fullest step."""
    _, program, placement, alive_bytes, _ = memory
    time = alive_bytes.index(max(alive_bytes)) if alive_bytes else 0
    alive = [
        (_name_of(buffer), offset, offset + buffer.size_bytes)
        for index in _alive_at(program, time)
        for buffer, offset in [(program.buffers[index], placement.offset_bytes[index])]
        if buffer.size_bytes and buffer.kind is not BufferKind.PERSISTENT
    ]
    top = placement.arena_bytes + placement.held_bytes
    return [*alive, ("persistent", top, top + persistent_bytes)] if persistent_bytes else alive


def _banks(board: Board, peak: int, there: list[tuple[str, int, int]]) -> tuple[BankInfo, ...]:
    """The banks of the arena's run, filled from the lowest address, then the others, empty.

    What does not fit shows in the last bank of the run: more is used there than it has.
    """
    banks = []
    run, start = board.arena_run, 0
    for bank in run:
        end = start + bank.size_bytes
        used = max(peak - start if bank is run[-1] else min(peak, end) - start, 0)
        # The last bank takes the blame for what does not fit anywhere.
        last = end if bank is not run[-1] else max(end, peak)
        names = tuple([name for name, low, high in there if low < last and high > start])
        reserved = board.reserved_in(bank)
        banks.append(BankInfo(bank.name, bank.address, bank.size_bytes, used, str(bank.kind), True, names, reserved))
        start = end
    others = [bank for bank in board.memory if bank not in run]
    banks += [BankInfo(b.name, b.address, b.size_bytes, 0, str(b.kind), False, ()) for b in others]
    return tuple(banks)


def _bytes_in_pieces(board: Board, peak: int, budget_bytes: int) -> str:
    """A warning where the chip has the bytes, but not in one piece; "" elsewhere."""
    in_one_piece = board.sram_budget_bytes
    if peak <= budget_bytes or budget_bytes != in_one_piece or peak > board.sram_bytes:
        return ""
    run = " + ".join(bank.name for bank in board.arena_run)
    return (
        f"SRAM: all banks of {board.name} together have {board.sram_bytes:,} bytes, but the largest piece ({run}) has "
        f"{in_one_piece:,}; `mcusim plan MODEL --profile {board.name}` shows what would lie where."
    )


def untold_input(board: Board, outside_bytes: int) -> str:
    """What must be so where the input lies outside and the board has no memory there; "" where nothing must."""
    if not outside_bytes or any(not bank.is_on_chip for bank in board.memory):
        return ""
    return (
        f"SRAM: the input ({outside_bytes:,} bytes) is not counted: it lies outside, and {board.name} has no external "
        "memory. A camera or flash must give it region by region; --input arena counts it."
    )


def _cost_of_external(board: Board, program: Program) -> str:
    """A warning of what an arena in external memory costs; "" for one on the chip."""
    run = board.arena_run
    if not run or run[0].is_on_chip:
        return ""
    # Each tensor is counted once a step. Caches would save some of it, and re-reading in kernels would add to it.
    moved = sum(moved_bytes(program).values())
    rate = run[0].bytes_per_second
    cost = f"at least {moved / rate * 1e3:,.1f} ms more" if rate else "its rate (bytes_per_second) is not known"
    return f"time: {moved:,} bytes are read and written in {run[0].name}, external memory: {cost}, not counted here."


# ---------------------------------------------------------------------------------------------------------------------
# Flash


def flash_info(
    graph: Graph,
    runtime: Runtime,
    weight_bytes: int,
    budget_bytes: int,
    firmware: LinkedFirmware | None = None,
) -> tuple[FlashInfo, tuple[str, ...]]:
    """What is stored, as the runtime's rules have it or as `firmware` was linked; and warnings."""
    stored = runtime.flash(graph) if firmware is None else flash_of_firmware(graph, runtime, firmware)
    warnings = [f"flash: {stored.warning}."] if stored.warning else []
    total = stored.total_bytes
    # What is known without the code's size: too much is certain even so.
    at_least = (stored.model_bytes or weight_bytes) + (stored.code_bytes or 0)
    sizes = (stored.model_bytes, weight_bytes, stored.code_bytes, total, budget_bytes)
    if total is None or stored.code_bytes is None:
        return FlashInfo(*sizes, None if at_least <= budget_bytes else False, stored.basis), tuple(warnings)
    # The model's bytes are exact; only the code is an estimate, so only its error moves the verdict.
    error = 0 if firmware is not None else round(stored.code_bytes * runtime.code_error)
    low, high = total - error, total + error
    fits = True if high <= budget_bytes else False if low > budget_bytes else None
    if fits is None:
        interval = f"{low:,} to {high:,} bytes, as the size of the code is an estimate"
        warnings.append(
            f"flash: not sure whether {budget_bytes:,} bytes hold it: it takes {interval}; --map FILE settles it."
        )
    return FlashInfo(*sizes, fits, stored.basis, low, high), tuple(warnings)
