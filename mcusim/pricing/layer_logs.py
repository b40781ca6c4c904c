"""Times of single layers as tools write them: TFLM's MicroProfiler, the firmware kit, ETDump, one's own CSV.

    CONV_2D took 41237 ticks (0 ms).                 MicroProfiler::Log
    "Event","Tag","Ticks"                            MicroProfiler::LogCsv; older ones have "Ms" too
    0,CONV_2D,41237
    "Unique Tag","Total ticks across all ..."        MicroProfiler::LogTicksPerTagCsv: sums of an operator
    event_name,p50 (ms),avg (ms),...                 ExecuTorch's Inspector: ETDump as a data frame, saved
    layer,op,cycles                                  the firmware kit's; with `us` or `ms` one's own

What a log says is brought to cycles of the core. Lines of other things (a boot message, a verdict) are passed over;
a line that begins as one of a layer and does not end so is an error.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from mcusim.errors import InputError

__all__ = ["LEAST_SECONDS", "MOST_SECONDS", "LayerLog", "LayerTime", "is_layer_log", "read_layer_log"]

_PLAIN = re.compile(r"\b([A-Z][A-Z0-9_]*)\s+took\s+(-?\d+)\s+ticks(?:\s*\((-?[\d.]+)\s*ms\))?\.?\s*$")
_BEGUN = re.compile(r"\b[A-Z][A-Z0-9_]*\s+took\b")
"""Before the operator stands what a serial monitor adds: the time of day, a log level."""
_OTHER_UNIT = re.compile(r"took\s+-?[\d.]+\s+(?!t(?:i(?:c(?:ks?)?)?)?\s*$)(?!ticks\b)([A-Za-z]+)")

_OP_COLUMNS = ("op", "tag", "unique tag", "event_name", "operator", "name", "layer")
_TIME_COLUMNS = (
    (r"^(?:cycles|ticks|total ticks\b.*|avg \(cycles\)|p50 \(cycles\))$", "ticks"),
    (r"^(?:us|time_us|microseconds|p50 \(us\)|avg \(us\))$", "us"),
    (r"^(?:ms|time_ms|latency_ms|p50 \(ms\)|avg \(ms\)|total ms\b.*)$", "ms"),
)
_AGREE = 0.1
"""Two columns of one time may differ by such a share, and a millisecond: MicroProfiler prints whole ones."""

_ETDUMP_OPS = (
    (r"depthwise", "DEPTHWISE_CONV_2D"),
    (r"transpose_conv", "TRANSPOSE_CONV"),
    (r"conv2d|convolution", "CONV_2D"),
    (r"linear|addmm|fully_connected", "FULLY_CONNECTED"),
    (r"avg_pool", "AVERAGE_POOL_2D"),
    (r"max_pool", "MAX_POOL_2D"),
    (r"softmax", "SOFTMAX"),
    (r"(?<![a-z])add(?![a-z])", "ADD"),
    (r"(?<![a-z])mul(?![a-z])", "MUL"),
    (r"dequantize", "DEQUANTIZE"),
    (r"quantize", "QUANTIZE"),
    (r"mean", "MEAN"),
    (r"view|reshape", "RESHAPE"),
    (r"transpose|permute", "TRANSPOSE"),
    (r"pad", "PAD"),
    (r"(?<![a-z])cat(?![a-z])", "CONCATENATION"),
    (r"(?<![a-z])relu(?![a-z0-9])", "RELU"),
)
_ETDUMP_WHOLE = ("method::execute", "method::init", "program::load_method", "execute", "init", "operator_call", "")


LEAST_SECONDS, MOST_SECONDS = 1e-12, 86_400.0
"""What a measured time may be: anything else is a slip of a unit, or no number."""


class LayerTime(NamedTuple):
    """One line of a log.   op: an operator's name in upper case.   cycles: of the core.   line: of the file."""

    op: str
    cycles: float
    line: int


@dataclass(frozen=True, slots=True)
class LayerLog:
    """layers: in the order of the log.   are_sums: whether each is the sum of all layers of its operator."""

    layers: tuple[LayerTime, ...]
    are_sums: bool


def is_layer_log(text: str) -> bool:
    """Whether a file is a log of layers, and not a table of whole networks."""
    if any(_BEGUN.search(line) for line in text.splitlines()):
        return True
    return any(_columns(_cells(line)) is not None for line in text.splitlines()[:50])


def read_layer_log(text: str, where: str, clock_hz: int, ticks_hz: int | None = None) -> LayerLog:
    """The layers of a log.   ticks_hz: of the profiler's clock; the core's if None.

    Raises InputError, naming the line, for what is cut, negative, in two units or of no known operator.
    """
    if any(_BEGUN.search(line) for line in text.splitlines()):
        return LayerLog(tuple(_plain_lines(text, where, clock_hz, ticks_hz or clock_hz)), False)
    rows = list(enumerate(text.splitlines(), 1))
    for place, (_, line) in enumerate(rows):
        columns = _columns(_cells(line))
        if columns is not None:
            layers = tuple(_table_lines(rows[place + 1 :], columns, where, clock_hz, ticks_hz or clock_hz))
            if not layers:
                raise InputError("it has a header and no layers", where=where, fix="log at least one inference")
            return LayerLog(layers, columns.are_sums)
    fix = "give it lines such as `CONV_2D took 41237 ticks`, or the columns op and cycles (or us, or ms)"
    raise InputError("it is no log of layers", where=where, fix=fix)


def _plain_lines(text: str, where: str, clock_hz: int, ticks_hz: int) -> Iterator[LayerTime]:
    """A firmware that does not tell TFLM its `ticks_per_second()` prints 0 ms in every line: then ticks alone count."""
    has_ms = any(match[3] not in (None, "0") for match in map(_PLAIN.search, text.splitlines()) if match)
    for number, line in enumerate(text.splitlines(), 1):
        if not _BEGUN.search(line):
            continue
        place = f"{where}, line {number}"
        match = _PLAIN.search(line)
        if match is None:
            raise _cut(line, place)
        op, ticks, ms = match.groups()
        values = {"ticks": float(ticks)} | ({"ms": float(ms)} if ms is not None and has_ms else {})
        yield LayerTime(op, _cycles(values, place, clock_hz, ticks_hz), number)


def _cut(line: str, place: str) -> InputError:
    other = _OTHER_UNIT.search(line)
    if other is not None:
        what = f"the time is in {other[1]}, and a line of MicroProfiler is in ticks"
        return InputError(what, where=place, fix="write a CSV file with the columns op and us (or ms)")
    return InputError(f"the line is cut: '{line.strip()}'", where=place, fix="log again, or delete the inference")


class _Columns(NamedTuple):
    """Which cell holds what. times: unit -> place.   are_sums: of LayerLog.   is_etdump: whose operators to expect."""

    op: int
    times: Mapping[str, int]
    are_sums: bool
    is_etdump: bool


def _cells(line: str) -> list[str]:
    try:
        return [cell.strip().strip('"') for cell in next(csv.reader([line], skipinitialspace=True), [])]
    except csv.Error:
        return []


def _columns(cells: Sequence[str]) -> _Columns | None:
    """What a header says; None if the line is none of a log of layers."""
    names = [cell.lower() for cell in cells]
    op = next((names.index(name) for name in _OP_COLUMNS if name in names), None)
    if op is None or "model" in names:
        return None
    times: dict[str, int] = {}
    for pattern, unit in _TIME_COLUMNS:
        matching = [place for place, name in enumerate(names) if re.match(pattern, name)]
        if matching:
            times[unit] = min(matching, key=lambda place: not names[place].startswith("p50"))
    if not times:
        return None
    return _Columns(op, times, "unique tag" in names, "event_name" in names)


def _table_lines(
    rows: Sequence[tuple[int, str]], columns: _Columns, where: str, clock_hz: int, ticks_hz: int
) -> Iterator[LayerTime]:
    needed = max(columns.op, *columns.times.values())
    for number, line in rows:
        cells = _cells(line)
        place = f"{where}, line {number}"
        if not any(cells) or _columns(cells) is not None:
            continue
        if len(cells) <= needed:
            if len(cells) == 1:  # what else a board prints
                continue
            raise _cut(line, place)
        op = cells[columns.op]
        if op.lower().startswith("total"):
            continue
        if columns.is_etdump:
            if op.lower() in _ETDUMP_WHOLE:
                continue
            op = _etdump_op(op, place)
        elif not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", op):
            raise InputError(f"'{op}' is no operator", where=place, fix="name it as TFLite does, such as CONV_2D")
        values = {unit: _number(cells[at], unit, place) for unit, at in columns.times.items() if cells[at]}
        yield LayerTime(op.upper(), _cycles(values, place, clock_hz, ticks_hz), number)


def _etdump_op(name: str, place: str) -> str:
    for pattern, op in _ETDUMP_OPS:
        if re.search(pattern, name.lower()):
            return op
    raise InputError(f"mcusim knows no operator for '{name}'", where=place, fix="delete the line if it is no layer")


def _number(text: str, unit: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"'{text}' is no number of {unit}", where=place, fix="write a number") from None
    if not isfinite(value):
        raise InputError(f"'{text}' is no number of {unit}", where=place, fix="write a number")
    return value


def _cycles(values: Mapping[str, float], place: str, clock_hz: int, ticks_hz: int) -> float:
    """Cycles of the core. values: by unit.   Raises InputError where they are negative, or do not agree."""
    if not values:
        raise InputError("the layer has no time", where=place, fix="write its cycles, us or ms")
    for unit, value in values.items():
        if value < 0:
            raise InputError(f"{value:g} {unit} is negative", where=place, fix="the counter wrapped: log again")
    seconds = {unit: value / {"ticks": float(ticks_hz), "us": 1e6, "ms": 1e3}[unit] for unit, value in values.items()}
    best = next(unit for unit in ("ticks", "us", "ms") if unit in seconds)
    if seconds[best] > MOST_SECONDS or 0.0 < seconds[best] < LEAST_SECONDS:
        what = f"{values[best]:g} {best} is no time that a layer takes"
        raise InputError(what, where=place, fix="log again, in cycles, us or ms")
    for unit, other in seconds.items():
        if abs(other - seconds[best]) > _AGREE * seconds[best] + (1e-3 if unit == "ms" else 1e-6):
            contradiction = (
                f"{values[best]:g} {best} and {values[unit]:g} {unit} are not one time at {ticks_hz / 1e6:g} MHz"
            )
            raise InputError(
                contradiction, where=place, fix="name the clock that ticks with --ticks-hz, or keep one column"
            )
    return seconds[best] * clock_hz
