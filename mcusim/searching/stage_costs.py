"""Memory and cycles of every cut stage that a network can have: each start, each end, every grid, every band.

For one end, one sweep backwards over the steps gives all starts: what a step computes depends on what comes behind it
in the stage, never on where the stage starts. What is alive at a step of the stage [start, end):

    outside    whole tensors from before the stage that it or a later one reads: a function of start
    leaving    whole homes of what the stage leaves behind, from its start on
    inner      pieces between their step and their last reader; lines of a stream for the whole stage
    scratch    of the step

Judged by `lower`, which shares no code with this: `tests/test_search.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mcusim.graph import ABSENT, Attributes, Graph, signature
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace, LoweringRules
from mcusim.lowering.staging import StepNode, computes, copied_inputs, is_tileable, network_of
from mcusim.ops import OPS
from mcusim.planners import live_bytes
from mcusim.price import Coefficients, price_whole
from mcusim.schedule import LAYER, StageKind, StageSpec
from mcusim.searching.stage_axes import AxisSweep, Bools, Ints, Lengths, is_symmetric
from mcusim.searching.stage_tally import Piece, Tally
from mcusim.searching.step_costs import Floats, cycles_of, scratch_of

__all__ = ["Layers", "Options", "StageCosts"]


class Options(NamedTuple):
    """All ways to run computing nodes [first, end) as one cut stage.

    Grids come first, row by row of `cols` columns each, `grids` in all; then bands of 1, 2, ... rows.
    live_bytes: most alive in a step, less what is outside the stage.   held_bytes: by name.
    """

    first: int
    end: int
    grids: int
    cols: int
    live_bytes: Ints
    held_bytes: dict[str, Ints]
    cycles: Floats

    def spec(self, index: int) -> StageSpec:
        """The stage that entry `index` stands for."""
        nodes = self.end - self.first
        if index >= self.grids:
            return StageSpec(StageKind.STREAM, nodes, band_rows=index - self.grids + 1)
        row, col = divmod(index, self.cols)
        return StageSpec(StageKind.PATCH, nodes, row + 1, col + 1)


class Layers(NamedTuple):
    """Steps that run whole: bytes alive at each, working memory held beside the arena, cycles."""

    live_bytes: tuple[int, ...]
    held_bytes: tuple[dict[str, int], ...]
    cycles: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a storage is written and read. home_bytes: of all of it, aligned.   last: its last reader.

    place_bytes: of one row and column.
    """

    whole_bytes: int
    home_bytes: int
    place_bytes: int
    producer: int
    last: int
    is_output: bool


class StageCosts:
    """Stages of one network under the rules of a runtime, priced.

    bounds: step behind each computing node, 0 first.   starts: first step of a cut stage behind each bound; before it,
    steps that cannot be cut run whole.
    """

    def __init__(self, graph: Graph, rules: LoweringRules, prices: Coefficients, max_grid: int) -> None:
        self.graph, self.rules, self.prices, self.max_grid = graph, rules, prices, max_grid
        self.network = network_of(graph, rules)
        steps = self.network.steps
        self.tileable = [is_tileable(step) for step in steps]
        self.symmetric = all(is_symmetric(step) for step, tiles in zip(steps, self.tileable, strict=True) if tiles)
        self.bounds = [0, *(time + 1 for time, step in enumerate(steps) if computes(step))]
        self.starts = [self._start(k) for k in range(len(self.bounds) - 1)]
        self.storages = self._storages()
        self.held_names = sorted({name for step in steps for name, _ in rules.held_scratch(step.signature)})

    def _start(self, bound: int) -> int:
        start = self.bounds[bound + 1] - 1
        while start > self.bounds[bound] and self.tileable[start - 1]:
            start -= 1
        return start

    def _storages(self) -> dict[int, Storage]:
        """Everything with bytes that a step writes, and the network's inputs (written before step 0)."""
        network, align = self.network, self.rules.alignment
        producer = dict.fromkeys(network.inputs, -1)
        last: dict[int, int] = {}
        for time, step in enumerate(network.steps):
            producer.update(dict.fromkeys(step.writes, time))
            last.update((storage, time) for storage in step.reads if storage != ABSENT)
        found = {}
        for storage, time in producer.items():
            tensor = self.graph.tensors[storage]
            kind = tensor.type
            if kind.size_bytes and not kind.is_constant and not tensor.is_variable:
                home_bytes = -(-kind.size_bytes // align) * align
                place_bytes = kind.size_bytes // ((kind.rows * kind.cols) or 1)
                is_output = storage in network.outputs
                reader = len(network.steps) if is_output else last.get(storage, time)
                found[storage] = Storage(kind.size_bytes, home_bytes, place_bytes, time, reader, is_output)
        return found

    def layers(self, place: InputPlace) -> Layers:
        """Every step of the network when it runs whole."""
        program = lower(self.graph, LAYER, self.rules, place)
        calls = [step.signature for step in self.network.steps]
        return Layers(
            tuple(live_bytes(program.buffers, program.length)),
            tuple([dict(self.rules.held_scratch(call)) for call in calls]),
            tuple([round(price_whole(self.prices, call).total_cycles) for call in calls]),
        )

    def outside_bytes(self, bound: int, place: InputPlace) -> int:
        """Whole tensors that are alive across a cut stage which starts behind `bound`."""
        start = self.starts[bound]
        is_outside = place is InputPlace.EXTERNAL
        return sum(
            s.home_bytes
            for index, s in self.storages.items()
            if s.producer < start <= s.last and not (is_outside and index in self.network.inputs)
        )

    def stages_to(self, end: int) -> Iterator[Options]:
        """Every cut stage that ends behind computing node `end` (from 1), the latest start first.

        After those that start with the first step comes the one that copies its patches of an external input into the
        arena, if the runtime does so; its `first` is -1.
        """
        start_of = {self.starts[k]: k for k in range(end)}
        sweep = _StageSweep(self, self.bounds[end])
        for time in range(self.bounds[end] - 1, -1, -1):
            if not self.tileable[time]:
                break
            sweep.step(time, self.network.steps[time])
            if time in start_of:
                yield sweep.options(start_of[time], end, time)
        else:
            copies = self._copied(self.bounds[end])
            for place, storage in enumerate(reversed(copies), start=1):
                kind = self.graph.tensors[storage].type
                call = signature("COPY", Attributes(), (kind,), (kind,))
                outside = len(self.network.root) + place
                sweep.step(-place, StepNode(ABSENT, call, (outside,), (storage,)))
            if copies and self.starts[0] == 0:
                yield sweep.options(0, end, -len(copies))._replace(first=-1)

    def _copied(self, end: int) -> list[int]:
        """Inputs that a first stage, of steps [0, end), copies where they are external."""
        if not self.rules.copies_input_patch:
            return []
        return copied_inputs(self.graph, self.network.steps, end, self.network.inputs - self.network.outputs)


class _StageSweep:
    """One end: the steps before it, one by one, and what the stage from there on takes."""

    def __init__(self, costs: StageCosts, end: int) -> None:
        self.costs, self.end = costs, end
        last = costs.network.steps[end - 1].signature.outputs[0]
        self.most = min(costs.max_grid, last.rows), min(costs.max_grid, last.cols)
        self.rows = AxisSweep(True, self.most[0], last.rows)
        is_square = costs.symmetric and self.most[0] == self.most[1]
        self.cols = None if is_square else AxisSweep(False, self.most[1])
        self.leaving_bytes = 0
        self.patched, self.streamed = _Part(costs, end, self.most), _Part(costs, end, (last.rows,))

    def step(self, time: int, step: StepNode) -> None:
        """The step before all others."""
        storages, uniform = self.costs.storages, self.costs.rules.uniform_patches
        kept = [w for w in step.writes if time == self.end - 1 or (w in storages and storages[w].last >= self.end)]
        known = {w: storages[w] for w in step.writes if w in storages}
        self.leaving_bytes += sum(storage.home_bytes for w, storage in known.items() if w in kept)
        inner = [(w, storage) for w, storage in known.items() if w not in kept]
        rows, bands = self.rows.step(step, kept)
        cols = rows if self.cols is None else self.cols.step(step, kept)[0]
        assert bands is not None
        patch_rows = Cut.uniform(rows) if uniform else Cut.clipped(rows)
        patch_cols = Cut.uniform(cols) if uniform else Cut.clipped(cols)
        self.patched.add(time, step, inner, patch_rows.upright(), patch_cols)
        self.streamed.add(time, step, inner, Cut.clipped(bands), Cut.clipped(cols).first())

    def options(self, first: int, end: int, start: int) -> Options:
        """The stage of the steps from `start` on, which is the latest that was added."""
        parts = self.patched, self.streamed
        live = [part.tally.peak_bytes(start).ravel() + self.leaving_bytes for part in parts]
        held = {name: np.concatenate([p.held_bytes(name).ravel() for p in parts]) for name in self.costs.held_names}
        cycles = np.concatenate([part.cycles.ravel() for part in parts])
        rows, cols = self.most
        return Options(first, end, rows * cols, cols, np.concatenate(live), held, cycles)


class Cut(NamedTuple):
    """One step along one axis, for each way: what it computes in all, in how many calls, and sizes of a piece.

    size: what its kernel sees.   held: what its output's buffer holds.
    """

    computed: Ints
    busy: Ints
    size: Ints
    held: Ints
    carried: Bools | None

    @classmethod
    def uniform(cls, lengths: Lengths) -> Cut:
        """Pieces of one size, padded at the border."""
        pieces = np.arange(1, len(lengths.uniform) + 1)
        return cls(pieces * lengths.uniform, lengths.busy, lengths.uniform, lengths.uniform, None)

    @classmethod
    def clipped(cls, lengths: Lengths) -> Cut:
        """Pieces that end at the border."""
        return cls(lengths.total, lengths.busy, lengths.longest, lengths.held, lengths.carried)

    def upright(self) -> Cut:
        """As a column, so that rows times columns give every grid."""
        return Cut(self.computed[:, None], self.busy[:, None], self.size[:, None], self.held[:, None], None)

    def first(self) -> Cut:
        """The first way only: one piece."""
        return Cut(self.computed[:1], self.busy[:1], self.size[:1], self.held[:1], None)


class _Part:
    """Patches, or bands: an array entry for each grid or band."""

    def __init__(self, costs: StageCosts, end: int, shape: tuple[int, ...]) -> None:
        self.costs = costs
        self.tally = Tally(end, shape)
        self.held: dict[str, Ints] = dict.fromkeys(costs.held_names, self.tally.zero)
        self.held_floor = dict.fromkeys(costs.held_names, 0)
        self.cycles: Floats = np.zeros(shape, np.float64)

    def held_bytes(self, name: str) -> Ints:
        """Working memory `name` that the steps so far hold beside the arena."""
        return np.maximum(self.held[name], self.held_floor[name])

    def add(self, time: int, step: StepNode, inner: Sequence[tuple[int, Storage]], rows: Cut, cols: Cut) -> None:
        """The step before all others; `inner` is what it writes for the stage alone."""
        costs, call = self.costs, step.signature
        scratch = scratch_of(costs.rules, call)
        pieces = [self._piece(time, name, storage, rows, cols) for name, storage in inner]
        self.tally.add(time, scratch.planned(rows.size, cols.size), pieces)
        if call.op in costs.rules.in_place:
            sources = [step.reads[position] for position in OPS[call.op].overwrites]
            target = next((piece for piece in pieces if piece.storage == step.writes[0]), None)
            self.tally.overwrite(time, sources, target)
        for name, sizes in scratch.held.items():
            found = sizes(rows.size, cols.size)
            if isinstance(found, int):
                self.held_floor[name] = max(self.held_floor[name], found)
            else:
                self.held[name] = np.maximum(self.held[name], found)
        self.cycles = self.cycles + cycles_of(
            costs.prices, call, (rows.computed, cols.computed), (rows.busy, cols.busy)
        )

    def _piece(self, time: int, name: int, storage: Storage, rows: Cut, cols: Cut) -> Piece:
        mask = self.costs.rules.alignment - 1
        size_bytes = rows.held * (cols.held * storage.place_bytes)
        aligned_bytes = (size_bytes + mask) & ~mask if storage.place_bytes & mask else size_bytes
        return Piece(name, max(storage.last, time), storage.whole_bytes, size_bytes, aligned_bytes, rows.carried)
