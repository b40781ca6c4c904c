"""The parts of a search space as a plot: how many MACs the networks have that a board holds, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.designing.optimising.subspaces import SubSpace, SubSpaces
from mcusim.render import style
from mcusim.render.text import in_kib
from mcusim.units import format_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["space_plot", "subspaces_csv"]

CURVES = 10
"""Parts that are drawn, those with the most mean MACs: as many as in the paper's figure."""
ASPECT, NARROW_INCHES = 0.56, 5.0
QUANTILE = 0.8
"""Marked on the best curve, as in the paper."""
FEWEST_MARKED = 5
"""Networks that fit, of which a fifth is one at least."""
COLORS = (style.RED, style.BLUE, style.GREEN, style.ORANGE, style.PURPLE, style.SKY, style.BLACK, style.GREY)
DASHES = ("-", "--", ":")


def space_plot(compared: SubSpaces, kind: str, width_inches: float = style.COLUMN_INCHES) -> bytes:
    """The plot as a file of `kind`: svg, png or pdf. Across MACs, up the share of the held networks that have fewer."""
    with style.figure(ASPECT * width_inches, width_inches) as made:
        axes = made.subplots()
        parts = [part for part in compared.parts if part.macs][:CURVES]
        best = compared.best
        if best is not None and best not in parts:
            parts[-1] = best
        for number, part in enumerate(parts):
            _draw(axes, part, number, part is best)
        if best is not None:
            _mark(axes, best)
        axes.set_ylim(0, 1)
        axes.set_xlabel("MACs of the networks that fit (millions)")
        axes.set_ylabel("share that has at most as many")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        limits = f"{in_kib(compared.sram_bytes)} SRAM, {in_kib(compared.flash_bytes)} flash"
        axes.set_title(f"{compared.space.title} on {compared.board.name}: {limits}")
        if parts:
            made.legend(
                loc="outside right center" if width_inches >= NARROW_INCHES else "outside lower center",
                title="part | mean MACs | share that fits",
                title_fontsize=style.SMALL_POINTS,
                handlelength=1.8,
            )
        else:
            axes.text(0.5, 0.5, "no network of any part fits", ha="center", transform=axes.transAxes)
        return style.drawn(made, kind)


def _draw(axes: Axes, part: SubSpace, number: int, is_best: bool) -> None:
    macs = [count / 1e6 for count in part.macs]
    steps = [(index + 1) / len(macs) for index in range(len(macs))]
    axes.step(
        [macs[0], *macs],
        [0.0, *steps],
        where="post",
        color=COLORS[number % len(COLORS)],
        linestyle=DASHES[number // len(COLORS)],
        linewidth=2.2 if is_best else 1.0,
        zorder=4 if is_best else 3,
        label=f"{part.label} | {_millions(part.mean_macs or 0)} M | {format_percent(part.share)}",
    )


def _millions(macs: float) -> str:
    """With three digits below 10 million, else one behind the point."""
    return f"{macs / 1e6:.1f}" if macs >= 1e7 else f"{macs / 1e6:.3g}"


def _mark(axes: Axes, best: SubSpace) -> None:
    """What a fifth of the best part's networks exceed."""
    if len(best.macs) < FEWEST_MARKED:
        return
    at = (best.quantile(QUANTILE) or 0) / 1e6
    axes.plot([at], [QUANTILE], "o", ms=5, mfc="white", mec=style.BLACK, zorder=6)
    axes.annotate(
        f"a fifth of {best.label} has\nmore than {_millions(at * 1e6)} M",
        (at, QUANTILE),
        xytext=(8, -16),
        textcoords="offset points",
        fontsize=style.SMALL_POINTS,
        va="top",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85},
        zorder=7,
    )


def subspaces_csv(compared: SubSpaces) -> str:
    """A line a part, all of them, best first."""
    names = list(compared.parts[0].values)
    head = [*names, "drawn", "fitting", "share", "mean_macs", "median_macs", "p80_macs", "most_macs"]
    lines = [",".join(head)]
    for part in compared.parts:
        numbers = [part.mean_macs, part.quantile(0.5), part.quantile(QUANTILE), part.macs[-1] if part.macs else None]
        counts = ["" if number is None else f"{number:.0f}" for number in numbers]
        row = [*map(str, part.values.values()), str(part.drawn), str(len(part.macs)), f"{part.share:.4f}", *counts]
        lines.append(",".join(row))
    return "\n".join(lines) + "\n"
