"""One's own measurements: a CSV file of times, joined with the package's, and what that changes.

    model,profile,runtime,latency_ms
    mcunet-vww0,stm32h743,tinyengine,27
    my_network.tflite,my_board.toml,tflm-cmsis-nn@2024-09,41.7

Further columns, if there: `clock_hz` (`64MHz`; the profile's without it) and `schedule`. A runtime without a version is
a version of its own, called `own`, which then counts as the newest on that board. Logs of layers: `own_logs.py`.
"""

from __future__ import annotations

import csv
import io
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log, sqrt
from os import PathLike, fspath
from typing import NamedTuple

import numpy as np

from mcusim.boards import load_board
from mcusim.boards.board import Board
from mcusim.errors import InputError, McusimError
from mcusim.files import content_of, reason_of
from mcusim.frontends.checks import refuse_float
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.ops import OPS, Work
from mcusim.pricing.fitting import OwnLayer, OwnSystem, package_evidence
from mcusim.pricing.intervals import COVERAGE, is_tiny, known_of, networks_of
from mcusim.pricing.layer_logs import LEAST_SECONDS, MOST_SECONDS
from mcusim.pricing.log_lines import STRAY, delimiter_of
from mcusim.pricing.measurements import add_efforts
from mcusim.pricing.physics import log_cycles_of
from mcusim.pricing.prices import Coefficients, coefficients, price_work, step_work
from mcusim.pricing.regression import Block, Evidence, Fit, blocks_of, join_rows, leave_out
from mcusim.pricing.stored import OWN_ROW, Calibration, arena_memory, package_calibration
from mcusim.pricing.systems import OWN_VERSION, System, series_of
from mcusim.program import Program
from mcusim.runtimes import Runtime, find_runtime
from mcusim.schedule import parse_schedule
from mcusim.units import format_ms, parse_hz
from mcusim.zoo.loading import load

__all__ = [
    "APART",
    "OWN_VERSION",
    "Asked",
    "Change",
    "Measured",
    "calibrate",
    "contradictions",
    "read_measurements",
    "read_text",
]

NEEDED, OPTIONAL = ("model", "profile", "runtime", "latency_ms"), ("clock_hz", "schedule")


_ODD = 3.0
"""A time that is off by this factor from what similar systems take was probably written down wrongly."""

APART = 1.1
"""Times of one question that are further apart do not agree."""

_MOST_LINES = 20
"""So many wrong lines are shown, the others counted."""

_MOST_STRAY, _WIDE = 0.1, 0.8
"""A larger share of bytes that are no text makes it none; so many zeros at every other place make it UTF-16."""

_MOST_NOTES = 3
_ROUND_OFF = 1e-3
"""Prices are stored to seven digits, and a time at the end of an interval must still be inside."""

_PRIOR_ROWS = 4
"""So many rows' worth of scatter as published times have is taken for granted before one's own rows are looked at."""


class Change(NamedTuple):
    """One measured time: what `simulate` says without it, and with the other networks of the file known.

    new_ms: None where the file has no other network.   line: of the file.
    """

    model: str
    system: System
    line: int
    measured_ms: float
    old_ms: float
    old_low_ms: float
    old_high_ms: float
    new_ms: float | None

    @property
    def warning(self) -> str:
        """What is said of an odd time."""
        times = self.measured_ms / self.old_ms
        said = f"{format_ms(self.measured_ms)} is {times:,.3g} times what mcusim expects"
        return f"line {self.line}, {self.model}: {said}: check its unit, network and board"

    @property
    def is_odd(self) -> bool:
        """Whether the time is so far from what is expected that its unit or its network may be another."""
        return not 1 / _ODD < self.measured_ms / self.old_ms < _ODD


class Measured(NamedTuple):
    """One row of a file.   prices: those of the package for it.   amounts: of each of their efforts.

    doubts: what contradicts itself in the log that the row is of.   remarks: what in it does not count.
    layer: of a network, where the row is a single one.   times: of every inference, cycles.
    """

    row: Evidence
    line: int
    clock_hz: int
    prices: Coefficients
    amounts: tuple[float, ...]
    doubts: tuple[str, ...] = ()
    layer: OwnLayer | None = None
    remarks: tuple[str, ...] = ()
    times: tuple[float, ...] = ()

    @property
    def every_time(self) -> tuple[float, ...]:
        """Cycles of each inference."""
        return self.times or (self.row.cycles,)


def read_measurements(path: str | PathLike[str]) -> list[Measured]:
    """The rows of a CSV file as evidence. Raises InputError that names every line with something wrong in it."""
    where = fspath(path)
    text = read_text(path)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter_of(text.partition("\n")[0]), skipinitialspace=True)
    try:
        columns = reader.fieldnames or []
    except csv.Error as error:
        raise InputError(f"it is no CSV ({error})", where=where, fix="write one measurement a line") from None
    for name in NEEDED:
        if name not in columns:
            fix = f"give it the columns {', '.join(NEEDED)}, and if you like {', '.join(OPTIONAL)}"
            raise InputError(f"it has no column '{name}'", where=where, fix=fix)
    rows: list[Measured] = []
    wrong: list[tuple[int, InputError]] = []
    try:
        for number, row in enumerate(reader):
            try:
                rows.append(_measured(row, where, reader.line_num, number))
            except InputError as error:
                wrong.append((reader.line_num, error))
    except csv.Error as error:
        raise InputError(f"it is no CSV ({error})", where=where, fix="write one measurement a line") from None
    if len(wrong) > 1:
        raise _every(wrong, where)
    if wrong:
        raise wrong[0][1]
    if not rows:
        raise InputError("it has no measurements", where=where, fix="write a line for each measured network")
    return rows


def _every(wrong: Sequence[tuple[int, InputError]], where: str) -> InputError:
    """One error for all lines of a file, in their order; each line with what is wrong and how to mend it."""
    sentences = [f"line {line}: {error.what} ({error.fix})" for line, error in wrong[:_MOST_LINES]]
    more = len(wrong) - _MOST_LINES
    sentences += [f"and {more} lines more"] if more > 0 else []
    what = f"{len(wrong)} lines are wrong: {'; '.join(sentences)}"
    return InputError(what, where=where, fix="mend these lines, or leave them out")


def read_text(path: str | PathLike[str]) -> str:
    """Of a table or log. Stray bytes, as a UART has them at a reset, become STRAY; a line that counts may have none.

    What PowerShell redirects into a file is UTF-16, mostly with a mark that says so.
    """
    where, fix = fspath(path), "name a CSV file"
    try:
        content = content_of(path)
    except (OSError, ValueError) as error:
        raise InputError(f"it cannot be read ({reason_of(error)})", where=where, fix=fix) from None
    text = content.decode(_encoding_of(content), errors="replace").replace("\0", STRAY)
    if text.count(STRAY) > _MOST_STRAY * len(text):
        raise InputError("it is no text: too many bytes are none of UTF-8 or UTF-16", where=where, fix=fix)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encoding_of(content: bytes) -> str:
    if content[:2] in (BOM_UTF16_LE, BOM_UTF16_BE):
        return "utf-16"
    # Text in UTF-16 without a mark shows as zeros in every other byte; which half of the pairs they fill tells the
    # order.
    half = len(content) // 2
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if half and content[first::2].count(0) > _WIDE * half:
            return encoding
    return "utf-8-sig"


def _measured(row: Mapping[str, str | None], file: str, line: int, number: int) -> Measured:
    where = f"{file}, line {line}"
    cells = {name: (row.get(name) or "").strip() for name in (*NEEDED, *OPTIONAL)}
    if STRAY in "".join(cells.values()):
        raise InputError("it holds bytes that are no UTF-8", where=where, fix="save the file as UTF-8")
    try:
        runtime, board = find_runtime(cells["runtime"]), load_board(cells["profile"])
        graph, schedule = load(cells["model"]), parse_schedule(cells["schedule"] or "layer")
        refuse_float(graph)
        program = lower(graph, schedule, runtime.rules)
    except McusimError as error:
        raise InputError(f"{error.where}: {error.what}", where=where, fix=error.fix) from None
    if cells["clock_hz"]:
        board = board.with_clock(_clock(cells["clock_hz"], where))
    ms = _number(cells["latency_ms"], "latency_ms", where)
    if not LEAST_SECONDS <= ms / 1e3 <= MOST_SECONDS:
        raise InputError(f"{ms:g} ms is no time that a network takes", where=where, fix="write milliseconds")
    asked = Asked(graph, program, runtime, board, where)
    # As `Measurement.rounding`: half of the last digit.
    decimals = len(cells["latency_ms"].partition(".")[2])
    rounding = 0.5 * 10.0**-decimals / 3**0.5 / ms
    return asked.measured(f"{OWN_ROW}{number:03d}", ms * board.clock_hz / 1e3, rounding, line)


@dataclass(frozen=True, slots=True)
class Asked:
    """A network on a board under a runtime.   where: of the file that names them."""

    graph: Graph
    program: Program
    runtime: Runtime
    board: Board
    where: str

    @property
    def system(self) -> System:
        version, _, option = self.runtime.asked_version.partition("+")
        board = self.board
        series = board.series or series_of(board.name)
        place = (str(board.core), series, board.name, arena_memory(board))
        return System(self.runtime.price_family, version or OWN_VERSION, option, *place)

    def works(self) -> dict[int, list[Work]]:
        """What every node does, by its index. Raises InputError for an operator that mcusim does not know."""
        works: dict[int, list[Work]] = {}
        for step in self.program.body():
            op = step.signature.op
            if op not in OPS:
                raise InputError(f"mcusim does not know {op}", where=self.where, fix="leave this network out")
            works.setdefault(step.node, []).append(step_work(step))
        return works

    def expected_cycles(self) -> dict[int, float]:
        """What the package's prices say of every node, by its index."""
        prices, expected = self._prices(), dict[int, float]()
        for step in self.program.body():
            cycles = price_work(prices, step.signature, step_work(step)).total
            expected[step.node] = expected.get(step.node, 0.0) + cycles
        return expected

    def layer(self, row: str, index: int, cycles: float) -> OwnLayer:
        """A node of the network that took so long.   row: of the evidence."""
        node = self.graph.nodes[index]
        output = node.signature.output
        work = OPS[node.op].work(node.signature, output.rows, output.cols, 1)
        shape = (work.channels_in, work.channels_out, work.taps, work.width)
        return OwnLayer(row, self.graph.name, node.name, cycles, work.kind, *shape)

    def _prices(self) -> Coefficients:
        prices = coefficients(self.runtime, self.board, arena_memory(self.board))
        if prices is None:
            what = f"nobody has measured {self.runtime.name}"
            raise InputError(what, where=self.where, fix="leave this network out")
        return prices

    def measured(
        self, name: str, cycles: float, rounding: float, line: int, works: Sequence[Work] | None = None
    ) -> Measured:
        """A time as evidence.   works: of single layers; of the whole network if None."""
        prices = self._prices()
        every = [work for own in self.works().values() for work in own] if works is None else works
        evidence = Evidence(
            name,
            self.system,
            self.graph.name,
            self.graph.name,
            add_efforts(every),
            cycles,
            rounding,
            log_cycles_of(self.board.core, self.board),
            is_kernel=works is not None,
        )
        amounts = [0.0] * len(prices.model.causes)
        for step in self.program.body() if works is None else ():
            for place, amount in prices.model.parts(step.signature, step_work(step)):
                amounts[place] += amount
        return Measured(evidence, line, self.board.clock_hz, prices, tuple(amounts))


def contradictions(own: Sequence[Measured]) -> list[str]:
    """Sentences that name lines which give one question two answers, and lines that do not count."""
    remarks = [sentence for one in own for sentence in one.remarks]
    return [sentence for question in _questions(own) for sentence in _doubts(question)] + remarks


def _questions(own: Sequence[Measured]) -> list[list[Measured]]:
    """Rows of one network on one system, together."""
    questions: dict[tuple[System, tuple[float, ...]], list[Measured]] = {}
    for one in own:
        if not one.row.is_kernel:
            questions.setdefault((one.row.system, one.row.amounts), []).append(one)
    return list(questions.values())


def _doubts(question: Sequence[Measured]) -> list[str]:
    """What contradicts itself among the times of one network on one system."""
    sentences = [sentence for one in question for sentence in one.doubts]
    least, most = (choose(question, key=lambda one: one.row.cycles) for choose in (min, max))
    apart = most.row.cycles / least.row.cycles
    if apart > APART:
        lines = sorted(one.line for one in question)
        of_all = f"; lines {', '.join(map(str, lines[:_MOST_LINES]))} are of it" if len(lines) > 2 else ""
        first, second = sorted((least.line, most.line))
        sentences.append(
            f"lines {first} and {second} contradict each other: {least.row.network} takes {apart:.2f} times as long in "
            f"one as in the other{of_all}"
        )
    return sentences


def _clock(text: str, where: str) -> int:
    try:
        return parse_hz(text)
    except ValueError:
        raise InputError(f"clock_hz is '{text}'", where=where, fix="write hertz, or 64MHz") from None


def _number(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (isfinite(value) and value > 0):
        raise InputError(
            f"{name} is '{text}'", where=where, fix=f"write a number above 0, with a point before decimals, as {name}"
        )
    return value


def calibrate(own: Sequence[Measured]) -> tuple[Calibration, list[Change]]:
    """The package's measurements and these together, and what they change."""
    rows = [measured.row for measured in own]
    package = package_calibration()
    everything = (*package_evidence(), *rows)
    fit = join_rows(everything, package.fit)
    first = len(everything) - len(rows)
    names = [row.network for row in rows]
    # Every network of the file is left out once, so that each time is compared with what the others say of it.
    blocks = [Block(block.out + first, block.asked + first) for block in blocks_of(names)]
    left = leave_out(everything, fit, blocks) if len(blocks) > 1 else None
    measured = networks_of(everything)
    seen, changes = [], []
    for place, (row, line, clock_hz, prices, amounts, *_) in enumerate(own, first):
        if row.is_kernel:
            continue
        ms = 1e3 / clock_hz
        old_ms = ms * sum([price * amount for price, amount in zip(prices.cycles, amounts, strict=True)])
        low, high = prices.interval(amounts)
        new = None
        if left is not None:
            new = exp(left.log_cycles[place]) * ms
            deviation = float(left.deviation[place])
            known = known_of(row.system, measured)
            scale = package.scales.of(known, row.system.runtime).at(deviation, is_tiny(row.amounts))
            seen.append((log(row.cycles) - left.log_cycles[place]) / (scale * deviation))
        changes.append(Change(row.network, row.system, line, row.cycles * ms, old_ms, old_ms * low, old_ms * high, new))
    layers = tuple(measured.layer for measured in own if measured.layer is not None)
    return Calibration(fit, package.scales, _own_scale(seen), layers, _own_systems(own, fit, changes)), changes


def _own_systems(own: Sequence[Measured], fit: Fit, changes: Sequence[Change]) -> tuple[OwnSystem, ...]:
    """How far intervals must reach on each system so that they hold its own times, and what to know of these."""
    systems = []
    for system in dict.fromkeys(change.system for change in changes):
        questions = [question for question in _questions(own) if question[0].row.system == system]
        off = [_off(question, fit) for question in questions]
        # The interval on this board must hold COVERAGE of the user's own times, over all networks and in any that
        # contradicts itself.
        reach = _held([value for values in off for value in values])
        notes = [sentence for question in questions for sentence in _doubts(question)]
        for question, values in zip(questions, off, strict=True):
            reach = max(reach, _held(values) if _doubts(question) else 0.0)
        notes += [change.warning for change in changes if change.is_odd and change.system == system]
        more = [f"and {len(notes) - _MOST_NOTES} further remarks on your own times"] if len(notes) > _MOST_NOTES else []
        shown = tuple(f"calibration: {note}" for note in (*notes[:_MOST_NOTES], *more))
        systems.append(OwnSystem(system, reach, shown))
    return tuple(systems)


def _off(question: Sequence[Measured], fit: Fit) -> list[float]:
    """How far each own time of a network lies from what the fit says of it, in logarithms."""
    row = question[0].row
    mean, _ = fit.posterior(row.system, row.log_physics).log_cycles(row.amounts)
    return [abs(log(time) - mean) for one in question for time in one.every_time]


def _held(off: Sequence[float]) -> float:
    """How far an interval must reach to hold COVERAGE of times: all of them where they are five or fewer."""
    return float(np.quantile(off, COVERAGE, method="higher")) * (1 + _ROUND_OFF)


def _own_scale(seen: Sequence[float]) -> float:
    """How much wider intervals must be than published times say, as one's own scatter more around each other.

    seen: how many deviations each row lies from what the other networks say. At least 1: few rows may agree by chance.
    """
    return max(1.0, sqrt((_PRIOR_ROWS + sum([value**2 for value in seen])) / (_PRIOR_ROWS + len(seen))))
