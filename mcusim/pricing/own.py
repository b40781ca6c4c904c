"""One's own measurements: a CSV file of times, joined with the package's, and what that changes.

    model,profile,runtime,latency_ms
    mcunet-vww0,stm32h743,tinyengine,27
    my_network.tflite,my_board.toml,tflm-cmsis-nn@2024-09,41.7

Further columns, if there: `clock_hz` (the profile's without it) and `schedule`. A runtime without a version is a
version of its own, called `own`, which then counts as the newest on that board.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from math import exp, isfinite, log
from os import PathLike, fspath
from pathlib import Path
from typing import NamedTuple

from mcusim.boards import load_board
from mcusim.errors import InputError, McusimError
from mcusim.frontends.checks import refuse_float
from mcusim.lowering.lower import lower
from mcusim.models import load
from mcusim.ops import OPS
from mcusim.pricing.efforts import EFFORTS, efforts
from mcusim.pricing.fitting import NORMAL_QUANTILE, evidence_of, refit
from mcusim.pricing.measurements import measurements
from mcusim.pricing.physics import physics, wait_factor
from mcusim.pricing.regression import Evidence, Fit, leave_out
from mcusim.pricing.stored import Calibration, package_calibration
from mcusim.pricing.systems import System, series_of
from mcusim.runtimes import find_runtime
from mcusim.schedule import parse_schedule

__all__ = ["OWN_VERSION", "Change", "calibrate", "read_measurements"]

OWN_VERSION = "own"
NEEDED, OPTIONAL = ("model", "profile", "runtime", "latency_ms"), ("clock_hz", "schedule")


class Change(NamedTuple):
    """One measured time: what mcusim said before, and what it says with the other networks of the file known.

    new_ms: None where the file has no other network.
    """

    model: str
    system: System
    measured_ms: float
    old_ms: float
    old_low_ms: float
    old_high_ms: float
    new_ms: float | None


class _Measured(NamedTuple):
    row: Evidence
    clock_hz: int


def read_measurements(path: str | PathLike[str]) -> list[_Measured]:
    """The rows of a CSV file as evidence. Raises InputError, naming the line, for what is wrong in it."""
    where = fspath(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"it cannot be read ({told})", where=where, fix="name a CSV file") from None
    reader = csv.DictReader(io.StringIO(text))
    columns = reader.fieldnames or []
    for name in NEEDED:
        if name not in columns:
            fix = f"give it the columns {', '.join(NEEDED)}, and if you like {', '.join(OPTIONAL)}"
            raise InputError(f"it has no column '{name}'", where=where, fix=fix)
    rows = [_measured(row, f"{where}, line {reader.line_num}", number) for number, row in enumerate(reader)]
    if not rows:
        raise InputError("it has no measurements", where=where, fix="write a line for each measured network")
    return rows


def _measured(row: Mapping[str, str | None], where: str, number: int) -> _Measured:
    cells = {name: (row.get(name) or "").strip() for name in (*NEEDED, *OPTIONAL)}
    try:
        runtime, board = find_runtime(cells["runtime"]), load_board(cells["profile"])
        graph, schedule = load(cells["model"]), parse_schedule(cells["schedule"] or "layer")
        refuse_float(graph)
        program = lower(graph, schedule, runtime.rules)
    except McusimError as error:
        raise InputError(f"{error.where}: {error.what}", where=where, fix=error.fix) from None
    clock_hz = _number(cells["clock_hz"], "clock_hz", where) if cells["clock_hz"] else float(board.clock_hz)
    ms = _number(cells["latency_ms"], "latency_ms", where)
    amounts = [0.0] * len(EFFORTS)
    for step in program.body():
        op = OPS.get(step.signature.op)
        if op is None:
            raise InputError(f"mcusim does not know {step.signature.op}", where=where, fix="leave this network out")
        for place, amount in efforts(op.work(step.signature, step.priced_rows, step.priced_cols, step.calls)):
            amounts[place] += amount
    version, _, option = runtime.asked_version.partition("+")
    system = System(
        runtime.price_family,
        version or OWN_VERSION,
        option,
        str(board.core),
        board.series or series_of(board.name),
        board.name,
    )
    shift = physics().core[board.core][0] + log(wait_factor(board))
    decimals = len(cells["latency_ms"].partition(".")[2])
    evidence = Evidence(
        f"own{number:03d}",
        system,
        graph.name,
        tuple(amounts),
        ms * clock_hz / 1e3,
        0.5 * 10.0**-decimals / 3**0.5 / ms,
        tuple(value + shift for value in physics().log_cycles),
    )
    return _Measured(evidence, round(clock_hz))


def _number(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (isfinite(value) and value > 0):
        raise InputError(f"{name} is '{text}'", where=where, fix=f"write a number above 0 as {name}")
    return value


def calibrate(own: Sequence[_Measured]) -> tuple[Calibration, list[Change]]:
    """The package's measurements and these together, and what they change."""
    rows = [measured.row for measured in own]
    package = package_calibration()
    everything = (*evidence_of(measurements()), *rows)
    fit, _ = refit(everything, package.fit.spreads)
    left = leave_out(everything, fit) if len({row.network for row in rows}) > 1 else None
    changes = []
    for i, (row, clock_hz) in enumerate(own):
        old, deviation = _before(package.fit, row)
        factor = exp(NORMAL_QUANTILE * package.interval_scale * deviation)
        ms = 1e3 / clock_hz
        new = None if left is None else exp(left.log_cycles[len(everything) - len(rows) + i]) * ms
        changes.append(
            Change(row.network, row.system, row.cycles * ms, old * ms, old * ms / factor, old * ms * factor, new)
        )
    return Calibration(fit, package.interval_scale), changes


def _before(fit: Fit, row: Evidence) -> tuple[float, float]:
    mean, variance = fit.posterior(row.system, row.log_physics).log_cycles(row.amounts)
    return exp(mean), (variance + fit.spreads.noise**2) ** 0.5
