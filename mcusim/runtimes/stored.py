"""The model's part of the flash, item by item: of a .tflite file, and of generated C.

The items of a ledger add up to the runtime's `model_bytes` wherever that is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from mcusim.columns import Kept
from mcusim.graph import ABSENT, DType, Graph, Signature, Tensor
from mcusim.ops import OPS
from mcusim.runtimes.registry import LedgerItem

__all__ = ["BIAS_BYTES", "GENERATED_OPS", "file_ledger", "generated_bytes", "generated_ledger", "weights_ledger"]

GENERATED_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators whose constants TinyEngine's generator writes out."""

SCALE_BYTES, ZERO_POINT_BYTES, BIAS_BYTES = 4, 8, 4
_ACCUMULATORS = (DType.INT32, DType.INT64)


def generated_bytes(graph: Graph, channel_bytes: int) -> int:
    """Weights of all convolutions and fully connected layers, and so many bytes an output channel."""
    return sum(map(_generated(channel_bytes).__getitem__, graph.calls))


@cache
def _generated(channel_bytes: int) -> Kept[Signature, int]:
    """Of each call of an operator."""

    def find(call: Signature) -> int:
        return call.input(1).size_bytes + channel_bytes * call.output.channels if call.op in GENERATED_OPS else 0

    return Kept(find)


def weights_ledger(graph: Graph) -> tuple[LedgerItem, ...]:
    """What all generators write out: a byte a weight (less where it has fewer bits), and an int32 bias a channel."""
    called = [node.signature for node in graph.nodes if node.op in GENERATED_OPS]
    weights = sum(call.input(1).size_bytes for call in called)
    elements = sum(call.input(1).elements for call in called)
    channels = _channels(graph)
    width = "a byte" if weights == elements else f"{8 * weights / elements:.3g} bits"
    return (
        LedgerItem("weights", weights, f"of {len(called)} layers, {width} each"),
        LedgerItem("biases", BIAS_BYTES * channels, f"int32, {channels:,} output channels"),
    )


def generated_ledger(graph: Graph) -> tuple[LedgerItem, ...]:
    """TinyEngine's arrays: weights, biases, and 4 bytes more an output channel."""
    scales = LedgerItem("quantisation", SCALE_BYTES * _channels(graph), "a float scale a channel")
    return (*weights_ledger(graph), scales)


def _channels(graph: Graph) -> int:
    return sum(node.signature.output.channels for node in graph.nodes if node.op in GENERATED_OPS)


def file_ledger(graph: Graph) -> tuple[LedgerItem, ...]:
    """A .tflite file: constants, quantisation, and the rest of the flatbuffer where there is a file.

    Of a network without one: scales of its weights and biases, a channel each.
    """
    weights, biases, others = _constants(graph)
    tensors = [tensor for part in (graph, *graph.subgraphs) for tensor in part.tensors]
    scales = sum(len(tensor.quantization.scales) for tensor in tensors if tensor.quantization is not None)
    if graph.source.file_bytes is None:
        scales = 2 * sum(n.signature.output.channels for n in graph.nodes if n.op in GENERATED_OPS[:2])
    items = [
        LedgerItem("weights", weights, "constants that layers learned"),
        LedgerItem("biases", biases, "int32, or int64 where activations have 16 bits"),
        LedgerItem("quantisation", (SCALE_BYTES + ZERO_POINT_BYTES) * scales, f"{scales:,} scales and zero points"),
        LedgerItem("other constants", others, "paddings, shapes, axes"),
    ]
    if graph.source.file_bytes is not None:
        rest = graph.source.file_bytes - sum(item.size_bytes for item in items)
        items.append(LedgerItem("tables", rest, "the rest of the flatbuffer: nodes, tensors, names, alignment"))
    return tuple(item for item in items if item.size_bytes)


def _constants(graph: Graph) -> tuple[int, int, int]:
    """Bytes of weights, biases and other constants; a buffer that several tensors share counts once."""
    totals = {"weights": 0, "biases": 0, "others": 0}
    seen: set[object] = set()
    for part in (graph, *graph.subgraphs):
        learned = set(_learned(part))
        for index, tensor in enumerate(part.tensors):
            key = (id(part), index) if tensor.constant is None else _memory(tensor)
            if not tensor.is_constant or key in seen:
                continue
            seen.add(key)
            kind = "others" if index not in learned else "biases" if _is_bias(tensor) else "weights"
            totals[kind] += tensor.size_bytes
    return totals["weights"], totals["biases"], totals["others"]


def _memory(tensor: Tensor) -> object:
    elements = tensor.constant
    return None if elements is None else (elements.__array_interface__["data"][0], elements.nbytes)


def _is_bias(tensor: Tensor) -> bool:
    return len(tensor.shape) <= 1 and tensor.dtype in _ACCUMULATORS


def _learned(graph: Graph) -> Iterator[int]:
    for node in graph.nodes:
        op = OPS.get(node.op)
        for position in op.parameters if op is not None else ():
            if position < len(node.inputs) and node.inputs[position] != ABSENT:
                yield node.inputs[position]
