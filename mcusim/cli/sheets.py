"""Reports as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mcusim.units import cycles_to_ms

if TYPE_CHECKING:
    from mcusim.report import Report

__all__ = ["boards_csv", "layers_csv"]

BOARD_COLUMNS = (
    "profile",
    "verdict",
    "model",
    "runtime",
    "sram_peak_bytes",
    "sram_budget_bytes",
    "flash_total_bytes",
    "flash_budget_bytes",
    "cycles",
    "ms",
    "low_ms",
    "high_ms",
    "energy_uj",
)


def layers_csv(report: Report) -> str:
    """One line a layer: the fields of LayerInfo, and `ms` behind `cycles`."""
    from mcusim.report import LayerInfo

    columns = list(LayerInfo._fields)
    columns.insert(columns.index("cycles") + 1, "ms")
    lines = []
    for layer in report.layers:
        fields = layer._asdict()
        fields["output_shape"] = "x".join(map(str, layer.output_shape))
        fields["ms"] = None if layer.cycles is None else cycles_to_ms(layer.cycles, report.profile.clock_hz)
        lines.append([fields[name] for name in columns])
    return _sheet(columns, lines)


def boards_csv(reports: Iterable[Report]) -> str:
    """One line a board."""
    return _sheet(
        BOARD_COLUMNS,
        [
            [
                report.profile.name,
                report.verdict,
                report.model.name,
                report.runtime.name,
                report.sram.peak_bytes,
                report.sram.budget_bytes,
                report.flash.total_bytes,
                report.flash.budget_bytes,
                report.latency.cycles,
                report.latency.ms,
                report.latency.low_ms,
                report.latency.high_ms,
                None if report.energy is None else report.energy.uj,
            ]
            for report in reports
        ],
    )


def _sheet(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return text.getvalue()
