"""Lists of what mcusim knows: networks, boards, runtimes, operators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.text import Text

from mcusim.boards import Finding, Level
from mcusim.boards.board import Board
from mcusim.render.text import Glyphs, headline, in_kib, kib, paragraph, shape_text
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.runtimes import Runtime
from mcusim.units import format_count, format_hz
from mcusim.zoo import Witness, ZooEntry

__all__ = [
    "Network",
    "board_details",
    "board_list",
    "fields",
    "finding_lines",
    "network_details",
    "network_list",
    "runtime_list",
    "witness_list",
]


class Network(NamedTuple):
    """A network of the zoo, counted. params_as_published: parameters by the count that its source uses."""

    entry: ZooEntry
    macs: int
    params: int
    params_as_published: int
    nodes: int


def fields(pairs: Iterable[tuple[str, str]], width: int) -> list[Text]:
    """`name   value` lines; long values wrap beside their name. Empty ones are left out."""
    shown = [(name, value) for name, value in pairs if value]
    margin = max((len(name) for name, _ in shown), default=0) + 4
    lines: list[Text] = []
    for name, value in shown:
        for number, line in enumerate(paragraph(value, max(width, margin + 20), " " * margin)):
            if number == 0:
                line = Text.assemble((f"  {name}".ljust(margin), "dim"), line.plain[margin:])
            lines.append(line)
    return lines


def network_list(networks: Sequence[Network], width: int, glyphs: Glyphs) -> list[Text]:
    """One row a network; printed figures that it does not meet are marked."""
    columns = (
        Column("network"),
        Column("task", drop=6),
        Column("dataset", drop=5, least=8),
        Column("input", drop=2),
        Column("MACs", right=True),
        Column("printed", right=True, drop=3),
        Column("params", right=True, drop=1),
        Column("printed", right=True, drop=4),
        Column("also called", drop=7, least=16),
    )
    rows: list[list[Cell | Bar]] = []
    for network in networks:
        entry = network.entry
        rows.append(
            [
                Cell(entry.name),
                Cell(str(entry.task), "dim"),
                Cell(entry.dataset, "dim"),
                Cell(shape_text(entry.input_shape, glyphs)),
                Cell(format_count(network.macs)),
                Cell(_printed(entry.macs_text), "yellow" if "macs" in entry.differs else "dim"),
                Cell(format_count(network.params_as_published)),
                Cell(_printed(entry.params_text), "yellow" if "params" in entry.differs else "dim"),
                Cell(", ".join(entry.aliases), "dim"),
            ]
        )
    sentence = (
        "MACs and params are counted by mcusim, params as the sources count them; printed is what the source says."
    )
    lines = [*table(columns, rows, width, glyphs), Text(), *paragraph(sentence, width, style="dim")]
    return lines + _mismatches(networks, width)


def witness_list(networks: Sequence[Network], width: int, glyphs: Glyphs) -> list[Text]:
    """One row a witness, under a heading that says what they are."""
    columns = (
        Column("witness, accuracy unknown"),
        Column("of the row"),
        Column("board", drop=4),
        Column("input", drop=2),
        Column("MACs", right=True),
        Column("SRAM KiB", right=True),
        Column("flash KiB", right=True, drop=1),
        Column("params", right=True, drop=3),
        Column("schedule", drop=5),
    )
    rows: list[list[Cell | Bar]] = [
        [
            Cell(network.entry.name),
            Cell(witness.of),
            Cell(witness.profile, "dim"),
            Cell(shape_text(network.entry.input_shape, glyphs)),
            Cell(format_count(network.macs)),
            Cell(kib(witness.sram_bytes)),
            Cell(kib(witness.flash_bytes)),
            Cell(format_count(network.params_as_published)),
            Cell(witness.schedule, "dim"),
        ]
        for network in networks
        if (witness := network.entry.witness) is not None
    ]
    if not rows:
        return []
    sentence = (
        "A witness meets the figures of a published row whose own network was never released (`mcusim search-net`)."
    )
    return [Text(), *table(columns, rows, width, glyphs), Text(), *paragraph(sentence, width, style="dim")]


def _as_published(network: Network) -> str:
    whose = "that its source uses" if network.entry.witness is None else "of that zoo"
    return f"{network.params_as_published:,} parameters by the count {whose}"


def _witness_fields(witness: Witness | None) -> list[tuple[str, str]]:
    if witness is None:
        return []
    return [
        ("accuracy", f"{witness.statement}: nobody has trained it"),
        ("witness of", witness.of),
        ("found by", f"{witness.command} (for {witness.profile})"),
        ("schedule", witness.schedule),
        ("SRAM", f"{witness.sram_bytes:,} bytes under that schedule, as {witness.convention} counts it"),
        ("flash", f"{in_kib(witness.flash_bytes)}, model and code"),
        ("recomputed", f"{witness.recomputed_macs:,} MACs beyond the network's own"),
    ]


def _mismatches(networks: Sequence[Network], width: int) -> list[Text]:
    lines: list[Text] = []
    for network in networks:
        if network.entry.differs:
            what = " and ".join(_FIGURES[name] for name in network.entry.differs)
            warning = f"! {network.entry.name}: {what} not as printed. {network.entry.note}"
            lines += paragraph(warning, width, style="yellow", hanging="  ")
    return lines


_FIGURES = {"macs": "MACs", "params": "parameters"}


def _images(entry: ZooEntry) -> str:
    """What an image goes through before it, as declared."""
    declared = entry.preprocessing
    if declared is None:
        return ""
    mean, std = (",".join(f"{value:g}" for value in values) for values in (declared.mean, declared.std))
    cut = f" fraction={declared.fraction:g}" if declared.resize == "crop" else ""
    kept = f"resize={declared.resize}{cut} filter={declared.filter} channels={declared.channels}"
    return f"{kept} mean={mean} std={std} integers={declared.integers} ({declared.source})"


def _printed(millions: str) -> str:
    return f"{millions} M" if millions else ""


def network_details(network: Network, width: int, glyphs: Glyphs) -> list[Text]:
    """All that is known of one network."""
    entry = network.entry
    lines = paragraph(entry.name, width, style="bold")
    lines += fields(
        [
            ("also called", ", ".join(entry.aliases)),
            ("task", f"{entry.task} ({entry.dataset})"),
            ("input", f"{shape_text(entry.input_shape, glyphs)} {entry.dtype}"),
            ("nodes", str(network.nodes)),
            ("MACs", f"{network.macs:,}"),
            ("parameters", f"{network.params:,} weights and biases"),
            ("as published" if entry.witness is None else "as MCUNet's zoo", _as_published(network)),
            ("architecture", entry.source),
            ("images", _images(entry)),
            ("note", entry.note),
            *_witness_fields(entry.witness),
        ],
        width,
    )
    for figures in entry.published:
        printed = [
            ("MACs", _printed(figures.macs)),
            ("parameters", _printed(figures.params)),
            ("top-1 float", figures.top1_float),
            ("top-1 quantised", figures.top1_quantized),
            ("top-5 float", figures.top5_float),
            ("top-5 quantised", figures.top5_quantized),
        ]
        lines += [Text(), *paragraph(f"Printed by {figures.source}", width, style="bold")]
        lines += fields(printed, width)
        for name in figures.differs:
            counted = network.macs if name == "macs" else network.params_as_published
            warning = f"! {_FIGURES[name]}: {format_count(counted)} counted, {_printed(getattr(figures, name))} printed"
            lines += paragraph(warning, width, style="yellow", hanging="  ")
    return lines


def board_list(boards: Sequence[Board], width: int, glyphs: Glyphs) -> list[Text]:
    """One row a board. SRAM is the budget of a runtime with one arena, of all on-chip RAM for activations."""
    columns = (
        Column("board"),
        Column("core", drop=2),
        Column("MHz", right=True),
        Column("arena KiB", right=True),
        Column("of SRAM KiB", right=True, drop=4),
        Column("flash KiB", right=True),
        Column("USD", right=True, drop=2),
        Column("default network", drop=1),
        Column("title", drop=3, least=12),
    )
    rows: list[list[Cell | Bar]] = [
        [
            Cell(board.name),
            Cell(str(board.core), "dim"),
            Cell(f"{board.clock_hz / 1e6:g}"),
            Cell(kib(board.sram_budget_bytes)),
            Cell(kib(board.sram_bytes), "dim"),
            Cell(kib(board.flash_bytes)),
            Cell("" if board.price is None else f"{board.price.usd:.2f}"),
            Cell(board.default_model),
            Cell(board.title, "dim"),
        ]
        for board in boards
    ]
    if not boards:
        return paragraph("no board meets that; ask for less, or bring your own: `mcusim profiles new`", width)
    sentences = "arena: the largest run of memory banks with no gap between; `mcusim profiles NAME` shows them."
    if any(board.price is not None for board in boards):
        sentences += " USD: a hint for the bare part, where a source gives one."
    return [*table(columns, rows, width, glyphs), Text(), *paragraph(sentences, width, style="dim")]


def board_details(board: Board, width: int, glyphs: Glyphs) -> list[Text]:
    """All that a profile says, with its sources."""
    flash, caches, power = board.flash, board.caches, board.power
    cached = [("instructions", caches.icache_bytes), ("data", caches.dcache_bytes)]
    cached_text = ", ".join(f"{in_kib(size)} {name}" for name, size in cached if size)
    lines = headline(board.name, board.title, "bold", width)
    lines += fields(
        [
            ("also called", ", ".join(board.aliases)),
            ("core", f"{board.core} at {format_hz(board.clock_hz)}"),
            ("arena", f"{in_kib(board.sram_budget_bytes)} ({' + '.join(bank.name for bank in board.arena_run)})"),
            ("reserved", in_kib(board.reserved_bytes) if board.reserved_bytes else ""),
            ("flash", f"{in_kib(flash.size_bytes)}, {_or_unknown(flash.wait_states)} wait states"),
            ("caches", cached_text),
            (
                "power",
                f"{power.active_low_mw:g} to {power.active_high_mw:g} mW, {power.setting}" if power else "not known",
            ),
            ("price", f"{board.price.usd:g} US dollars" if board.price else ""),
            ("default network", board.default_model),
        ],
        width,
    )
    lines += [Text(), *_banks(board, width, glyphs), Text()]
    sources = [("board", board.source), ("flash", flash.source), ("caches", caches.source)]
    sources.append(("power", power.source if power else None))
    source_fields = fields([(f"{name} from", text) for name, text in sources if text], width)
    return lines + source_fields


def _banks(board: Board, width: int, glyphs: Glyphs) -> list[Text]:
    columns = (
        Column("bank"),
        Column("kind", drop=1),
        Column("from"),
        Column("KiB", right=True),
        Column("arena"),
        Column("source", drop=2, least=16),
    )
    run = {bank.name for bank in board.arena_run}
    rows: list[list[Cell | Bar]] = [
        [
            Cell(bank.name),
            Cell(str(bank.kind), "dim"),
            Cell(f"0x{bank.address:08X}"),
            Cell(kib(bank.size_bytes)),
            Cell("yes" if bank.name in run else "no", "" if bank.name in run else "dim"),
            Cell(bank.source or "", "dim"),
        ]
        for bank in board.memory
    ]
    return table(columns, rows, width, glyphs)


def _or_unknown(value: object) -> str:
    return "unknown" if value is None else str(value)


def runtime_list(runtimes: Sequence[Runtime], unknown: Sequence[str], width: int) -> list[Text]:
    """A block for each runtime. unknown: what is not known of each."""
    lines: list[Text] = []
    for runtime, missing in zip(runtimes, unknown, strict=True):
        if lines:
            lines.append(Text())
        lines += headline(f"{runtime.name}@{runtime.version}", runtime.title, "", width)
        basis = str(runtime.memory_basis)
        if runtime.persistent_basis is not runtime.memory_basis:
            basis = f"arena {basis}, persistent bytes {runtime.persistent_basis}"
        pairs = [
            ("rules", _rules(runtime)),
            ("SRAM", basis),
            ("evidence", runtime.evidence or "none yet"),
            ("not known", missing),
        ]
        lines += fields(pairs, width)
    return lines


_MOST_NAMED = 8
"""More operators than these are counted, not named."""


def _rules(runtime: Runtime) -> str:
    rules = runtime.rules
    phrases = [f"plans with {runtime.planner_name}, buffers aligned to {rules.alignment} bytes"]
    phrases += ["folds padding into its readers"] if rules.folds_padding else ["carries padding out"]
    phrases += ["a reshape costs nothing"] if rules.relabels_free else []
    phrases += ["the caller converts inputs and outputs of the network"] if rules.caller_converts else []
    if len(rules.in_place) > _MOST_NAMED:
        phrases.append(f"computes {len(rules.in_place)} operators in place where that is possible")
    elif rules.in_place:
        phrases.append(f"computes {', '.join(sorted(rules.in_place))} in place")
    phrases.append(f"input {rules.input_place}")
    return "; ".join(phrases)


def finding_lines(file: str, findings: Sequence[Finding], board: Board | None, width: int) -> list[Text]:
    """The verdict on a profile, errors before advice. board: what it describes, if it loads."""
    errors = [finding for finding in findings if finding.level is Level.ERROR]
    advice = len(findings) - len(errors)
    if errors:
        lines = headline(file, f"{len(errors)} error{'s' * (len(errors) > 1)}", "bold red", width)
    else:
        words = "ok" if not advice else f"ok, with {advice} piece{'s' * (advice > 1)} of advice"
        lines = headline(file, words, "bold green", width)
    if board is not None:
        what = f"{board.core} at {format_hz(board.clock_hz)}, {in_kib(board.sram_budget_bytes)} of SRAM for an arena"
        lines += paragraph(f"{what}, {in_kib(board.flash_bytes)} of flash", width, style="dim")
    for finding in sorted(findings, key=lambda item: item.level is not Level.ERROR):
        style = "red" if finding.level is Level.ERROR else ""
        sentence = f"{finding.level}: {finding.where}: {finding.what}"
        lines += paragraph(sentence, width, style=style, hanging="  ")
        lines += paragraph(finding.fix, width, indent="  ")
    return lines
