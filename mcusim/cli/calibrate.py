"""`mcusim calibrate`: one's own measured times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON, hz_option, option
from mcusim.cli.shell import (
    STDOUT,
    complain,
    document,
    glyphs,
    refuse_overwriting,
    refuse_same_target,
    show,
    terminal_width,
    write_bytes,
    write_output,
)
from mcusim.errors import InputError
from mcusim.pricing.own import Change, contradictions
from mcusim.pricing.own import calibrate as join
from mcusim.pricing.own_logs import LoggedRun, read_own
from mcusim.render.calibration import calibration_lines

__all__ = ["CalibrateDocument", "calibrate"]


class CalibrateDocument(Versioned):
    """What `mcusim calibrate` learned. contradictions: rows of the file that cannot both be right."""

    file: str
    contradictions: list[str]
    changes: Sequence[Change]


def calibrate(
    measured: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="Times of networks (CSV: model,profile,runtime,latency_ms), or a log of layers."
        ),
    ],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="The calibration, for `mcusim run --calibration`.")
    ],
    model: Annotated[
        str | None, option(metavar="MODEL", help="For a log of layers: the network that was measured.")
    ] = None,
    profile: Annotated[str | None, option(metavar="BOARD", help="For a log of layers: the board.")] = None,
    runtime: Annotated[str | None, option(metavar="NAME", help="For a log of layers: the runtime.")] = None,
    schedule: Annotated[
        str, typer.Option(metavar="SPEC", help="For a log of layers: the schedule that ran.")
    ] = "layer",
    clock_hz: Annotated[
        str | None, option(metavar="CLOCK", help="For a log of layers: the core's clock, if it is not the board's.")
    ] = None,
    ticks_hz: Annotated[
        str | None,
        option(
            metavar="CLOCK",
            help="For a log of layers: the rate of the profiler's ticks, if they are not the core's cycles.",
        ),
    ] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """Teach mcusim the times of your own board, and see how far off it was.

    The file has a line for each measured network, under the header `model,profile,runtime,latency_ms`; `clock_hz` and
    `schedule` may follow. Or it is a log of one network's layers: of TFLM's MicroProfiler (text or CSV), of the
    firmware kit, of ExecuTorch's ETDump (CSV), or any CSV with the columns op and cycles (or us, or ms). Your rows join
    the published ones: one network with its layers, or a few without, narrow the intervals of all on that board.
    Rows that contradict each other are told on standard error, and count nevertheless (medians): exit code 0.

    \b
    Examples:
      mcusim calibrate mine.csv -o mine.json
      mcusim calibrate layers.csv --model mcunet-vww0 --profile nrf52840 --runtime tflm -o own.json
      mcusim run model.tflite --profile my_board.toml --runtime tflm-cmsis-nn --calibration mine.json
    """

    refuse_same_target(output=output, json=json)
    refuse_overwriting((measured, model), output=output, json=json)
    own = read_own(measured, _logged(model, profile, runtime, schedule, clock_hz, ticks_hz))
    doubts = list(contradictions(own))
    for sentence in doubts:
        complain(f"{measured}, {sentence}")
    calibration, changes = join(own)
    write_bytes(calibration.to_bytes(), output, "--output")
    if json is not None:
        json_document = CalibrateDocument(schema_version=1, file=output, contradictions=doubts, changes=changes)
        write_output(document(json_document), json, "--json")
    if json != STDOUT:
        show(calibration_lines(changes, output, terminal_width(), glyphs()))


def _logged(
    model: str | None,
    profile: str | None,
    runtime: str | None,
    schedule: str,
    clock_hz: str | None,
    ticks_hz: str | None,
) -> LoggedRun | None:
    """Of what a log is; None if nothing is named. Raises InputError if only a part is."""
    named = {"--model": model, "--profile": profile, "--runtime": runtime}
    missing = [name for name, value in named.items() if value is None]
    if len(missing) == len(named):
        return None
    if model is None or profile is None or runtime is None:
        raise InputError("a log is of a network on a board", where=missing[0], fix=f"add {', '.join(missing)}")
    clocks = (hz_option(clock_hz, "--clock-hz"), hz_option(ticks_hz, "--ticks-hz"))
    return LoggedRun(model, profile, runtime, schedule, *clocks)
