"""One's own board measured layer by layer: a log, matched with the network that it is of.

Every layer becomes evidence of its own beside the whole network, so that one network that was logged settles what each
kind of work costs on that board. Several inferences in a log are told apart by the network's order, and their medians
count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from os import PathLike, fspath
from statistics import median, stdev
from typing import NamedTuple

from mcusim.boards import load_board
from mcusim.errors import InputError
from mcusim.frontends.checks import refuse_float
from mcusim.lowering.lower import lower
from mcusim.ops import OPS, Movement, Work
from mcusim.pricing.layer_logs import LayerLog, LayerTime, is_layer_log, read_layer_log
from mcusim.pricing.log_lines import cells_of, delimiter_of
from mcusim.pricing.own import APART, Asked, Measured, read_measurements, read_text
from mcusim.pricing.stored import OWN_ROW
from mcusim.runtimes import find_runtime
from mcusim.schedule import parse_schedule
from mcusim.units import format_ms
from mcusim.zoo.loading import load

__all__ = ["LoggedRun", "read_own"]

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "TRANSPOSE")
"""What a tool may log at the ends of a network that has none of it."""
_NO_NODE = -1
_NAME = f"{OWN_ROW}000"
_UNLIKE = 3.0
"""Layers of one shape do not take so many times as long as each other."""
_OF_A_KERNEL, _OF_A_COPY = 30.0, 300.0
"""A line that is off by this factor, where the other lines are not, is in another unit: no kernel is that slow or fast.
The time of layers that multiply is known to a factor of two or three, that of layers that only move bytes less well."""


class LoggedRun(NamedTuple):
    """Of which network, board and runtime a log is, as a user names them.   clock_hz, ticks_hz: None where unsaid."""

    model: str
    profile: str
    runtime: str
    schedule: str = "layer"
    clock_hz: int | None = None
    ticks_hz: int | None = None


def read_own(path: str | PathLike[str], run: LoggedRun | None = None) -> list[Measured]:
    """The rows of a table of networks, or the layers of a log and the network that they add up to.

    run: what a log is of. Raises InputError, naming the line, for what is wrong in the file.
    """
    where, text = fspath(path), read_text(path)
    # A table of networks may have a column `layer`; its first line decides.
    if not is_layer_log(text) and (run is None or _has_table(text)):
        return read_measurements(path)
    if run is None:
        fix = "add --model M --profile BOARD --runtime R"
        raise InputError("it is a log of layers, and does not say of which network", where=where, fix=fix)
    runtime, board = find_runtime(run.runtime), load_board(run.profile)
    board = board.with_clock(run.clock_hz) if run.clock_hz else board
    graph = load(run.model)
    refuse_float(graph)
    asked = Asked(graph, lower(graph, parse_schedule(run.schedule), runtime.rules), runtime, board, where)
    layer_log = read_layer_log(text, where, board.clock_hz, run.ticks_hz)
    reader = _Reader(asked, asked.works())
    return reader.of_layers(layer_log) if layer_log.layers else reader.of_sums(layer_log)


def _has_table(text: str) -> bool:
    """Whether a file begins as a table of networks."""
    first = text.partition("\n")[0]
    return "model" in cells_of(first, delimiter_of(first))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Layers of a log -> evidence.   works: what every node does that is carried out, by its index."""

    asked: Asked
    works: Mapping[int, list[Work]]

    def of_layers(self, layer_log: LayerLog) -> list[Measured]:
        """Median times of every layer over the inferences of a log, and of the whole."""
        runs = self._runs(layer_log)
        for run in runs:
            self._refuse_other_labels(run)
        self._refuse_zeros([layer for run in runs for node, layer in run if self._multiplies(node)])
        self._refuse_other_units([([node], layer) for run in runs for node, layer in run if node in self.works])
        totals = [sum(layer.cycles for node, layer in run if node != _NO_NODE) for run in runs]
        doubts = (*_disagreement(totals, [run[0][1].line for run in runs]), *self._odd_among_alike(runs))
        passed = [layer for run in runs for node, layer in run if node == _NO_NODE]
        remarks = (*layer_log.doubts, *self._not_counted(passed))
        whole = self.asked.measured(_NAME, median(totals), _scatter(totals), runs[0][0][1].line)
        measured = [whole._replace(doubts=doubts, remarks=remarks, times=tuple(totals))]
        for index, works in self.works.items():
            layers = [layer for run in runs for node, layer in run if node == index]
            cycles = [layer.cycles for layer in layers]
            if cycles and median(cycles) > 0:
                name = f"{_NAME}.{index:03d}"
                row = self.asked.measured(name, median(cycles), _scatter(cycles), layers[0].line, works)
                measured.append(row._replace(layer=self.asked.layer(name, index, median(cycles))))
        return measured

    def of_sums(self, layer_log: LayerLog) -> list[Measured]:
        """One row an operator, and the whole: medians over the inferences of a log."""
        nodes, asked, tables = self.asked.graph.nodes, self.asked, layer_log.sums
        works = {op: [work for i, own in self.works.items() if nodes[i].op == op for work in own] for op in self._ops()}
        entries = [entry for table in tables for entry in table]
        for entry in entries:
            if entry.op not in works and entry.op not in _CONVERSIONS:
                raise self._another(len(nodes), entry)
        self._refuse_zeros([entry for entry in entries if any(work.macs for work in works.get(entry.op, ()))])
        places = {op: [index for index in self.works if nodes[index].op == op] for op in works}
        self._refuse_other_units([(places[entry.op], entry) for entry in entries if works.get(entry.op)])
        for table in tables:
            missing = sorted(
                {nodes[i].op for i in self.works if not self._is_silent(i)} - {entry.op for entry in table}
            )
            if missing:
                what = f"the log has no sum for {missing[0]}, which {asked.graph.name} has"
                raise InputError(what, where=asked.where, fix="log a whole inference")
        totals = [sum(entry.cycles for entry in table if entry.op in works) for table in tables]
        doubts = tuple(_disagreement(totals, [table[0].line for table in tables]))
        remarks = (*layer_log.doubts, *self._not_counted([entry for entry in entries if entry.op not in works]))
        whole = asked.measured(_NAME, median(totals), _scatter(totals), entries[0].line)
        measured = [whole._replace(doubts=doubts, remarks=remarks, times=tuple(totals))]
        for number, op in enumerate(dict.fromkeys(entry.op for entry in entries)):
            own = [entry for entry in entries if entry.op == op]
            cycles = [entry.cycles for entry in own]
            if works.get(op) and median(cycles) > 0:
                name = f"{_NAME}.{number:03d}"
                measured.append(asked.measured(name, median(cycles), _scatter(cycles), own[0].line, works[op]))
        return measured

    def _not_counted(self, layers: Sequence[LayerTime]) -> list[str]:
        """A sentence about lines of operators that the network lacks; none where they take no time."""
        timed = [layer for layer in layers if layer.cycles > 0]
        if not timed:
            return []
        ms = sum(layer.cycles for layer in timed) / self.asked.board.clock_hz * 1e3
        ops = " and ".join(dict.fromkeys(layer.op for layer in timed))
        lines = f"lines {timed[0].line} to {timed[-1].line}" if len(timed) > 1 else f"line {timed[0].line}"
        return [f"{lines}: {self.asked.graph.name} has no such {ops}; {format_ms(ms)} do not count, nor in the total"]

    def _odd_among_alike(self, runs: Sequence[Sequence[tuple[int, LayerTime]]]) -> Iterator[str]:
        """Sentences about layers that take far more or less than others of just their shape."""
        nodes = self.asked.graph.nodes
        by_node: dict[int, list[LayerTime]] = {}
        for node, layer in [pair for run in runs for pair in run if self._multiplies(pair[0])]:
            by_node.setdefault(node, []).append(layer)
        alike: dict[tuple[str, str], list[int]] = {}
        for node in by_node:
            alike.setdefault((nodes[node].op, repr(self.works[node])), []).append(node)
        for kin in alike.values():
            times = {node: median([layer.cycles for layer in by_node[node]]) for node in kin}
            # Of two alike neither is the rule: the quicker one is taken, as a stall makes a layer slower and never
            # quicker.
            middle = min(times.values()) if len(kin) == 2 else median(times.values())
            for node, cycles in times.items():
                by = max(cycles / middle, middle / cycles)
                if by > _UNLIKE:
                    often = f"{by:,.3g} times" if cycles > middle else f"1/{by:,.3g} of"
                    yield (
                        f"line {by_node[node][0].line}: {nodes[node].op} '{nodes[node].name}' takes {often} what other "
                        f"layers of its shape take in the log, and one of them is wrong"
                    )

    def _ops(self) -> set[str]:
        return {node.op for node in self.asked.graph.nodes}

    def _multiplies(self, index: int) -> bool:
        return any(work.macs for work in self.works.get(index, ()))

    def _refuse_zeros(self, layers: Sequence[LayerTime]) -> None:
        """layers: those that multiply. Whatever the clock, they take time; a layer that only moves bytes may take 0."""
        for layer in layers:
            if layer.cycles <= 0:
                fix = "log with a finer clock: cycles or microseconds, not whole milliseconds"
                raise InputError(f"{layer.op} takes no time", where=f"{self.asked.where}, line {layer.line}", fix=fix)

    def _refuse_other_units(self, lines: Sequence[tuple[Sequence[int], LayerTime]]) -> None:
        """lines: nodes and what they took. One in another unit than the others is off by far more than any kernel."""
        by_node = self.asked.expected_cycles()
        expected = [sum(by_node[node] for node in nodes) for nodes, _ in lines]
        timed = [(cycles, *line) for cycles, line in zip(expected, lines, strict=True) if cycles > 0 < line[1].cycles]
        # Weighted by the expected cycles, so that many small copies do not outvote a few convolutions about the unit.
        ratios = [(layer.cycles / cycles, cycles) for cycles, _, layer in timed]
        middle = _middle(ratios)
        odd = [
            (ratio / middle, layer)
            for (ratio, _), (_, nodes, layer) in zip(ratios, timed, strict=True)
            if max(ratio / middle, middle / ratio) > (_OF_A_KERNEL if any(map(self._multiplies, nodes)) else _OF_A_COPY)
        ]
        if odd and len({layer.cycles for _, layer in lines}) == 1:
            what = f"every layer takes {lines[0][1].cycles:g} cycles: the clock that times them stands still"
            raise InputError(what, where=self.asked.where, fix="log with the core's cycle counter switched on")
        if odd:
            by, layer = odd[0]
            others = f" (and {len(odd) - 1} line{'s' * (len(odd) > 2)} more)" if len(odd) > 1 else ""
            often = f"{by:,.0f} times" if by > 1 else f"1/{1 / by:,.0f} of"
            what = f"{layer.op} takes {often} what the other lines lead one to expect{others}: it is in another unit"
            fix = "write all times in the unit of their column, or each unit under a header of its own"
            raise InputError(what, where=f"{self.asked.where}, line {layer.line}", fix=fix)

    def _refuse_other_labels(self, run: Sequence[tuple[int, LayerTime]]) -> None:
        """The column `layer` counts up as the network's layers do, or has their names. Own names say nothing."""
        nodes = self.asked.graph.nodes
        place = {node.name: index for index, node in enumerate(nodes)}
        before: tuple[int, LayerTime] | None = None
        passed = 0
        for index, layer in run:
            where = f"{self.asked.where}, line {layer.line}"
            if index == _NO_NODE:
                passed += 1
            elif layer.label.isdecimal():
                if before is not None:
                    last, most = int(before[1].label), max(1, index - before[0]) + passed
                    if not 1 <= int(layer.label) - last <= most:
                        what = f"layer {layer.label} follows layer {last}, and the network has no such order"
                        fix = "put the lines in the order in which the layers run, none twice and none left out"
                        raise InputError(what, where=where, fix=fix)
                before, passed = (index, layer), 0
            elif place.get(layer.label, index) != index:
                what = f"it is of layer '{layer.label}', and {nodes[index].op} '{nodes[index].name}' runs there"
                raise InputError(what, where=where, fix="put the lines in the order in which the layers run")

    def _runs(self, layer_log: LayerLog) -> list[list[tuple[int, LayerTime]]]:
        """The inferences of a log: the node (or _NO_NODE) and its time, in order."""
        runs: list[list[tuple[int, LayerTime]]] = []
        at = len(self.asked.graph.nodes)
        for layer in layer_log.layers:
            index = self._next_node(at, layer.op)
            # Where the network is through and the line would begin it anew, the next inference begins.
            if index is None and self._is_done(at) and self._next_node(0, layer.op) is not None:
                index = self._next_node(0, layer.op)
                runs.append([])
            if index is not None and runs:
                runs[-1].append((index, layer))
                at = index + 1
            # Conversions at the border may be logged though the file has none: they count with no node.
            elif layer.op in _CONVERSIONS:
                runs = runs or [[]]
                at = 0 if runs == [[]] else at
                runs[-1].append((_NO_NODE, layer))
            else:
                raise self._another(0 if self._is_done(at) else at, layer)
        if not self._is_done(at):
            node, last = self.asked.graph.nodes[at], layer_log.layers[-1].line
            what = f"the log ends at line {last} before layer {at}, {node.op} '{node.name}'"
            fix = "log a whole inference, or delete the lines of the last one"
            raise InputError(what, where=self.asked.where, fix=fix)
        return runs

    def _next_node(self, at: int, op: str) -> int | None:
        """The node that a line is about, from `at` on; silent ones may be passed over."""
        nodes = self.asked.graph.nodes
        for index in range(at, len(nodes)):
            if nodes[index].op == op:
                return index
            if not self._is_silent(index):
                return None
        return None

    def _is_silent(self, index: int) -> bool:
        """Whether a node may be missing: it only gives bytes another shape, or is done within another."""
        op = self.asked.graph.nodes[index].op
        return index not in self.works or (op in OPS and OPS[op].movement is Movement.RELABELS)

    def _is_done(self, at: int) -> bool:
        return all(self._is_silent(index) for index in range(at, len(self.asked.graph.nodes)))

    def _another(self, at: int, layer: LayerTime) -> InputError:
        nodes, name = self.asked.graph.nodes, self.asked.graph.name
        has = "no such layer" if at >= len(nodes) else f"{nodes[at].op} as layer {at}, '{nodes[at].name}'"
        fix = "name the network that was measured with --model, and its schedule with --schedule"
        where = f"{self.asked.where}, line {layer.line}"
        return InputError(f"{layer.op} is logged, and {name} has {has}", where=where, fix=fix)


def _middle(weighed: Sequence[tuple[float, float]]) -> float:
    """The value below which half of all weight lies. weighed: values and their weights."""
    half, reached = sum(weight for _, weight in weighed) / 2, 0.0
    for value, weight in sorted(weighed):
        reached += weight
        if reached >= half:
            return value
    return 1.0


def _disagreement(totals: Sequence[float], lines: Sequence[int]) -> list[str]:
    """A sentence about inferences of one network that take different times; none where all take about the same."""
    least, most = min(totals), max(totals)
    if most <= APART * least:
        return []
    quick, slow = (lines[totals.index(total)] for total in (least, most))
    return [
        f"the inferences that begin in lines {quick} and {slow} contradict each other: the latter takes "
        f"{most / least:.2f} times as long; their medians count"
    ]


def _scatter(times: Sequence[float]) -> float:
    """Standard deviation of the logarithm of the middle of some times."""
    logs = [log(time) for time in times if time > 0]
    return stdev(logs) / sqrt(len(logs)) if len(logs) > 1 else 0.0
