"""Two runs compared, and quantisation error layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

from mcusim.execution.comparison import Comparison, LayerDifference, LayerNoise, first_difference
from mcusim.render.text import Glyphs, first_name, headline, paragraph, shape_text
from mcusim.render.text_table import Bar, Cell, Column, table

__all__ = ["difference_lines", "noise_lines"]


def difference_lines(subject: str, comparison: Comparison, note: str, width: int, glyphs: Glyphs) -> list[Text]:
    """Verdict, the first element that differs, and the error of every layer from there on.

    note: on what both ran; "" where nobody knows.
    """
    layers = comparison.layers
    first = first_difference(layers)
    lonely = _lonely(comparison)
    shared = "shared layer" if lonely else "layer"
    many = f"{len(layers)} {shared}{'s' if len(layers) != 1 else ''}"
    if first is None:
        words, style = (f"{many} equal", "bold yellow") if lonely else (f"all {many} equal", "bold green")
    else:
        words, style = f"{sum(layer.differing > 0 for layer in layers)} of {many} differ", "bold red"
    lines = headline(subject, "; ".join(filter(None, (words, lonely))), style, width)
    lines += paragraph(note, width, style="dim")
    if first is None:
        return lines
    assert first.first is not None
    assert first.values is not None
    place = ", ".join(map(str, first.first))
    sentence = (
        f"first: layer {layers.index(first)} '{first_name(first.name)}' {first.op} at [{place}]: "
        f"{first.values[0]:.6g} against {first.values[1]:.6g}"
    )
    lines += [Text(), *paragraph(sentence, width), Text()]
    columns = (
        *_OF_A_LAYER,
        Column("differing", right=True),
        Column("max", right=True),
        Column("mean", right=True, drop=1),
    )
    rows: list[list[Cell | Bar]] = [
        [
            *_of_a_layer(number, layer, glyphs),
            Cell(f"{100 * layer.differing / max(layer.elements, 1):.3g} %"),
            Cell(f"{layer.max_abs:.4g}", "red" if layer.differing else "dim"),
            Cell(f"{layer.mean_abs:.3g}"),
        ]
        for number, layer in enumerate(layers)
        if number >= layers.index(first)
    ]
    return lines + table(columns, rows, width, glyphs)


_OF_A_LAYER = (
    Column("#", right=True),
    Column("layer", least=16, most=32),
    Column("op", drop=2, least=10),
    Column("output", drop=3),
)


def _of_a_layer(number: int, layer: LayerDifference | LayerNoise, glyphs: Glyphs) -> list[Cell]:
    return [Cell(str(number)), Cell(first_name(layer.name)), Cell(layer.op), Cell(shape_text(layer.shape, glyphs))]


def _lonely(comparison: Comparison) -> str:
    a, b = comparison.unpaired_a, comparison.unpaired_b
    counts = [f"{n} layer{'s' if n != 1 else ''} of {name}" for n, name in ((a, "A"), (b, "B")) if n]
    if a and b:
        counts[1] = f"{b} of B"
    return f"{' and '.join(counts)} {'has' if a + b == 1 else 'have'} no partner" if counts else ""


def noise_lines(subject: str, layers: Sequence[LayerNoise], note: str, width: int, glyphs: Glyphs) -> list[Text]:
    """Quantisation error of each layer.   note: on what it ran; "" for files."""
    known = [layer for layer in layers if layer.sqnr_db is not None and math.isfinite(layer.sqnr_db)]
    last = f"{known[-1].sqnr_db:.1f} dB at the last layer" if known else "no noise"
    lines = [*headline(subject, last, "bold", width), *paragraph(note, width, style="dim"), Text()]
    columns = (
        *_OF_A_LAYER,
        Column("SQNR dB", right=True),
        Column("saturated", right=True),
        Column("dead channels", right=True, drop=1),
    )
    rows: list[list[Cell | Bar]] = [
        [
            *_of_a_layer(number, layer, glyphs),
            Cell(_decibels(layer)),
            Cell(f"{100 * layer.saturated:.3g} %", "red" if layer.saturated > 0.01 else ""),
            Cell(f"{layer.dead_channels} of {layer.channels}", "red" if layer.dead_channels else "dim"),
        ]
        for number, layer in enumerate(layers)
    ]
    lines += table(columns, rows, width, glyphs)
    restarted = [str(number) for number, layer in enumerate(layers) if layer.is_restarted]
    if restarted:
        sentence = (
            f"The float run starts anew from the integers at layers without a float form: {', '.join(restarted)}."
        )
        lines += [Text(), *paragraph(sentence, width, style="dim")]
    return lines


def _decibels(layer: LayerNoise) -> str:
    if layer.sqnr_db is None:
        return "no signal"
    return f"{layer.sqnr_db:.1f}" if math.isfinite(layer.sqnr_db) else "exact"
