"""Two runs compared, and quantisation error layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

from mcusim.execution.comparison import LayerDifference, LayerNoise, first_difference
from mcusim.render.table import Bar, Cell, Column, table
from mcusim.render.text import Glyphs, first_name, headline, paragraph, shape_text

__all__ = ["difference_lines", "noise_lines"]


def difference_lines(subject: str, layers: Sequence[LayerDifference], width: int, glyphs: Glyphs) -> list[Text]:
    """Verdict, the first element that differs, and the error of every layer from there on."""
    first = first_difference(layers)
    if first is None:
        return headline(subject, f"all {len(layers)} layers equal", "bold green", width)
    differing = sum(layer.differing > 0 for layer in layers)
    lines = headline(subject, f"{differing} of {len(layers)} layers differ", "bold red", width)
    assert first.first is not None
    assert first.values is not None
    place = ", ".join(map(str, first.first))
    told = (
        f"first: layer {layers.index(first)} '{first_name(first.name)}' {first.op} at [{place}]: "
        f"{first.values[0]:.6g} against {first.values[1]:.6g}"
    )
    lines += [Text(), *paragraph(told, width), Text()]
    columns = (
        Column("#", right=True),
        Column("layer", least=16, most=32),
        Column("op", drop=2, least=10),
        Column("output", drop=3),
        Column("differing", right=True),
        Column("max", right=True),
        Column("mean", right=True, drop=1),
    )
    rows: list[list[Cell | Bar]] = [
        [
            Cell(str(number)),
            Cell(first_name(layer.name)),
            Cell(layer.op),
            Cell(shape_text(layer.shape, glyphs)),
            Cell(f"{100 * layer.differing / max(layer.elements, 1):.3g} %"),
            Cell(f"{layer.max_abs:.4g}", "red" if layer.differing else "dim"),
            Cell(f"{layer.mean_abs:.3g}"),
        ]
        for number, layer in enumerate(layers)
        if number >= layers.index(first)
    ]
    return lines + table(columns, rows, width, glyphs)


def noise_lines(subject: str, layers: Sequence[LayerNoise], width: int, glyphs: Glyphs) -> list[Text]:
    """Quantisation error of each layer."""
    known = [layer for layer in layers if layer.sqnr_db is not None and math.isfinite(layer.sqnr_db)]
    last = f"{known[-1].sqnr_db:.1f} dB at the last layer" if known else "no noise"
    lines = [*headline(subject, last, "bold", width), Text()]
    columns = (
        Column("#", right=True),
        Column("layer", least=16, most=32),
        Column("op", drop=2, least=10),
        Column("output", drop=3),
        Column("SQNR dB", right=True),
        Column("saturated", right=True),
        Column("dead channels", right=True, drop=1),
    )
    rows: list[list[Cell | Bar]] = [
        [
            Cell(str(number)),
            Cell(first_name(layer.name)),
            Cell(layer.op),
            Cell(shape_text(layer.shape, glyphs)),
            Cell(_decibels(layer)),
            Cell(f"{100 * layer.saturated:.3g} %", "red" if layer.saturated > 0.01 else ""),
            Cell(f"{layer.dead_channels} of {layer.channels}", "red" if layer.dead_channels else "dim"),
        ]
        for number, layer in enumerate(layers)
    ]
    lines += table(columns, rows, width, glyphs)
    restarted = [str(number) for number, layer in enumerate(layers) if layer.is_restarted]
    if restarted:
        told = f"The float run starts anew from the integers at layers without a float form: {', '.join(restarted)}."
        lines += [Text(), *paragraph(told, width, style="dim")]
    return lines


def _decibels(layer: LayerNoise) -> str:
    if layer.sqnr_db is None:
        return "no signal"
    return f"{layer.sqnr_db:.1f}" if math.isfinite(layer.sqnr_db) else "exact"
