"""Times of single layers as tools write them: TFLM's MicroProfiler, the firmware kit, ETDump, one's own CSV.

    CONV_2D took 41237 ticks (0 ms).                 MicroProfiler::Log
    "Event","Tag","Ticks"                            MicroProfiler::LogCsv; older ones have "Ms" too
    0,CONV_2D,41237
    "Unique Tag","Total ticks across all ..."        MicroProfiler::LogTicksPerTagCsv: sums of an operator
    event_name,p50 (ms),avg (ms),...                 ExecuTorch's Inspector: ETDump as a data frame, saved
    layer,op,cycles                                  the firmware kit's; with `us` or `ms` one's own

A file may hold several, one after the other: each header says what its lines are. What a log says is brought to cycles
of the core. Lines of other things (a boot message, a verdict) are passed over, and so is what a serial monitor puts
before a line; a line that begins as one of a layer and does not end so is an error. A total is compared with the
layers that it is of. The lines themselves: `log_lines.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import NamedTuple

from mcusim.errors import InputError
from mcusim.pricing.log_lines import (
    OPERATOR_COLUMNS,
    STRAY,
    Columns,
    Line,
    cells_of,
    columns_of,
    delimiter_of,
    lines_of,
    records,
)

__all__ = ["LEAST_SECONDS", "MOST_SECONDS", "LayerLog", "LayerTime", "is_layer_log", "read_layer_log"]

_PLAIN = re.compile(r"\b([A-Z][A-Z0-9_]*)\s+took\s+(-?\d+)\s+ticks(?:\s*\((-?[\d.]+)\s*ms\))?\.?\s*$")
_BEGUN = re.compile(r"\b[A-Z][A-Z0-9_]*\s+took\b")
_OTHER_UNIT = re.compile(r"took\s+-?[\d.]+\s+(?!t(?:i(?:c(?:ks?)?)?)?\s*$)(?!ticks\b)([A-Za-z]+)")

_AGREE, _SAME = 0.1, 0.01
"""Two columns of one time may differ by such a share, and a millisecond: MicroProfiler prints whole ones. Sums of
counted ticks may differ by less."""

_OPERATOR = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_OWN_FUNCTIONS = "tflite::"
"""What TFLM's benchmark logs besides operators."""
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
_ETDUMP_TOTAL = ("method::execute", "execute")
_ETDUMP_WHOLE = ("method::init", "program::load_method", "init", "operator_call", "")

PER_SECOND = {"us": 1e6, "ms": 1e3, "ns": 1e9, "s": 1.0}
LEAST_SECONDS, MOST_SECONDS = 1e-12, 86_400.0
"""What a measured time may be: anything else is a slip of a unit, or no number."""


class LayerTime(NamedTuple):
    """One line of a log.   op: an operator's name in upper case.   cycles: of the core.   line: of the file.

    label: what the column `layer`, or MicroProfiler's `Event`, calls it; "" where there is none.
    """

    op: str
    cycles: float
    line: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class LayerLog:
    """layers: in the order of the log.   sums: tables of what all layers of each operator take, if there are no layers.

    doubts: sentences on what is odd, though not wrong.
    """

    layers: tuple[LayerTime, ...]
    sums: tuple[tuple[LayerTime, ...], ...] = ()
    doubts: tuple[str, ...] = ()


class _Row(NamedTuple):
    """A line before its times are brought to cycles.   values: by unit.   is_total: of the rows around it."""

    op: str
    label: str
    values: Mapping[str, float]
    line: int
    is_total: bool = False


@dataclass(slots=True)
class _Part:
    """Consecutive rows under one header; none for MicroProfiler's text."""

    columns: Columns | None
    rows: list[_Row] = field(default_factory=list)

    @property
    def are_sums(self) -> bool:
        return self.columns is not None and self.columns.are_sums


def is_layer_log(text: str) -> bool:
    """Whether a file is a log of layers, and not a table of whole networks."""
    return any(_BEGUN.search(line.text) or columns_of(line.text) is not None for line in lines_of(text))


def read_layer_log(text: str, where: str, clock_hz: int, ticks_hz: int | None = None) -> LayerLog:
    """The layers of a log.   ticks_hz: of the profiler's clock; the core's if None.

    Raises InputError, naming the line, for what is cut, negative, in two units or of no known operator.
    """
    parts = list(_parts(text, where))
    if not parts:
        _refuse_timeless(text, where)
        fix = "give it lines such as `CONV_2D took 41237 ticks`, or the columns op and cycles (or us, or ms)"
        raise InputError("it is no log of layers", where=where, fix=fix)
    if not any(part.rows for part in parts):
        raise InputError("it has a header and no layers", where=where, fix="log at least one inference")
    return _Reading(where, clock_hz, ticks_hz or clock_hz, _has_ms(parts)).of(parts)


def _refuse_timeless(text: str, where: str) -> None:
    """A table of operators whose times are in no unit."""
    for line in lines_of(text):
        names = cells_of(line.text, delimiter_of(line.text))
        if len(names) > 1 and {name.lower() for name in names} & set(OPERATOR_COLUMNS):
            what = f"of its columns ({', '.join(names)}) none says its unit"
            place = f"{where}, line {line.number}"
            raise InputError(what, where=place, fix="call the times cycles, ticks, ns, us, ms or s")


def _has_ms(parts: Sequence[_Part]) -> bool:
    """A firmware that does not tell TFLM its `ticks_per_second()` logs 0 ms in every line: then ticks alone count."""
    rows = [row.values for part in parts for row in part.rows if "ticks" in row.values]
    return any(values.get("ms") for values in rows) or not rows


# ---------------------------------------------------------------------------------------------------------------------
# Lines -> rows


def _parts(text: str, where: str) -> Iterator[_Part]:
    # A log may hold several tables, and text between them. A header starts a new part, and so does MicroProfiler's
    # text.
    part: _Part | None = None
    for line in records(lines_of(text), where):
        columns = columns_of(line.text)
        if _BEGUN.search(line.text):
            row = _plain_row(line, f"{where}, line {line.number}")
            if part is None or part.columns is not None:
                if part is not None:
                    yield part
                part = _Part(None)
            part.rows.append(row)
        elif columns is not None:
            if part is not None:
                yield part
            part = _Part(columns)
        elif part is not None and part.columns is not None:
            table_row = _table_row(line, part.columns, f"{where}, line {line.number}")
            part.rows += [] if table_row is None else [table_row]
    if part is not None:
        yield part


def _plain_row(line: Line, place: str) -> _Row:
    match = _PLAIN.search(line.text)
    if match is None:
        raise _cut(line.text, place)
    op, ticks, ms = match.groups()
    values = {"ticks": float(ticks)} | ({"ms": _number(ms, "ms", place)} if ms is not None else {})
    return _Row(op, "", values, line.number)


def _cut(line: str, place: str) -> InputError:
    if STRAY in line:
        return InputError("the line holds bytes that are no text", where=place, fix="log again, or mend the line")
    other = _OTHER_UNIT.search(line)
    if other is not None:
        what = f"the time is in {other[1]}, and a line of MicroProfiler is in ticks"
        return InputError(what, where=place, fix="write a CSV file with the columns op and us (or ms)")
    return InputError(f"the line is cut: '{line.strip()}'", where=place, fix="log again, or delete the inference")


def _table_row(line: Line, columns: Columns, place: str) -> _Row | None:
    """None for what is no layer: blank lines, comments, what else a board prints."""
    cells = cells_of(line.text, columns.delimiter)
    if not any(cells) or cells[0].startswith("#"):
        return None
    if len(cells) <= max(columns.op, *columns.times.values()):
        if len(cells) == 1:
            return None
        raise _cut(line.text, place)
    if any(STRAY in cells[at] for at in (columns.op, *columns.times.values())):
        raise _cut(line.text, place)
    op, label = cells[columns.op], "" if columns.label is None else cells[columns.label]
    if op.startswith(_OWN_FUNCTIONS) or (columns.is_etdump and op.lower() in _ETDUMP_WHOLE):
        return None
    values = {unit: _number(cells[at], unit, place) for unit, at in columns.times.items() if cells[at]}
    if op.lower().startswith("total") or (not op and label.lower() in ("total", "all", "sum")):
        return _Row("", "", values, line.number, is_total=True)
    if columns.is_etdump:
        if op.lower() in _ETDUMP_TOTAL:
            return _Row("", "", values, line.number, is_total=True)
        op = _etdump_op(op, place)
    elif not _OPERATOR.fullmatch(op):
        raise InputError(f"'{op}' is no operator", where=place, fix="name it as TFLite does, such as CONV_2D")
    if not values:
        raise InputError("the layer has no time", where=place, fix="write its cycles, us or ms")
    return _Row(op.upper(), label, values, line.number)


def _etdump_op(name: str, place: str) -> str:
    for pattern, op in _ETDUMP_OPS:
        if re.search(pattern, name.lower()):
            return op
    raise InputError(f"mcusim knows no operator for '{name}'", where=place, fix="delete the line if it is no layer")


def _number(text: str, unit: str, place: str) -> float:
    fix = f"write the number alone, in {unit}, with a point before decimals"
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"'{text}' is no number of {unit}", where=place, fix=fix) from None
    if not isfinite(value):
        raise InputError(f"'{text}' is no number of {unit}", where=place, fix=fix)
    return value


# ---------------------------------------------------------------------------------------------------------------------
# Rows -> cycles


@dataclass(frozen=True, slots=True)
class _Reading:
    """has_ms: whether milliseconds beside ticks mean anything."""

    where: str
    clock_hz: int
    ticks_hz: int
    has_ms: bool

    def of(self, parts: Sequence[_Part]) -> LayerLog:
        """The layers of all parts; sums of operators are compared with the layers before them, if there are any."""
        layers: list[LayerTime] = []
        sums: list[tuple[LayerTime, ...]] = []
        doubts: list[str] = []
        first = 0
        for part in parts:
            own = tuple(self._layer(row) for row in part.rows if not row.is_total)
            doubts += self._compare_totals(part)
            if not part.are_sums:
                layers += own
            elif own:
                # Sums that follow layers are checked against them and dropped; sums alone are all that there is.
                if any(not other.are_sums and other.rows for other in parts):
                    self._compare_sums(own, layers[first:])
                first = len(layers)
                sums.append(own)
        return LayerLog(tuple(layers), () if layers else tuple(sums), tuple(doubts))

    def _layer(self, row: _Row) -> LayerTime:
        return LayerTime(row.op, self._cycles(row), row.line, row.label)

    def _compare_sums(self, sums: Sequence[LayerTime], layers: Sequence[LayerTime]) -> None:
        """What operators take in all, with the layers of which these are the sums."""
        for entry in sums:
            added = sum(layer.cycles for layer in layers if layer.op == entry.op)
            if abs(added - entry.cycles) > _SAME * max(added, entry.cycles):
                what = f"{entry.op} takes {entry.cycles:,.0f} cycles in all, and its lines above add up to {added:,.0f}"
                fix = "keep the layers or the sums, of the same inferences"
                raise InputError(what, where=f"{self.where}, line {entry.line}", fix=fix)

    def _compare_totals(self, part: _Part) -> Iterator[str]:
        """Doubts about totals that hold more than the layers before them (ETDump: of the part)."""
        is_etdump = part.columns is not None and part.columns.is_etdump
        rows: list[_Row] = [row for row in part.rows if not row.is_total] if is_etdump else []
        for row in part.rows:
            if not row.is_total:
                # ETDump's total may stand anywhere in its table, MicroProfiler's stands behind its lines.
                rows += [] if is_etdump else [row]
            elif rows and row.values:
                yield from self._compare_total(row, rows)
                rows = rows if is_etdump else []

    def _compare_total(self, row: _Row, rows: Sequence[_Row]) -> Iterator[str]:
        total, added = self._cycles(row), sum(self._cycles(own) for own in rows)
        most = _SAME if "ticks" in row.values else _AGREE
        if added > total * (1 + most):
            what = f"the total is {total:,.0f} cycles, and its {len(rows)} lines add up to {added:,.0f}"
            fix = "write all times in one unit, or leave the total out"
            raise InputError(what, where=f"{self.where}, line {row.line}", fix=fix)
        if total > added * (1 + _AGREE):
            yield f"line {row.line}: {1 - added / total:.0%} of the total is in no layer, and does not count"

    def _cycles(self, row: _Row) -> float:
        """Cycles of the core. Raises InputError where the times of a row are negative, or do not agree."""
        place = f"{self.where}, line {row.line}"
        is_ms_silent = "ticks" in row.values and not self.has_ms
        values = {unit: value for unit, value in row.values.items() if not (unit == "ms" and is_ms_silent)}
        for unit, value in values.items():
            if value < 0:
                raise InputError(f"{value:g} {unit} is negative", where=place, fix="the counter wrapped: log again")
        seconds = {unit: value / PER_SECOND.get(unit, self.ticks_hz) for unit, value in values.items()}
        # The finest unit that the row has: ticks are counted, milliseconds are printed rounded.
        best = min(seconds, key=("ticks", "ns", "us", "ms", "s").index)
        if seconds[best] > MOST_SECONDS or 0.0 < seconds[best] < LEAST_SECONDS:
            what = f"{values[best]:g} {best} is no time that a layer takes"
            raise InputError(what, where=place, fix="log again, in cycles, us or ms")
        for unit, other in seconds.items():
            # A printed millisecond may be rounded to a whole one, so a difference of one is none.
            if abs(other - seconds[best]) > _AGREE * seconds[best] + (1e-3 if unit == "ms" else 1e-6):
                clock = f" at {self.ticks_hz / 1e6:g} MHz" if best == "ticks" else ""
                what = f"{values[best]:g} {best} and {values[unit]:g} {unit} are not one time{clock}"
                fix = "name the clock that ticks with --ticks-hz, or keep one column"
                raise InputError(what, where=place, fix=fix)
        return seconds[best] * self.clock_hz
