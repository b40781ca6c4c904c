"""How many bits each layer has, and what a network takes before and after."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from mcusim.precision import BitFit, LayerBits
from mcusim.render.text import Glyphs, first_name, headline, kib, paragraph, shape_text, short_op, stored_bytes
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.render.verdict import VERDICT_STYLES, VERDICT_WORDS, verdict_reason
from mcusim.report import Report, Verdict

__all__ = ["bits_lines"]

WIDEST = 8


def bits_lines(bit_fit: BitFit, width: int, glyphs: Glyphs) -> list[Text]:
    """The verdict, what it takes before and after, and one row a layer."""
    before, after = bit_fit.before, bit_fit.report
    style = VERDICT_STYLES[after.verdict]
    lines = headline(f"{after.model.name} on {after.profile.name}", _verdict(bit_fit), style, width)
    sentence = f"{after.runtime.name} {after.runtime.version} {glyphs.dot} schedule {after.schedule.spec} {glyphs.dot} "
    lines += paragraph(sentence + _summary(bit_fit.layers), width, style="dim")
    lines += [Text(), *table(_TOTALS, [_sram(before, after), _flash(before, after)], width, glyphs)]
    most = max((layer.activation_bytes for layer in bit_fit.layers), default=1)
    rows = [_row(layer, bit_fit, most, glyphs) for layer in bit_fit.layers]
    lines += [Text(), *table(_COLUMNS, rows, width, glyphs), Text()]
    return lines + paragraph(_note(bit_fit), width, style="dim")


def _verdict(bit_fit: BitFit) -> str:
    verdict = bit_fit.report.verdict
    if verdict is Verdict.FITS:
        return "fits as it is, nothing is cut" if bit_fit.graph_is_unchanged else "FITS with fewer bits"
    return f"{VERDICT_WORDS[verdict].upper()}: {', '.join(filter(None, (bit_fit.why, _unknown(bit_fit.report))))}"


def _unknown(report: Report) -> str:
    """Why it is not known whether it fits; "" where it is."""
    if report.verdict is not Verdict.UNKNOWN:
        return ""
    return verdict_reason(report, "`mcusim run` says why")


def _summary(layers: Sequence[LayerBits]) -> str:
    weights = [layer.weight_bits for layer in layers if layer.weight_bits is not None]
    outputs = [layer.output_bits for layer in layers if layer.output_bits is not None]
    return f"layers by bits of their weights: {_counts(weights)}; of their outputs: {_counts(outputs)}"


def _counts(bits: Sequence[int]) -> str:
    return ", ".join(f"{bits.count(width)} of {width}" for width in sorted(set(bits), reverse=True)) or "none"


_TOTALS = (
    Column(""),
    Column("before", right=True),
    Column("after KiB", right=True),
    Column("of", right=True),
    Column("", least=6, most=24, drop=1),
)


def _sram(before: Report, after: Report) -> list[Cell | Bar]:
    return _total("SRAM", before.sram.peak_bytes, after.sram.peak_bytes, after.sram.budget_bytes)


def _flash(before: Report, after: Report) -> list[Cell | Bar]:
    return _total("flash", stored_bytes(before.flash), stored_bytes(after.flash), after.flash.budget_bytes)


def _total(what: str, before: int, after: int, budget: int) -> list[Cell | Bar]:
    style = "green" if after <= budget else "red"
    return [
        Cell(what, "bold"),
        Cell(kib(before), "green" if before <= budget else "red"),
        Cell(kib(after), style),
        Cell(kib(budget)),
        Bar(after / budget, style, track=True),
    ]


_COLUMNS = (
    Column("#", right=True),
    Column("layer", least=14, most=34),
    Column("op", drop=4, least=10, most=20),
    Column("output", drop=5),
    Column("in", right=True),
    Column("weights", right=True),
    Column("out bits", right=True),
    Column("weights KiB", right=True, drop=2),
    Column("tensors KiB", right=True, drop=1),
    Column("", drop=3, least=4, most=14, gap=1),
)


def _row(layer: LayerBits, bit_fit: BitFit, most: int, glyphs: Glyphs) -> list[Cell | Bar]:
    node = bit_fit.graph.nodes[layer.node]
    return [
        Cell(str(layer.node), "dim"),
        Cell(first_name(layer.name)),
        Cell(short_op(layer.op)),
        Cell(shape_text(node.signature.output.shape, glyphs) if node.outputs else ""),
        _width(layer.input_bits),
        _width(layer.weight_bits),
        _width(layer.output_bits),
        Cell(kib(layer.weight_bytes) if layer.weight_bits else ""),
        Cell(kib(layer.activation_bytes)),
        Bar(layer.activation_bytes / most, "cyan"),
    ]


def _width(bits: int | None) -> Cell:
    if bits is None:
        return Cell("")
    return Cell(str(bits), "" if bits >= WIDEST else "bold yellow" if bits > WIDEST // 4 else "bold red")


def _note(bit_fit: BitFit) -> str:
    if bit_fit.graph_is_unchanged:
        return "No accuracy is lost." if bit_fit.fits else "Nothing is cut, as no cut would make it fit."
    return (
        "Accuracy with these bits is not known: the network must be retrained with them. The kernels must exist for "
        "the runtime too: see docs/precision.md."
    )
