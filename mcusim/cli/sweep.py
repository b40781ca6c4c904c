"""`mcusim sweep`: many networks, boards, runtimes and schedules, answered at once and kept as Parquet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON, option
from mcusim.cli.progress import progress_bar
from mcusim.cli.shell import STDOUT, complain, document, refuse_overwriting, refuse_same_target, write_output
from mcusim.errors import InputError
from mcusim.render.sweep_page import sweep_page
from mcusim.render.text import counted
from mcusim.sweeping.running import Forecast, Progress, Tally, forecast, run_sweep
from mcusim.sweeping.spec import read_spec
from mcusim.units import format_seconds

__all__ = ["ForecastDocument", "SweepDocument", "sweep"]


class SweepDocument(Versioned):
    """What `mcusim sweep` did. resumed: answers that were there before.   failed: those that say why there is none."""

    folder: str
    answered: int
    failed: int
    resumed: int
    seconds: float


class ForecastDocument(Versioned):
    """What `mcusim sweep --explain` says. seconds: on so many processes, from a few answers made now."""

    questions: int
    networks: int
    processes: int
    seconds: float


_LOG_SECONDS = 60.0


def sweep(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A TOML file that says what is swept (docs/sweep.md).")],
    output: Annotated[
        str | None,
        option("-o", "--output", metavar="DIR", help="The folder of the answers; an unfinished one is continued."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only say how many answers there are, and how long they will take.")
    ] = False,
    processes: Annotated[
        int | None, option(min=1, metavar="N", help="Processes on this machine. Default: one a core.")
    ] = None,
    scheduler: Annotated[
        str | None, option(metavar="ADDRESS", help="Work on the Dask cluster of this scheduler instead.")
    ] = None,
    html: Annotated[
        str | None,
        option(metavar="FILE", help="Write the answers as one page that filters and sorts, without a network."),
    ] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """Every network on every board, with every runtime and schedule: one row per answer, as Parquet.

    A sweep that was stopped, however it was, goes on when the same command is given again. A network that fails is a
    row that says why. `pandas.read_parquet("DIR/answers")` reads the rows.

    \b
    Examples:
      mcusim sweep sweep.toml --explain
      mcusim sweep sweep.toml -o answers --html answers.html
    """
    refuse_overwriting((spec,), html=html, json=json)
    refuse_same_target(html=html, json=json)
    asked = read_spec(spec)
    if explain:
        if html is not None:
            raise InputError("--explain answers nothing that a page could show", where="--html", fix="leave one out")
        expected = forecast(asked, processes)
        if json is not None:
            wanted: ForecastDocument = {
                "schema_version": 1,
                "questions": expected.questions,
                "networks": expected.networks,
                "processes": expected.processes,
                "seconds": expected.seconds,
            }
            write_output(document(wanted), json, "--json")
        if json != STDOUT:
            print(_explained(expected))
        return
    if output is None:
        raise InputError("no folder is named", where="mcusim sweep", fix="add -o DIR, or --explain")
    with _progress_shown() as progress:
        tally = run_sweep(asked, output, processes=processes, scheduler=scheduler, progress=progress)
    if html is not None:
        write_output(sweep_page(output), html, "--html")
    if json is not None:
        json_document: SweepDocument = {
            "schema_version": 1,
            "folder": output,
            "answered": tally.answered,
            "failed": tally.failed,
            "resumed": tally.resumed,
            "seconds": tally.seconds,
        }
        write_output(document(json_document), json, "--json")
    if STDOUT not in (html, json):
        print(_summed_up(tally, output))


def _explained(cost: Forecast) -> str:
    asked, networks = counted(cost.questions, "answer"), counted(cost.networks, "network")
    processes = f"{cost.processes} process{'es' * (cost.processes > 1)}"
    return f"{asked} about {networks}: about {format_seconds(cost.seconds)} on {processes}"


def _summed_up(tally: Tally, output: str) -> str:
    rate = f", {tally.answered / tally.seconds:,.0f} a second" if tally.seconds > 0 else ""
    parts = [f"{counted(tally.answered, 'answer')} in {format_seconds(tally.seconds)}{rate}"]
    if tally.resumed:
        parts.append(f"{tally.resumed:,} were there")
    if tally.failed:
        parts.append(f"{tally.failed:,} of them say why there is no answer: see the column `error`")
    return f"{output}/answers: {'; '.join(parts)}"


@contextmanager
def _progress_shown() -> Iterator[Progress]:
    """Progress on standard error: a bar with rate and time left on a terminal, else a line a minute."""
    if sys.stderr is not None and sys.stderr.isatty():
        with progress_bar() as bar:
            yield lambda done, most: bar("answering", done, most) if bar is not None else None
        return
    began = last = time.monotonic()

    def log(done: int, most: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _LOG_SECONDS:
            last = now
            left = (now - began) / done * (most - done)
            complain(f"{done:,} of {most:,} answers, about {format_seconds(left)} left")

    yield log
