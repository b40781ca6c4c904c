"""Pieces of a line: glyphs of the terminal at hand, bars, and names cut to a width."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from mcusim.pricing.systems import OWN_VERSION
from mcusim.report import Basis, FlashInfo, LatencyInfo
from mcusim.units import BYTES_PER_KIB

__all__ = [
    "ASCII",
    "BASIS_WORDS",
    "BUILD_NOTE",
    "UNICODE",
    "Glyphs",
    "clean",
    "command_lines",
    "counted",
    "first_name",
    "fraction_bar",
    "headline",
    "in_kib",
    "kib",
    "listed",
    "paragraph",
    "shape_text",
    "short_op",
    "shorten",
    "stored_bytes",
    "time_words",
]


class Glyphs(NamedTuple):
    """Characters that depend on what the terminal can show. eighths: a cell of a bar, filled 1/8 to 8/8."""

    eighths: str
    track: str
    times: str
    dot: str
    ellipsis: str
    mark: str
    is_ascii: bool


UNICODE = Glyphs("▏▎▍▌▋▊▉█", "░", "×", "·", "…", "▸", False)
ASCII = Glyphs("#", ".", "x", "-", "~", ">", True)

BASIS_WORDS = {
    Basis.EXACT: "the runtime's own figure, byte for byte",
    Basis.DERIVED: "from published rules",
    Basis.CALIBRATED: "fitted to published figures",
    Basis.PROVISIONAL: "not yet checked by measurements",
    Basis.MEASURED: "read from a board or a linked firmware",
    Basis.PUBLISHED: "as its source prints it",
}

_OWN_TIMES = "fitted to published figures and your own times"


def time_words(latency: LatencyInfo) -> str:
    """What the basis of a time means."""
    return _OWN_TIMES if latency.version == OWN_VERSION else BASIS_WORDS[latency.basis]


BUILD_NOTE = "Times are of optimised builds: an unoptimised one is several times slower."
"""Assumption A52."""

_LEAST_KIB_BYTES = 52
"""Less rounds to 0.0 KiB."""


def clean(text: str) -> str:
    """A text from a file, safe to show on one line: control characters become `?`."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def short_op(op: str) -> str:
    """The name of an operator for a narrow column."""
    return "DW_CONV_2D" if op == "DEPTHWISE_CONV_2D" else op


def first_name(name: str) -> str:
    """Of the names of fused nodes (`a;b;c`) the first."""
    return name.split(";")[0] or name


def shorten(text: str, width: int, glyphs: Glyphs, keep_end: bool = False) -> str:
    """`text` in at most `width` cells, cut at its end (or at its start, or inside a path) with an ellipsis."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return glyphs.ellipsis[:width]
    if not keep_end:
        first, _, rest = text.partition("/")
        if "/" in rest and len(first) < width // 2:  # of a path, both ends tell most
            return f"{first}/{shorten(rest, width - len(first) - 1, glyphs, keep_end=True)}"
        return set_cell_size(text, width - 1).rstrip() + glyphs.ellipsis
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return glyphs.ellipsis + text


def fraction_bar(share: float, width: int, glyphs: Glyphs, track: bool = False) -> str:
    """A bar of `width` cells, filled to `share` of them; a share of 1 or more fills it. Never empty above 0."""
    share = min(max(share, 0.0), 1.0)
    levels = len(glyphs.eighths)
    filled = round(share * width * levels)
    if share > 0 and width > 0:
        filled = max(filled, 1)
    full, part = divmod(filled, levels)
    bar = glyphs.eighths[-1] * full + (glyphs.eighths[part - 1] if part else "")
    return bar + (glyphs.track if track else " ") * (width - len(bar))


def kib(size_bytes: float) -> str:
    """KiB with one decimal, for columns that name the unit in their header; `4 B` where that rounds to nothing."""
    return f"{size_bytes:.0f} B" if abs(size_bytes) < _LEAST_KIB_BYTES else f"{size_bytes / BYTES_PER_KIB:,.1f}"


def in_kib(size_bytes: float) -> str:
    """`12.5 KiB`, and `4 B` where that would round to nothing."""
    amount = kib(size_bytes)
    return amount if amount.endswith(" B") else f"{amount} KiB"


def stored_bytes(flash: FlashInfo) -> int:
    """Flash in all, or what is known of it."""
    if flash.total_bytes is not None:
        return flash.total_bytes
    model = flash.weight_bytes if flash.model_bytes is None else flash.model_bytes
    return model + (flash.code_bytes or 0)


def counted(count: int, noun: str) -> str:
    """`1 layer`, `2 layers`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def shape_text(shape: Sequence[int], glyphs: Glyphs) -> str:
    """`112×112×16`: a leading batch of one is left out."""
    shown = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
    return glyphs.times.join(map(str, shown)) or "scalar"


def headline(subject: str, words: str, style: str, width: int) -> list[Text]:
    """`subject: words` on one line where there is room, else on as many as it takes."""
    subject = clean(subject)
    if cell_len(subject) + 2 + cell_len(words) <= width:
        return [Text.assemble((f"{subject}: ", "bold"), (words, style))]
    return [*paragraph(f"{subject}:", width, style="bold"), *paragraph(words, width, style=style)]


def command_lines(command: str, width: int) -> list[str]:
    """A command that can be copied: a line that goes on ends with a backslash."""
    lines = textwrap.wrap(
        clean(command), max(width, 20) - 2, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
    return [*[f"{line} \\" for line in lines[:-1]], *lines[-1:]]


def paragraph(text: str, width: int, indent: str = "", style: str = "", hanging: str | None = None) -> list[Text]:
    """Running text, wrapped. `hanging`: indent of the lines after the first."""
    rest = indent if hanging is None else hanging
    lines = textwrap.wrap(
        clean(text), max(width, 20), initial_indent=indent, subsequent_indent=rest, break_on_hyphens=False
    )
    return [Text(line, style=style) for line in lines]
