"""Predicted against measured times: a table of systems, and a plot of every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from rich.text import Text

from mcusim.pricing.measurements import Measurement
from mcusim.pricing.validation import (
    MANY_NETWORKS,
    SOME_NETWORKS,
    EnergyCheck,
    Prediction,
    Score,
    SystemScore,
    of_systems,
    score,
    score_systems,
)
from mcusim.render import style
from mcusim.render.text import Glyphs, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["validation_lines", "validation_plot"]

_COLUMNS = (
    Column("runtime", whole=True),
    Column("version", drop=2),
    Column("board", whole=True),
    Column("networks", right=True, drop=5),
    Column("rows", right=True, drop=6),
    Column("error %", right=True),
    Column("worst", right=True, drop=3),
    Column("≤10 %", right=True, drop=7),
    Column("≤20 %", right=True, drop=4),
    Column("inside", right=True, drop=1),
    Column("width %", right=True, drop=8),
    Column("MACs only %", right=True),
)


def validation_lines(
    found: Sequence[Prediction],
    energies: Sequence[EnergyCheck],
    left_out: dict[str, list[Measurement]],
    least_networks: int,
    width: int,
    glyphs: Glyphs,
) -> list[Text]:
    """The table of systems with at least so many networks, what they come to, energy, and what was left out."""
    systems = [entry for entry in score_systems(found) if entry.networks >= least_networks]
    lines = paragraph(
        f"{len(found)} published times of {len({p.row.network_id for p in found})} networks, each predicted "
        "without its network, which was left out on every system",
        width,
        style="bold",
    )
    lines += [Text(), *table(_columns(glyphs), [_row(entry) for entry in systems], width, glyphs), Text()]
    hidden = len(score_systems(found)) - len(systems)
    if hidden:
        lines += paragraph(f"{hidden} systems with fewer networks are not shown: --systems all.", width, style="dim")
    lines += [Text(), *table(_columns(glyphs)[2:], _summary(found), width, glyphs), Text()]
    told = (
        "error: mean of |predicted / measured - 1|. inside: measured times within the interval, which aims at 80 %. "
        "width: of the interval, median, as a share of the prediction. MACs only: mean cycles a multiply-accumulate of "
        "the system's other networks."
    )
    lines += paragraph(told, width, style="dim")
    if energies:
        lines += [Text(), *paragraph(_energy(energies), width)]
    lines += [Text(), *_left_out(left_out, width)]
    return lines


def _columns(glyphs: Glyphs) -> tuple[Column, ...]:
    if not glyphs.is_ascii:
        return _COLUMNS
    return tuple(replace(column, title=column.title.replace("≤", "<=")) for column in _COLUMNS)


def _row(entry: SystemScore) -> list[Cell | Bar]:
    system = entry.system
    version = f"{system.version}+{system.option}" if system.option else system.version
    board = f"{system.board}, external RAM" if system.memory else system.board
    return [Cell(system.runtime), Cell(version), Cell(board), *_figures(str(entry.networks), entry.score)]


def _summary(found: Sequence[Prediction]) -> list[list[Cell | Bar]]:
    rows: list[list[Cell | Bar]] = []
    for networks in (MANY_NETWORKS, SOME_NETWORKS, 1):
        kept = of_systems(found, networks)
        title = f"systems of {networks} networks or more" if networks > 1 else "all systems"
        if kept:
            rows.append([Cell(title, "bold"), *_figures("", score(kept))])
    return rows


def _figures(networks: str, found: Score) -> list[Cell | Bar]:
    base = "" if found.baseline_error is None else f"{100 * found.baseline_error:.1f}"
    shares = (found.within_10, found.within_20, found.coverage)
    within_10, within_20, inside = (f"{100 * share:.0f}" for share in shares)
    return [
        Cell(networks),
        Cell(str(found.rows)),
        Cell(f"{100 * found.mean_error:.1f}", "bold"),
        Cell(f"{100 * found.worst_error:.0f}"),
        Cell(within_10),
        Cell(within_20),
        Cell(inside),
        Cell(f"{100 * found.median_width:.0f}"),
        Cell(base, "dim"),
    ]


def _energy(checks: Sequence[EnergyCheck]) -> str:
    power, answer, out = (
        100 * fmean([abs(value / check.published_uj - 1) for check, value in pairs])
        for pairs in (
            [(c, c.measured_time_uj) for c in checks],
            [(c, c.answer_uj) for c in checks],
            [(c, c.left_out_uj) for c in checks],
        )
    )
    return (
        f"Energy, {len(checks)} MLPerf Tiny rows: the board's power times the measured time is {power:.1f} % off in "
        f"the mean, times the time of a report {answer:.1f} %, times the time predicted without the network "
        f"{out:.1f} %."
    )


def _left_out(found: dict[str, list[Measurement]], width: int) -> list[Text]:
    lines = paragraph("Published times that are no evidence", width, style="bold")
    for why, rows in sorted(found.items(), key=lambda item: -len(item[1])):
        models = sorted({row.model for row in rows})
        shown = ", ".join(models[:4]) + (f" and {len(models) - 4} more" if len(models) > 4 else "")
        lines += paragraph(f"{len(rows)}: {why} ({shown})", width, indent="  ", hanging="    ")
    return lines


# ---------------------------------------------------------------------------------------------------------------------
# The plot

_MARKS = (
    ("tinyengine", "o", style.BLUE),
    ("tflm", "s", style.ORANGE),
    ("tflm-cmsis-nn", "^", style.GREEN),
    ("x-cube-ai", "D", style.SKY),
    ("microtvm-cmsis-nn", "v", style.PURPLE),
    ("microtvm", "<", style.RED),
    ("plumerai", "P", style.YELLOW),
    ("hale", "X", style.GREY),
)


def validation_plot(found: Sequence[Prediction], kind: str) -> bytes:
    """Predicted against measured, and the error of each row, as a file of `kind`: svg, png or pdf."""
    with style.figure(3.6) as made:
        left, right = made.subplots(1, 2, width_ratios=(1, 1))
        _draw_times(left, found)
        _draw_errors(right, found)
        made.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, handletextpad=0.2)
        return style.drawn(made, kind)


def _draw_times(axes: Axes, found: Sequence[Prediction]) -> None:
    times = [time for p in found for time in (p.ms, p.measured_ms)]
    low, high = min(times) / 1.5, max(times) * 1.5
    axes.plot([low, high], [low, high], color=style.BLACK, linewidth=0.6, zorder=1)
    axes.fill_between([low, high], [low * 0.8, high * 0.8], [low * 1.2, high * 1.2], color=style.LIGHT, linewidth=0)
    for name, mark, colour in _MARKS:
        own = [p for p in found if p.row.system.runtime == name]
        if own:
            axes.scatter(
                [p.measured_ms for p in own],
                [p.ms for p in own],
                10,
                color=colour,
                marker=mark,
                linewidths=0.3,
                edgecolors="black",
                label=name,
                zorder=3,
            )
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    style.plain_powers(axes.xaxis)
    style.plain_powers(axes.yaxis)
    axes.set_xlabel("measured, ms")
    axes.set_ylabel("predicted without the network, ms")
    axes.set_title("Every published time; grey: ±20 %")


def _draw_errors(axes: Axes, found: Sequence[Prediction]) -> None:
    """How large a share of the rows is off by less than so much, ours and the baseline's."""
    for networks, line in ((MANY_NETWORKS, "-"), (SOME_NETWORKS, "--")):
        kept = of_systems(found, networks)
        bases = [abs(p.baseline.ms / p.measured_ms - 1) for p in kept if p.baseline is not None]
        for errors, colour, name in (
            ([abs(p.error) for p in kept], style.BLUE, "mcusim"),
            (bases, style.ORANGE, "MACs only"),
        ):
            ordered = sorted(100 * error for error in errors)
            shares = [100 * (i + 1) / len(ordered) for i in range(len(ordered))]
            told = f"{name}, systems of {networks}+"
            axes.step(
                [0, *ordered], [0, *shares], color=colour, where="post", linestyle=line, linewidth=1.1, label=told
            )
    axes.set(xlim=(0, 40), ylim=(0, 101))
    axes.set_xlabel("error, %")
    axes.set_ylabel("rows within it, %")
    axes.set_title("How far off, by networks of a system")
    axes.legend(loc="lower right")
