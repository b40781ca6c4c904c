"""`mcusim calibrate`: one's own measured times."""

from __future__ import annotations

from typing import Annotated

import typer

from mcusim.cli.shell import glyphs, one_thread, refuse_overwriting, show, terminal_width, write_bytes
from mcusim.pricing.fitting import fit_to_bytes
from mcusim.pricing.own import calibrate as join
from mcusim.pricing.own import read_measurements
from mcusim.render.calibration import calibration_lines

__all__ = ["calibrate"]


def calibrate(
    measured: Annotated[str, typer.Argument(metavar="CSV", help="Measured times: model,profile,runtime,latency_ms.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="The calibration, for `run --calibration`.")
    ],
) -> None:
    """Teach mcusim the times of your own board, and see how far off it was.

    The file has a line for each measured network, under the header `model,profile,runtime,latency_ms`; `clock_hz` and
    `schedule` may follow. Your rows join the published ones: a few networks on a board narrow the intervals of all.

    \b
    Examples:
      mcusim calibrate mine.csv -o mine.json
      mcusim run model.tflite --profile my_board.toml --runtime tflm-cmsis-nn --calibration mine.json
    """
    one_thread()

    refuse_overwriting((measured,), output=output)
    calibration, changes = join(read_measurements(measured))
    write_bytes(fit_to_bytes(*calibration), output, "--output")
    show(calibration_lines(changes, output, terminal_width(), glyphs()))
