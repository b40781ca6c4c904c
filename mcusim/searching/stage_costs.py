"""Memory and cycles of every cut stage that a network can have: each start, each end, every grid, every band.

For one end, one sweep backwards over the steps gives all starts: what a step computes depends on what comes behind it
in the stage, never on where the stage starts. Ends with outputs of one size are swept together, a row of the arrays for
each. What is alive at a step of the stage [start, end):

    outside    whole tensors from before the stage that it or a later one reads: a function of start
    leaving    whole homes of what the stage leaves behind, from its start on
    inner      pieces between their step and their last reader; lines of a stream for the whole stage
    scratch    of the step

Judged by `lower` in `tests/test_search.py`. Both ask the same operators (`resized`, `OPS`) and the same rules (scratch,
`overwritten`); what is alive, cut, kept and taken over is worked out in each of them by itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from operator import neg
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.columns import Kept
from mcusim.graph import ABSENT, Attributes, Graph, Signature, signature
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace, LoweringRules
from mcusim.lowering.staging import (
    StepNode,
    computes,
    copied_inputs,
    is_tileable,
    network_of,
    overwritten,
    resized,
)
from mcusim.lowering.variables import remembered, stored_variables
from mcusim.planners import live_bytes
from mcusim.pricing.prices import Coefficients, price_whole
from mcusim.schedule import LAYER, StageKind, StageSpec
from mcusim.searching.stage_axes import AxisSweep, Bools, Ints, Lengths, band_heights, is_symmetric
from mcusim.searching.stage_tally import HeldTensor, Tally
from mcusim.searching.step_costs import Floats, cycles_of, scratch_of

__all__ = ["Layers", "Options", "StageCosts"]


STAGES_AT_MOST, LEAST_REACH = 50_000, 8
"""So many stages are looked at, about: the longer a network, the fewer steps a stage has, so that time stays linear."""
_KEPT = 64
"""Runtimes, and their prices on boards, that many networks are asked about."""
ENTRIES_AT_ONCE = 1 << 14
"""Entries of an array, at most, where there are several ends: what still fits a processor's cache."""


_NO_BYTES: Ints = np.zeros((0, 0), np.int64)
_NO_CYCLES: Floats = np.zeros((0, 0))
_MOST_BYTES = np.iinfo(np.int64).max


class Options(NamedTuple):
    """All ways to run computing nodes [first, end) as one cut stage, for several ends.

    Arrays have a row for each of `ends`. Grids come first, row by row of `cols` columns each, `grids` in all; then
    bands, of `heights` rows.   copied: whether the stage copies its patches of an external input into the arena.
    live_bytes: most alive in a step, less what is outside the stage.   held_bytes: by name.
    """

    first: int
    ends: Ints
    copied: bool
    grids: int
    cols: int
    heights: Ints
    live_bytes: Ints
    held_bytes: dict[str, Ints]
    cycles: Floats

    @property
    def entries(self) -> int:
        """Ways to run a stage, for each end."""
        return self.grids + len(self.heights)

    def without_figures(self) -> Options:
        """What `spec` needs."""
        return self._replace(live_bytes=_NO_BYTES, held_bytes={}, cycles=_NO_CYCLES)

    def are_unbeaten(self) -> Bools:
        """Ways that no other way of the same stage beats: with no more bytes alive and held, and no more cycles.

        Of equal ways the first is unbeaten. Only ways that hold least are taken as rivals.
        """
        holds_least = np.ones(self.cycles.shape, np.bool_)
        for held in self.held_bytes.values():
            holds_least &= held == held.min(axis=1, keepdims=True, initial=_MOST_BYTES)
        # In order of live bytes, then cycles: a rival of an entry stands before it, and must also have held the least.
        order = np.lexsort((self.cycles, self.live_bytes), axis=1)
        cycles = np.take_along_axis(self.cycles, order, axis=1)
        # A way that holds more than the least is nobody's rival, though it may be better in one name and worse in
        # another.
        rivals = np.where(np.take_along_axis(holds_least, order, axis=1), cycles, np.inf)
        least_before = np.full(cycles.shape, np.inf)
        least_before[:, 1:] = np.minimum.accumulate(rivals, axis=1)[:, :-1]
        unbeaten = np.empty(cycles.shape, np.bool_)
        np.put_along_axis(unbeaten, order, cycles < least_before, axis=1)
        return unbeaten

    def spec(self, row: int, entry: int) -> StageSpec:
        """The stage that an entry stands for."""
        nodes = int(self.ends[row]) - self.first
        # Entries are numbered as `stages_to` lays them out: the grids row by row (1x1, 1x2, ... 2x1, ...), then the
        # bands.
        if entry >= self.grids:
            return StageSpec(StageKind.STREAM, nodes, band_rows=int(self.heights[entry - self.grids]))
        at_row, at_col = divmod(entry, self.cols)
        return StageSpec(StageKind.PATCH, nodes, at_row + 1, at_col + 1)


class Layers(NamedTuple):
    """Steps that run whole: bytes alive at each, working memory held beside the arena, cycles."""

    live_bytes: tuple[int, ...]
    held_bytes: tuple[dict[str, int], ...]
    cycles: tuple[int, ...]


@lru_cache(_KEPT)
def _held_whole(rules: LoweringRules) -> Kept[Signature, dict[str, int]]:
    """What a step that runs whole holds beside the arena, by name."""
    return Kept(lambda call: {role: rules.aligned(size) for role, size in rules.held_scratch(call)})


@lru_cache(_KEPT)
def _cycles_whole(prices: Coefficients) -> Kept[Signature, int]:
    return Kept(lambda call: round(price_whole(prices, call).total))


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a storage is written and read. home_bytes: of all of it, aligned.   last: its last reader.

    place_bits: of one row and column.
    """

    whole_bytes: int
    home_bytes: int
    place_bits: int
    producer: int
    last: int
    is_output: bool


class StageCosts:
    """Stages of one network under the rules of a runtime, priced.

    bounds: step behind each computing node, 0 first.   starts: first step of a cut stage behind each bound; before it,
    steps that cannot be cut run whole.   reach: steps of a stage at most; no limit in networks of up to 223 steps.
    """

    def __init__(
        self,
        graph: Graph,
        rules: LoweringRules,
        prices: Coefficients,
        max_grid: int,
        kinds: Collection[StageKind] = (StageKind.PATCH, StageKind.STREAM),
    ) -> None:
        self.graph, self.rules, self.prices = graph, rules, prices
        self.max_grid, self.kinds = max_grid, kinds
        self.network = network_of(graph, rules)
        steps = self.network.steps
        self.tileable = [is_tileable(step) for step in steps]
        # Work grows with the number of stages, which is the square of the steps unless a stage's length is limited.
        self.reach = max(STAGES_AT_MOST // max(len(steps), 1), LEAST_REACH)
        self.symmetric = all(is_symmetric(step) for step, tiles in zip(steps, self.tileable, strict=True) if tiles)
        self.bounds = [0, *(time + 1 for time, step in enumerate(steps) if computes(step))]
        self.starts = [self._start(k) for k in range(len(self.bounds) - 1)]
        self.storages = self._storages()
        self.variables = stored_variables(graph) + (remembered(graph) if rules.plans_variables else ())
        held = _held_whole(rules)
        self.held_names = sorted({name for step in steps for name in held[step.signature]})
        self.copied_behind = self._copied_behind()

    def _start(self, bound: int) -> int:
        # As `staging.split`: data movement in front of the first computing node goes with it, as far as it can be cut.
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
        storages = {}
        for storage, time in producer.items():
            tensor = self.graph.tensors[storage]
            kind = tensor.type
            if kind.size_bytes and not kind.is_constant and not tensor.is_variable:
                home_bytes = -(-kind.size_bytes // align) * align
                place_bits = kind.elements // ((kind.rows * kind.cols) or 1) * kind.dtype.bits
                is_output = storage in network.outputs
                # An output is read by the caller, behind the last step.
                reader = len(network.steps) if is_output else last.get(storage, time)
                storages[storage] = Storage(kind.size_bytes, home_bytes, place_bits, time, reader, is_output)
        return storages

    def layers(self, place: InputPlace) -> Layers:
        """Every step of the network when it runs whole."""
        program = lower(self.graph, LAYER, self.rules, place)
        return Layers(tuple(live_bytes(program.buffers, program.length)), *self._whole)

    @cached_property
    def _whole(self) -> tuple[tuple[dict[str, int], ...], tuple[int, ...]]:
        """Held bytes by name and cycles of each step, wherever the input lies."""
        calls = [step.signature for step in self.network.steps]
        return (
            tuple(map(_held_whole(self.rules).__getitem__, calls)),
            tuple(map(_cycles_whole(self.prices).__getitem__, calls)),
        )

    def crossing_bytes(self, place: InputPlace) -> Ints:
        """In front of each step, whole tensors that are alive there whatever is cut."""
        inputs: Collection[int] = self.network.inputs if place is InputPlace.EXTERNAL else ()
        begun = np.zeros(len(self.network.steps) + 2, np.int64)
        # +1 where a storage begins, -1 behind its last reader: the running sum is what is alive in front of each step.
        for index, storage in self.storages.items():
            if index not in inputs:
                begun[storage.producer + 1] += storage.home_bytes
                begun[storage.last + 1] -= storage.home_bytes
        return np.cumsum(begun)

    def outside_bytes(self, place: InputPlace) -> Ints:
        """Behind each bound, whole tensors that are alive across a cut stage which starts there."""
        size_bytes: Ints = self.crossing_bytes(place)[self.starts] + self._kept_bytes(place)
        return size_bytes

    def _kept_bytes(self, place: InputPlace) -> int:
        """What lives from start to end, whatever the schedule: states, and addresses of external inputs."""
        rules, inputs = self.rules, len(self.network.inputs) if place is InputPlace.EXTERNAL else 0
        states = [rules.aligned(stored.size_bytes) for stored in self.variables] if rules.plans_variables else []
        return sum(states) + inputs * rules.pointer_bytes

    def batches(self) -> list[list[int]]:
        """Bounds where stages may end, in batches that are swept together, the last of each first.

        Their outputs have one size, and no step that cannot be cut lies between them.
        """
        alike: dict[tuple[int, int, int], list[int]] = {}
        uncut = [*accumulate(not tiles for tiles in self.tileable)]
        for k in range(len(self.bounds) - 1, 0, -1):
            end = self.bounds[k]
            if self.tileable[end - 1]:
                size = self.network.steps[end - 1].signature.outputs[0]
                # Ends can share a sweep only where their pieces have equal shares: the same output size.
                alike.setdefault((uncut[end - 1], size.rows, size.cols), []).append(k)
        cut = []
        for ends in alike.values():
            size = self.network.steps[self.bounds[ends[0]] - 1].signature.outputs[0]
            entries = min(size.rows, self.max_grid) * min(size.cols, self.max_grid) + len(band_heights(size.rows))
            most = max(min(ENTRIES_AT_ONCE // entries, self.reach), 1)
            cut += [ends[i : i + most] for i in range(0, len(ends), most)]
        return cut

    def stages_to(self, ends: Sequence[int]) -> Iterator[Options]:
        """Every cut stage that ends at one of the bounds of a batch, the latest start first.

        After those that start with the first step comes the one that copies its patches of an external input into the
        arena, if the runtime does so.
        """
        # A stage that starts further in front would have this step in it, which cannot be cut.
        start_of = {start: k for k, start in enumerate(self.starts)}
        sweep = _StageSweep(self, ends)
        for time in range(sweep.ends[0] - 1, -1, -1):
            if not self.tileable[time] or sweep.ends[-1] - time > self.reach:
                break
            sweep.step(time, self.network.steps[time])
            if time in start_of:
                yield sweep.options(start_of[time], time)
        else:
            # Reached the first step without a break: the same stages once more, with the copies of the input in front.
            copies = sorted(self.copied(sweep.ends[0]), reverse=True)
            for place, storage in enumerate(copies, start=1):
                kind = self.graph.tensors[storage].type
                call = signature("COPY", Attributes(), (kind,), (kind,))
                outside = len(self.network.root) + place
                sweep.step(-place, StepNode(ABSENT, call, (outside,), (storage,)), self.copied_behind[storage])
            if copies and self.starts[0] == 0:
                first = min(map(self.copied_behind.__getitem__, copies))
                yield sweep.options(0, -len(copies), first)._replace(copied=True)

    def copied(self, end: int) -> list[int]:
        """Inputs that a first stage, of steps [0, end), copies where they are external."""
        return sorted(storage for storage, last in self.copied_behind.items() if last < end)

    def _copied_behind(self) -> dict[int, int]:
        """Inputs that a first stage copies, if it ends behind their last reader: that reader of each."""
        if not self.rules.copies_input_patch:
            return {}
        steps = self.network.steps
        copied = copied_inputs(self.graph, steps, len(steps), self.network.inputs - self.network.outputs)
        last = {storage: time for time, step in enumerate(steps) for storage in step.reads}
        return {storage: last[storage] for storage in copied}


class _StageSweep:
    """A batch of ends: the steps before them, one by one, and what the stages from there on take.

    ends: as steps, the last first: those behind a step are the first of them.
    """

    def __init__(self, costs: StageCosts, bounds: Sequence[int]) -> None:
        self.costs, self.bounds = costs, np.array(bounds, np.int64)
        self.ends = [costs.bounds[k] for k in bounds]
        last = costs.network.steps[self.ends[0] - 1].signature.outputs[0]
        has_patches, has_bands = StageKind.PATCH in costs.kinds, StageKind.STREAM in costs.kinds
        grid = costs.max_grid if has_patches else 1
        self.most = min(grid, last.rows), min(grid, last.cols)
        self.rows = AxisSweep(True, self.most[0], last.rows if has_bands else 0)
        # On square maps of square operators the columns are cut as the rows are: one sweep serves both.
        is_square = costs.symmetric and self.most[0] == self.most[1]
        self.cols = None if is_square else AxisSweep(False, self.most[1])
        self.leaving_bytes: Ints = np.zeros((len(bounds), 1), np.int64)
        count = len(bounds)
        self.patched = _Part(costs, (count, *self.most)) if has_patches else None
        self.heights = band_heights(last.rows) if has_bands else np.zeros(0, np.int64)
        self.streamed = _Part(costs, (count, len(self.heights))) if has_bands else None

    def _behind(self, time: int) -> int:
        """How many ends lie behind a step."""
        return bisect_left(self.ends, -time, key=neg)

    def step(self, time: int, step: StepNode, behind: int | None = None) -> None:
        """The step before all others, of stages that end behind a later one: behind itself if None."""
        storages, uniform = self.costs.storages, self.costs.rules.uniform_patches
        ends = self._behind(time if behind is None else behind)
        inner: list[tuple[int, Storage, int]] = []
        held_by_all = ends
        # Ends behind the last reader hold the tensor inside the stage. For the others it leaves the stage, whole.
        for storage in step.writes:
            known = storages.get(storage)
            holding = self._behind(max(time + 1, known.last if known is not None else 0))
            held_by_all = min(held_by_all, holding)
            if known is not None:
                self.leaving_bytes[holding:ends] += known.home_bytes
                if holding:
                    inner.append((storage, known, holding))
        rows, bands = self.rows.step(step, ends, held_by_all)
        cols = rows if self.cols is None else self.cols.step(step, ends, held_by_all)[0]
        if self.patched is not None:
            patch_rows = Cut.uniform(rows) if uniform else Cut.clipped(rows)
            patch_cols = Cut.uniform(cols) if uniform else Cut.clipped(cols)
            self.patched.add(time, step, inner, patch_rows.upright(), patch_cols.level())
        if self.streamed is not None and bands is not None:
            self.streamed.add(time, step, inner, Cut.clipped(bands), Cut.clipped(cols).first())

    def options(self, first: int, start: int, behind: int | None = None) -> Options:
        """The stages of the steps from `start` on, which is the latest that was added.   behind: as `step` has it."""
        parts = [part for part in (self.patched, self.streamed) if part is not None]
        count = self._behind(start if behind is None else behind)

        def joined(arrays: Iterable[NDArray[Any]]) -> NDArray[Any]:
            return np.concatenate([array[:count].reshape(count, -1) for array in arrays], axis=1)

        live = joined(part.tally.peak_bytes(start) for part in parts) + self.leaving_bytes[:count]
        held = {name: joined(part.held[name] for part in parts) for name in self.costs.held_names}
        rows, cols = self.most if self.patched is not None else (0, 1)
        cycles = joined(part.cycles for part in parts)
        return Options(first, self.bounds[:count], False, rows * cols, cols, self.heights, live, held, cycles)


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
        # `pieces * uniform`: border patches are computed in full too, past the border.
        pieces = np.arange(1, lengths.uniform.shape[1] + 1)
        return cls(pieces * lengths.uniform, lengths.busy, lengths.uniform, lengths.uniform, None)

    @classmethod
    def clipped(cls, lengths: Lengths) -> Cut:
        """Pieces that end at the border."""
        return cls(lengths.total, lengths.busy, lengths.longest, lengths.held, lengths.carried)

    def upright(self) -> Cut:
        """As columns, so that rows times columns give every grid."""
        return self._seen(lambda lengths: lengths[:, :, None])

    def level(self) -> Cut:
        """As rows, for the same."""
        return self._seen(lambda lengths: lengths[:, None, :])

    def first(self) -> Cut:
        """The first way only: one piece."""
        return self._seen(lambda lengths: lengths[:, :1])

    def of(self, ends: int) -> Cut:
        """The first ends only."""
        carried = None if self.carried is None else self.carried[:ends]
        return self._seen(lambda lengths: lengths[:ends])._replace(carried=carried)

    def _seen(self, how: Callable[[Ints], Ints]) -> Cut:
        return Cut(how(self.computed), how(self.busy), how(self.size), how(self.held), None)


class _Part:
    """Patches, or bands: a row for each end, an entry for each grid or band.

    held: working memory beside the arena, by name.
    """

    def __init__(self, costs: StageCosts, shape: tuple[int, ...]) -> None:
        self.costs = costs
        self.tally = Tally(shape)
        self.held = {name: np.zeros(shape, np.int64) for name in costs.held_names}
        self.cycles: Floats = np.zeros(shape, np.float64)

    def add(self, time: int, step: StepNode, inner: Sequence[tuple[int, Storage, int]], rows: Cut, cols: Cut) -> None:
        """The step before all others; `inner` is what it writes for the stages alone, of so many ends."""
        costs, call, ends = self.costs, step.signature, len(rows.computed)
        scratch = scratch_of(costs.rules, call)
        pieces = [self._piece(time, name, storage, rows.of(n), cols.of(n)) for name, storage, n in inner]
        planned_bytes = scratch.planned(rows.size, cols.size)
        # Scratch first: whether an input may be overwritten depends on it.
        self.tally.add(time, ends, planned_bytes, pieces)
        piece = resized(call, call.output.rows, call.output.cols)
        positions = overwritten(costs.rules, call, piece, is_cut=True)
        if positions:
            sources = [step.reads[position] for position in positions]
            target = next((piece for piece in pieces if piece.storage == step.writes[0]), None)
            self.tally.overwrite(time, sources, target, planned_bytes)
        for name, sizes in scratch.held.items():
            held = self.held[name][:ends]
            np.maximum(held, sizes(rows.size, cols.size), out=held)
        self.cycles[:ends] += cycles_of(costs.prices, call, (rows.computed, cols.computed), (rows.busy, cols.busy))

    def _piece(self, time: int, name: int, storage: Storage, rows: Cut, cols: Cut) -> HeldTensor:
        bits, mask = storage.place_bits, self.costs.rules.alignment - 1
        # Packed elements (int4) fill whole bytes row by row; `mask` needs an alignment that is a power of two.
        size_bytes = rows.held * (cols.held * bits >> 3 if not bits & 7 else cols.held * bits + 7 >> 3)
        aligned_bytes = (size_bytes + mask) & ~mask if bits & (8 * mask + 7) else size_bytes
        return HeldTensor(name, max(storage.last, time), storage.whole_bytes, size_bytes, aligned_bytes, rows.carried)
