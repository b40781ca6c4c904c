"""What one step of a cut stage costs, for arrays of sizes at once: cycles and working memory.

Operators and runtimes answer for one size. Nearly all answers are bilinear in rows and columns: four of them give the
rest, and further ones check that. The others are asked size by size.

    scratch of a 3x3 im2col over 16 channels, 2 columns at once, in a piece of r rows and c columns:
        2 * 9 * 16 bytes, whatever r and c                        both = row = col = 0
    a line of accumulators of int32 for 16 channels:
        64 * c bytes                                              col = 64
    a whole output of int8:
        16 * r * c bytes                                          both = 16

Four answers, for 1 and 2 rows and columns, determine the four numbers. A rule with a step in it (`if rows > 4`) agrees
with them by chance at most, so six more sizes are compared before the form is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mcusim.columns import Kept
from mcusim.graph import Signature
from mcusim.lowering.rules import LoweringRules
from mcusim.lowering.staging import resized
from mcusim.ops import OPS, Work
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.pricing.prices import Coefficients, price_work
from mcusim.searching.stage_axes import Ints

__all__ = ["Bilinear", "Floats", "Sizes", "StepScratch", "counts_of_a_place", "cycles_of", "scratch_of"]

Floats = NDArray[np.float64]
T = TypeVar("T", np.int64, np.float64)


class Bilinear(NamedTuple):
    """both*rows*cols + row*rows + col*cols + one."""

    both: int
    row: int
    col: int
    one: int

    def at(self, rows: Ints, cols: Ints) -> Ints:
        return (self.both * rows + self.col) * cols + (self.row * rows + self.one)

    def of(self, rows: int, cols: int) -> int:
        """The same of one size."""
        return (self.both * rows + self.col) * cols + (self.row * rows + self.one)


class Sizes(NamedTuple):
    """(rows, columns) of the pieces, which broadcast -> bytes; one number where they make no difference.

    form: None where they are asked for one by one.   alignment: that they are rounded up to.
    """

    form: Bilinear | None
    ask: Callable[[Ints, Ints], Ints]
    alignment: int = 1

    def __call__(self, rows: Ints, cols: Ints) -> Ints | int:
        size_bytes: Ints | int
        if self.form is not None and self.form[:3] == (0, 0, 0):
            size_bytes = self.form.one
        # An empty piece has no kernel, and the form would give it the constant part.
        elif self.form is not None and rows.min() and cols.min():
            size_bytes = self.form.at(rows, cols)
        else:
            size_bytes = self.ask(rows, cols)
        return size_bytes if self.alignment == 1 else -(-size_bytes // self.alignment) * self.alignment


def cycles_of(prices: Coefficients, call: Signature, computed: tuple[Ints, Ints], busy: tuple[Ints, Ints]) -> Floats:
    """Whole cycles of a step, to the last digit those of `price_work`.

    computed, busy: rows and columns of all pieces together, and pieces with something to do.
    """
    counts = counts_of_a_place(call)
    calls = busy[0] * busy[1]
    if counts is None:
        work = OPS[call.op].work

        def priced(rows: int, cols: int, times: int) -> float:
            return price_work(prices, call, work(call, rows, cols, times)).total

        return np.rint(_one_by_one(priced, (*computed, calls), np.float64))
    mac, output, read, entry = prices.model.rates(prices.cycles, call, counts)
    places = computed[0] * computed[1]
    cycles = mac * (places * counts.macs) + read * (places * counts.inputs) + output * (places * counts.outputs)
    # Cycles are rounded step by step in a Report, so they are here.
    rounded: Floats = np.rint(cycles + entry * calls)
    return rounded


@lru_cache(SIGNATURES_KEPT)
def counts_of_a_place(call: Signature) -> Work | None:
    """What one output place takes; None where work is not exactly proportional to places."""
    work, output = OPS[call.op].work, call.output
    places = output.rows * output.cols
    a_place, whole_map = work(call, 1, 1, 0), work(call, output.rows, output.cols, 1)
    counted = [(a_place.macs, whole_map.macs), (a_place.outputs, whole_map.outputs), (a_place.inputs, whole_map.inputs)]
    if any(places * single != whole for single, whole in counted) or (a_place.calls, whole_map.calls) != (0, 1):
        return None
    return a_place


class StepScratch(NamedTuple):
    """Working memory of a step. planned: bytes among the activations.   held: by name, beside the arena."""

    planned: Sizes
    held: Mapping[str, Sizes]


@lru_cache(SIGNATURES_KEPT)
def scratch_of(rules: LoweringRules, call: Signature) -> StepScratch:
    """The working memory that `rules` give a step, as functions of the size of its pieces."""

    asked: Kept[tuple[int, int], tuple[int, dict[str, int]]] = Kept(lambda size: _scratch(rules, resized(call, *size)))

    def held(name: str) -> Sizes:
        # Before they are aligned, sizes are bilinear: rounded up they are not.
        sizes = _sizes(lambda rows, cols: asked[rows, cols][1].get(name, 0), call)
        return sizes._replace(alignment=rules.alignment)

    planned = _sizes(lambda rows, cols: asked[rows, cols][0], call)
    return StepScratch(planned, {name: held(name) for name, _ in rules.held_scratch(call)})


def _scratch(rules: LoweringRules, call: Signature) -> tuple[int, dict[str, int]]:
    """Planned bytes, aligned; held bytes by name, which are not."""
    return sum([rules.aligned(size) for _, size in rules.planned_scratch(call)]), dict(rules.held_scratch(call))


def _sizes(ask: Callable[[int, int], int], call: Signature) -> Sizes:
    # From f(1,1)=a, f(1,2)=b, f(2,1)=c, f(2,2)=d: the mixed difference is `both`, and so on down to the constant.
    (a, b), (c, d) = [[ask(rows, cols) for cols in (1, 2)] for rows in (1, 2)]
    both = d - c - b + a
    row, col = c - a - both, b - a - both
    form = Bilinear(both, row, col, a - both - row - col)
    high, wide = call.output.rows, call.output.cols

    def asked(rows: Ints, cols: Ints) -> Ints:
        return _one_by_one(ask, (rows, cols), np.int64)

    # The whole map, each edge alone, two odd sizes inside, and two beyond: patches of one size reach past the border.
    for rows, cols in ((high, wide), (high, 1), (1, wide), (3, 5), (high // 2 or 1, wide + 2), (high + 2, 3)):
        if ask(rows, cols) != form.of(rows, cols):
            return Sizes(None, asked)
    return Sizes(form, asked)


def _one_by_one(ask: Callable[..., float], arguments: Sequence[Ints], kind: type[T]) -> NDArray[T]:
    """What `ask` says to arrays that broadcast; it is asked once where the arguments are the same."""
    columns = [column.ravel() for column in np.broadcast_arrays(*arguments)]
    # Sorted, so that equal arguments stand together and each is asked for once.
    order = np.lexsort(columns)
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = np.logical_or.reduce([np.diff(column[order]) != 0 for column in columns])
    distinct = zip(*(column[order[is_new]].tolist() for column in columns), strict=True)
    answers = np.array([ask(*one) for one in distinct], kind)
    spread = np.empty(len(order), kind)
    spread[order] = answers[np.cumsum(is_new) - 1]
    return spread.reshape(np.broadcast_shapes(*(array.shape for array in arguments)))
