"""Network + board + schedule -> the C of it, and the Report that predicts what that C takes.

The Program that is emitted is the one that was placed, priced and can be executed: `simulate` and `execute` lower the
same graph by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.boards.board import Board
from mcusim.errors import InputError, ModelError, PlanError
from mcusim.execution import execute
from mcusim.execution.preparation import Preparation, prepare
from mcusim.execution.sessions import Session
from mcusim.firmware.emit import Goal, Network, Sources, sources
from mcusim.firmware.kits import drawn_inputs, kit_files, refuse_without_kit
from mcusim.firmware.project import project_files
from mcusim.firmware.text import checked_name
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import Graph
from mcusim.lowering.rules import InputPlace
from mcusim.ops.registry import Numerics
from mcusim.question.arguments import the_board, the_graph, the_input_place, the_runtime, the_schedule
from mcusim.report import Report
from mcusim.schedule import Schedule
from mcusim.simulation.simulate import simulate

__all__ = ["CODEGEN_RUNTIME", "Firmware", "codegen", "flash_kit", "network_of", "seeded"]

CODEGEN_RUNTIME = "mcusim"


@dataclass(frozen=True, slots=True, eq=False)
class Firmware:
    """The C of a network.   files: text by path.   report: what it was predicted to take."""

    files: Mapping[str, str]
    report: Report


def codegen(
    model: Graph | str | PathLike[str] | Mapping[str, Any],
    *,
    profile: Board | str | PathLike[str],
    schedule: Schedule | str = "layer",
    name: str = "model",
    input_place: InputPlace | str | None = None,
    optimise: str = "speed",
    seed: int = 0,
) -> Firmware:
    """The C of a network for a board.

    schedule: see `mcusim.schedule`; `auto` is the best that fits the board.   name: prefixes every symbol.
    input_place: `arena` or `external`; as for `simulate` if None.   optimise: `speed`, or `size` of the code.
    seed: draws the weights of published networks.
    Raises McusimError where an option is wrong, an operator has no kernel in C, or the network does not fit the board.
    """
    board = the_board(profile)
    network, made, report = _emitted(the_graph(model), board, schedule, name, input_place, optimise, seed)
    files = {**made.files, **project_files(network, made, board, report.schedule.spec)}
    return Firmware({**files, "prediction.json": report.to_json() + "\n"}, report)


def flash_kit(
    model: Graph | str | PathLike[str] | Mapping[str, Any],
    *,
    profile: Board | str | PathLike[str],
    schedule: Schedule | str = "layer",
    name: str = "model",
    input_place: InputPlace | str | None = None,
    optimise: str = "speed",
    seed: int = 0,
) -> Firmware:
    """A project that runs a network on a board and prints what each layer takes, for `mcusim calibrate`.

    Arguments as for `codegen`.
    Raises McusimError as that does, and for boards without start-up code here.
    """
    board = the_board(profile)
    refuse_without_kit(board)
    network, made, report = _emitted(the_graph(model), board, schedule, name, input_place, optimise, seed)
    outputs = execute(network.graph, _kit_inputs(network.graph, drawn_inputs(network, board, made)))
    files = kit_files(network, made, board, report.schedule.spec, _hashed(outputs))
    return Firmware({**files, "prediction.json": report.to_json() + "\n"}, report)


def _emitted(
    model: Graph,
    board: Board,
    schedule: Schedule | str,
    name: str,
    input_place: InputPlace | str | None,
    optimise: str,
    seed: int,
) -> tuple[Network, Sources, Report]:
    """The network, its C, and the report that predicts what that takes."""
    prefix, goal = checked_name(name), _goal(optimise)
    graph = seeded(model, seed)
    report = simulate(graph, profile=board, runtime=CODEGEN_RUNTIME, schedule=schedule, input_place=input_place)
    found_schedule = the_schedule(report.schedule.spec)
    network, _ = network_of(graph, found_schedule, prefix, input_place)
    made = sources(network, goal)  # an operator without a kernel is named before a budget is
    _refuse_what_does_not_fit(report, board)
    if made.arena_bytes != report.sram.peak_bytes:
        what = f"its C takes {made.arena_bytes:,} bytes of SRAM, and {report.sram.peak_bytes:,} were predicted"
        raise PlanError(what, where=f"network '{graph.name}'", fix="this is a bug in mcusim: report it")
    return network, made, report


def _kit_inputs(graph: Graph, are_drawn: Sequence[bool]) -> list[NDArray[Any]]:
    """The bytes that a kit's main.c gives the network: drawn ones and zeros."""
    state, arrays = 1, []
    for index, is_drawn in zip(graph.inputs, are_drawn, strict=True):
        tensor = graph.tensors[index]
        content = bytearray(tensor.size_bytes)
        for place in range(tensor.size_bytes if is_drawn else 0):
            # The constants of main.c: a linear congruential generator, of which the upper byte is taken.
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            content[place] = state >> 24
        arrays.append(np.frombuffer(bytes(content), tensor.dtype.unpacked.value).reshape(tensor.shape))
    return arrays


def _hashed(outputs: Sequence[NDArray[Any]]) -> int:
    """FNV-1a of the outputs' bytes."""
    value = 2166136261
    for byte in b"".join(np.ascontiguousarray(output).tobytes() for output in outputs):
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def _goal(name: str) -> Goal:
    try:
        return Goal(name.strip().lower())
    except ValueError:
        fix = f"use {' or '.join(Goal)}"
        raise InputError(f"{name!r:.60} is nothing to optimise", where="--optimise", fix=fix) from None


def seeded(graph: Graph, seed: int) -> Graph:
    """The network; with drawn weights where only its architecture is known."""
    unknown = any(tensor.is_constant and tensor.constant is None for tensor in graph.tensors)
    return with_seeded_weights(graph, seed) if unknown else graph


def network_of(
    graph: Graph, schedule: Schedule, name: str, input_place: InputPlace | str | None = None
) -> tuple[Network, Preparation]:
    """What is emitted, and the preparation that executes the same."""
    runtime = the_runtime(CODEGEN_RUNTIME)
    place = the_input_place(input_place, runtime, schedule)
    ready = prepare(graph, schedule, runtime, Numerics.TFLM, place)
    placement = ready.placement
    placed_bytes = placement.arena_bytes + placement.held_bytes + placement.kept_bytes
    prepared = tuple([step.prepared for step in ready.steps])
    values = Session(ready).first_values()
    return Network(name, ready.program, prepared, placement.offset_bytes, placed_bytes, values), ready


def _refuse_what_does_not_fit(report: Report, board: Board) -> None:
    for what, fits, taken, budget in (
        ("SRAM", report.sram.fits, report.sram.with_stack_bytes, report.sram.budget_bytes),
        ("flash", report.flash.fits, report.flash.total_bytes, report.flash.budget_bytes),
    ):
        if fits is False and taken is not None:
            raise ModelError(
                f"it takes {taken:,} bytes of {what} under schedule '{report.schedule.spec}', and there are {budget:,}",
                where=f"board '{board.name}'",
                fix="`mcusim fit` ranks what helps; --schedule auto finds a schedule that fits, where there is one"
                if what == "SRAM"
                else "take a board with more flash, or a smaller network",
            )
