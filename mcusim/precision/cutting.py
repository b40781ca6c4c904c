"""Memory-driven bit allocation: activations, then weights, cut from 8 to 4 and 2 bits until they fit.

Source: Rusci, Capotondi, Benini: Memory-Driven Mixed Low Precision Quantization for Enabling Deep Network Inference on
Microcontrollers (MLSys 2020, arXiv 1905.13082), algorithms 1 and 2; where the paper leaves a choice, its authors'
released code (training-mixed-precision-quantized-networks, quant_auto.py). `docs/precision.md` says what differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import SupportsFloat

from mcusim.errors import InputError, PlanError
from mcusim.graph import Graph
from mcusim.precision.allocation import BitAllocation
from mcusim.precision.tensors import BITS, Layer, Tensors, packed_bytes, tensors_of
from mcusim.runtimes import Runtime, find_runtime
from mcusim.units import format_bytes

__all__ = ["MARGIN", "allocate_bits", "check_margin", "check_min_bits", "cut_activations", "cut_weights"]

MARGIN = 0.05
"""Weights whose share of all is within this of the largest count as large; of those the first layer's is cut."""


def allocate_bits(
    graph: Graph,
    *,
    sram_bytes: int,
    flash_bytes: int,
    min_weight_bits: int = 2,
    min_activation_bits: int = 2,
    margin: float = MARGIN,
    tables_bytes: int = 0,
    runtime: Runtime | str = "tinyengine",
) -> BitAllocation:
    """The widths with which a network fits, counted as the paper counts.

    sram_bytes: for the input and the output of each layer together, and what is needed later beside them.
    flash_bytes: for all weights and `tables_bytes` (biases and quantisation, which keep their size).
    min_weight_bits, min_activation_bits: no tensor goes below them.
    runtime: whose steps the layers are (what is folded, what is free).
    Raises PlanError, saying how far away it is, where no allocation fits.
    """
    check_min_bits(min_weight_bits)
    check_min_bits(min_activation_bits)
    check_margin(margin)
    chosen = runtime if isinstance(runtime, Runtime) else find_runtime(runtime)
    tensors = tensors_of(graph, chosen.rules)
    activations = cut_activations(tensors, sram_bytes, min_activation_bits)
    weights = cut_weights(tensors, flash_bytes - tables_bytes, min_weight_bits, margin)
    return BitAllocation(
        {tensor: activations[group] for tensor, group in tensors.group.items() if group in activations}, weights
    )


def check_min_bits(min_bits: int) -> None:
    """Raise InputError unless kernels for this width exist."""
    if min_bits not in BITS:
        raise InputError(f"it is {min_bits!r:.20}", where="min_bits", fix=f"use {', '.join(map(str, BITS[::-1]))}")


def check_margin(margin: float) -> None:
    """Raise InputError unless it is a share."""
    if isinstance(margin, bool) or not isinstance(margin, SupportsFloat) or not 0 <= float(margin) < 1:
        raise InputError(f"it is {margin!r:.40}", where="margin", fix="give it a share of all weights, such as 0.05")


# ---------------------------------------------------------------------------------------------------------------------
# Activations: algorithm 1


def cut_activations(tensors: Tensors, budget_bytes: int, min_bits: int) -> dict[int, int]:
    """Group -> bits, so that each layer's tensors take at most `budget_bytes`. Raises PlanError.

    Passes over the layers, forward and backward in turn. Of a layer that takes too much, the wider of input and output
    is cut, of equal ones the larger: outputs on the way forward, inputs on the way back.
    """
    bits = dict(tensors.bits)
    forward = True
    while True:
        is_done = True
        for layer in tensors.layers if forward else reversed(tensors.layers):
            while tensors.layer_bytes(layer, bits) > budget_bytes:
                group, is_output = _group_to_cut(tensors, layer, bits, min_bits, budget_bytes)
                if is_output is not forward:
                    is_done = False
                    break
                bits[group] //= 2
        if is_done:
            return bits
        forward = not forward


def _group_to_cut(
    tensors: Tensors, layer: Layer, bits: Mapping[int, int], min_bits: int, budget_bytes: int
) -> tuple[int, bool]:
    """The group that is to be cut next for a layer, and whether it is that of its output."""
    target = _largest(tensors, layer.writes, bits, min_bits)
    source = _largest(tensors, layer.reads + layer.beside, bits, min_bits)
    if source is None and target is None:
        raise _too_large(tensors, layer, bits, budget_bytes)
    if source is None or target is None:
        cut_first = target if source is None else source
        assert cut_first is not None
        return tensors.group[cut_first], source is None
    widths = tensors.bits_of(source, bits), tensors.bits_of(target, bits)
    if widths[0] == widths[1]:
        is_output = tensors.bytes_of(target, bits) >= tensors.bytes_of(source, bits)
    else:
        is_output = widths[1] > widths[0]
    return tensors.group[target if is_output else source], is_output


def _largest(tensors: Tensors, among: Iterable[int], bits: Mapping[int, int], min_bits: int) -> int | None:
    """The tensor with most bytes of those that may still be cut."""
    free = [tensor for tensor in among if bits.get(tensors.group[tensor], 0) > min_bits]
    return max(free, key=lambda tensor: tensors.bytes_of(tensor, bits), default=None)


def _too_large(tensors: Tensors, layer: Layer, bits: Mapping[int, int], budget_bytes: int) -> PlanError:
    needed = tensors.layer_bytes(layer, bits)
    return PlanError(
        f"its tensors take {format_bytes(needed)} at the fewest bits, {format_bytes(needed - budget_bytes)} more than "
        f"the {format_bytes(budget_bytes)} there are",
        where=f"layer '{layer.name}'",
        fix="use a smaller input, patches (`mcusim patch`), or a board with more SRAM",
    )


# ---------------------------------------------------------------------------------------------------------------------
# Weights: algorithm 2


def cut_weights(tensors: Tensors, budget_bytes: int, min_bits: int, margin: float = MARGIN) -> dict[int, int]:
    """Weight tensor -> bits, so that all weights together take at most `budget_bytes`. Raises PlanError.

    Each time the first layer is cut whose share of all weights is within `margin` of the largest share: layers near
    the output, whose cuts cost most accuracy, are spared where others are about as large.
    """
    bits = dict(tensors.weights)
    while True:
        sizes = {tensor: packed_bytes(tensors.elements[tensor], width) for tensor, width in bits.items()}
        total = sum(sizes.values())
        if total <= budget_bytes:
            return bits
        free = {tensor: size for tensor, size in sizes.items() if bits[tensor] > min_bits}
        if not free:
            raise _too_many(total, budget_bytes)
        largest = max(free.values())
        bits[next(t for t, size in free.items() if size == largest or largest - size < margin * total)] //= 2


def _too_many(total: int, budget_bytes: int) -> PlanError:
    there = f"the {format_bytes(budget_bytes)} that are left for them" if budget_bytes > 0 else "nothing left for them"
    return PlanError(
        f"they take {format_bytes(total)} at the fewest bits, {format_bytes(total - budget_bytes)} more than {there}",
        where="weights",
        fix="use a narrower network, or a board with more flash",
    )
