"""No kernel of an operator, but compiled as they are: what patch stages take, and the cheapest way through a network.

The same figures as `searching.stage_costs` has for patches, one end of a stage after the other, only for stages that
may be worth having: with a layer that must be cut, within a limit of bytes and of cycles. A grid beyond a limit is left
out of the rest of its sweep, because a stage that starts earlier takes no less.

Steps are numbered from 0; a copy of the input's patch, where a stage can have one, is step 0. A step writes one
storage, so a storage goes by the step that writes it. Judged by `searching.stage_costs` and `searching.frontier`, which
share no code with this: `tests/test_within.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.ops.kernels.jit import inner, kernel

__all__ = ["EMPTY_PIECE", "MOST_PIECES", "cheapest_way", "room_to_work", "tabulate_stages"]

MOST_PIECES = 16
"""Along one axis."""
NO_ROOM, EMPTY_PIECE = -1, -2
"""Instead of a number of stages: the table is too short; a step has nothing to do in a piece."""
_INTERVALS = MOST_PIECES * (MOST_PIECES + 1) // 2
_GRIDS = MOST_PIECES * MOST_PIECES
_FAR = 1 << 40


def room_to_work(steps: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Arrays that `tabulate_stages` works in, for a network of so many steps."""
    return np.empty((2, steps, _INTERVALS, 4), np.int64), np.empty((6, steps, _GRIDS), np.int64)


@inner
def _clear(needs: Any) -> None:
    """Nothing is read: every interval starts far behind its end."""
    needs[:, 0::2] = _FAR
    needs[:, 1::2] = -_FAR


@inner
def _share_out(size: Any, shares: Any) -> None:
    """What each piece of an axis of `size` must deliver, for one piece, for two, and so on."""
    place = 0
    for way in range(MOST_PIECES):
        for piece in range(way + 1):
            shares[place, 0], shares[place, 1] = piece * size // (way + 1), (piece + 1) * size // (way + 1)
            place += 1


@inner
def _sweep_axis(
    size: Any, leaves: Any, shares: Any, is_used: Any, asked: Any, maps: Any, sources: Any, needs: Any, lengths: Any
) -> None:
    """One step along one axis of `size`, cut into one piece, into two, and so on, where that `is_used`.

    leaves: whether the step's output leaves the stage, so that each piece must deliver its share of it.
    asked: for each piece, what later steps read of the output: clipped to the map, and before it was clipped.
    maps: (source, scale, first, last, size) of each input: [i, j) needs [scale*i + first, scale*(j - 1) + last).
    needs: like `asked`, of every storage; widened.
    lengths: for each way: elements in all pieces, pieces with some, the longest piece, and that before it was clipped.
    """
    place = 0
    for way in range(MOST_PIECES):
        if not is_used[way]:
            place += way + 1
            continue
        total, busy, longest, loose = 0, 0, 0, 0
        for _ in range(way + 1):
            start, stop = asked[place, 0], asked[place, 1]
            open_start, open_stop = asked[place, 2], asked[place, 3]
            if leaves:
                low, high = shares[place, 0], shares[place, 1]
                if high > low:
                    start, stop = min(start, low), max(stop, high)
                    open_start, open_stop = min(open_start, low), max(open_stop, high)
            start, stop = max(start, 0), min(stop, size)
            is_busy, is_open = stop > start, open_stop > open_start
            if is_busy:
                total += stop - start
                longest = max(longest, stop - start)
                busy += 1
            if is_open:
                loose = max(loose, open_stop - open_start)
            for read in range(len(sources)):
                interval = needs[sources[read], place]
                scale, first, last, source_size = maps[read, 0], maps[read, 1], maps[read, 2], maps[read, 3]
                if is_busy:
                    low, high = max(start * scale + first, 0), min((stop - 1) * scale + last, source_size)
                    if high > low:
                        interval[0], interval[1] = min(interval[0], low), max(interval[1], high)
                if is_open:
                    interval[2] = min(interval[2], open_start * scale + first)
                    interval[3] = max(interval[3], (open_stop - 1) * scale + last)
            place += 1
        lengths[way, 0], lengths[way, 1], lengths[way, 2], lengths[way, 3] = total, busy, longest, loose


@kernel(
    "int64(int64[:,::1], float64[:,::1], int64[::1], int64[::1], int64[:,::1], int64[:,::1], int64[::1], int64[::1],"
    "int64[:,::1], int64[::1], int64[::1], int64[::1], int64, int64, int64, boolean, boolean, boolean, int64, int64,"
    "float64, int64[:,::1], float64[::1], int64[:,:,:,::1], int64[:,:,::1])"
)
def tabulate_stages(
    steps: Any,
    rates: Any,
    read_from: Any,
    sources: Any,
    row_maps: Any,
    col_maps: Any,
    beneath_from: Any,
    beneath: Any,
    ends: Any,
    start_at: Any,
    around: Any,
    must_before: Any,
    limit_bytes: Any,
    has_copy: Any,
    alignment: Any,
    is_uniform: Any,
    is_symmetric: Any,
    is_mirrored: Any,
    most_grid: Any,
    least_held_bytes: Any,
    most_extra: Any,
    table: Any,
    cycles_of: Any,
    intervals: Any,
    bytes_in: Any,
) -> int:
    """Fill `table` and `cycles_of` with the stages that are within the limits; how many there are, or why not.

    steps: of each: rows, columns, bits of a place, bytes, bytes of its home, last reader, whether it has bytes, whether
        it may be cut; form of planned bytes (4), whether something is held, its form (4).
    rates: of each: macs, inputs and outputs of a place, cycles of a mac, an input, an output and an entry; cycles of
        the layer.
    read_from: where the reads of each step begin in `sources`, `row_maps`, `col_maps`.
    beneath_from: where the storages begin in `beneath` on top of which each step may be computed.
    ends: of each: bound, step behind its last, bytes of homes alive there, whether its first stage copies the input,
        the latest step with which a stage that is worth having starts.
    start_at: bound behind which a stage may start with this step, or -1.
    around: of each bound: whole bytes beside a stage from there, at least.
    must_before: how many layers up to each bound must be cut.
    is_symmetric: whether rows and columns are cut alike.   is_mirrored: whether a grid of more rows than columns takes
        what its mirror takes, which is rather named.
    has_copy: 1 where step 0 copies the input's patch.   least_held_bytes: that no schedule does without.
    table: of each stage: bound before it, bound behind it, its grid (rows * 16 + columns, both less one), whether it
        copies the input's patch, live bytes without those around it, held bytes.
    intervals, bytes_in: room to work in, see `room_to_work`.
    """
    row_needs, col_needs = intervals
    is_needed = np.zeros(len(steps), np.bool_)
    row_lengths = np.zeros((MOST_PIECES, 4), np.int64)
    col_lengths = np.zeros((MOST_PIECES, 4), np.int64)
    inside, saved, most, sizes, homes, planned = bytes_in
    entries = np.zeros(len(steps) + 1)
    # Every piece beyond the first enters each kernel once more: this is what a finer grid costs at least.
    for time in range(len(steps)):  # what a further entry costs at least, rounded
        entries[time + 1] = entries[time] + max(rates[time, 6] - 1.0, 0.0)
    row_shares, col_shares = np.empty((_INTERVALS, 2), np.int64), np.empty((_INTERVALS, 2), np.int64)
    row_size, col_size = 0, 0
    is_row = np.zeros(MOST_PIECES, np.bool_)
    is_col = is_row if is_symmetric else np.zeros(MOST_PIECES, np.bool_)  # alike, they share their sweep
    is_inner, taken_from = np.zeros(len(steps), np.bool_), np.empty(len(steps), np.int64)
    held, cycles = np.empty(_GRIDS, np.int64), np.empty(_GRIDS, np.float64)
    alive, at_row, at_col = np.empty(_GRIDS, np.int64), np.empty(_GRIDS, np.int64), np.empty(_GRIDS, np.int64)
    filled, mask = 0, alignment - 1
    for number in range(len(ends)):
        bound, end, crossing_bytes, copies, latest = ends[number]
        is_needed[:] = False
        high, wide = min(most_grid, steps[end - 1, 0]), min(most_grid, steps[end - 1, 1])
        # Over the layers that every worthwhile stage to this end has in it, whatever the grid.
        between = max(entries[end] - entries[latest], 0.0)
        count, left = 0, 0
        for row in range(high):
            for col in range(wide):
                at_row[count], at_col[count] = row, col
                held[count], cycles[count] = least_held_bytes, 0.0
                # Left out at once: grids that lose more by their entries alone, and mirrors of grids that are named
                # first.
                if ((row + 1) * (col + 1) - 1) * between <= most_extra and not (is_mirrored and row > col):
                    alive[left] = count
                    left += 1
                count += 1
        leaving_bytes, layer_cycles = 0, 0.0
        # Backwards, as in `staging.Sweep`: what later steps need of a storage is known when its writer is reached.
        for time in range(end - 1, -1 if copies or not has_copy else 0, -1):
            # No grid is left that is within the limits: stages that start earlier take no less.
            if not steps[time, 7] or left == 0:
                break
            last = max(steps[time, 5], time)
            leaves = end <= max(time + 1, last)
            reads = slice(read_from[time], read_from[time + 1])
            for read in range(read_from[time], read_from[time + 1]):
                if not is_needed[sources[read]]:
                    is_needed[sources[read]] = True
                    _clear(row_needs[sources[read]])
                    if not is_symmetric:
                        _clear(col_needs[sources[read]])
            if not is_needed[time]:
                is_needed[time] = True
                _clear(row_needs[time])
                if not is_symmetric:
                    _clear(col_needs[time])
            if leaves and steps[time, 0] != row_size:
                row_size = steps[time, 0]
                _share_out(row_size, row_shares)
            if leaves and steps[time, 1] != col_size:
                col_size = steps[time, 1]
                _share_out(col_size, col_shares)
            # Lengths are worked out only for the ways that a remaining grid uses.
            is_row[:] = False
            is_col[:] = False
            for place in range(left):
                is_row[at_row[alive[place]]] = True
                is_col[at_col[alive[place]]] = True
            asked, maps = row_needs[time], row_maps[reads]
            _sweep_axis(steps[time, 0], leaves, row_shares, is_row, asked, maps, sources[reads], row_needs, row_lengths)
            along_cols = row_lengths
            if not is_symmetric:
                along_cols = col_lengths
                asked, maps = col_needs[time], col_maps[reads]
                _sweep_axis(
                    steps[time, 1], leaves, col_shares, is_col, asked, maps, sources[reads], col_needs, col_lengths
                )
            # What the step takes in each grid.
            is_inner[time] = steps[time, 6] != 0 and not leaves
            if leaves and steps[time, 6]:
                leaving_bytes += steps[time, 4]
            bits, taken_from[time] = steps[time, 2], -1
            # Whether what it writes is taken over by the step that reads it last.
            taker, position = -1, -1
            if is_inner[time] and beneath_from[last + 1] > beneath_from[last] and is_inner[last]:
                for source in range(beneath_from[last], beneath_from[last + 1]):
                    if beneath[source] == time and steps[last, 3] <= steps[time, 3]:
                        taker, position = last, source
                        break
            takes = taker >= 0 and (taken_from[taker] < 0 or position < taken_from[taker])
            is_read = taker >= 0 and steps[taker, 5] > taker
            layer_cycles += rates[time, 7]
            changed = last if is_inner[time] else time
            kept = 0
            for place in range(left):
                grid = alive[place]
                rows, cols = row_lengths[at_row[grid]], along_cols[at_col[grid]]
                if is_uniform:
                    computed_rows, computed_cols = (at_row[grid] + 1) * rows[3], (at_col[grid] + 1) * cols[3]
                    size_rows, size_cols = rows[3], cols[3]
                else:
                    computed_rows, computed_cols = rows[0], cols[0]
                    size_rows, size_cols = rows[2], cols[2]
                places, calls = computed_rows * computed_cols, rows[1] * cols[1]
                # In the order of operations of `step_costs.cycles_of`, so that the sums agree to the last bit.
                spent = rates[time, 3] * (places * rates[time, 0])
                spent = spent + rates[time, 4] * (places * rates[time, 1])
                spent = spent + rates[time, 5] * (places * rates[time, 2])
                cycles[grid] += np.rint(spent + rates[time, 6] * calls)
                if size_rows == 0 or size_cols == 0:
                    return EMPTY_PIECE
                scratch = steps[time, 8] * size_rows * size_cols + steps[time, 9] * size_rows
                scratch += steps[time, 10] * size_cols + steps[time, 11]
                if steps[time, 12]:
                    holds = steps[time, 13] * size_rows * size_cols + steps[time, 14] * size_rows
                    holds += steps[time, 15] * size_cols + steps[time, 16]
                    held[grid] = max(held[grid], (holds + mask) & ~mask)
                inside[time, grid], saved[time, grid], planned[time, grid] = scratch, 0, scratch
                if is_inner[time]:
                    size_bytes = size_rows * ((size_cols * bits + 7) >> 3)
                    home_bytes = (size_bytes + mask) & ~mask
                    sizes[time, grid], homes[time, grid] = size_bytes, home_bytes
                    for later in range(time, last + 1):
                        inside[later, grid] += home_bytes
                    if takes:
                        beneath_bytes = min(home_bytes, homes[taker, grid]) if is_read else 0
                        twice = beneath_bytes if planned[taker, grid] > 0 else home_bytes
                        saved[taker, grid] = twice if sizes[taker, grid] <= home_bytes else 0
                # The fullest step from here to the end, from the last step whose bytes have changed: as `Tally.most`.
                peak = 0
                for step in range(changed, time - 1, -1):
                    peak = inside[step, grid] - saved[step, grid]
                    if step + 1 < end:
                        peak = max(peak, most[step + 1, grid])
                    most[step, grid] = peak
                is_within = peak + max(leaving_bytes, crossing_bytes) + held[grid] <= limit_bytes
                extra = cycles[grid] - layer_cycles
                if time > latest:  # each piece enters each of the layers between
                    extra += ((at_row[grid] + 1) * (at_col[grid] + 1) - 1) * (entries[time] - entries[latest])
                if is_within and extra <= most_extra:
                    alive[kept] = grid
                    kept += 1
            left = kept
            if takes:
                taken_from[taker] = position
            first = start_at[time]
            # A stage without a layer that must be cut is never better than its layers.
            if first < 0 or must_before[bound] == must_before[first]:
                continue
            pair = filled
            for place in range(left):
                grid = alive[place]
                live_bytes = most[time, grid] + leaving_bytes
                if live_bytes + around[first] + held[grid] > limit_bytes:
                    continue
                is_worse = False  # than one before it, in everything
                for other in range(pair, filled):
                    if table[other, 4] <= live_bytes and table[other, 5] <= held[grid]:
                        is_worse |= cycles_of[other] <= cycles[grid]
                if is_worse:
                    continue
                if filled == len(table):
                    return NO_ROOM
                table[filled, 0], table[filled, 1] = first, bound
                table[filled, 2] = at_row[grid] * MOST_PIECES + at_col[grid]
                table[filled, 3], table[filled, 4] = time < has_copy, live_bytes
                table[filled, 5] = held[grid]
                cycles_of[filled] = cycles[grid]
                filled += 1
    return filled


@kernel(
    "int64(int64[::1], int64[::1], float64[::1], int64[::1], int64[:,::1], float64[::1], int64[::1], int64[::1],"
    "int64[::1], float64[::1], int64[::1], boolean, boolean, boolean, int64, int64, int64, int64[::1], float64[::1])"
)
def cheapest_way(
    layer_live: Any,
    layer_held: Any,
    layer_cycles: Any,
    rows_to: Any,
    table: Any,
    cycles_of: Any,
    around: Any,
    live_before: Any,
    held_before: Any,
    cycles_before: Any,
    copies_to: Any,
    is_external: Any,
    layer_first: Any,
    stage_first: Any,
    most_stages: Any,
    live_limit: Any,
    held_limit: Any,
    way: Any,
    total: Any,
) -> int:
    """Fill `way` with the rows of `table` of the cheapest way through a network, the last one first; how many, or -1.

    Of equal ways: that of the fewest stages; then, from the end, a layer rather than a stage, the longest stage, that
    of the fewest live bytes, that of the fewest rows of patches.

    layer_*: of the layer behind each bound.   rows_to: where the rows of `table` for each bound behind a stage
    begin; earlier starts come later.
    around, *_before: whole bytes beside a stage behind each bound, and what runs before it.
    copies_to: whether a first stage to each bound copies an external input.   layer_first, stage_first: what a way may
    start with.   total: its cycles, live bytes and held bytes.
    """
    bounds = len(layer_live)
    reached = np.full((most_stages + 1, bounds + 1), np.inf)
    taken = np.full((most_stages + 1, bounds + 1), -1, np.int64)
    reached[0, 0] = 0.0
    for bound in range(1, bounds + 1):
        layer = bound - 1
        if layer_live[layer] <= live_limit and layer_held[layer] <= held_limit:
            for used in range(most_stages + 1):
                if used > 0 or bound > 1 or layer_first:
                    reached[used, bound] = reached[used, bound - 1] + layer_cycles[layer]
        row = rows_to[bound]
        while row < rows_to[bound + 1]:
            first, is_copied = table[row, 0], table[row, 3]
            # Under an external input a first stage copies it just where the runtime would; other first stages do not
            # exist.
            goes = first > 0 or (stage_first and is_copied == (is_external and copies_to[bound]))
            best, best_live, best_cycles = -1, 0, np.inf
            while row < rows_to[bound + 1] and table[row, 0] == first and table[row, 3] == is_copied:
                live = max(table[row, 4] + around[first], live_before[first])
                held = max(table[row, 5], held_before[first])
                if live <= live_limit and held <= held_limit:
                    cycles = cycles_of[row]
                    if cycles < best_cycles or (cycles == best_cycles and live < best_live):
                        best, best_live, best_cycles = row, live, cycles
                row += 1
            if best < 0 or not goes:
                continue
            for used in range(most_stages):
                # Ties go to the later row: rows of one end are sorted so that a longer stage comes later.
                cycles = reached[used, first] + (best_cycles + cycles_before[first])
                is_equal = cycles == reached[used + 1, bound] and taken[used + 1, bound] >= 0
                if cycles < reached[used + 1, bound] or is_equal:
                    reached[used + 1, bound] = cycles
                    taken[used + 1, bound] = best
    # The fewest stages of equal cost: `argmin` takes the first.
    used = int(np.argmin(reached[:, bounds]))
    if not reached[used, bounds] < np.inf:
        return -1
    total[0] = reached[used, bounds]
    count, bound, live, held = 0, bounds, 0, 0
    while bound > 0:
        stage = taken[used, bound]
        if stage < 0:
            bound -= 1
            live, held = max(live, layer_live[bound]), max(held, layer_held[bound])
            continue
        first = table[stage, 0]
        live = max(live, max(table[stage, 4] + around[first], live_before[first]))
        held = max(held, max(table[stage, 5], held_before[first]))
        way[count] = stage
        count += 1
        bound, used = first, used - 1
    total[1], total[2] = live, held
    return count
