"""When no cut stage can be cheaper than the layers that it runs in pieces.

The pieces of a stage together compute at least what its layers compute, as long as every layer reads all of its inputs
whatever the cut: halos are computed again, and nothing is left out. Prices rise with work, and each piece enters its
kernels anew. So the network layer by layer has the fewest cycles, and where it fits there is nothing to search.

A layer that skips rows, such as a 1x1 window with stride 2, lets a cut leave them out; then it is not known. Nor is it
where a stage of a single piece, which costs no more, might take less memory: because its kernels ask for less, or
because the input then lies outside at no price.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from mcusim.columns import Kept
from mcusim.graph import Attributes, Signature, signature
from mcusim.lowering.rules import LoweringRules
from mcusim.lowering.staging import copied_inputs, network_of, overwritten, resized
from mcusim.ops import OPS
from mcusim.ops.totals import whole_work
from mcusim.pricing.prices import Coefficients, price_whole
from mcusim.program import Program
from mcusim.region import Span
from mcusim.searching.stage_axes import reads_everything

__all__ = ["layers_are_cheapest"]

_KEPT = 64
"""Runtimes, and their prices on boards, that many networks are asked about."""
_LEAST_SHARE = 1e-9
"""Of all cycles: what entering a kernel once more must cost at least, so that sums tell it."""


def layers_are_cheapest(program: Program, rules: LoweringRules, prices: Coefficients, *, moves_input: bool) -> bool:
    """Whether nothing that is worth having has as few cycles as the network layer by layer.

    program: that network.   moves_input: whether the input's place is that of cut stages where the first one is cut.
    """
    calls = [step.signature for step in network_of(program.graph, rules).steps]
    if program.parts or not all(map(_cuttable_calls(rules).__getitem__, calls)):
        return False
    prices_of = _priced_calls(prices)
    # Rounding in sums over millions of cycles must not decide: an entry has to cost a visible share.
    entries = [prices_of[call].entry for call in calls]
    least = _LEAST_SHARE * sum([prices_of[call].total for call in calls])
    if moves_input and not _copies_cost(program, rules, prices, least):
        return False
    return min(entries, default=0.0) > least


class _Priced(NamedTuple):
    """Cycles of a layer, and of entering its kernel once more: 0 where a rate is no price."""

    total: float
    entry: float


@lru_cache(_KEPT)
def _priced_calls(prices: Coefficients) -> Kept[Signature, _Priced]:
    return Kept(lambda call: _Priced(price_whole(prices, call).total, _entry_cycles(prices, call)))


@lru_cache(_KEPT)
def _cuttable_calls(rules: LoweringRules) -> Kept[Signature, bool]:
    """Whether pieces leave out nothing that a layer does."""
    return Kept(lambda call: _reads_everything(call) and _asks_no_less(rules, call))


def _copies_cost(program: Program, rules: LoweringRules, prices: Coefficients, least: float) -> bool:
    """Whether every first stage has to copy an input that lies outside, however short it is."""
    if not rules.copies_input_patch:
        return False
    steps = network_of(program.graph, rules).steps
    tensors, inputs = program.graph.tensors, {home.held for home in program.inputs}
    if set(copied_inputs(program.graph, steps, 1, inputs)) != inputs:
        return False
    kinds = [tensors[index].type for index in inputs]
    copies = [signature("COPY", Attributes(), (kind,), (kind,)) for kind in kinds]
    return sum([price_whole(prices, copy).total for copy in copies]) > least


def _asks_no_less(rules: LoweringRules, call: Signature) -> bool:
    """Whether the kernel of a piece that is the whole output asks for as much as that of the layer."""
    if call.op not in OPS or not call.outputs:
        return False
    piece = resized(call, call.output.rows, call.output.cols)
    # A piece of the whole map is what a 1x1 grid runs: there only the runtime's rules for cut stages make a difference.
    for asks in (rules.planned_scratch, rules.held_scratch):
        of_piece = dict(asks(piece))
        if any(of_piece.get(role, 0) < size_bytes for role, size_bytes in asks(call)):
            return False
    return set(overwritten(rules, call, piece)) <= set(overwritten(rules, call, call))


def _entry_cycles(prices: Coefficients, call: Signature) -> float:
    # Rates that are fitted may be negative for a rare operator; then more work could be cheaper, and nothing follows.
    rates = prices.model.rates(prices.cycles, call, whole_work(call))
    return rates.call if min(rates) >= 0 else 0.0


def _reads_everything(call: Signature) -> bool:
    """Whether the pieces of any cut read all of every input between them."""
    op = OPS.get(call.op)
    if op is None or not call.outputs:
        return False
    whole = Span(0, call.output.rows), Span(0, call.output.cols)
    return all(
        reads_everything(call, index)
        for index, kind in enumerate(call.inputs)
        if kind is not None and not kind.is_constant and op.needs(call, index, *whole) is not None
    )
