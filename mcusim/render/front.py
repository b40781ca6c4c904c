"""The front of schedules: SRAM against time, the one to take, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

from mcusim.frontends.checks import float_reason
from mcusim.render.text import Glyphs, counted, first_name, headline, in_kib, kib, paragraph, shape_text, stored_bytes
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.runtimes import Runtime
from mcusim.searching import Front, Point
from mcusim.searching.explanation import Explanation, Fullest
from mcusim.units import format_bytes, format_count, format_ms, format_percent, three_digits

__all__ = ["front_lines"]

SHOWN = 16
"""Schedules of a long front that are shown: spread over it, the chosen one among them."""
LAYERS_SHOWN = 8


def front_lines(front: Front, story: Explanation, width: int, glyphs: Glyphs, all_: bool = False) -> list[Text]:
    """All of it, as lines of at most `width` cells."""
    chosen = story.after
    lines = [*_heading(front, chosen, width), *paragraph(_space(front), width, style="dim"), Text()]
    shown = list(front.points) if all_ else _spread(front.points, chosen)
    most = max(front.layer.peak_bytes, *(p.peak_bytes for p in front.points))
    rows = [_row(front, point, chosen, most, glyphs) for point in shown]
    lines += table(_COLUMNS, rows, width, glyphs)
    hidden = len(front.points) - len(shown)
    if hidden:
        lines += paragraph(f"and {hidden} more in between: --all shows them.", width, style="dim")
    lines += _story(story, front.runtime, width, glyphs)
    return lines


def _heading(front: Front, chosen: Point, width: int) -> list[Text]:
    subject = f"{front.graph.name} on {front.board.name}"
    budget = in_kib(front.budget_bytes)
    if front.best is None:
        words = f"NO SCHEDULE FITS {budget}; the nearest lacks {in_kib(front.missing_bytes)}"
        return [*headline(subject, words, "bold red", width), *_take(chosen, "nearest", width)]
    word, style = "cheapest" if front.layer.fits else "take", "bold green"
    if front.layer.fits:
        words = f"fits {budget} layer by layer, in {in_kib(front.layer.peak_bytes)}"
    else:
        words = f"FITS {budget} in {in_kib(chosen.peak_bytes)}, "
        words += f"layer by layer it takes {kib(front.layer.peak_bytes)}"
    if front.flash.fits is False:
        over = in_kib(stored_bytes(front.flash) - front.flash.budget_bytes)
        words, style = f"DOES NOT FIT, flash {over} over; SRAM {words}", "bold red"
    elif front.fits is None:
        words, style = f"UNKNOWN, the warnings below say why; SRAM {words}", "bold yellow"
    return [*headline(subject, words, style, width), *_take(chosen, word, width)]


def _take(point: Point, word: str, width: int) -> list[Text]:
    sentence = f"{word}: --schedule {point.schedule}"
    if point.outside_bytes:
        sentence += f", its input of {in_kib(point.outside_bytes)} external, not counted"
    return paragraph(sentence, width, style="bold", hanging="  ")


def _space(front: Front) -> str:
    if not front.space.kinds:
        who = "a network of floats" if float_reason(front.graph) else "it"
        return f"{front.runtime.name} {front.runtime.version} - {who} runs layer by layer only"
    kinds = " or ".join(sorted(map(str, front.space.kinds)))
    schedules = f"{front.runtime.name} {front.runtime.version} - {counted(len(front.points), 'schedule')} on the front"
    searched = f"{counted(front.space.stages, 'stage')} of {kinds}, grids up to {front.space.grid}x{front.space.grid}"
    exact = "in live bytes and time no other beats them (gaps that placing leaves are not searched)"
    return f"{schedules}: {exact}. Searched: up to {searched}"


def _spread(points: Sequence[Point], chosen: Point) -> list[Point]:
    if len(points) <= SHOWN:
        return list(points)
    step = (len(points) - 1) / (SHOWN - 1)
    kept = {round(i * step) for i in range(SHOWN)} | {points.index(chosen)}
    return [points[i] for i in sorted(kept)]


_COLUMNS = (
    Column(""),
    Column("schedule", least=16),
    Column("SRAM KiB", right=True),
    Column("", drop=3, least=6, most=20, gap=1),
    Column("live KiB", right=True, drop=1),
    Column("gap", right=True, drop=4),
    Column("time ms", right=True),
    Column("recomputed", right=True, drop=2),
    Column("input", drop=5),
)


def _row(front: Front, point: Point, chosen: Point, most: int, glyphs: Glyphs) -> list[Cell | Bar]:
    style = "green" if point.fits else "red"
    is_chosen = point is chosen
    return [
        Cell(glyphs.mark if is_chosen else ""),
        Cell(str(point.schedule), "bold" if is_chosen else ""),
        Cell(kib(point.peak_bytes), style),
        Bar(point.peak_bytes / most, style, track=True),
        Cell(kib(point.live_bytes), "dim"),
        Cell(kib(point.gap_bytes), "dim"),
        Cell("?" if point.ms is None else three_digits(point.ms)),
        Cell(f"{format_count(point.recomputed_macs)} MACs" if point.recomputed_macs else "nothing"),
        Cell(str(point.input_place), "dim"),
    ]


# ---------------------------------------------------------------------------------------------------------------------
# Why


def _story(story: Explanation, runtime: Runtime, width: int, glyphs: Glyphs) -> list[Text]:
    before, after = story.before, story.after
    if runtime.counted_by:
        return [Text(), *paragraph(f"SRAM is counted by convention {runtime.counted_by}: there is no plan.", width)]
    lines = [Text(), *paragraph(_change(before, after), width, style="bold")]
    lines += paragraph(_where(story.fullest_before, before, "Layer by layer"), width)
    if not story.stages:
        return lines
    lines += paragraph(_where(story.fullest_after, after, "Now"), width)
    return [*lines, *_stage_lines(story, width, glyphs), *_layer_lines(story, width, glyphs)]


def _where(fullest: Fullest, point: Point, word: str) -> str:
    """Which layer sets the peak, what is alive there, and what comes on top."""
    if not fullest.alive:
        return f"{word} no layer sets the peak: {in_kib(point.peak_bytes)} are always held."
    alive = ", ".join(f"{first_name(item.name)} {kib(item.bytes)}" for item in fullest.alive[:4])
    more = f" and {len(fullest.alive) - 4} more" if len(fullest.alive) > 4 else ""
    where = f"{first_name(fullest.layer)} ({fullest.op})"
    on_top = [(point.live_bytes - fullest.live_bytes, "held beside the arena"), (point.gap_bytes, "gaps of the plan")]
    added = "".join(f"; {kib(size)} {what}" for size, what in on_top if size)
    return f"{word} {where} sets the peak: {in_kib(fullest.live_bytes)} are alive ({alive}{more}){added}."


def _stage_lines(story: Explanation, width: int, glyphs: Glyphs) -> list[Text]:
    """What cutting costs, stage by stage."""
    rows: list[list[Cell | Bar]] = [
        [
            Cell(stage.spec),
            Cell(f"#{stage.nodes[0]}-{stage.nodes[1]}", "dim"),
            Cell(f"{format_count(stage.recomputed_macs)} MACs" if stage.recomputed_macs else "nothing"),
            Cell(f"+{format_percent(stage.recomputed_macs / stage.once_macs if stage.once_macs else 0)}"),
            Cell(format_bytes(stage.halo_bytes)),
            Cell(_more(stage.more_ms)),
        ]
        for stage in story.stages
    ]
    columns = (
        Column("stage", least=10),
        Column("layers", drop=2),
        Column("recomputed", right=True),
        Column("", right=True, drop=1),
        Column("halo, lines", right=True),
        Column("ms", right=True),
    )
    title = paragraph("What the halos cost, computed again by patches or kept in lines by bands:", width, style="bold")
    return [Text(), *title, *table(columns, rows, width, glyphs)]


def _layer_lines(story: Explanation, width: int, glyphs: Glyphs) -> list[Text]:
    """The layers that are computed again."""
    again = sorted((layer for layer in story.layers if layer.factor > 1), key=lambda x: x.once_macs - x.done_macs)
    if not again:
        return [Text(), *paragraph("Nothing is computed twice.", width)]
    rows: list[list[Cell | Bar]] = [
        [
            Cell(str(layer.node), "dim"),
            Cell(first_name(layer.name)),
            Cell(shape_text(layer.output_shape, glyphs), "dim"),
            Cell(f"{layer.factor:.2f}{glyphs.times}"),
            Cell(f"+{format_count(layer.done_macs - layer.once_macs)} MACs"),
            Cell(format_bytes(layer.halo_bytes), "dim"),
            Cell(_more(layer.more_ms)),
        ]
        for layer in again[:LAYERS_SHOWN]
    ]
    columns = (
        Column("#", right=True, drop=2),
        Column("layer", least=12),
        Column("output", drop=1),
        Column("computed", right=True),
        Column("more", right=True),
        Column("halo", right=True, drop=3),
        Column("ms", right=True, drop=4),
    )
    lines = [Text(), *paragraph("What is computed again, most cycles first:", width, style="bold")]
    lines += table(columns, rows, width, glyphs)
    hidden = len(again) - LAYERS_SHOWN
    return [*lines, *paragraph(f"and {hidden} more layers.", width, style="dim")] if hidden > 0 else lines


def _more(ms: float | None) -> str:
    return "?" if ms is None else f"{ms:+,.1f}"


def _change(before: Point, after: Point) -> str:
    if before.schedule == after.schedule and before.input_place == after.input_place:
        return (
            "Layer by layer it fits: nothing is cut." if after.fits else "No schedule takes less than layer by layer."
        )
    change = _percent(before.peak_bytes, after.peak_bytes)
    saved = f"SRAM {kib(before.peak_bytes)} -> {in_kib(after.peak_bytes)} ({change})"
    if before.ms is None or after.ms is None:
        return saved
    return f"{saved}, time {format_ms(before.ms)} -> {format_ms(after.ms)} ({_percent(before.ms, after.ms)})"


def _percent(before: float, after: float) -> str:
    change = after / before - 1 if before else 0.0 if not after else math.inf
    if math.isinf(change):
        return "from nothing"
    return f"{'+' if change >= 0 else ''}{format_percent(change)}"
