"""A cut stage as a plot: its feature maps to scale, and what one piece computes, computes again or finds cached."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from mcusim.graph import ABSENT, Signature
from mcusim.lowering.staging import patches
from mcusim.ops.shared.windows import WindowAttributes
from mcusim.pricing.prices import step_work
from mcusim.pricing.stages import stage_info
from mcusim.program import Program, Stage, Step
from mcusim.region import Span
from mcusim.render import style
from mcusim.schedule import StageKind
from mcusim.searching.stage_maps import StageMap, stage_maps
from mcusim.units import format_bytes, format_count, format_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["patches_plot"]

AGAIN, DONE = "#C4C4C4", "#E4E4E4"
LINES_SHOWN = 48
"""Borders between pieces that are drawn: more would be a grey field."""
GAP_INCHES, LABEL_INCHES, LABEL_WIDTH_INCHES = 0.16, 0.40, 0.84
HEAD_INCHES, LINE_INCHES, FOOT_INCHES = 0.06, 0.16, 0.36
LARGEST, SMALLEST = 0.34, 0.17
"""Of the width: the side of the largest map, where that takes no more lines than the smallest."""


class _Placed(NamedTuple):
    """A map on the page: its left and lower edge, in inches from the lower left corner."""

    map: StageMap
    x: float
    y: float


def patches_plot(program: Program, number: int, spec: str, kind: str, width_inches: float) -> bytes:
    """Stage `number` of a Program, which is cut, as a file of `kind`: svg, png or pdf. spec: of its schedule."""
    stage = program.stages[number]
    maps = stage_maps(program, stage)
    scale = _scale(maps, width_inches)
    title = _wrapped(f"{program.graph.name}, {spec}", width_inches, style.TEXT_POINTS + 2)
    summary = _wrapped(_summary(program, number), width_inches, style.SMALL_POINTS)
    placed, height = _layout(maps, scale, width_inches, HEAD_INCHES + LINE_INCHES * (len(title) + len(summary)))
    with style.figure(height, width_inches) as made:
        made.set_layout_engine("none")
        axes = made.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0, width_inches)
        axes.set_ylim(0, height)
        axes.set_axis_off()
        chosen = _chosen(stage)
        for place in placed:
            _draw(axes, place, stage, chosen, scale)
            _label(axes, program, stage, place)
        head = axes.text(0.08, height - 0.06, "\n".join(title), fontsize=style.TEXT_POINTS + 1, fontweight="bold")
        top = height - 0.08 - LINE_INCHES * len(title)
        summary_text = axes.text(0.08, top, "\n".join(summary), fontsize=style.SMALL_POINTS, color=style.GREY)
        for text in (head, summary_text):
            text.set(va="top", linespacing=1.25)
        _legend(axes, stage)
        return style.drawn(made, kind)


def _wrapped(text: str, width: float, points: float) -> list[str]:
    """Lines that fit, broken at spaces and behind the + of a schedule."""
    most = int((width - 0.16) * 72 / (points * 0.60))
    lines = textwrap.wrap(text.replace("+", "+\x00 "), most + 2)
    return [line.replace("+\x00 ", "+").replace("\x00", "") for line in lines]


# ---------------------------------------------------------------------------------------------------------------------
# Where the maps lie


def _scale(maps: Sequence[StageMap], width: float) -> float:
    """Inches of an element: as large as it may be without another line of maps."""
    side = max(max(one.height, one.width) for one in maps)
    shares = [SMALLEST + (LARGEST - SMALLEST) * i / 20 for i in range(21)]
    lines = [len(_lines(maps, share * width / side, width)) for share in shares]
    return max(share for share, count in zip(shares, lines, strict=True) if count == min(lines)) * width / side


def _cell(one: StageMap, scale: float) -> float:
    return max(one.width * scale, LABEL_WIDTH_INCHES) + GAP_INCHES


def _lines(maps: Sequence[StageMap], scale: float, width: float) -> list[list[StageMap]]:
    """Maps in reading order, as many on a line as there is room for."""
    lines: list[list[StageMap]] = [[]]
    used = GAP_INCHES
    for one in maps:
        if lines[-1] and used + _cell(one, scale) > width:
            lines.append([])
            used = GAP_INCHES
        lines[-1].append(one)
        used += _cell(one, scale)
    return lines


def _layout(maps: Sequence[StageMap], scale: float, width: float, head: float) -> tuple[list[_Placed], float]:
    """The maps of each line on one foot, and the height of the page. head: of it, for words."""
    lines = _lines(maps, scale, width)
    heights = [max(one.height for one in line) * scale + LABEL_INCHES + GAP_INCHES for line in lines]
    page = head + sum(heights) + FOOT_INCHES
    placed, y = [], page - head
    for line, height in zip(lines, heights, strict=True):
        y -= height
        x = GAP_INCHES
        for one in line:
            placed.append(_Placed(one, x, y + LABEL_INCHES))
            x += _cell(one, scale)
    return placed, page


# ---------------------------------------------------------------------------------------------------------------------
# One map


def _chosen(stage: Stage) -> tuple[int, int]:
    """The piece that is drawn: the band in the middle, or the patch that computes most."""
    if stage.kind is StageKind.STREAM:
        return stage.row_pieces // 2, 0
    return _most([step.rows for step in stage.steps]), _most([step.cols for step in stage.steps])


def _most(tables: Sequence[tuple[Span, ...]]) -> int:
    """The piece with most elements along an axis; of several the one nearest to the middle."""
    sums = [sum(spans[i].length for spans in tables) for i in range(len(tables[0]))]
    return max(range(len(sums)), key=lambda i: (sums[i], -abs(2 * i - len(sums) + 1)))


def _draw(axes: Axes, place: _Placed, stage: Stage, chosen: tuple[int, int], scale: float) -> None:
    fmap, whole = place.map, (Span(0, place.map.height), Span(0, place.map.width))
    _fill(axes, place, whole, scale, facecolor="white")
    row, col = chosen
    if stage.kind is StageKind.STREAM:
        _draw_band(axes, place, row, scale)
    else:
        for rows in _again(fmap.rows):
            _fill(axes, place, (rows, whole[1]), scale, facecolor=AGAIN, alpha=0.6)
        for cols in _again(fmap.cols):
            _fill(axes, place, (whole[0], cols), scale, facecolor=AGAIN, alpha=0.6)
        own = patches(fmap.height, stage.row_pieces)[row], patches(fmap.width, stage.col_pieces)[col]
        region = fmap.rows[row], fmap.cols[col]
        _fill(axes, place, region, scale, facecolor=style.SKY, edgecolor=style.BLACK, linewidth=0.7)
        _fill(axes, place, (_both(own[0], region[0]), _both(own[1], region[1])), scale, facecolor=style.BLUE)
    _borders(axes, place, stage, scale)
    _fill(axes, place, whole, scale, facecolor="none", edgecolor=style.BLACK, linewidth=0.6)


def _draw_band(axes: Axes, place: _Placed, band: int, scale: float) -> None:
    """What bands before it have computed, what is still kept of that, and what this one adds."""
    fmap = place.map
    across, new = Span(0, fmap.width), fmap.rows[band]
    done = max((span.stop for span in fmap.rows[:band]), default=0)
    _fill(axes, place, (Span(0, done), across), scale, facecolor=DONE)
    if fmap.cached and fmap.cached[band].length:
        kept = fmap.cached[band], across
        _fill(axes, place, kept, scale, facecolor=style.YELLOW, edgecolor=style.BLACK, hatch="//////")
    _fill(axes, place, (new, across), scale, facecolor=style.BLUE)


def _borders(axes: Axes, place: _Placed, stage: Stage, scale: float) -> None:
    """Lines between the pieces' own shares of the map."""
    fmap = place.map
    if stage.kind is StageKind.STREAM:
        edges: tuple[list[int], list[int]] = ([span.stop for span in fmap.rows[:-1] if span.length], [])
    else:
        shares = patches(fmap.height, stage.row_pieces), patches(fmap.width, stage.col_pieces)
        edges = [span.stop for span in shares[0][:-1]], [span.stop for span in shares[1][:-1]]

    def line(xs: tuple[float, float], ys: tuple[float, float]) -> None:
        axes.plot(xs, ys, color=style.BLACK, linewidth=0.35, solid_capstyle="butt")

    if len(edges[0]) <= LINES_SHOWN and len(edges[0]) * 0.02 < fmap.height * scale:
        for edge in edges[0]:
            y = place.y + (fmap.height - edge) * scale
            line((place.x, place.x + fmap.width * scale), (y, y))
    if len(edges[1]) <= LINES_SHOWN and len(edges[1]) * 0.02 < fmap.width * scale:
        for edge in edges[1]:
            x = place.x + edge * scale
            line((x, x), (place.y, place.y + fmap.height * scale))


def _fill(axes: Axes, place: _Placed, region: tuple[Span, Span], scale: float, **look: Any) -> None:
    """A region of a map, rows from the top."""
    from matplotlib.patches import Rectangle

    rows, cols = region
    if rows.length and cols.length:
        corner = place.x + cols.start * scale, place.y + (place.map.height - rows.stop) * scale
        axes.add_patch(Rectangle(corner, cols.length * scale, rows.length * scale, **{"linewidth": 0, **look}))


def _again(spans: Sequence[Span]) -> list[Span]:
    """Where two or more intervals meet."""
    edges = sorted({edge for span in spans if span.length for edge in span})
    overlaps = [Span(a, b) for a, b in pairwise(edges) if sum(s.start <= a and b <= s.stop for s in spans) > 1]
    joined: list[Span] = []
    for span in overlaps:
        if joined and joined[-1].stop == span.start:
            joined[-1] = Span(joined[-1].start, span.stop)
        else:
            joined.append(span)
    return joined


def _both(a: Span, b: Span) -> Span:
    return Span(max(a.start, b.start), min(a.stop, b.stop))


# ---------------------------------------------------------------------------------------------------------------------
# Words


def _label(axes: Axes, program: Program, stage: Stage, place: _Placed) -> None:
    fmap = place.map
    numbers = (
        f"#{fmap.nodes[0]}" if len(fmap.nodes) == 1 else f"#{fmap.nodes[0]}–{fmap.nodes[-1]}" if fmap.nodes else ""
    )
    first = next((step for step in stage.steps if fmap.nodes and step.node == fmap.nodes[0]), None)
    lines = [
        f"{fmap.height}×{fmap.width}",
        f"{numbers} {_what(first)}".strip() if fmap.nodes else _origin(program, fmap),
    ]
    if stage.kind is StageKind.PATCH:
        lines.append(f"{'computed' if fmap.nodes else 'read'} {fmap.factor:.2f}×")
    else:
        kept = max((span.length for span in fmap.cached), default=0)
        lines.append(f"{kept} {'row' if kept == 1 else 'rows'} kept" if kept else "nothing kept")
    axes.text(place.x, place.y - 0.03, "\n".join(lines), va="top", fontsize=6.5, linespacing=1.15)


def _origin(program: Program, one: StageMap) -> str:
    """Of a map that the stage only reads: the network's input, or the layer that wrote it."""
    writers = [n for n, node in enumerate(program.graph.nodes) if set(node.outputs) & set(one.tensors)]
    return f"output of #{writers[-1]}" if writers else "input"


_WORDS = {"CONV_2D": "conv", "DEPTHWISE_CONV_2D": "dw"}


def _what(step: Step | None) -> str:
    """`dw 3×3 /2`."""
    if step is None:
        return "input"
    call = step.signature
    word = _WORDS.get(call.op, call.op.lower().replace("_2d", "").replace("_", " "))
    kernel = _kernel(call)
    stride = call.attributes.stride_h if isinstance(call.attributes, WindowAttributes) else 1
    return f"{word} {kernel}".strip() + (f" /{stride}" if stride > 1 else "")


def _kernel(call: Signature) -> str:
    weights = [kind for kind in call.inputs if kind is not None and kind.is_constant and len(kind.shape) == 4]
    return f"{weights[0].shape[1]}×{weights[0].shape[2]}" if weights else ""


def _summary(program: Program, number: int) -> str:
    stage = program.stages[number]
    info = stage_info(program, stage)
    layers = sum(step.node != ABSENT for step in stage.steps)
    if stage.kind is StageKind.STREAM:
        kept = format_bytes(info.halo_bytes)
        return f"{layers} layers in {stage.row_pieces} bands: nothing computed twice, line buffers take {kept}"
    once = sum(step_work(step).macs for step in stage.steps) - info.recomputed_macs
    more = format_percent(info.recomputed_macs / once if once else 0.0).replace(" ", "\N{NO-BREAK SPACE}")
    again = f"{format_count(info.recomputed_macs)} MACs computed again (+{more} of the stage)"
    return f"{layers} layers in {stage.row_pieces}×{stage.col_pieces} patches: {again}"


def _legend(axes: Axes, stage: Stage) -> None:
    from matplotlib.patches import Patch

    if stage.kind is StageKind.STREAM:
        looks = [
            Patch(facecolor=style.BLUE, label="one band: new rows"),
            Patch(facecolor=style.YELLOW, hatch="//////", edgecolor=style.BLACK, linewidth=0, label="rows kept for it"),
            Patch(facecolor=DONE, label="done before"),
        ]
    else:
        looks = [
            Patch(facecolor=style.BLUE, label="one patch"),
            Patch(facecolor=style.SKY, edgecolor=style.BLACK, linewidth=0.7, label="its halo"),
            Patch(facecolor=AGAIN, label="by several patches"),
        ]
    axes.legend(handles=looks, loc="lower left", ncols=3, handlelength=1.2, columnspacing=1.2, borderaxespad=0.6)
