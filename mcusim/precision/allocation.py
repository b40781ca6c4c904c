"""How many bits each tensor of a network has, and the Graph in which it has them.

Numbers that are known come along: weights are rounded anew, scales and zero points keep the range of real numbers.
That is quantisation after training, to very few bits: how the network then runs, not how well it would answer after
the retraining that the paper does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mcusim.arithmetic.quant import INT32_MAX, INT32_MIN, dtype_range
from mcusim.errors import ModelError
from mcusim.graph import ABSENT, Graph, Node, Quantization, Shape, Tensor, retyped, tensor_type
from mcusim.ops import OPS
from mcusim.precision.tensors import DTYPES, WEIGHTS, Tensors, tensors_of
from mcusim.runtimes import RUNTIMES
from mcusim.source import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BitAllocation", "allocation_of", "uniform_allocation", "with_bits"]

BIAS = 2
"""Which input holds the bias of an operator with weights."""


@dataclass(frozen=True, slots=True)
class BitAllocation:
    """Bits of the tensors that may be cut: index of an activation, or of a weight tensor -> 8, 4 or 2."""

    activations: Mapping[int, int] = field(default_factory=dict)
    weights: Mapping[int, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """`w8:20 w4:7 w2:1, a8:25 a4:3`: how many tensors have how many bits."""
        return ", ".join(_counted(letter, of) for letter, of in (("w", self.weights), ("a", self.activations)) if of)


def _counted(letter: str, bits: Mapping[int, int]) -> str:
    widths = list(bits.values())
    return " ".join(f"{letter}{width}:{widths.count(width)}" for width in DTYPES if width in widths)


def allocation_of(graph: Graph) -> BitAllocation:
    """The widths that a network has."""
    groups = _tensors(graph)
    return BitAllocation(
        {t: groups.bits_of(t, groups.bits) for t, g in groups.group.items() if g in groups.bits}, groups.weights
    )


def uniform_allocation(graph: Graph, *, weight_bits: int, activation_bits: int) -> BitAllocation:
    """All weights, and all activations that may be cut, at one width; what is narrower already stays so."""
    widest = allocation_of(graph)
    return BitAllocation(
        {tensor: min(bits, activation_bits) for tensor, bits in widest.activations.items()},
        {tensor: min(bits, weight_bits) for tensor, bits in widest.weights.items()},
    )


def _tensors(graph: Graph) -> Tensors:
    # Which tensors may be cut does not depend on the runtime; only the layers do.
    return tensors_of(graph, RUNTIMES["tflm"].rules)


def with_bits(graph: Graph, allocation: BitAllocation) -> Graph:
    """`graph` with the datatypes of `allocation`: memory, flash, price and execution follow from them.

    Raises ModelError for tensors that the network does not have, and widths that no kernel has.
    """
    wanted = {**allocation.activations, **allocation.weights}
    _check(graph, wanted)
    changed = {tensor: bits for tensor, bits in wanted.items() if graph.tensors[tensor].dtype.bits != bits}
    if not changed:
        return graph
    tensors = list(graph.tensors)
    for tensor, bits in changed.items():
        tensors[tensor] = _narrowed(tensors[tensor], bits)
    for node in graph.nodes:
        if _has_weights(node, tensors):
            _rescale_bias(graph, node, tensors)
    nodes = tuple(retyped(node, tensors) for node in graph.nodes)
    source = Source(f"{graph.source.description}, bits {allocation}", published=graph.source.published)
    return replace(graph, tensors=tuple(tensors), nodes=nodes, source=source)


def _check(graph: Graph, wanted: Mapping[int, int]) -> None:
    known = allocation_of(graph)
    for tensor, bits in wanted.items():
        if tensor not in known.activations and tensor not in known.weights:
            name = graph.tensors[tensor].name if 0 <= tensor < len(graph.tensors) else tensor
            what = f"tensor '{name}' keeps its width: an input, an output, or next to an operator that needs it"
            raise ModelError(what, where=f"network '{graph.name}'", fix="leave it out of the allocation")
        if bits not in DTYPES:
            raise ModelError(
                f"tensor '{graph.tensors[tensor].name}' would have {bits} bits",
                where=f"network '{graph.name}'",
                fix=f"use {', '.join(map(str, DTYPES))}",
            )


def _has_weights(node: Node, tensors: list[Tensor]) -> bool:
    op = OPS.get(node.op)
    return op is not None and op.packs and WEIGHTS in op.parameters and tensors[node.inputs[WEIGHTS]].is_constant


def _narrowed(tensor: Tensor, bits: int) -> Tensor:
    """The tensor with so many bits, its numbers with it."""
    kind = tensor.type
    typed = replace(tensor, type=tensor_type(kind.shape, DTYPES[bits], kind.is_constant, kind.values))
    if tensor.quantization is None:
        return typed
    if tensor.constant is not None:
        elements, quantization = _rounded_weights(tensor.constant, tensor.quantization, bits)
        return replace(typed, constant=elements, quantization=quantization)
    return replace(typed, quantization=_narrowed_range(tensor, tensor.quantization, bits))


def _narrowed_range(tensor: Tensor, quantization: Quantization, bits: int) -> Quantization:
    """The same range of real numbers in fewer steps."""
    import numpy as np

    (lowest, highest), (low, high) = dtype_range(tensor.dtype), dtype_range(DTYPES[bits])
    scale, zero_point = quantization.scales[0], quantization.zero_points[0]
    wider = float(np.float32(scale * (highest - lowest) / (high - low)))
    moved = round(low + (zero_point - lowest) * scale / wider)
    return Quantization((wider,), (min(max(moved, low), high),))


def _rounded_weights(
    elements: NDArray[Any], quantization: Quantization, bits: int
) -> tuple[NDArray[Any], Quantization]:
    """Symmetric weights: the largest of each channel (or of all) becomes the largest integer."""
    import numpy as np

    limit = (1 << (bits - 1)) - 1
    shape = [1] * elements.ndim
    if quantization.is_per_channel:
        shape[_axis_of(quantization, elements.shape)] = len(quantization.scales)
    scales = np.array(quantization.scales, np.float64).reshape(shape)
    real = scales * (elements.astype(np.float64) - np.array(quantization.zero_points).reshape(shape))
    others = tuple(axis for axis in range(elements.ndim) if shape[axis] == 1)
    largest = np.abs(real).max(axis=others, keepdims=True)
    wider = np.where(largest > 0, largest / limit, scales).astype(np.float32)
    rounded = np.clip(np.rint(real / wider.astype(np.float64)), -limit, limit).astype(np.int8)
    rounded.flags.writeable = False
    channel_scales = tuple(float(scale) for scale in wider.reshape(-1))
    return rounded, Quantization(channel_scales, (0,) * len(channel_scales), quantization.axis)


def _axis_of(quantization: Quantization, shape: Shape) -> int:
    """Along which the scales lie; of weights whose file names one that has not as many elements, the first that has."""
    axis, count = quantization.axis, len(quantization.scales)
    return axis if 0 <= axis < len(shape) and shape[axis] == count else shape.index(count)


def _rescale_bias(graph: Graph, node: Node, tensors: list[Tensor]) -> None:
    """A bias counts in steps of input scale times weight scale: both may have changed."""
    import numpy as np

    index = node.inputs[BIAS] if len(node.inputs) > BIAS else ABSENT
    if index == ABSENT or graph.tensors[index].constant is None or tensors[index] is not graph.tensors[index]:
        return
    before, after = (_steps(node, side) for side in (graph.tensors, tensors))
    if before is None or after is None or (before.shape == after.shape and (before == after).all()):
        return
    bias = graph.tensors[index]
    assert bias.constant is not None
    moved = np.clip(np.rint(bias.constant.astype(np.float64) * before / after), INT32_MIN, INT32_MAX)
    elements = moved.astype(bias.constant.dtype)
    elements.flags.writeable = False
    scales = tuple(float(np.float32(step)) for step in after)
    tensors[index] = replace(bias, constant=elements, quantization=Quantization(scales, (0,) * len(scales), 0))


def _steps(node: Node, tensors: tuple[Tensor, ...] | list[Tensor]) -> NDArray[Any] | None:
    import numpy as np

    source, weights = tensors[node.inputs[0]].quantization, tensors[node.inputs[WEIGHTS]].quantization
    if source is None or weights is None:
        return None
    return source.scales[0] * np.array(weights.scales, np.float64)
