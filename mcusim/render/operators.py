"""Operators: those that mcusim knows, and the kernels that serve a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text

from mcusim.graph import Shape
from mcusim.ops import Movement, OpDef
from mcusim.render.text import Glyphs, first_name, headline, paragraph, shape_text, short_op
from mcusim.render.text_table import Bar, Cell, Column, table

__all__ = ["Served", "operator_list", "served_list"]


class Served(NamedTuple):
    """A node and the kernel that it is dispatched to. kernel: "" where none is needed, or none is there.

    supported: whether the runtime runs it.   why: the property of the shape that decides, or what is missing.
    hint: what would be faster.   gap: why mcusim itself cannot execute it yet, whatever the runtime does; "" if it can.
    since: year and month of the release that the kernel needs, where history tells.   brought_by: what brought it.
    """

    node: int
    name: str
    op: str
    output_shape: Shape
    kernel: str
    supported: bool
    why: str
    hint: str = ""
    gap: str = ""
    since: str = ""
    brought_by: str = ""


def operator_list(known: Sequence[OpDef], width: int, glyphs: Glyphs) -> list[Text]:
    """One row an operator."""
    columns = (Column("operator"), Column("kind", drop=2), Column("what it does", drop=1, least=16))
    rows: list[list[Cell | Bar]] = [
        [Cell(op.name), Cell(str(op.movement), "dim" if op.movement is Movement.COMPUTES else ""), Cell(op.summary)]
        for op in known
    ]
    sentence = (
        f"{len(known)} operators. `mcusim ops MODEL --runtime NAME` tells which kernel serves each layer of a network."
    )
    return [*table(columns, rows, width, glyphs), Text(), *paragraph(sentence, width, style="dim")]


def served_list(
    model: str, runtime: str, served: Sequence[Served], width: int, glyphs: Glyphs, warnings: Sequence[str] = ()
) -> list[Text]:
    """Verdict, one row a node that needs a kernel, and what is missing. warnings: what is not known all the same."""
    missing = [layer for layer in served if not layer.supported]
    count = f"{len(missing)} of {len(served)} layers" if missing else f"all {len(served)} layers"
    words, style = ("not supported", "bold red") if missing else ("supported", "bold green")
    if warnings and not missing:
        words, style = "have a kernel; the warnings below say what is not known", "bold yellow"
    heading = headline(f"{model} with {runtime}", f"{count} {words}", style, width)
    columns = (
        Column("#", right=True),
        Column("layer", least=10, most=32),
        Column("op", drop=4, whole=True),
        Column("output", drop=3),
        Column("kernel", least=26),
        Column("why", drop=2, whole=True),
    )
    running = [layer for layer in served if layer.kernel or not layer.supported]
    names = [first_name(layer.name) for layer in running]
    rows = [_row(layer, name, glyphs) for layer, name in zip(running, names, strict=True)]
    lines = [*heading, Text(), *table(columns, rows, width, glyphs)]
    silent = Counter((layer.op, layer.why) for layer in served if layer not in running)
    if silent:
        listed = ", ".join(f"{count} {op} ({why})" for (op, why), count in silent.items())
        lines += paragraph(f"No kernel needed: {listed}.", width, style="dim", indent="  ")
    for (op, why), times in Counter((layer.op, layer.why) for layer in missing).items():
        lines += paragraph(f"! {op}, {_layers(times)}: {why}", width, style="yellow", hanging="  ")
    gaps = Counter((layer.op, layer.gap) for layer in served if layer.gap)
    for (op, why), times in gaps.items():
        sentence = f"! {op}, {_layers(times)}: mcusim cannot execute it yet: {why}. "
        sentence += "`mcusim run` plans it; exec, diff and evaluate refuse."
        lines += paragraph(sentence, width, style="yellow", hanging="  ")
    lines += _releases(runtime, served, width)
    for warning in warnings:
        lines += paragraph(f"! {warning}", width, style="yellow", hanging="  ")
    lines += _hints(served, width)
    return lines


def _layers(count: int) -> str:
    return f"{count} layer{'s' * (count > 1)}"


_TOLD_BELOW = "see below"
"""In the place of a refusal, which is a sentence."""
NAMED = 3
"""So many layers with one hint are named; of more, their number is told."""


def _releases(runtime: str, served: Sequence[Served], width: int) -> list[Text]:
    """The newest release that a layer needs first: firmware often carries an older one."""
    needed = Counter((layer.since, layer.brought_by) for layer in served if layer.since)
    lines: list[Text] = []
    for (since, why), times in sorted(needed.items(), reverse=True):
        sentence = f"It needs a {runtime} of {since} or later, {_layers(times)}: {why}."
        lines += paragraph(sentence, width, style="dim", hanging="  ")
    return lines


def _hints(served: Sequence[Served], width: int) -> list[Text]:
    """What would be faster, each thing once, with the layers that it is about."""
    about: dict[tuple[str, str], list[str]] = {}
    for layer in served:
        if layer.hint:
            about.setdefault((layer.op, layer.hint), []).append(str(layer.node))
    lines = [Text()] if about else []
    for (op, hint), layers in about.items():
        many = len(layers) > NAMED
        whose = f"{len(layers)} layers" if many else f"layer{'s' * (len(layers) > 1)} {', '.join(layers)}"
        lines += paragraph(f"{op}, {whose}: {hint}.", width, style="cyan", hanging="  ")
    return lines


def _row(layer: Served, name: str, glyphs: Glyphs) -> list[Cell | Bar]:
    style = "" if layer.supported else "red"
    return [
        Cell(str(layer.node), "dim"),
        Cell(name),
        Cell(short_op(layer.op), style),
        Cell(shape_text(layer.output_shape, glyphs)),
        Cell(layer.kernel or "none", style),
        Cell(layer.why if layer.supported else _TOLD_BELOW, style or "dim"),
    ]
