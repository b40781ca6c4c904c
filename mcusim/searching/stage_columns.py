"""The steps of a network as arrays of numbers: all that compiled code has to know of them to cut them into patches.

Nearly every step is of a form: what it reads is affine in what it writes, its working memory is bilinear in the size of
a piece, its work proportional to its output. A network with a step that is not goes without: `columns_of` says None.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mcusim.columns import Kept
from mcusim.graph import ABSENT, Attributes, Signature, signature
from mcusim.lowering.rules import LoweringRules
from mcusim.lowering.staging import StepNode, overwritten, resized
from mcusim.pricing.prices import Coefficients, price_whole
from mcusim.searching.stage_axes import Ints, affine_of
from mcusim.searching.stage_costs import StageCosts
from mcusim.searching.step_costs import Bilinear, Floats, counts_of_a_place, scratch_of

__all__ = ["StageColumns", "columns_of"]


class StageColumns(NamedTuple):
    """What `ops.kernels.patch_search.tabulate_stages` says of each.

    copies: 1 where a step in front of all copies the input's patch.   copied: whether a first stage to each bound does.
    varying: the only name of held bytes that depend on the size of a piece; "" where none do.
    is_mirrored: whether rows and columns count alike in what pieces take.
    """

    steps: Ints
    rates: Floats
    read_from: Ints
    sources: Ints
    row_maps: Ints
    col_maps: Ints
    beneath_from: Ints
    beneath: Ints
    copies: int
    copied: tuple[bool, ...]
    varying: str
    is_mirrored: bool


_KEPT = 64
"""Runtimes, and their prices on boards, that many networks are asked about."""


class _Facts(NamedTuple):
    """A step that may be cut, whatever it reads.

    planned: the form of its working memory.   held: the same of what is held beside the arena, by name.
    work: of one place of its output, what a unit costs, and what the layer costs.   maps: of each input, by rows and by
    columns; None where that is no interval.   beneath: inputs on top of which it may be computed.
    """

    planned: Bilinear
    held: dict[str, Bilinear]
    work: tuple[float, ...]
    maps: tuple[tuple[int, ...] | None, ...]
    beneath: tuple[int, ...]


@lru_cache(_KEPT)
def _facts_of(rules: LoweringRules, prices: Coefficients) -> Kept[Signature, _Facts | None]:
    """None for a step that is not of the form."""
    return Kept(lambda call: _facts(rules, prices, call))


def _facts(rules: LoweringRules, prices: Coefficients, call: Signature) -> _Facts | None:
    counts = counts_of_a_place(call)
    if counts is None or len(call.outputs) != 1:
        return None
    maps = tuple([_maps(call, index) for index in range(len(call.inputs))])
    if any(m is None and kind is not None and not kind.is_constant for m, kind in zip(maps, call.inputs, strict=True)):
        # Forms are found once for all sizes of one operator's pieces, then checked against this one at its own size.
        return None
    forms, whole = _forms_of(rules)[_piece_of(call, maps)], resized(call, call.output.rows, call.output.cols)
    mac, output, read, entry = prices.model.rates(prices.cycles, call, counts)
    if forms is None or not forms.are_of(rules, whole):
        return None
    if min(mac, output, read) < 0 or entry < 1:
        return None  # where a rate is no price, more pieces may cost no more
    whole_cycles = round(price_whole(prices, call).total)
    work = counts.macs, counts.inputs, counts.outputs, mac, read, output, entry, whole_cycles
    return _Facts(forms.planned, forms.held, work, maps, overwritten(rules, call, whole, is_cut=True))


def _maps(call: Signature, index: int) -> tuple[int, ...] | None:
    """What rows and columns of the output need of an input, and how large it is; None where that is no interval."""
    kind = call.inputs[index]
    if kind is None or kind.is_constant:
        return None
    rows, cols = affine_of(call, index, True), affine_of(call, index, False)
    return None if rows is None or cols is None else (*rows, kind.rows, *cols, kind.cols)


class _Forms(NamedTuple):
    """Working memory of a step; held by name."""

    planned: Bilinear
    held: dict[str, Bilinear]

    def are_of(self, rules: LoweringRules, piece: Signature) -> bool:
        """Whether they give what this piece asks for."""
        size = piece.output.rows, piece.output.cols
        planned_bytes = sum([rules.aligned(size_bytes) for _, size_bytes in rules.planned_scratch(piece)])
        held = {name: form.of(*size) for name, form in self.held.items()}
        return self.planned.of(*size) == planned_bytes and held == dict(rules.held_scratch(piece))


class _Piece(NamedTuple):
    """All that pieces of a step have in common with those of another, as large as the maps may be.

    kinds: of inputs and outputs, without rows and columns.   steps: of the intervals that they read.
    """

    call: Signature
    kinds: tuple[object, ...]
    steps: tuple[tuple[int, ...] | None, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Piece) and self[1:] == other[1:]

    def __hash__(self) -> int:
        return hash(self[1:])


def _piece_of(call: Signature, maps: tuple[tuple[int, ...] | None, ...]) -> _Piece:
    kinds: list[object] = [call.op, call.attributes]
    for kind in (*call.inputs, *call.outputs):
        is_map = kind is not None and not kind.is_constant and len(kind.shape) == 4
        # Rows and columns are left out of the key: the form holds for all of them.
        kinds.append((kind.shape[0], kind.shape[3], kind.dtype) if kind is not None and is_map else kind)
    # Of an affine map only its scale and its extent: where it starts says nothing about how much memory a piece takes.
    steps = [None if m is None else (m[0], m[2] - m[1], m[4], m[6] - m[5]) for m in maps]
    return _Piece(call, tuple(kinds), tuple(steps))


@lru_cache(_KEPT)
def _forms_of(rules: LoweringRules) -> Kept[_Piece, _Forms | None]:
    """None where working memory is of no form, or not more for a larger piece."""
    return Kept(lambda piece: _forms(rules, piece.call))


def _forms(rules: LoweringRules, call: Signature) -> _Forms | None:
    scratch = scratch_of(rules, call)
    held = {name: sizes.form for name, sizes in scratch.held.items() if sizes.form is not None}
    forms = [scratch.planned.form, *held.values()]
    if len(held) < len(scratch.held) or any(form is None or min(form) < 0 for form in forms):
        return None
    assert scratch.planned.form is not None
    return _Forms(scratch.planned.form, held)


def columns_of(costs: StageCosts) -> StageColumns | None:
    """The network's steps; None where one that may be cut is not of the form."""
    rules, steps, tileable = costs.rules, costs.network.steps, costs.tileable
    copied = costs.copied(len(steps))
    # Compiled code knows one input that is copied. Networks with several go through the arrays in numpy.
    if len(copied) > 1:
        return None
    ahead = len(copied)
    all_steps, may_cut = [*_copies(costs, copied), *steps], [True] * ahead + tileable
    writer = {storage: time for time, step in enumerate(all_steps) for storage in step.writes}
    if len(writer) < sum(len(step.writes) for step in all_steps):
        return None  # a storage that is written twice
    of_call = _facts_of(rules, costs.prices)
    facts = [of_call[step.signature] if cut else _UNCUT for step, cut in zip(all_steps, may_cut, strict=True)]
    # Names whose bytes never change with the piece need no column; of the others compiled code has room for one.
    names = {name for fact in facts if fact is not None for name, form in fact.held.items() if any(form[:3])}
    if None in facts or len(names) > 1:
        return None
    varying = next(iter(names), "")
    rows, rates, reads, beneath, read_from, beneath_from = [], [], [], [], [0], [0]
    for time, (step, fact, cut) in enumerate(zip(all_steps, facts, may_cut, strict=True)):
        assert fact is not None
        rows_cols, stored = (0, 0), (0, 0, 0, time, 0)
        if cut:
            output, storage = step.signature.outputs[0], costs.storages.get(step.writes[0])
            rows_cols = output.rows, output.cols
            if storage is not None:
                # Nobody reads it, so some pieces compute nothing. Compiled code counts on pieces that are never empty.
                if storage.last == time - ahead:
                    return None  # nobody reads it: pieces of it may be empty
                stored = storage.place_bits, storage.whole_bytes, storage.home_bytes, storage.last + ahead, 1
            for index, source in enumerate(step.reads):
                if source in writer:
                    maps = fact.maps[index]
                    if maps is None:
                        return None
                    reads.append((writer[source], *maps))
            beneath += [writer.get(step.reads[position], ABSENT) for position in fact.beneath]
        held = fact.held.get(varying)
        rows.append((*rows_cols, *stored, cut, *fact.planned, held is not None, *(held or _NO_BYTES)))
        rates.append(fact.work)
        read_from.append(len(reads))
        beneath_from.append(len(beneath))
    table = np.array(reads, np.int64).reshape(-1, 9)
    return StageColumns(
        np.array(rows, np.int64),
        np.array(rates, np.float64),
        np.array(read_from, np.int64),
        np.ascontiguousarray(table[:, 0]),
        np.ascontiguousarray(table[:, 1:5]),
        np.ascontiguousarray(table[:, 5:]),
        np.array(beneath_from, np.int64),
        np.array(beneath, np.int64),
        ahead,
        tuple([bool(copied) and costs.storages[copied[0]].last < end for end in costs.bounds]),
        varying,
        all(_is_mirrored(row) for row in rows),
    )


_NO_BYTES = Bilinear(0, 0, 0, 0)
_UNCUT = _Facts(_NO_BYTES, {}, (0.0,) * 8, (), ())


def _is_mirrored(row: Sequence[int]) -> bool:
    """Of a row of `steps`: a place of whole bytes, and forms with one slope."""
    return row[2] % 8 == 0 and row[9] == row[10] and row[14] == row[15]


def _copies(costs: StageCosts, storages: list[int]) -> list[StepNode]:
    """The step that copies a patch of the input, in front of all."""
    kinds = [costs.graph.tensors[storage].type for storage in storages]
    calls = [signature("COPY", Attributes(), (kind,), (kind,)) for kind in kinds]
    return [StepNode(ABSENT, call, (ABSENT,), (storage,)) for call, storage in zip(calls, storages, strict=True)]
