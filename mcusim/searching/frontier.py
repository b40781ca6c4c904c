"""The Pareto front of memory against cycles over all sequences of layers and cut stages, exactly.

A network with nodes 0 1 2 ... is a path of bounds; a layer goes one bound further, a cut stage several:

    0 --- 1 --- 2 --- 3 --- 4        what is asked: cheapest paths with at most so many cut stages, for every
     \\_________________/            limit on the largest live bytes on the way

Of schedules that are equal in bytes and cycles, the one that is named: with an external input, where both are allowed;
of the fewest cut stages; then, from the end of the network, a layer rather than a stage, the longest stage, that of the
fewest live bytes, that of the fewest rows of patches. `within` has the same rule.

For one limit that is a shortest path. All limits are solved at once: one array entry for each value that the live bytes
of a stage can take. Working memory held beside the arena adds a second maximum: its limits are halved until what lies
between two of them cannot improve the front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mcusim.searching.routes import Edge, Floors, Hops, Path, Routes
from mcusim.searching.stage_axes import Bools, Ints
from mcusim.searching.step_costs import Floats

TIGHTENINGS = (32, 128, 512)
"""Levels of memory in each round that drops stages before the exact search."""

__all__ = ["Bounds", "bounds_of", "front_of"]


def front_of(
    routes: Routes, known: Sequence[Path] = (), each_round: Callable[[int], None] = lambda rounds: None
) -> list[Path]:
    """The Pareto front over all routes and what is known, fewest bytes first. Equal paths appear once.

    each_round: called after each round of shortest paths; nobody knows how many there will be.
    """
    starts = _allowed(routes).first
    if not routes.nodes or not (routes.layer_first or (starts == 0).any()):
        return list(known)  # there is nothing to schedule, or no way to start
    return _Search(routes, list(known), each_round).front()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a stage must keep below to be on a schedule that is better than known ones: see `bounds_of`.

    raised_to: what stages take at least.   slack: cycles, for each pair of bounds of `search` and each of `levels`.
    """

    search: _Search
    raised_to: Floors
    levels: Ints
    slack: Floats

    @property
    def known(self) -> list[Path]:
        """Schedules that were found on the way, fewest bytes first."""
        return self.search.known

    @property
    def floors(self) -> Floors:
        """Bytes that no schedule can do without."""
        return self.search.live_floor, self.search.held_floor

    def keep(self, stages: Hops) -> Bools:
        """Which stages may be on a better schedule."""
        search, pairs = self.search, self.search.pairs_of(stages)
        edges = np.minimum(np.searchsorted(search.pairs, pairs), max(len(search.pairs) - 1, 0))
        kept = search.pairs[edges] == pairs if len(search.pairs) else np.zeros(len(pairs), np.bool_)
        some = np.flatnonzero(kept)
        levels = np.searchsorted(self.levels, stages.where(some).raised(self.raised_to).needs)
        kept[some] = stages.cycles[some] < self.slack[edges[some], levels]
        some = np.flatnonzero(kept)
        kept[some] = ~search.worse_than_layers(stages.where(some).raised(self.floors))
        return kept


def bounds_of(routes: Routes, floors: Floors, levels: Ints, known: Sequence[Path]) -> Bounds:
    """Bounds by some stages for all that they stand for.

    routes: between each pair of bounds, for each level, the cheapest stage whose needs, raised to the floors, are
    within it, and those that take the fewest bytes alive and held by each name.
    levels: ascending; no hop needs more than the last.
    """
    raised = replace(routes, stages=routes.stages.raised(floors))
    search = _Search(raised, list(known), lambda rounds: None, prunes=False)
    return Bounds(search, floors, levels, search.slack([search.layers.needs, search.stages.needs], levels))


class _Search:
    """The front of one Routes, merged into what is known.

    edge: of each stage, its place among `pairs` of bounds that stages join: (edge_first, edge_end), by end.
    prunes: whether stages that others at the same place do no worse than are left out.
    """

    def __init__(
        self, routes: Routes, known: list[Path], each_round: Callable[[int], None], prunes: bool = True
    ) -> None:
        self.routes, self.known, self.each_round, self.rounds = routes, known, each_round, 0
        self.given = {id(path) for path in known}
        self.live_floor, self.held_floor = routes.floors
        self.layers = routes.layers.raised(routes.floors)
        stages = _allowed(routes)
        if prunes:
            self._keep(self._pruned(stages.raised(routes.floors), stages.live_bytes))
        else:
            self._keep(stages.where(np.lexsort((stages.first, stages.end))))
        self.worthwhile = self.stages

    def _keep(self, stages: Hops) -> None:
        """Search these stages only; they are sorted by end and start."""
        self.stages = stages
        self.pairs, self.edge = np.unique(self.pairs_of(stages), return_inverse=True)
        self.edge_end, self.edge_first = np.divmod(self.pairs, self.routes.nodes + 1)
        self.edges_to = np.searchsorted(self.edge_end, np.arange(self.routes.nodes + 2))
        self.edge_starts = np.searchsorted(self.edge, np.arange(len(self.pairs) + 1))

    def pairs_of(self, stages: Hops) -> Ints:
        """The bounds that each joins, as one number."""
        return stages.end * (self.routes.nodes + 1) + stages.first

    # -- pruning ------------------------------------------------------------------------------------------------------

    def _pruned(self, stages: Hops, live_bytes: Ints) -> Hops:
        """Without stages that others at the same place, or the layers there, do no worse than.

        live_bytes: before they were raised: of stages that cost and take as much, that of the fewest comes first.
        """
        is_kept = ~self.worse_than_layers(stages)
        stages = stages.where(is_kept)
        order = np.lexsort((live_bytes[is_kept], stages.cycles, stages.live_bytes, stages.first, stages.end))
        stages = stages.where(order)
        is_new = np.ones(len(order), np.bool_)
        is_new[1:] = (stages.first[1:] != stages.first[:-1]) | (stages.end[1:] != stages.end[:-1])
        group = np.cumsum(is_new)
        # Compare with those that need no more live bytes and the least held ones: a running minimum in each group.
        at_floor = np.ones(len(order), np.bool_)
        for held, floor in zip(stages.held_bytes, self.held_floor, strict=True):
            at_floor &= held == floor
        # Floats are replaced by ranks: shifting a group by a multiple of `far` is exact for integers only.
        ranks = np.unique(stages.cycles, return_inverse=True)[1].astype(np.int64)
        far = len(order) + 1
        shifted = np.where(at_floor, ranks, far) - group * (4 * far)
        # A running minimum within each group: the shift makes every earlier group larger than this one.
        before = np.empty_like(shifted)
        before[1:] = np.minimum.accumulate(shifted)[:-1]
        before[:1] = far
        before += group * (4 * far)
        return stages.where(is_new | (ranks < before))

    def worse_than_layers(self, stages: Hops) -> Bools:
        """Stages whose nodes, run as layers, take no more of anything."""
        first, end, layers = stages.first, stages.end, self.layers
        sums = np.concatenate(([0.0], np.cumsum(layers.cycles)))
        # The sums are in another order than those of the stages: differences in the last digits count as equal.
        worse = stages.cycles >= (sums[end] - sums[first]) * (1 - 1e-12)
        columns = [(layers.live_bytes, stages.live_bytes)]
        columns += list(zip(layers.held_bytes, stages.held_bytes, strict=True))
        for of_layers, of_stages in columns:
            worse &= of_stages >= _maxima(of_layers, first, end)
        return worse if self.routes.layer_first else worse & (first > 0)

    def _tighten(self, count: int) -> None:
        """Drop stages that are on no schedule better than the known ones; `count` levels of memory stand for all.

        A schedule takes at least what its neediest part takes for itself, live and held together. With that as the
        only limit, cheapest ways to a stage and from it on bound every schedule that it is part of.
        """
        needs = [self.layers.needs, self.stages.needs]
        values = np.unique(np.concatenate(needs))
        levels = values[np.unique(np.linspace(0, len(values) - 1, count).astype(np.int64))]
        slack = self.slack(needs, levels)
        self._keep(self.stages.where(self.stages.cycles < slack[self.edge, np.searchsorted(levels, needs[1])]))

    def slack(self, needs: Sequence[Ints], levels: Ints) -> Floats:
        """Cycles that a stage of each pair of bounds must keep below if it needs so much, one column a level.

        needs: of each layer and each stage. Schedules that are found on the way are known from then on.
        """
        # Few levels first: most stages are so much worse than what is known that a coarse bound drops them.
        solved = _Solved(self, needs, levels, (None, None))
        # What is cheaper from a level on has a part that needs more than the level below: it is no better than what is
        # known to take as little as that, and as few cycles.
        breaks = solved.breaks
        below = np.where(breaks > 0, levels[breaks - 1], -1)
        for level in breaks[solved.best[breaks] * (1 + 1e-12) < _cheapest(self.known, below)]:
            path = solved.path(int(level))
            if path.total_bytes > levels[level]:  # what is equal to it, and rather named, may have been left out
                path = self._first_within(path.live_bytes, path.held_limits) or path
            self._add(path)
        to, fro = solved.reached, solved.remaining()
        through = np.full((len(self.edge_end), len(levels)), np.inf)
        # A schedule through a stage has `used` cut stages before it and at most what is left behind it.
        for used in range(self.routes.most):
            left = self.routes.most - 1 - used
            np.minimum(through, to[used, self.edge_first] + fro[left, self.edge_end], out=through)
        # A stage stays only if some level exists at which a way through it beats everything known.
        best = _cheapest(self.known, levels)
        known = np.concatenate(([np.inf], best[:-1]))  # at the lower end of what a level stands for
        with np.errstate(invalid="ignore"):
            slack = np.where(np.isfinite(through), known * (1 - 1e-12) - through, -np.inf)
        return np.maximum.accumulate(slack[:, ::-1], axis=1)[:, ::-1]

    # -- shortest paths -----------------------------------------------------------------------------------------------

    def front(self) -> list[Path]:
        """What is known, improved."""
        for count in TIGHTENINGS:
            self._tighten(count)
            self._add_better(self._solved(self.held_floor), sum(self.held_floor))
        caps = [self._caps(i) for i in range(len(self.held_floor))]
        # Boxes of limits on held bytes: low (exclusive, -1 for none) to high, as places in `caps`. What is cheapest
        # depends on the high ends alone: the upper half of a box knows it from the whole.
        boxes: list[tuple[tuple[tuple[int, int], ...], _Solved | None]] = [
            (tuple((-1, len(values) - 1) for values in caps), None)
        ]
        while boxes:
            box, solved = boxes.pop()
            least = sum(values[low + 1] for values, (low, _) in zip(caps, box, strict=True))
            if solved is None:
                solved = self._solved(tuple(values[high] for values, (_, high) in zip(caps, box, strict=True)))
                self._add_better(solved, least)
            if not box or not len(self._better(solved, least)):
                continue
            widest = max(range(len(box)), key=lambda i: box[i][1] - box[i][0])
            # The widest interval is halved: what lies between two caps that are close cannot improve the front by much.
            low, high = box[widest]
            if high - low > 1:
                middle = (low + high) // 2
                for part, known in (((middle, high), solved), ((low, middle), None)):
                    boxes.append(((*box[:widest], part, *box[widest + 1 :]), known))
        self._keep(self.worthwhile)
        return [path if id(path) in self.given else self._named(path) for path in self.known]

    # -- of equal paths -----------------------------------------------------------------------------------------------

    def _first_within(self, live_bytes: int, held_bytes: tuple[int, ...]) -> Path | None:
        """Of the cheapest paths with at most so much alive and held, the one that is named."""
        layers, stages = self.layers, self.stages
        fits = [_within(hops, held_bytes) & (hops.live_bytes <= live_bytes) for hops in (layers, stages)]
        solved = _Solved(self, [layers.live_bytes, stages.live_bytes], np.array([live_bytes]), (fits[0], fits[1]))
        return solved.path(0) if np.isfinite(solved.best[0]) else None

    def _named(self, path: Path) -> Path:
        """Of the paths that are equal in bytes and cycles, the one that is named.

        They may differ in what is alive and what is held: what one name holds is split wherever a path is beyond it.
        """
        varying = [i for i, floor in enumerate(self.held_floor) if (self.stages.held_bytes[i] > floor).any()]
        if len(varying) != 1 or not self._has_rival(path):
            return path
        name, total_bytes = varying[0], path.total_bytes
        others = sum(self.held_floor) - self.held_floor[name]
        equal, boxes = [path], [(self.held_floor[name], total_bytes)]
        while boxes:
            low, top = boxes.pop()
            held = tuple([top if i == name else floor for i, floor in enumerate(self.held_floor)])
            first = self._first_within(total_bytes - others - low, held)
            if first is None or first.cycles > path.cycles * (1 + 1e-12):
                continue
            if first.total_bytes == total_bytes:
                equal.append(first)
            else:
                boxes += [(first.held_limits[name], top), (low, first.held_limits[name] - 1)]
        return min(equal, key=lambda one: (len(one.edges), [self._rank(edge) for edge in reversed(one.edges)]))

    def _has_rival(self, path: Path) -> bool:
        """Whether another stage in place of one of its own costs as much, and would rather be named."""
        ranks = [self._rank(edge) for edge in path.edges]
        of_option = [self._rows_of(edge) for edge in path.edges]
        return any(
            (self.stages.cycles[some] == self.stages.cycles[rank[2]])[: rank[2] - some.start].any()
            for rank, some in zip(ranks, of_option, strict=True)
        )

    def _rows_of(self, edge: Edge) -> slice:
        """All stages between the bounds of one."""
        place = int(np.flatnonzero((self.edge_first == edge.first) & (self.edge_end == edge.end))[0])
        return slice(int(self.edge_starts[place]), int(self.edge_starts[place + 1]))

    def _rank(self, edge: Edge) -> tuple[int, int, int]:
        """Lower is rather named: it ends early, it starts early, and comes first between its bounds."""
        some = self._rows_of(edge)
        return edge.end, edge.first, some.start + int(np.flatnonzero(self.stages.option[some] == edge.option)[0])

    # -- limits -------------------------------------------------------------------------------------------------------

    def _caps(self, name: int) -> list[int]:
        """Values that held bytes `name` can take over a whole schedule."""
        both = np.concatenate((self.layers.held_bytes[name], self.stages.held_bytes[name]))
        return [int(value) for value in np.unique(both)]

    def _solved(self, limits: tuple[int, ...]) -> _Solved:
        """Cheapest ways with these limits on held bytes, for every level of live bytes."""
        self.rounds += 1
        self.each_round(self.rounds)
        fits = _within(self.layers, limits), _within(self.stages, limits)
        levels = np.unique(np.concatenate((self.layers.live_bytes, self.stages.live_bytes[fits[1]])))
        return _Solved(self, [self.layers.live_bytes, self.stages.live_bytes], levels, fits)

    def _better(self, solved: _Solved, least: int) -> Ints:
        """Levels whose cheapest way would beat what is known if it held `least`, which none does without."""
        known = _cheapest(self.known, solved.levels[solved.breaks] + least)
        return solved.breaks[solved.best[solved.breaks] < known * (1 - 1e-12)]

    def _add_better(self, solved: _Solved, least: int) -> None:
        # Only levels at which something became cheaper: between them the same path is found again.
        for level in self._better(solved, least):
            self._add(solved.path(int(level)))

    def _add(self, path: Path) -> None:
        if _is_better(self.known, path.total_bytes, path.cycles):
            rest = [p for p in self.known if p.total_bytes < path.total_bytes or p.cycles < path.cycles * (1 - 1e-12)]
            self.known = sorted([*rest, path], key=lambda p: p.total_bytes)


def _cheapest(known: Sequence[Path], total_bytes: Ints) -> Floats:
    """Cycles of the cheapest known path, ordered by bytes, within each total; infinite where none is."""
    cycles = np.array([np.inf, *(path.cycles for path in known)])
    return cycles[np.searchsorted([path.total_bytes for path in known], total_bytes, side="right")]


def _is_better(known: Sequence[Path], total_bytes: int, cycles: float) -> bool:
    """Whether no known path is as good in both. Cycles are sums in some order: the last digits say nothing."""
    return all(p.total_bytes > total_bytes or p.cycles > cycles * (1 + 1e-12) for p in known)


def _allowed(routes: Routes) -> Hops:
    return routes.stages if routes.stage_first else routes.stages.where(routes.stages.first > 0)


def _maxima(values: Ints, first: Ints, end: Ints) -> Ints:
    """The largest of values[i:j] for each pair (i in `first`, j > i in `end`): two runs of 2**k cover it."""
    power = np.frexp(end - first)[1] - 1
    maxima = np.zeros(len(first), np.int64)
    runs = values  # of 2**k values each
    for k in range(int(power.max(initial=-1)) + 1):
        here = power == k
        maxima[here] = np.maximum(runs[first[here]], runs[end[here] - (1 << k)])
        runs = np.maximum(runs[: -(1 << k)], runs[1 << k :])
    return maxima


def _within(hops: Hops, limits: tuple[int, ...]) -> Bools:
    fits = np.ones(len(hops.first), np.bool_)
    for held, limit in zip(hops.held_bytes, limits, strict=True):
        fits &= held <= limit
    return fits


class _Solved:
    """Cheapest ways for every level of one need: no layer and no stage on the way may need more.

    needs: of each layer and of each stage.   fits: which of them may be taken at all; None for all.
    reached[used, k, level]: cycles from the start to bound k with `used` cut stages.   best: to the end.
    """

    def __init__(
        self, search: _Search, needs: Sequence[Ints], levels: Ints, fits: tuple[Bools | None, Bools | None]
    ) -> None:
        self.search, self.needs, self.levels, self.fits = search, needs, levels, fits
        # `cost[edge, level]`: the cheapest stage on an edge that needs no more than the level, by a running minimum.
        routes, layers, stages = search.routes, search.layers, search.stages
        self.cost = np.full((len(search.edge_end), len(levels)), np.inf)
        some = slice(None) if fits[1] is None else fits[1]
        places = np.searchsorted(levels, needs[1][some])
        np.minimum.at(self.cost, (search.edge[some], places), stages.cycles[some])
        np.minimum.accumulate(self.cost, axis=1, out=self.cost)
        self.layer = np.where(levels >= needs[0][:, None], layers.cycles[:, None], np.inf)
        if fits[0] is not None:
            self.layer[~fits[0]] = np.inf
        self.reached = np.full((routes.most + 1, routes.nodes + 1, len(levels)), np.inf)
        self.reached[0, 0] = 0.0
        for k in range(1, routes.nodes + 1):
            # Dynamic programming over the bounds: to bound k by its layer, or by any stage that ends there.
            self.reached[:, k] = self.reached[:, k - 1] + self.layer[k - 1]
            if k == 1 and not routes.layer_first:
                self.reached[0, 1] = np.inf
            to = slice(search.edges_to[k], search.edges_to[k + 1])
            first = search.edge_first[to]
            if len(first):
                ways = (self.reached[:-1, first] + self.cost[to]).min(axis=1)
                np.minimum(self.reached[1:, k], ways, out=self.reached[1:, k])
        self.best: Floats = self.reached[:, -1].min(axis=0)

    def remaining(self) -> Floats:
        """[left, k, level]: cycles from bound k to the end with at most `left` cut stages."""
        search, routes = self.search, self.search.routes
        cheapest = np.full_like(self.reached, np.inf)
        cheapest[:, -1] = 0.0
        order = np.argsort(search.edge_first, kind="stable")
        starts = np.searchsorted(search.edge_first[order], np.arange(routes.nodes + 1))
        for k in range(routes.nodes - 1, -1, -1):
            cheapest[:, k] = cheapest[:, k + 1] + self.layer[k]
            edges = order[starts[k] : starts[k + 1]]
            if len(edges):
                ways = (cheapest[:-1, search.edge_end[edges]] + self.cost[edges]).min(axis=1)
                np.minimum(cheapest[1:, k], ways, out=cheapest[1:, k])
        return cheapest

    @cached_property
    def breaks(self) -> Ints:
        """Levels at which a larger limit makes something cheaper."""
        before = np.concatenate(([np.inf], self.best[:-1]))
        return np.flatnonzero(self.best < before)

    def path(self, level: int) -> Path:
        """A cheapest way within a level."""
        search = self.search
        used, k = int(self.reached[:, -1, level].argmin()), search.routes.nodes
        reached, layer = self.reached[:, :, level].tolist(), self.layer[:, level].tolist()
        edges: list[Edge] = []
        layers: list[int] = []
        stages: list[int] = []
        while k > 0:
            goal = reached[used][k]
            by_layer = used > 0 or k > 1 or search.routes.layer_first
            # Cycles are retraced by the very sums that made them, so that equality is exact.
            if by_layer and reached[used][k - 1] + layer[k - 1] == goal:
                k -= 1
                layers.append(k)
                continue
            to = slice(search.edges_to[k], search.edges_to[k + 1])
            ways = self.reached[used - 1, search.edge_first[to], level] + self.cost[to, level]
            edge = to.start + int(np.flatnonzero(ways == goal)[0])
            stage = self._stage(edge, level)
            stages.append(stage)
            k, used = int(search.edge_first[edge]), used - 1
            edges.append(Edge(k, int(search.edge_end[edge]), int(search.stages.option[stage])))

        def most(of_layers: Ints, of_stages: Ints) -> int:
            return max(int(of_layers[layers].max(initial=0)), int(of_stages[stages].max(initial=0)))

        live = most(search.layers.live_bytes, search.stages.live_bytes)
        held = tuple(map(most, search.layers.held_bytes, search.stages.held_bytes))
        return Path(tuple(reversed(edges)), live, held, float(self.best[level]))

    def _stage(self, edge: int, level: int) -> int:
        """The stage on an edge that costs what is found there."""
        search = self.search
        some = slice(search.edge_starts[edge], search.edge_starts[edge + 1])
        goes = (search.stages.cycles[some] == self.cost[edge, level]) & (self.needs[1][some] <= self.levels[level])
        if self.fits[1] is not None:
            goes &= self.fits[1][some]
        return int(some.start + np.flatnonzero(goes)[0])
