"""A search for a network, as text: what was found, what it takes, and what stands behind its score."""

from __future__ import annotations

from rich.text import Text

from mcusim.designing.optimising.documents import FoundInfo, SearchDocument
from mcusim.designing.optimising.finding import BestNetwork
from mcusim.designing.spaces import Space
from mcusim.render.catalog import fields
from mcusim.render.text import Glyphs, headline, in_kib, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.units import format_count, format_percent, three_digits

__all__ = ["network_lines", "space_lines"]


def network_lines(
    best: BestNetwork, contents: SearchDocument, file: str | None, width: int, glyphs: Glyphs
) -> list[Text]:
    """All of it, as lines of at most `width` cells.   file: where the network was written, if it was."""
    network = contents.found
    subject = f"{contents.space.title} on {best.board.name}"
    if contents.fits:
        lines = headline(subject, f"{contents.predictor.predicts}: {network.score:,.4g}", "bold green", width)
    else:
        lines = headline(subject, "NOTHING THAT WAS TRIED FITS", "bold red", width)
    tried = f"{contents.evaluations:,} networks, {contents.distinct:,} distinct, {contents.fitting:,} fit"
    done = f"{contents.optimiser}, seed {contents.seed}: {tried}; runtime {contents.runtime}"
    lines += paragraph(done, width, style="dim")
    lines += [Text(), *_limits(best, contents, width, glyphs), Text(), *fields(_facts(contents), width)]
    if contents.predictor.evidence is not None:
        known = contents.predictor.evidence
        evidence = (
            f"the predictor, asked about each of {known.networks} published networks without having seen it, is off by "
            f"{known.mean_error:.1f} points in the mean and {known.worst_error:.1f} at worst; rank correlation "
            f"{known.rank_correlation:.2f}. Nobody has trained this network."
        )
        lines += [Text(), *paragraph(evidence, width, style="dim")]
    if not contents.fits:
        lines += [Text(), *paragraph(_closest(network), width, style="yellow")]
    elif file is None:
        lines += [Text(), *paragraph("-o FILE writes it, for `mcusim run FILE`.", width, style="dim")]
    else:
        command = (
            f"mcusim run {file} --profile {best.board.name} --runtime {contents.runtime} --schedule {network.schedule}"
        )
        lines += [Text(), *paragraph(f"next: {command}", width, style="bold", hanging="  ")]
    return lines


def _closest(network: FoundInfo) -> str:
    if network.why:
        return f"! shown is the closest: {network.why}."
    return (
        f"! shown is the closest: {format_percent(network.excess)} above its budgets in all. Allow more, hold smaller "
        f"choices (--hold), or try more networks (--evaluations)."
    )


def _limits(best: BestNetwork, contents: SearchDocument, width: int, glyphs: Glyphs) -> list[Text]:
    """Each budget beside the figure; whether it is held is for `simulate` to say, which counts margins too."""
    network, budgets, report = contents.found, contents.budgets, best.report
    columns = (Column("figure"), Column("at most", right=True), Column("found", right=True), Column("", least=4))
    spread = (
        ""
        if network.low_ms is None or network.high_ms is None
        else f" ({three_digits(network.low_ms)}-{three_digits(network.high_ms)})"
    )
    time = "unknown" if network.ms is None else f"{three_digits(network.ms)} ms{spread}"
    most_ms = "" if budgets.ms is None else f"{budgets.ms:,g} ms"
    words = {True: Cell("held", "green"), False: Cell("MISSED", "bold red"), None: Cell("not sure", "yellow")}
    fits = (None, None, None) if report is None else (report.sram.fits, report.flash.fits, report.latency.fits)
    figures = (
        ("SRAM", _size(budgets.sram_bytes), _size(network.sram_bytes)),
        ("flash", _size(budgets.flash_bytes), _size(network.flash_bytes)),
        ("time", most_ms, time),
    )
    rows: list[list[Cell | Bar]] = [
        [Cell(name), Cell(most), Cell(value), words[held] if most and report is not None else Cell("")]
        for (name, most, value), held in zip(figures, fits, strict=True)
    ]
    return table(columns, rows, width, glyphs)


def _size(size_bytes: int | None) -> str:
    return "unknown" if size_bytes is None else in_kib(size_bytes)


def _facts(contents: SearchDocument) -> list[tuple[str, str]]:
    network = contents.found
    whole = {name: value for name, value in network.choices.items() if name in ("resolution", "width")}
    layers = [] if network.network is None else network.network["layers"]
    shape = "" if network.network is None else "x".join(map(str, network.network["input"]))
    return [
        ("MACs", format_count(network.macs)),
        ("parameters", f"{network.params:,}"),
        ("input", shape),
        ("schedule", network.schedule),
        ("choices", ", ".join(f"{name} {value}" for name, value in whole.items())),
        ("layers", f"{len(layers)} in its description" if layers else ""),
        ("accuracy", "unknown: nobody has trained it"),
    ]


def space_lines(spaces: list[Space], width: int, glyphs: Glyphs) -> list[Text]:
    """The spaces that come with mcusim."""
    columns = (
        Column("space"),
        Column("networks", right=True),
        Column("data set", drop=2),
        Column("source", drop=1, least=20),
    )
    rows: list[list[Cell | Bar]] = [
        [
            Cell(space.name),
            Cell("" if space.size is None else f"{space.size:.1e}"),
            Cell(space.dataset),
            Cell(space.source, "dim"),
        ]
        for space in spaces
    ]
    return table(columns, rows, width, glyphs)
