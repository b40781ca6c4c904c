"""`mcusim compare`: what changed from one report to another, and whether that is too much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

import typer

from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON, option
from mcusim.cli.shell import (
    STDOUT,
    check_exit,
    document,
    glyphs,
    refuse_overwriting,
    refuse_same_target,
    show,
    terminal_width,
    write_output,
)
from mcusim.gating.comparing import Common, Comparison, Growth, compare_reports, read_report
from mcusim.gating.limits import Metric, parse_limit
from mcusim.render.gates import comparison_lines, comparison_markdown

__all__ = ["CompareDocument", "compare"]


class ChangeDocument(TypedDict):
    """One metric. limits: as they were asked for.   broken: those that do not hold.   grown: layers, or cycles."""

    metric: Metric
    before: float | None
    after: float | None
    limits: list[str]
    broken: list[str]
    grown: Sequence[Growth]


class CompareDocument(Versioned):
    """What `mcusim compare` answers. holds: whether every limit does.   other: what differs besides.

    apart: what differs so that the limits say nothing.
    """

    model: str
    holds: bool | None
    other: Sequence[str]
    apart: Sequence[Common]
    metrics: list[ChangeDocument]


def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="A report, as `mcusim run --json` wrote it.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="A later one.")],
    fail_on: Annotated[
        list[str] | None,
        option(
            "--fail-on",
            metavar="LIMIT",
            help="Exit with 1 when a metric grew by more: sram, flash, time or energy, in %, B, KiB, ms or uJ, such as "
            "'sram>+1%'. May be given several times.",
        ),
    ] = None,
    across: Annotated[
        list[Common] | None,
        option(
            "--across",
            help="What the two may differ in. Without it, a limit on reports of two networks, boards, clocks, runtimes "
            "or conventions cannot be judged. May be given several times.",
        ),
    ] = None,
    json: Annotated[str | None, JSON] = None,
    markdown: Annotated[
        str | None,
        option(metavar="FILE", help="Write the table for a comment on a pull request; - is standard output."),
    ] = None,
) -> None:
    """What grew from one report to another, by which layer, and whether that breaks a limit?

    Exit codes: 0 every limit holds, 1 one is broken, 3 a side is not known, or the two are about different things.

    \b
    Example:
      mcusim compare main.json branch.json --fail-on 'sram>+1%' --fail-on 'time>+3%'
    """
    refuse_same_target(json=json, markdown=markdown)
    refuse_overwriting((before, after), json=json, markdown=markdown)
    limits = [parse_limit(text) for text in fail_on or ()]
    comparison = compare_reports(read_report(before), read_report(after), limits, across or ())
    if json is not None:
        write_output(document(_document(comparison)), json, "--json")
    if markdown is not None:
        write_output(comparison_markdown(comparison, (before, after)), markdown, "--markdown")
    if STDOUT not in (json, markdown):
        show(comparison_lines(comparison, (before, after), terminal_width(), glyphs()))
    if limits:
        check_exit("mcusim compare", [comparison.holds], no="a limit is broken", unknown=_unknown(comparison))


def _unknown(comparison: Comparison) -> str:
    """Why it cannot be known whether the limits hold."""
    if not comparison.apart:
        return "a side is not known"
    allowed = " ".join(f"--across {what}" for what in comparison.apart)
    return f"the two are not of the same {', '.join(comparison.apart)}; if that is meant, add {allowed}"


def _document(comparison: Comparison) -> CompareDocument:
    return {
        "schema_version": 1,
        "model": comparison.model,
        "holds": comparison.holds,
        "other": comparison.other,
        "apart": comparison.apart,
        "metrics": [
            {
                "metric": change.metric,
                "before": change.before,
                "after": change.after,
                "limits": [limit.text for limit in change.limits],
                "broken": [limit.text for limit in change.broken],
                "grown": change.layers,
            }
            for change in comparison.changes
        ],
    }
