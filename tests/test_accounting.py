"""What is said of SRAM and flash beside the totals: the peak, the banks and the edges of the budgets.

Each is worked out again from the plan, or from a budget that is one byte too small.
"""

from __future__ import annotations

import msgspec
import pytest

import mcusim
from mcusim.boards import MemoryBank, load_board
from mcusim.lowering.rules import UNPACKED_WEIGHTS
from mcusim.memory.planning import plan_memory
from mcusim.report import Report
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import parse_schedule

F412 = load_board("stm32f412")


def simulated(name: str, runtime: str, **options: object) -> Report:
    return mcusim.simulate(name, **{"profile": F412, "runtime": runtime, **options})


def starting(report: Report, words: str) -> list[str]:
    return [warning for warning in report.warnings if warning.startswith(words)]


@pytest.mark.parametrize(
    ("name", "runtime", "schedule"),
    [
        ("smallcifar", "tflm", "layer"),
        ("mcunet-in0", "tinyengine", "layer"),
        ("mcunet-in0", "tinyengine", "patch:2x2@6"),
        ("mcunet-vww0", "mcusim", "layer@2+patch:2x2@4"),
        ("mcunet-vww0", "mcusim", "stream:4@6"),
    ],
)
def test_the_peak_is_the_first_step_at_which_most_is_alive(name: str, runtime: str, schedule: str) -> None:
    plan = plan_memory(mcusim.load(name), runtime, schedule=parse_schedule(schedule))
    planned = [buffer for buffer in plan.program.buffers if buffer.kind.is_planned]
    steps = [
        (index, at, step) for index, stage in enumerate(plan.program.stages) for at, step in enumerate(stage.steps)
    ]
    alive = [
        {buffer.name: buffer.size_bytes for buffer in planned if buffer.first <= time < buffer.end}
        for time in range(len(steps))
    ]
    sizes = [sum(each.values()) for each in alive]
    time = sizes.index(max(sizes))
    peak = simulated(name, runtime, schedule=schedule).sram.peak
    assert peak is not None
    assert (peak.stage, peak.step) == steps[time][:2]
    assert peak.layer == plan.program.name_of(steps[time][2])
    assert {item.name: item.bytes for item in peak.alive} == alive[time]
    assert [item.bytes for item in peak.alive] == sorted(alive[time].values(), reverse=True)
    assert plan.fragmentation == pytest.approx(1 - max(sizes) / plan.arena_bytes)


@pytest.mark.parametrize("name", [name for name, runtime in RUNTIMES.items() if runtime.stack_bytes])
def test_the_stack_must_fit_too_and_is_said_where_it_does_not(name: str) -> None:
    sram = simulated("smallcifar", name).sram
    peak, stack = sram.peak_bytes, RUNTIMES[name].stack_bytes or 0
    for budget, fits, is_said in (
        (peak - 1, False, False),
        (peak, False, True),
        (peak + stack - 1, False, True),
        (peak + stack, True, False),
    ):
        report = simulated("smallcifar", name, sram_budget_bytes=budget)
        assert report.sram.fits is fits, budget
        warnings = starting(report, "SRAM: the stack takes")
        assert bool(warnings) is is_said, budget
        if warnings:
            assert f"{stack:,} bytes, and {budget - peak:,} are free" in warnings[0]


@pytest.mark.parametrize("name", ["tflm-cmsis-nn", "tinyengine"])
def test_flash_is_not_sure_between_its_bounds(name: str) -> None:
    flash = simulated("smallcifar", name).flash
    assert flash.total_bytes is not None
    assert flash.code_bytes is not None
    error = round(flash.code_bytes * RUNTIMES[name].code_error)
    assert error > 0
    low, high = flash.total_bytes - error, flash.total_bytes + error
    for budget, fits in ((low - 1, False), (low, None), (high - 1, None), (high, True)):
        report = simulated("smallcifar", name, flash_budget_bytes=budget)
        assert report.flash.fits is fits, budget
        assert (report.flash.low_bytes, report.flash.high_bytes) == (low, high)
        assert bool(starting(report, "flash: not sure")) is (fits is None)


def test_two_pieces_are_named_where_only_both_together_would_do() -> None:
    peak = simulated("smallcifar", "tflm").sram.peak_bytes
    first = F412.memory[0]
    for rest, is_said in ((4096, True), (4097, True), (4095, False)):
        banks = (
            msgspec.structs.replace(first, size_bytes=peak - 4096),
            MemoryBank(name="AWAY", address=0x1000_0000, size_bytes=rest, kind=first.kind),
        )
        board = msgspec.structs.replace(F412, memory=banks)
        assert bool(starting(simulated("smallcifar", "tflm", profile=board), "SRAM: all banks")) is is_said, rest
        asked = simulated("smallcifar", "tflm", profile=board, sram_budget_bytes=peak - 1, what_if=True)
        assert not starting(asked, "SRAM: all banks")


def test_unpacked_weights_are_said_with_the_largest_layer() -> None:
    name = "mcunet-256kb-int4"
    report = simulated(name, "tflm")
    plan = plan_memory(mcusim.load(name), "tflm")
    unpacked = {b.name: b.size_bytes for b in plan.program.buffers if b.name.endswith(UNPACKED_WEIGHTS)}
    largest = max(unpacked, key=lambda name: unpacked[name])
    [warning] = starting(report, "SRAM: tflm unpacks weights")
    assert largest.partition(";")[0].removesuffix(UNPACKED_WEIGHTS).strip() in warning
    assert not starting(simulated("smallcifar", "tflm"), "SRAM: tflm unpacks weights")
