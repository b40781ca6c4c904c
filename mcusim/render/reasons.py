"""What stands behind times, as text: the reasons of one time, and all that was measured."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from mcusim.pricing.evidence import IntervalReason, LayerReason, Part, SystemEvidence
from mcusim.pricing.measurements import Measurement
from mcusim.render.text import Glyphs, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.report import LayerInfo, Report
from mcusim.simulation.reasons import TimeReasons
from mcusim.units import cycles_to_ms, format_ms

__all__ = ["evidence_lines", "reason_lines"]

_WORK = {
    "pointwise_mac": "multiply-accumulates of 1x1 convolutions",
    "pointwise_output": "outputs of 1x1 convolutions",
    "conv_mac": "multiply-accumulates of other convolutions",
    "conv_output": "outputs of other convolutions",
    "conv_gather": "elements gathered for convolutions",
    "conv_copy": "copies that gather them",
    "rest_mac": "remainders of inner loops",
    "depthwise_mac": "multiply-accumulates of depthwise convolutions",
    "depthwise_output": "outputs of depthwise convolutions",
    "dense_mac": "multiply-accumulates of dense layers",
    "dense_output": "outputs of dense layers",
    "element": "elements added or converted",
    "broadcast_element": "elements scaled by fewer",
    "activated": "elements of hard-swish",
    "looked_up": "elements of softmax, sigmoid, tanh",
    "pooled": "elements pooled",
    "reduced": "elements summed by MEAN and its like",
    "copied_element": "elements copied",
    "unpacked": "elements unpacked below 8 bits",
    "weight_byte": "weights read once",
    "weight_again": "weights read again, as no cache holds them",
    "call": "entering kernels",
}
_PARTS_SHOWN = 6
_OF_OWN = "That would leave out times of your own: the interval is as wide as they scatter. "


def reason_lines(report: Report, reasons: TimeReasons, width: int) -> list[Text]:
    """Why a report's time is what it is."""
    latency, interval = report.latency, reasons.interval
    lines = [Text(), *paragraph("Why this time", width, style="bold")]
    if latency.ms is None or latency.low_ms is None or latency.high_ms is None:
        return lines
    words = (
        f"{format_ms(latency.ms)}, {format_ms(latency.low_ms)} to {format_ms(latency.high_ms)} four times out of five. "
        f"{_capital(interval.evidence)}. What is known: {interval.known.value}. The prices of this network's work are "
        f"known to {100 * interval.prices:.1f} % (one standard deviation), measured times scatter by "
        f"{100 * interval.noise:.1f} % around them; both together are multiplied with {interval.scale:.2f}, which "
        f"left-out times of this kind ask for. {_of_sibling(interval)}By kind of work, how far each alone could move "
        "the time; measured sums tie them together, so they partly cancel:"
    )
    lines += [*paragraph(words, width), Text()]
    lines += [line for part in interval.parts[:_PARTS_SHOWN] for line in paragraph(_part(part), width, indent="  ")]
    lines += [Text(), *paragraph("The slowest layers, and what was measured nearest to them", width, style="bold")]
    for layer, reason in reasons.layers:
        lines += _layer_lines(report, layer, reason, width)
    return lines


def _of_sibling(interval: IntervalReason) -> str:
    if not interval.sibling:
        return _OF_OWN if interval.is_of_own else ""
    return f"That would be narrower than for {interval.sibling}, which was measured: the wider interval is used. "


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _part(part: Part) -> str:
    work = _WORK.get(part.work, part.work)
    return f"{100 * part.of_time:4.0f} % of the time, alone it moves it by {100 * part.deviation:4.1f} %: {work}"


def _layer_lines(report: Report, layer: LayerInfo, reason: LayerReason, width: int) -> list[Text]:
    ms = cycles_to_ms(layer.cycles or 0, report.profile.clock_hz)
    lines = paragraph(f"{layer.index} {layer.name}: {format_ms(ms)}. {reason.shape}", width, hanging="  ")
    for own in reason.own:
        words = (
            f"yours, {_far(own.octaves)}: {own.shape} in {own.layer.network}, {own.layer.name}, "
            f"{own.layer.cycles:,.0f} cycles, {_release(own.system.version, own.system.option)} on {own.system.board} "
            f"[{own.layer.row}]"
        )
        lines += paragraph(words, width, indent="  ", hanging="    ")
    for kernel in reason.kernels:
        row = kernel.row
        took = f"{row.cycles:,.0f} cycles"
        on = f"{row.system.runtime} {_release(row.system.version, row.system.option)} on {row.system.board}"
        words = f"kernel, {_far(kernel.octaves)}: {row.model}, {took}, {on} [{row.id}]"
        lines += paragraph(words, width, indent="  ", hanging="    ")
    for near in reason.layers:
        lines += paragraph(
            f"network, {_far(near.octaves)}: {near.shape} in {near.row.network_id}, {_time(near.row)}",
            width,
            indent="  ",
            hanging="    ",
        )
    if not reason.kernels and not reason.layers and not reason.own:
        lines += paragraph("nothing of its kind was measured", width, indent="  ", style="yellow")
    return lines


def _far(octaves: float) -> str:
    return "same shape" if octaves < 0.05 else f"{octaves:.1f} octaves away"


def _release(version: str, option: str) -> str:
    return f"{version}+{option}" if option else version


def _time(row: Measurement) -> str:
    system = row.system
    return f"{row.latency_ms} ms, {_release(system.version, system.option)} on {system.board} [{row.id}]"


_COLUMNS = (
    Column("runtime", whole=True),
    Column("version", whole=True),
    Column("board", whole=True),
    Column("core", drop=2),
    Column("times", right=True),
    Column("networks", right=True, drop=1),
    Column("kernels", right=True, drop=3),
)


def evidence_lines(systems: Sequence[SystemEvidence], details: bool, width: int, glyphs: Glyphs) -> list[Text]:
    """A row a system; with `details` every time below it, with its source."""
    times, kernels = sum(len(entry.rows) for entry in systems), sum(entry.kernels for entry in systems)
    words = f"{times} times of networks and {kernels} of single operators, measured on {len(systems)} systems"
    lines = [
        *paragraph(words, width, style="bold"),
        Text(),
        *table(_COLUMNS, [_row(e) for e in systems], width, glyphs),
    ]
    if not details:
        return [*lines, Text(), *paragraph("Every time with its source: --runtime R --profile B.", width, style="dim")]
    for entry in systems:
        if entry.rows:
            system = entry.system
            title = f"{system.runtime} {_release(system.version, system.option)} on {system.board}"
            lines += [Text(), *paragraph(title, width, style="bold")]
        for row in entry.rows:
            words = f"{row.id}  {row.latency_ms} ms at {row.clock_hz / 1e6:g} MHz  {row.model}: {row.source}"
            lines += paragraph(words, width, indent="  ", hanging="    ")
    return lines


def _row(entry: SystemEvidence) -> list[Cell | Bar]:
    system = entry.system
    board = f"{system.board}, external RAM" if system.memory else system.board
    networks = len({row.network_id for row in entry.rows})
    numbers = [str(number) if number else "" for number in (len(entry.rows), networks, entry.kernels)]
    named = (system.runtime, _release(system.version, system.option), board, system.core)
    return [Cell(text) for text in (*named, *numbers)]
