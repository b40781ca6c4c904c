"""Predicted against measured times: a table of experiments, one of systems, and a plot by family with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from rich.text import Text

from mcusim.pricing.intervals import TINY_MACS
from mcusim.pricing.measurements import Measurement
from mcusim.pricing.scoring import Guess, Prediction, Score, SystemScore, of_systems, score, score_of, score_systems
from mcusim.pricing.validation import EARLIER_COMMIT, MANY_NETWORKS, MEANING, SOME_NETWORKS, EnergyCheck, Group
from mcusim.render import style
from mcusim.render.text import Glyphs, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["group_scores", "validation_lines", "validation_plot", "validation_table"]

_FIGURES = (
    Column("rows", right=True, drop=6),
    Column("error %", right=True),
    Column("median", right=True, drop=2),
    Column("≤10 %", right=True, drop=5),
    Column("≤20 %", right=True, drop=3),
    Column("inside", right=True),
    Column("width %", right=True, drop=1),
    Column("score", right=True),
)
_GROUPS = (Column("left out", whole=True), Column("by", whole=True), *_FIGURES)
_SYSTEMS = (
    Column("runtime", whole=True),
    Column("board", whole=True),
    Column("networks", right=True, drop=7),
    *_FIGURES,
    Column("MACs only %", right=True, drop=1),
)


def group_scores(predictions: Mapping[Group, Sequence[Prediction]]) -> list[tuple[str, str, dict[str, Score]]]:
    """(what was left out, which rows, the scores of mcusim, of the earlier commit and of MACs alone) of every group."""
    scored = []
    for group, rows in predictions.items():
        for which, kept in _parts(group, rows):
            if kept:
                scored.append((group.value, which, _scores(kept)))
    return scored


def _parts(group: Group, rows: Sequence[Prediction]) -> Iterable[tuple[str, list[Prediction]]]:
    yield "all", list(rows)
    if group is Group.KERNELS:
        yield "CONV_2D", [row for row in rows if getattr(row.row, "op", "") == "CONV_2D"]
        return
    for networks in (MANY_NETWORKS, SOME_NETWORKS):
        yield f"systems of {networks} networks or more", of_systems(rows, networks)
    yield f"networks under {TINY_MACS / 1e6:g} M MACs", [row for row in rows if row.macs < TINY_MACS]


def _scores(rows: Sequence[Prediction]) -> dict[str, Score]:
    scores = {"mcusim": score_of(rows)}
    earlier = [(row.measured_ms, row.earlier) for row in rows if row.earlier is not None]
    if earlier:
        scores[f"commit {EARLIER_COMMIT}"] = score(earlier)
    return scores | {"MACs only": score((row.measured_ms, row.macs_only) for row in rows)}


def validation_lines(
    predictions: Mapping[Group, Sequence[Prediction]],
    energies: Sequence[EnergyCheck],
    left_out: Mapping[str, Sequence[Measurement]],
    least_networks: int,
    width: int,
    glyphs: Glyphs,
) -> list[Text]:
    """Every experiment, the systems with at least so many networks, energy, and what was left out of all."""
    families = predictions[Group.FAMILIES]
    words = (
        f"{len(families)} published times of {len({p.network for p in families})} networks of "
        f"{len({p.family for p in families})} families, and {len(predictions.get(Group.KERNELS, ()))} single "
        "operators, each predicted by a model that has seen nothing alike"
    )
    lines = paragraph(words, width, style="bold")
    lines += [Text(), *table(_titles(_GROUPS, glyphs), _group_rows(predictions), width, glyphs), Text()]
    lines += [line for group in predictions for line in paragraph(f"{group}: {MEANING[group]}.", width, style="dim")]
    words = (
        "error: mean of |predicted / measured - 1|. inside: measured times within the interval, which aims at 80 %. "
        "width: of the interval, median, as a share of the prediction. score: of the interval, its width plus ten "
        "times what it misses by: less is better. MACs only: mean cycles a multiply-accumulate of the nearest system "
        f"that is known. commit {EARLIER_COMMIT}: the model of that commit on the same measurements."
    )
    lines += [*paragraph(words, width, style="dim"), Text()]
    lines += _system_lines(families, least_networks, width, glyphs)
    if energies:
        lines += [Text(), *paragraph(_energy(energies), width)]
    return [*lines, Text(), *_left_out(left_out, width)]


def _system_lines(families: Sequence[Prediction], least: int, width: int, glyphs: Glyphs) -> list[Text]:
    every = score_systems(families)
    systems = [entry for entry in every if entry.networks >= least]
    lines = paragraph("Families left out, by system", width, style="bold")
    lines += [Text(), *table(_titles(_SYSTEMS, glyphs), [_system_row(entry) for entry in systems], width, glyphs)]
    hidden = len(every) - len(systems)
    if hidden:
        words = f"{hidden} systems with fewer networks are not shown: --systems all."
        lines += [Text(), *paragraph(words, width, style="dim")]
    return lines


def _titles(columns: Sequence[Column], glyphs: Glyphs) -> tuple[Column, ...]:
    if not glyphs.is_ascii:
        return tuple(columns)
    return tuple(replace(column, title=column.title.replace("≤", "<=")) for column in columns)


def _group_rows(predictions: Mapping[Group, Sequence[Prediction]]) -> list[list[Cell | Bar]]:
    rows: list[list[Cell | Bar]] = []
    for group, which, scores in group_scores(predictions):
        title = group if which == "all" else f"  {which}"
        for name, judged in scores.items():
            shown = "bold" if name == "mcusim" else "dim"
            rows.append([Cell(title, "bold" if which == "all" else ""), Cell(name, shown), *_figures(judged, shown)])
            title = ""
    return rows


def _system_row(entry: SystemScore) -> list[Cell | Bar]:
    system = entry.system
    version = f"{system.version}+{system.option}" if system.option else system.version
    board = f"{system.board}, external RAM" if system.memory else system.board
    named: list[Cell | Bar] = [Cell(f"{system.runtime}@{version}"), Cell(board), Cell(str(entry.networks))]
    return [*named, *_figures(entry.score, ""), Cell(f"{100 * entry.macs_only.mean_error:.1f}", "dim")]


def _figures(judged: Score, shown: str) -> list[Cell | Bar]:
    shares = (judged.within_10, judged.within_20, judged.coverage)
    texts = (
        str(judged.rows),
        f"{100 * judged.mean_error:.1f}",
        f"{100 * judged.median_error:.1f}",
        *(f"{100 * share:.0f}" for share in shares),
        f"{100 * judged.median_width:.0f}",
        f"{judged.interval_score:.2f}",
    )
    return [Cell(text, shown) for text in texts]


def _energy(checks: Sequence[EnergyCheck]) -> str:
    power, answer, out = (
        100 * fmean([abs(spent / check.published_uj - 1) for check, spent in pairs])
        for pairs in (
            [(c, c.measured_time_uj) for c in checks],
            [(c, c.answer_uj) for c in checks],
            [(c, c.left_out_uj) for c in checks],
        )
    )
    inside = 100 * fmean([check.is_inside for check in checks])
    return (
        f"Energy, {len(checks)} MLPerf Tiny rows: the board's power times the measured time is {power:.1f} % off in "
        f"the mean, times the time of a report {answer:.1f} %, times the time predicted without the network's family "
        f"{out:.1f} %, with {inside:.0f} % inside the interval of power and time together."
    )


def _left_out(reasons: Mapping[str, Sequence[Measurement]], width: int) -> list[Text]:
    lines = paragraph("Published times that are no evidence", width, style="bold")
    for why, rows in sorted(reasons.items(), key=lambda item: -len(item[1])):
        models = sorted({row.model for row in rows})
        shown = ", ".join(models[:4]) + (f" and {len(models) - 4} more" if len(models) > 4 else "")
        lines += paragraph(f"{len(rows)}: {why} ({shown})", width, indent="  ", hanging="    ")
    return lines


def validation_table(predictions: Mapping[Group, Sequence[Prediction]]) -> str:
    """Every experiment as a Markdown table."""
    titles = ("left out", "rows", "error", "median", "≤ 10 %", "≤ 20 %", "inside", "width", "score")
    lines = [f"| {' | '.join((titles[0], 'by', *titles[1:]))} |", "|---|---|" + "--:|" * (len(titles) - 1)]
    for group, which, scores in group_scores(predictions):
        title = f"**{group}**: {MEANING[Group(group)]}" if which == "all" else f"… {which}"
        for name, judged in scores.items():
            shares = (judged.mean_error, judged.median_error, judged.within_10, judged.within_20, judged.coverage)
            cells = [f"{judged.rows:,}", *(f"{100 * share:.1f} %" for share in shares[:2])]
            cells += [f"{100 * share:.0f} %" for share in (*shares[2:], judged.median_width)]
            lines.append(f"| {title} | {name} | {' | '.join(cells)} | {judged.interval_score:.2f} |")
            title = ""
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------------------------------------
# The plot

_MARKS = ("o", "s", "^", "D", "v", "<", "P", "X")
_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.SKY, style.PURPLE, style.RED, style.YELLOW, style.GREY)


def validation_plot(predictions: Sequence[Prediction], kind: str) -> bytes:
    """Predicted against measured by family, with intervals, and the error of each row, as a file of `kind`.

    predictions: with families left out.   kind: svg, png or pdf.
    """
    with style.figure(4.2) as made:
        left, right = made.subplots(1, 2, width_ratios=(1, 1))
        _draw_times(left, predictions)
        _draw_errors(right, predictions)
        made.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, handletextpad=0.2)
        return style.drawn(made, kind)


def _draw_times(axes: Axes, predictions: Sequence[Prediction]) -> None:
    times = [time for p in predictions for time in (p.guess.ms, p.measured_ms)]
    low, high = min(times) / 1.5, max(times) * 1.5
    axes.plot([low, high], [low, high], color=style.BLACK, linewidth=0.6, zorder=1)
    axes.fill_between([low, high], [low * 0.8, high * 0.8], [low * 1.2, high * 1.2], color=style.LIGHT, linewidth=0)
    for i, family in enumerate(sorted({p.family for p in predictions})):
        own = [p for p in predictions if p.family == family]
        colour, mark = _COLOURS[i % len(_COLOURS)], _MARKS[(i + i // len(_COLOURS)) % len(_MARKS)]
        measured = [p.measured_ms for p in own]
        bounds = ([p.guess.low_ms for p in own], [p.guess.high_ms for p in own])
        axes.vlines(measured, *bounds, color=colour, linewidth=0.8, alpha=0.8, zorder=2)
        guessed = [p.guess.ms for p in own]
        axes.scatter(
            measured, guessed, 6, color=colour, marker=mark, linewidths=0.3, edgecolors="black", label=family, zorder=3
        )
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    style.plain_powers(axes.xaxis)
    style.plain_powers(axes.yaxis)
    axes.set_xlabel("measured, ms")
    axes.set_ylabel("predicted without its family, ms")
    axes.set_title("Families left out; grey: ±20 %")


def _draw_errors(axes: Axes, predictions: Sequence[Prediction]) -> None:
    """How large a share of the rows is off by less than so much, by what says so."""
    for networks, line in ((MANY_NETWORKS, "-"), (SOME_NETWORKS, "--")):
        kept = of_systems(predictions, networks)
        guesses: list[tuple[str, str, list[tuple[float, Guess]]]] = [
            ("mcusim", style.BLUE, [(p.measured_ms, p.guess) for p in kept]),
            ("MACs only", style.ORANGE, [(p.measured_ms, p.macs_only) for p in kept]),
        ]
        for name, colour, pairs in guesses:
            ordered = sorted(100 * abs(guess.ms / measured - 1) for measured, guess in pairs)
            shares = [100 * (i + 1) / len(ordered) for i in range(len(ordered))]
            label = f"{name}, systems of {networks}+"
            axes.step(
                [0, *ordered], [0, *shares], color=colour, where="post", linestyle=line, linewidth=1.1, label=label
            )
    axes.set(xlim=(0, 40), ylim=(0, 101))
    axes.set_xlabel("error, %")
    axes.set_ylabel("rows within it, %")
    axes.set_title("How far off, families left out")
    axes.legend(loc="lower right")
