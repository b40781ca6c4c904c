"""Why a time is what it is: for the slowest layers what was measured nearest, and how the interval came about."""

from __future__ import annotations

from typing import NamedTuple

from mcusim.boards.board import Board
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.ops import OPS
from mcusim.pricing.evidence import IntervalReason, LayerReason, interval_reason, layer_reasons
from mcusim.pricing.measurements import add_efforts
from mcusim.pricing.places import Place, find_place
from mcusim.pricing.prices import coefficients, step_work
from mcusim.pricing.stored import Calibration, arena_memory, package_calibration
from mcusim.report import LayerInfo, Report
from mcusim.runtimes import Runtime
from mcusim.schedule import parse_schedule

__all__ = ["SLOWEST", "TimeReasons", "time_reasons"]

SLOWEST = 5
"""Layers that are explained."""


class TimeReasons(NamedTuple):
    """What a report's time rests on.   layers: the slowest, each with what was measured nearest."""

    place: Place
    layers: tuple[tuple[LayerInfo, LayerReason], ...]
    interval: IntervalReason


def time_reasons(
    report: Report, graph: Graph, board: Board, runtime: Runtime, calibration: Calibration | None = None
) -> TimeReasons | None:
    """Of a report's time; None where it has none.   calibration: the package's own if None."""
    chosen, memory = calibration or package_calibration(), arena_memory(board)
    place, prices = find_place(chosen, runtime, board, memory), coefficients(runtime, board, memory, calibration)
    if place is None or prices is None or report.latency.ms is None:
        return None
    program = lower(graph, parse_schedule(report.schedule.spec), runtime.rules)
    amounts = add_efforts(step_work(step) for step in program.body() if step.signature.op in OPS)
    slowest = sorted(report.layers, key=lambda layer: -(layer.cycles or 0))[:SLOWEST]
    reasons = {
        reason.node: reason for reason in layer_reasons(graph, [layer.index for layer in slowest], place, chosen)
    }
    explained = tuple((layer, reasons[layer.index]) for layer in slowest if layer.index in reasons)
    return TimeReasons(place, explained, interval_reason(amounts, prices, place))
