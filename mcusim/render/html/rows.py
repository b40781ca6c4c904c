"""Rows of the page's tables: layers, operators, stages, banks, flash."""

from __future__ import annotations

import math
from typing import NamedTuple

from mcusim.render.html.summary import CAUSES, cycles_of
from mcusim.render.layers import executed
from mcusim.render.stages import more_macs, pieces_of
from mcusim.render.text import UNICODE, shape_text
from mcusim.report import BankInfo, LayerInfo, Report, StageInfo
from mcusim.simulation.dossier import Dossier
from mcusim.units import cycles_to_ms

__all__ = ["FlashRow", "LayerRow", "bank_rows", "flash_items", "layer_rows", "operators", "stage_rows"]

HEAVY_SHARE = 1 / 3
"""The layers that are marked heavy take so much of the time together: the fewest that do."""


class Slice(NamedTuple):
    """A piece of a bar. key: names its colour.   start, percent: of the bar's length."""

    key: str
    start: float
    percent: float


class LayerRow(NamedTuple):
    """One node. runs: whether the runtime carries it out.   is_peak: SRAM is fullest here.   is_heavy: much time."""

    layer: LayerInfo
    shape: str
    elements: int
    ms: float | None
    share: float | None
    sram_percent: float
    slices: tuple[Slice, ...]
    causes: tuple[int | None, ...]
    runs: bool
    is_peak: bool
    is_over: bool
    is_heavy: bool


def layer_rows(report: Report) -> list[LayerRow]:
    """Every node, in the order of the network."""
    running = {layer.index for layer in executed(report)}
    heavy = _heavy(report)
    most_bytes = max((layer.sram_bytes for layer in report.layers), default=0) or 1
    most_cycles = max((layer.cycles or 0 for layer in report.layers), default=0) or 1
    peak = report.sram.peak
    return [
        LayerRow(
            layer,
            shape_text(layer.output_shape, UNICODE),
            math.prod(layer.output_shape),
            None if layer.cycles is None else cycles_to_ms(layer.cycles, report.profile.clock_hz),
            None if layer.cycles is None or not report.latency.cycles else layer.cycles / report.latency.cycles,
            layer.sram_bytes / most_bytes * 100,
            _slices(layer, most_cycles),
            tuple(cycles_of(layer, key) for key, _, _ in CAUSES),
            layer.index in running,
            peak is not None and peak.layer == layer.name and layer.index in running,
            layer.sram_bytes > report.sram.budget_bytes,
            layer.index in heavy,
        )
        for layer in report.layers
    ]


def _heavy(report: Report) -> set[int]:
    """The fewest layers that take a third of the time."""
    left = (report.latency.cycles or 0) * HEAVY_SHARE
    heavy = set()
    for layer in sorted(report.layers, key=lambda layer: -(layer.cycles or 0)):
        if left <= 0:
            break
        heavy.add(layer.index)
        left -= layer.cycles or 0
    return heavy


def _slices(layer: LayerInfo, most_cycles: int) -> tuple[Slice, ...]:
    slices, start = [], 0.0
    for key, _, _ in CAUSES:
        percent = (cycles_of(layer, key) or 0) / most_cycles * 100
        if percent:
            slices.append(Slice(key, start, percent))
        start += percent
    return tuple(slices)


class OperatorRow(NamedTuple):
    """All layers of one operator together. share, percent: of the time, and of the bar's length."""

    op: str
    layers: int
    macs: int
    weight_bytes: int
    cycles: int | None
    ms: float | None
    share: float | None
    percent: float


def operators(report: Report) -> list[OperatorRow]:
    """The layers that run, by operator, the most expensive first."""
    groups: dict[str, list[LayerInfo]] = {}
    for layer in executed(report):
        groups.setdefault(layer.op, []).append(layer)
    cycles = {op: sum(layer.cycles or 0 for layer in alike) for op, alike in groups.items()}
    total, most, known = report.latency.cycles, max(cycles.values(), default=0) or 1, report.latency.ms is not None
    return [
        OperatorRow(
            op,
            len(groups[op]),
            sum(layer.macs for layer in groups[op]),
            sum(layer.weight_bytes for layer in groups[op]),
            spent if known else None,
            cycles_to_ms(spent, report.profile.clock_hz) if known else None,
            spent / total if known and total else None,
            spent / most * 100,
        )
        for op, spent in sorted(cycles.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


class StageRow(NamedTuple):
    """A stage that runs in pieces."""

    stage: StageInfo
    pieces: str
    reads: str
    more: str


def stage_rows(report: Report) -> list[StageRow]:
    """The cut stages; none of a network that runs layer by layer."""
    return [
        StageRow(
            stage, pieces_of(stage, UNICODE), UNICODE.times.join(map(str, stage.input_piece)), more_macs(report, stage)
        )
        for stage in report.schedule.stages
        if stage.kind != "layer"
    ]


class BankRow(NamedTuple):
    bank: BankInfo
    percent: float
    is_over: bool


def bank_rows(report: Report) -> list[BankRow]:
    """The banks of the board."""
    return [
        BankRow(bank, min(bank.used_bytes / bank.size_bytes, 1) * 100, bank.used_bytes > bank.size_bytes)
        for bank in report.sram.banks
    ]


class FlashRow(NamedTuple):
    """A line of the flash ledger. kind: model or code.   basis: of code."""

    kind: str
    name: str
    size_bytes: int | None
    why: str
    basis: str
    percent: float


def flash_items(dossier: Dossier) -> list[FlashRow]:
    """The ledger: what is stored of the model, then code."""
    ledger = dossier.ledger
    rows = [("model", i.name, i.size_bytes, i.why, "") for i in ledger.model]
    rows += [("code", i.name, i.size_bytes, i.why, str(i.basis)) for i in ledger.code if i.size_bytes is not None]
    total = sum(row[2] for row in rows) or 1
    items = [FlashRow(*row, max(row[2], 0) / total * 100) for row in rows]
    return [*items, *[FlashRow("code", i.name, None, i.why, "", 0) for i in ledger.code if i.size_bytes is None]]
