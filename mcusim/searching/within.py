"""The cheapest schedule of layers and patches within so many bytes, without the front that it is on.

For one limit of bytes few stages are worth a look: where every layer fits, the layers are cheaper than any stage, so a
stage has at least one layer that must be cut. What a stage costs beyond its layers grows with every layer that it
takes in. So the limit and a bound of what may be lost to cutting leave little of the space, and compiled code goes
through that (`ops/kernels/patch_search.py`).

What is alive and what is held beside it are two maxima, and only their sum has a limit. Cheapest ways are sought in
boxes of both: the first box allows more than the limit does; a way that is beyond it splits the box into two without
it.

    held |        :              a box: held bytes up to its top, live bytes up to its right side
         |--------+
         |  A     | way          a way beyond the limit: less is held (A), or less is alive (B)
         |        +------
         |      B :     |
         +--------------------- live
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import numpy as np

from mcusim.graph import Graph
from mcusim.lowering.rules import InputPlace, LoweringRules
from mcusim.pricing.prices import Coefficients
from mcusim.schedule import Schedule, StageKind, StageSpec
from mcusim.searching.stage_axes import Bools, Ints
from mcusim.searching.stage_columns import StageColumns, columns_of
from mcusim.searching.stage_costs import StageCosts
from mcusim.searching.step_costs import Floats
from mcusim.searching.surroundings import Around, Beginning, Space, around_of, places_of

__all__ = ["Cheapest", "Within", "within_of"]

_MOST_STEPS = 223
"""In longer networks the steps of a stage are limited (`StageCosts.reach`), which compiled code does not know."""
_LOSSES = (1 / 14, 1 / 4, inf)
"""Cycles that cutting may lose, in parts of those of all layers: each is tried where the one before was too few."""
_AMPLE = 1.25
"""A table is made for this factor times the loss found: a lower limit, asked next, loses more."""
_LATER_SHARE = 1 / 8
"""A table holds for later limits too, down to this part of the limit below it."""
_MOST_PIECES = 16
"""Along an axis, in compiled code."""
_ROWS = 1 << 15
"""Of the first table; where it is too short, one of four times as many is tried."""


class Cheapest(NamedTuple):
    """A schedule.   total_bytes: alive at once, and held."""

    schedule: Schedule
    input_place: InputPlace
    cycles: float
    total_bytes: int


class _Way(NamedTuple):
    """Rows of a table, the last stage first."""

    rows: tuple[int, ...]
    cycles: float
    live_bytes: int
    held_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.live_bytes + self.held_bytes


class _Table(NamedTuple):
    """Stages that may be worth having, by their end and start. rows_to: where those to each bound begin.

    limit_bytes, down_to_bytes: the limits it is good for.   most_loss: so many cycles more than those of all layers.
    """

    rows: Ints
    cycles: Floats
    rows_to: Ints
    limit_bytes: int
    down_to_bytes: int
    most_loss: float


@dataclass(frozen=True, slots=True)
class _Layout:
    """What lies around stages where the input has one place; held bytes are those that vary."""

    beginning: Beginning
    live: Ints
    held: Ints
    cycles: Floats
    outside: Ints
    live_before: Ints
    held_before: Ints
    cycles_before: Floats
    is_external: bool


class Within:
    """Cheapest schedules of one network, whose layers are cheaper than any stage that they can replace.

    constant_bytes: held whatever the schedule; bytes of layouts and tables are without them.
    floor_bytes: of the rest, what every schedule holds at least.
    """

    def __init__(self, costs: StageCosts, columns: StageColumns, space: Space, beginnings: list[Beginning]) -> None:
        self.costs, self.columns, self.space = costs, columns, space
        around = [around_of(costs, one.place) for one in beginnings]
        names, held = costs.held_names, around[0].layers.held_bytes
        self.constant_bytes = sum([int(held[i].max()) for i, name in enumerate(names) if name != columns.varying])
        self.layouts = [_layout(*one, names, columns.varying) for one in zip(around, beginnings, strict=True)]
        self.floor_bytes = _least_held(costs, columns)
        self.layer_cycles = float(self.layouts[0].cycles.sum())
        self.start_at = np.full(len(columns.steps), -1, np.int64)
        # Steps are numbered with the copies in front, bounds without them.
        self.start_at[np.array(costs.starts, np.int64) + columns.copies] = np.arange(len(costs.starts))
        if columns.copies and costs.starts[0] == 0:
            self.start_at[0] = 0
        crossing_bytes = costs.crossing_bytes(InputPlace.EXTERNAL)
        self.ends = np.array(
            [
                (k, bound + columns.copies, crossing_bytes[bound], columns.copied[k])
                for k, bound in enumerate(costs.bounds)
                if k
            ],
            np.int64,
        ).reshape(-1, 4)
        self.copies_to = np.array(columns.copied, np.int64)
        self.least_outside = np.minimum.reduce([layout.outside for layout in self.layouts])
        self.room: tuple[Ints, Ints] | None = None
        self.table: _Table | None = None

    def cheapest(self, limit_bytes: int) -> Cheapest | None:
        """The cheapest schedule of at most so many bytes, and of those the one of the fewest; None if there is none."""
        # A small loss first: it leaves so few stages that the whole table is often made in no time.
        for loss in _LOSSES:
            table = self._tabulated(limit_bytes, loss * self.layer_cycles)
            best = self._best(table, limit_bytes)
            # A way was found that loses more than the table was made for, so a cheaper one may have been left out of
            # it.
            if best is not None and best[1].cycles - self.layer_cycles > table.most_loss:
                table = self._tabulated(limit_bytes, _AMPLE * (best[1].cycles - self.layer_cycles))
                best = self._best(table, limit_bytes)
            if best is not None:
                return self._fewest(table, *best)
        return None

    def _fewest(self, table: _Table, layout: _Layout, way: _Way) -> Cheapest:
        """Of the ways that cost as much, that of the fewest bytes."""
        while True:
            fewer_bytes = way.total_bytes + self.constant_bytes - 1
            lower = self._tabulated(fewer_bytes, table.most_loss)
            # The table holds for lower limits too, down to an eighth less: see `_LATER_SHARE`.
            fewer = self._best(lower, fewer_bytes)
            if fewer is None or fewer[1].cycles > way.cycles:
                break
            table, (layout, way) = lower, fewer
        named = self._way_within(layout, table, way.total_bytes)
        way = way if named is None else named
        stages: list[StageSpec] = []
        at = 0
        for row in reversed(way.rows):
            first, end, grid = table.rows[row, :3].tolist()
            if first > at:
                stages.append(StageSpec(StageKind.LAYER, first - at))
            rows, cols = divmod(grid, _MOST_PIECES)
            stages.append(StageSpec(StageKind.PATCH, end - first, rows + 1, cols + 1))
            at = end
        total_bytes = way.total_bytes + self.constant_bytes
        return Cheapest(Schedule(tuple(stages)), layout.beginning.place, way.cycles, total_bytes)

    # -- stages -------------------------------------------------------------------------------------------------------

    def _tabulated(self, limit_bytes: int, most_loss: float) -> _Table:
        """Stages for this limit and somewhat lower ones."""
        table = self.table
        if table is not None:
            if table.down_to_bytes <= limit_bytes <= table.limit_bytes and most_loss <= table.most_loss:
                return table
            most_loss = max(most_loss, table.most_loss)
        down_to_bytes = limit_bytes - int(limit_bytes * _LATER_SHARE)
        most_held = max([int(layout.held.max()) for layout in self.layouts])
        must = self._must_be_cut(down_to_bytes, most_held)
        # A stage may hold more than the layers do, which makes more layers too large, which lets in more stages:
        # repeated until nothing changes.
        while True:
            rows, cycles = self._stages(limit_bytes - self.constant_bytes, most_loss, must)
            most_held = max(most_held, int(rows[:, 5].max(initial=0)))
            before, must = must, self._must_be_cut(down_to_bytes, most_held)
            if np.array_equal(before, must):
                break
        rows_to = np.searchsorted(rows[:, 1], np.arange(len(must) + 2))
        self.table = _Table(rows, cycles, rows_to, limit_bytes, down_to_bytes, most_loss)
        return self.table

    def _must_be_cut(self, limit_bytes: int, most_held: int) -> Bools:
        """Layers that may not fit, wherever the input is, beside what some schedule holds."""
        must = np.zeros(len(self.layouts[0].live), np.bool_)
        for layout in self.layouts:
            must |= layout.live > limit_bytes - self.constant_bytes - most_held
            must |= layout.held > self.floor_bytes
            must[0] |= not layout.beginning.layer_first
        return must

    def _stages(self, limit_bytes: int, most_loss: float, must: Bools) -> tuple[Ints, Floats]:
        from mcusim.ops.kernels.patch_search import EMPTY_PIECE, room_to_work, tabulate_stages

        if self.room is None:
            self.room = room_to_work(len(self.columns.steps))
        columns, rules, room = self.columns, self.costs.rules, _ROWS
        # Prefix sums: whether a stage has a layer that must be cut is a difference of two of them.
        must_before = np.concatenate(([0], np.cumsum(must)))
        ends = self.ends[(must_before[self.ends[:, 0]] > 0) & (self.ends[:, 2] <= limit_bytes)]
        last_must = np.maximum.accumulate(np.where(must, np.arange(len(must)), 0))
        latest = np.array(self.costs.starts, np.int64)[last_must[ends[:, 0] - 1]] + columns.copies
        ends = np.column_stack((ends, latest))
        while True:
            rows, cycles = np.empty((room, 6), np.int64), np.empty(room, np.float64)
            filled = tabulate_stages(
                columns.steps,
                columns.rates,
                columns.read_from,
                columns.sources,
                columns.row_maps,
                columns.col_maps,
                columns.beneath_from,
                columns.beneath,
                ends,
                self.start_at,
                self.least_outside,
                must_before,
                limit_bytes,
                columns.copies,
                rules.alignment,
                rules.uniform_patches,
                self.costs.symmetric,
                self.costs.symmetric and columns.is_mirrored,
                self.space.grid,
                self.floor_bytes,
                most_loss,
                rows,
                cycles,
                *self.room,
            )
            assert filled != EMPTY_PIECE, "a step that others read has nothing to do"
            if filled >= 0:
                return rows[:filled], cycles[:filled]
            room *= 4

    # -- ways ---------------------------------------------------------------------------------------------------------

    def _best(self, table: _Table, limit_bytes: int) -> tuple[_Layout, _Way] | None:
        """The cheapest way, wherever the input is."""
        ways = [(layout, self._way_within(layout, table, limit_bytes - self.constant_bytes)) for layout in self.layouts]
        there = [(layout, way) for layout, way in ways if way is not None]
        return min(there, key=lambda one: (one[1].cycles, one[1].total_bytes), default=None)

    def _way_within(self, layout: _Layout, table: _Table, limit_bytes: int) -> _Way | None:
        """The cheapest of at most so many bytes, alive and held; of equal ones the one that is named."""
        best: _Way | None = None
        boxes = [(self.floor_bytes, limit_bytes)]
        while boxes:
            low, top = boxes.pop()
            way = self._way(layout, table, limit_bytes - low, top)
            if way is None or (best is not None and way.cycles > best.cycles):
                # Each box trades held bytes for live ones: with at least `low` held, no more than `limit - low` may be
                # alive.
                continue
            if way.total_bytes <= limit_bytes:
                best = way if best is None else min(best, way, key=lambda one: self._rank(layout, table, one))
            else:
                # Both boxes exclude the way found, so each step makes progress.
                boxes += [(way.held_bytes, top), (low, way.held_bytes - 1)]
        return best

    def _rank(self, layout: _Layout, table: _Table, way: _Way) -> tuple[float, int, list[tuple[int, ...]]]:
        """Lower is cheaper, or rather named: see `frontier`."""
        stages: list[tuple[int, ...]] = []
        for first, end, grid, _, live, _ in table.rows[list(way.rows)].tolist():
            stages.append((end, first, max(live + int(layout.outside[first]), int(layout.live_before[first])), grid))
        return way.cycles, len(stages), stages

    def _way(self, layout: _Layout, table: _Table, live_bytes: int, held_bytes: int) -> _Way | None:
        """The cheapest with at most so much alive, and at most so much held."""
        from mcusim.ops.kernels.patch_search import cheapest_way

        rows, total = np.empty(self.space.stages, np.int64), np.empty(3)
        count = cheapest_way(
            layout.live,
            layout.held,
            layout.cycles,
            table.rows_to,
            table.rows,
            table.cycles,
            layout.outside,
            layout.live_before,
            layout.held_before,
            layout.cycles_before,
            self.copies_to,
            layout.is_external,
            layout.beginning.layer_first,
            layout.beginning.stage_first,
            self.space.stages,
            live_bytes,
            held_bytes,
            rows,
            total,
        )
        if count < 0:
            return None
        cycles, live, held = total.tolist()
        return _Way(tuple(rows[:count].tolist()), cycles, int(live), max(int(held), self.floor_bytes))


def within_of(
    graph: Graph, rules: LoweringRules, prices: Coefficients, space: Space, input_place: InputPlace | None
) -> Within | None:
    """Of a network whose layers are cheaper than any stage in their place; None where it is not of the form."""
    is_power_of_two = rules.alignment & (rules.alignment - 1) == 0
    if space.kinds != {StageKind.PATCH} or space.grid > _MOST_PIECES or not is_power_of_two:
        return None
    costs = StageCosts(graph, rules, prices, space.grid, space.kinds)
    if not 0 < len(costs.network.steps) <= _MOST_STEPS or len(costs.bounds) < 2:
        return None
    columns = columns_of(costs)
    return None if columns is None else Within(costs, columns, space, places_of(rules, space, input_place))


def _layout(around: Around, beginning: Beginning, names: Sequence[str], varying: str) -> _Layout:
    layers, before = around.layers, around.before
    nothing = np.zeros(len(layers.live_bytes), np.int64)
    place = names.index(varying) if varying else -1
    return _Layout(
        beginning,
        layers.live_bytes,
        layers.held_bytes[place] if varying else nothing,
        layers.cycles,
        around.outside_bytes,
        before.live_bytes,
        before.held_bytes[place] if varying else np.zeros(len(before.live_bytes), np.int64),
        before.cycles,
        beginning.place is InputPlace.EXTERNAL,
    )


def _least_held(costs: StageCosts, columns: StageColumns) -> int:
    """Of what varies: that of the neediest step, whole or in the smallest pieces."""
    rules = costs.rules
    least = 0
    for time, step in enumerate(costs.network.steps):
        row = columns.steps[time + columns.copies]
        whole = rules.aligned(dict(rules.held_scratch(step.signature)).get(columns.varying, 0))
        least = max(least, min(whole, rules.aligned(int(row[13:17].sum()))) if row[7] else whole)
    return least
