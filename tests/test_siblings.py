"""Where less was measured no answer is surer: builds, boards, and copies of boards that nobody measured."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mcusim.boards import board_names, load_board
from mcusim.boards.board import Board
from mcusim.pricing.fitting import package_evidence
from mcusim.pricing.prices import Coefficients, coefficients
from mcusim.pricing.stored import arena_memory, package_calibration
from mcusim.pricing.systems import System
from mcusim.runtimes import find_runtime

MEASURED = {system: networks for system, networks in package_calibration().fit.measured.items() if networks}
AMOUNTS = list({row.network: row.amounts for row in package_evidence() if not row.is_kernel}.values())
RUNTIMES = ["x-cube-ai", "tflm-cmsis-nn", "tflm", "hale", "plumerai", "tinyengine"]
BOARDS = ["stm32u585", "stm32l496", "stm32h743", "stm32f746", "nrf52840"]


def build_of(system: System) -> str:
    return f"{system.version}+{system.option}" if system.option else system.version


def prices(name: str, board: Board) -> Coefficients:
    answer = coefficients(find_runtime(name), board, arena_memory(board))
    assert answer is not None
    return answer


def narrower(guess: Coefficients, known: Coefficients) -> list[float]:
    """By how much each measured network's interval is narrower where it is."""
    by = [known.interval(amounts).high / guess.interval(amounts).high for amounts in AMOUNTS]
    return [ratio for ratio in by if ratio > 1.0 + 1e-9]


@pytest.mark.slow
@pytest.mark.parametrize("board_name", BOARDS)
@pytest.mark.parametrize("runtime_name", RUNTIMES)
def test_a_build_that_nobody_measured_on_a_board_is_no_surer_than_where_somebody_did(
    runtime_name: str, board_name: str
) -> None:
    """Another build on the board itself, and the same build on the only other board of its core, or of its series."""
    board, runtime = load_board(board_name), find_runtime(runtime_name)
    kin = [system for system in MEASURED if system.runtime == runtime.price_family and not system.memory]
    for build in sorted({build_of(system) for system in kin}):
        on_core = [s for s in kin if build_of(s) == build and s.core == board.core]
        of_series = [s for s in on_core if board_name.startswith(s.series)]
        if any(system.board == board_name for system in on_core):
            continue
        guess = prices(f"{runtime_name}@{build}", board)
        for alone in (on_core, of_series):
            if len(alone) == 1 and alone[0].board in board_names():
                other = load_board(alone[0].board)
                assert not narrower(guess, prices(f"{runtime_name}@{build}", other)), build
        here = [system for system in kin if system.board == board_name]
        if len(here) == 1:
            assert not narrower(guess, prices(f"{runtime_name}@{build_of(here[0])}", board)), build


@pytest.mark.slow
@pytest.mark.parametrize("board_name", ["stm32u575", "stm32l4r5", "stm32h747", "stm32f746", "nrf52840"])
@pytest.mark.parametrize("name", [*RUNTIMES, "x-cube-ai@10.2+mlperf", "x-cube-ai@8.1"])
def test_a_copy_of_a_measured_board_under_another_name_is_no_surer_than_the_board(name: str, board_name: str) -> None:
    board = load_board(board_name)
    assert not narrower(prices(name, replace(board, name="mine")), prices(name, board))
