"""The allocation with which a network fits a board, as its runtime takes memory: not only as the paper counts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from mcusim.errors import PlanError, ScheduleError
from mcusim.frontends.checks import float_reason
from mcusim.graph import ABSENT, Graph
from mcusim.lowering.rules import InputPlace
from mcusim.precision.allocation import BitAllocation, allocation_of, uniform_allocation, with_bits
from mcusim.precision.choices import Widths
from mcusim.precision.cutting import MARGIN, check_margin, check_min_bits, cut_activations, cut_weights
from mcusim.precision.tensors import BITS, Tensors, packed_bytes, tensors_of
from mcusim.question.question import BoardName, Model, Question
from mcusim.report import Report
from mcusim.runtimes import Runtime
from mcusim.schedule import Schedule
from mcusim.simulation.simulate import report_of
from mcusim.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BitFit", "LayerBits", "bit_fit_of", "fit_bits", "layer_bits"]


WIDEST = max(BITS)


@dataclass(frozen=True, slots=True)
class LayerBits:
    """A layer of the runtime with its widths.

    node: its index in the graph.
    input_bits: of the widest input; None without one, as output_bits.   weight_bits: None without weights.
    activation_bytes: of input, output and what is needed later, together.
    """

    node: int
    name: str
    op: str
    input_bits: int | None
    weight_bits: int | None
    output_bits: int | None
    weight_bytes: int
    activation_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class BitFit:
    """An allocation for a board, the Graph that has it, and what that takes.

    original: the network as it was.   before: its Report.   report: of `graph`.
    why: in one sentence, how far away the budgets are where no allocation meets them ("" where one does): then the
        tensors that lack room have the fewest bits everywhere.
    """

    allocation: BitAllocation
    original: Graph
    graph: Graph
    before: Report
    report: Report
    layers: tuple[LayerBits, ...]
    why: str = ""

    def to_frame(self) -> pd.DataFrame:
        """One row a layer, with its widths in bits and its bytes."""
        import pandas as pd

        return pd.DataFrame(self.layers, columns=[field.name for field in fields(LayerBits)])

    def __repr__(self) -> str:
        report, before = self.report, self.before
        asked = f"{report.model.name[:60]!r} on {report.profile.name!r} with {report.runtime.name!r}"
        sram = f"{format_bytes(before.sram.peak_bytes)} to {format_bytes(report.sram.peak_bytes)} SRAM"
        return f"<BitFit {asked}: {report.verdict}, {sram}>"

    @property
    def fits(self) -> bool | None:
        """Whether the budgets hold, with the bits that were found; None where it cannot be known."""
        return self.report.fits

    @property
    def graph_is_unchanged(self) -> bool:
        """Whether nothing had to be cut."""
        return self.graph is self.original


def fit_bits(
    model: Model,
    *,
    profile: BoardName,
    runtime: Runtime | str | None = None,
    schedule: Schedule | str = "layer",
    input_place: InputPlace | str | None = None,
    sram_budget_bytes: int | None = None,
    flash_budget_bytes: int | None = None,
    what_if: bool = False,
    min_bits: int = 2,
    margin: float = MARGIN,
) -> BitFit:
    """Cut activations, then weights, to 8, 4 or 2 bits until the runtime's Report on the board says that it fits.

    The first of the allocations of `allocate_bits` that fits: its SRAM limit sinks from layer to layer, the fullest
    first, until the runtime's plan, with the working memory that the paper does not count, holds the budget; of the
    flash, the weights have what code and tables leave.
    sram_budget_bytes, flash_budget_bytes: replace the board's own.   what_if: they may be more than it has.
    min_bits: no tensor goes below it, nor below what the runtime's kernels take.   margin: see `allocate_bits`.
    Raises McusimError where the question is wrong; budgets that cannot be met are an answer (`BitFit.why`).
    """
    question = Question(
        model=model,
        profile=profile,
        runtime=runtime,
        schedule=schedule,
        input_place=input_place,
        sram_budget_bytes=sram_budget_bytes,
        flash_budget_bytes=flash_budget_bytes,
        what_if=what_if,
    )
    return bit_fit_of(question, min_bits=min_bits, margin=margin)


def bit_fit_of(question: Question, *, min_bits: int = 2, margin: float = MARGIN) -> BitFit:
    """The bits with which a question's network fits: see `fit_bits`."""
    check_min_bits(min_bits)
    check_margin(margin)
    settled = question.settled()
    graph, runtime = settled.graph, settled.runtime
    if settled.schedule.is_auto:
        fix = "name a schedule (`mcusim patch` finds the best), and let the bits be chosen for it"
        raise ScheduleError("bits are chosen for one schedule", where="schedule 'auto'", fix=fix)
    asked = replace(question, model=graph, runtime=runtime)
    before = report_of(asked)
    least = Widths(max(min_bits, min(runtime.weight_bits)), max(min_bits, min(runtime.activation_bits)))
    limit_bytes = max((layer.activation_bytes for layer in layer_bits(graph, runtime)), default=0)
    while True:
        cut = _cut(graph, before, limit_bytes, least, margin, runtime)
        narrower = with_bits(graph, cut.allocation)
        report, layers = report_of(replace(asked, model=narrower)), layer_bits(narrower, runtime)
        if cut.least_activations or not layers or _fits_sram(report):
            lacking = _lacking(report)
            why = f"{cut.words(graph, least, runtime)} it lacks {lacking}" if lacking else ""
            if why and not _fits_sram(report) and report.sram.peak_bytes > before.sram.peak_bytes:
                return _refused(graph, before, report, why, runtime)
            return BitFit(cut.allocation, graph, narrower, before, report, layers, why)
        # The least that changes anything: the fullest layer no longer fits.
        limit_bytes = max(layer.activation_bytes for layer in layers) - 1


def _fits_sram(report: Report) -> bool:
    return report.sram.with_stack_bytes <= report.sram.budget_bytes


def _refused(graph: Graph, before: Report, narrowed: Report, why: str, runtime: Runtime) -> BitFit:
    """Nothing is cut: with fewer bits the network takes more of the SRAM that is too small for them."""
    grown = f"{format_bytes(before.sram.peak_bytes)} to {format_bytes(narrowed.sram.peak_bytes)}"
    reasons = [
        reason.removeprefix("SRAM: ").removesuffix(".") for reason in narrowed.warnings if "unpacks weights" in reason
    ]
    reason = ": ".join([f"{why}; nothing is cut, as that takes SRAM from {grown}", *reasons])
    return BitFit(allocation_of(graph), graph, graph, before, before, layer_bits(graph, runtime), reason)


@dataclass(frozen=True, slots=True)
class _Cut:
    """What was cut for SRAM and for flash.   least_*: whether these are as narrow as they get, and still too large."""

    allocation: BitAllocation
    least_activations: bool
    least_weights: bool

    def words(self, graph: Graph, least: Widths, runtime: Runtime) -> str:
        """Under which widths something lacks, as the beginning of a sentence."""
        widest, sides = allocation_of(graph), []
        if self.least_weights and dict(self.allocation.weights) != dict(widest.weights):
            sides.append(f"weights of {least.weights}")
        if self.least_activations and dict(self.allocation.activations) != dict(widest.activations):
            sides.append(f"activations of {least.activations}")
        if sides:
            return f"with {' and '.join(sides)} bits everywhere"
        floats = float_reason(graph)
        if floats:
            return f"the network {floats}, and only integers are cut (quantise it first):"
        if not widest.weights and not widest.activations:
            return "no tensor of the network can have fewer bits:"
        if least.activations == WIDEST and least.weights == WIDEST:
            return f"with no fewer than {WIDEST} bits"
        kept = "weights" if self.least_weights and not self.least_activations else "activations"
        if min(runtime.activation_bits if kept == "activations" else runtime.weight_bits) == WIDEST:
            return f"{runtime.name} takes no {kept} of fewer than {WIDEST} bits:"
        return f"no {kept} can have fewer bits:"


def _cut(graph: Graph, before: Report, limit_bytes: int, least: Widths, margin: float, runtime: Runtime) -> _Cut:
    """Activations within `limit_bytes`, and weights within the flash: each is cut for what it lacks, and no further."""
    tensors = tensors_of(graph, runtime.rules)
    narrowest = uniform_allocation(graph, weight_bits=least.weights, activation_bits=least.activations)
    activations, weights = narrowest.activations, narrowest.weights
    least_activations = least_weights = True
    with suppress(PlanError):
        groups = cut_activations(tensors, limit_bytes, least.activations)
        activations = {tensor: groups[group] for tensor, group in tensors.group.items() if group in groups}
        least_activations = False
    with suppress(PlanError):
        free_bytes = before.flash.budget_bytes - _tables_bytes(graph, before)
        weights = cut_weights(tensors, free_bytes, least.weights, margin)
        least_weights = False
    return _Cut(BitAllocation(activations, weights), least_activations, least_weights)


def _tables_bytes(graph: Graph, before: Report) -> int:
    """What is stored beside the weights that may be cut, whatever their width: other tables of the model, and code."""
    flash, weights = before.flash, allocation_of(graph).weights
    cuttable = sum(packed_bytes(graph.tensors[tensor].type.elements, bits) for tensor, bits in weights.items())
    stored = flash.weight_bytes if flash.model_bytes is None else flash.model_bytes
    doubt = (flash.high_bytes or 0) - (flash.total_bytes or 0)  # so that what is found fits for sure
    return stored - cuttable + (flash.code_bytes or 0) + doubt


def _lacking(report: Report) -> str:
    """How far away the budgets are; "" where they are held."""
    sram, flash = report.sram, report.flash
    stored = flash.total_bytes if flash.total_bytes is not None else flash.model_bytes or flash.weight_bytes
    taken = (("SRAM", sram.with_stack_bytes, sram.budget_bytes), ("flash", stored, flash.budget_bytes))
    return " and ".join([f"{format_bytes(size - budget)} of {what}" for what, size, budget in taken if size > budget])


# ---------------------------------------------------------------------------------------------------------------------
# What a table shows


def layer_bits(graph: Graph, runtime: Runtime) -> tuple[LayerBits, ...]:
    """Every layer that the runtime runs, with the widths that the graph's tensors have."""
    return tuple(_layer_bits(graph, tensors_of(graph, runtime.rules)))


def _layer_bits(graph: Graph, tensors: Tensors) -> Iterator[LayerBits]:
    for layer in tensors.layers:
        node = graph.nodes[layer.node]
        weights = [index for index in node.inputs if index != ABSENT and index in tensors.weights]
        reads = [tensors.bits_of(tensor, tensors.bits) for tensor in layer.reads]
        yield LayerBits(
            layer.node,
            layer.name,
            node.op,
            max(reads, default=None),
            tensors.weights[weights[0]] if weights else None,
            graph.tensors[node.outputs[0]].dtype.bits if node.outputs else None,
            sum(packed_bytes(tensors.elements[index], tensors.weights[index]) for index in weights),
            tensors.layer_bytes(layer, tensors.bits),
        )
