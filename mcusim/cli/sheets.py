"""Reports as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mcusim.render.naming import distinct_names
from mcusim.render.sheets import sheet
from mcusim.units import cycles_to_ms

if TYPE_CHECKING:
    from mcusim.advising.remedies import Remedy
    from mcusim.evaluating import Evaluation
    from mcusim.memory.counting import Comparison
    from mcusim.memory.planning import MemoryPlan
    from mcusim.precision import LayerBits
    from mcusim.pricing.scoring import Prediction
    from mcusim.pricing.validation import Group
    from mcusim.program import Program
    from mcusim.report import Report
    from mcusim.searching import Front
    from mcusim.searching.stage_maps import StageMap

__all__ = ["bits_csv", "boards_csv", "front_csv", "layers_csv", "predictions_csv", "remedies_csv", "validation_csv"]

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
    return sheet(columns, lines)


VALIDATION_COLUMNS = (
    "left_out",
    "id",
    "source",
    "model",
    "family",
    "runtime",
    "version",
    "option",
    "core",
    "board",
    "memory",
    "clock_hz",
    "measured_ms",
    "predicted_ms",
    "low_ms",
    "high_ms",
    "error",
    "inside",
    "macs_only_ms",
    "earlier_ms",
)


def validation_csv(predictions: Mapping[Group, Iterable[Prediction]]) -> str:
    """One line a measured time and experiment: what was measured, and what is predicted without its group."""
    lines = []
    for group, rows in predictions.items():
        for p in rows:
            row, system = p.row, p.row.system
            times = [round(p.measured_ms, 5), *(round(ms, 5) for ms in p.guess), round(p.error, 5), p.is_inside]
            others = [round(p.macs_only.ms, 5), None if p.earlier is None else round(p.earlier.ms, 5)]
            what = (system.runtime, system.version, system.option, system.core, system.board, system.memory)
            lines.append([group, row.id, row.source, row.model, p.family, *what, row.clock_hz, *times, *others])
    return sheet(VALIDATION_COLUMNS, lines)


def boards_csv(reports: Sequence[Report]) -> str:
    """One line a board."""
    names = distinct_names([(report.model.name, report.model.source) for report in reports])
    return sheet(
        BOARD_COLUMNS,
        [
            [
                report.profile.name,
                report.verdict,
                name,
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
            for report, name in zip(reports, names, strict=True)
        ],
    )


def front_csv(front: Front) -> str:
    """One line a schedule of a front, cheapest first."""
    columns = (
        "schedule",
        "input",
        "peak_bytes",
        "live_bytes",
        "gap_bytes",
        "cycles",
        "ms",
        "macs",
        "recomputed_macs",
        "halo_bytes",
        "fits",
    )
    return sheet(columns, [[getattr(p, {"input": "input_place"}.get(c, c)) for c in columns] for p in front.points])


def remedies_csv(remedies: Iterable[Remedy]) -> str:
    """One line a remedy, best first."""
    columns = ("kind", "what", "keeps_outputs", "sram_bytes", "flash_bytes", "ms", "fits", "command")
    return sheet(columns, [[getattr(remedy, column) for column in columns] for remedy in remedies])


def bits_csv(layers: Iterable[LayerBits]) -> str:
    """One line a layer, with the bits of its input, weights and output."""
    columns = ("node", "name", "op", "input_bits", "weight_bits", "output_bits", "weight_bytes", "activation_bytes")
    return sheet(columns, [[getattr(layer, column) for column in columns] for layer in layers])


def maps_csv(program: Program, maps: Iterable[StageMap]) -> str:
    """One line a piece of each map along each axis: what is computed in it (of an input: read) and found cached."""
    columns = ("map", "tensors", "nodes", "height", "width", "axis", "piece", "start", "stop")
    lines: list[list[object]] = []
    for number, one in enumerate(maps):
        names = [program.graph.tensors[tensor].name for tensor in one.tensors]
        head = [number, " ".join(names), " ".join(map(str, one.nodes)), one.height, one.width]
        for axis, spans in (("rows", one.rows), ("cols", one.cols)):
            for piece, span in enumerate(spans):
                kept = one.cached[piece] if axis == "rows" and one.cached else (None, None)
                lines.append([*head, axis, piece, *span, *kept])
    return sheet((*columns, "cached_start", "cached_stop"), lines)


def tenants_csv(plan: MemoryPlan) -> str:
    """One line a buffer: where it lies and on which steps."""
    from mcusim.memory.planning import Tenant

    return sheet(Tenant._fields, plan.tenants())


def comparisons_csv(rows: Iterable[Comparison]) -> str:
    """One line a way of counting."""
    columns = ("name", "kind", "total_bytes", "arena_bytes", "scratch_bytes", "persistent_bytes", "basis", "what")
    return sheet(columns, [[getattr(row, column) for column in columns] for row in rows])


def predictions_csv(evaluation: Evaluation) -> str:
    """One line a sample, in the order of the data set; of a detector, one line a box."""
    names = [row.name for row in evaluation.classes]
    if any(prediction.boxes for prediction in evaluation.predictions):
        columns = ("sample", "label", "class", "score", "left", "top", "right", "bottom")
        boxes = [
            (p.name, names[b.label] if b.label < len(names) else "", b) for p in evaluation.predictions for b in p.boxes
        ]
        return sheet(columns, [[name, box.label, known, *box[1:]] for name, known, box in boxes])
    columns = ("sample", "label", "class", "predicted", "predicted_class", "correct", "top5", "score")
    lines = []
    for p in evaluation.predictions:
        first = p.ranked[0] if p.ranked else None
        guess = ["", "", ""] if first is None else [first, names[first], int(first == p.label)]
        lines.append([p.name, p.label, names[p.label], *guess, " ".join(map(str, p.ranked)), p.score])
    return sheet(columns, lines)
