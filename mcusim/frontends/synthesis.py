"""Weights and quantisation for networks of which only the architecture is known, so that they can be run and exported.

The result computes nothing of use, but it computes as a trained network does: activations use their range, neither
saturate nor die, and differ from input to input through all depths. One pass over the nodes, no inference:

1. Weights are sums of random bytes, roughly normal with mean 0, symmetric, one scale a channel (one a tensor for
   FULLY_CONNECTED, as converters do). Only raw PCG64 output is used, seeded by the seed and the tensor's index and
   name: the same on every platform and numpy.
2. `ops/shared/spreads.py` estimates mean and standard deviation of every tensor. A layer's scales are such that its
   result has the deviation that suits its activation; its bias takes away the mean of its input, channel by channel,
   as a batch norm does. Without that, the part of the signal that depends on the input would fade with depth.
3. Ranges become scales and zero points; tensors that an operator may not rescale (pools, PAD, CONCATENATION) share one.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import dtype_range
from mcusim.errors import ModelError
from mcusim.graph import ABSENT, Activation, DType, Graph, Node, Quantization, Tensor, retyped, tensor_type
from mcusim.limits import refuse_beyond
from mcusim.ops import OPS, OpDef
from mcusim.ops.registry import Drawing, Weights
from mcusim.ops.shared.spreads import CENTRES, REACH, Spread, after, constant, snapped, uniform
from mcusim.region import Span

__all__ = ["with_seeded_weights"]

_WEIGHT_LIMIT = {DType.INT8: 127, DType.INT4: 7, DType.INT2: 1}
_QUANTISED = (DType.INT8, DType.INT16, DType.INT4, DType.INT2)
_INPUT = uniform(-127 / 128, 1.0)
"""Images and spectra in [-1, 1), as most networks want them: scale 1/128, zero point -1."""
_NOT_DRAWN = Drawing()
_JITTER = 0.25
"""Most that a channel's mean is off its centre, in standard deviations."""
_MOST_REACH = 2.0**20
"""Of an activation from zero: far beyond what layers give, and within the scales that kernels can shift by."""
_WORK_BYTES = 40
"""For each weight, while they are drawn and their channels summed; for each tap that may lie on a row, too."""


@dataclass(slots=True)
class _Draft:
    """A graph in the making. spreads: of activations.   parent: forest of tensors that share their quantisation.

    drawn_bytes: of weights so far.
    """

    graph: Graph
    seed: int
    where: str
    tensors: list[Tensor]
    spreads: dict[int, Spread] = field(default_factory=dict)
    parent: dict[int, int] = field(default_factory=dict)
    drawn_bytes: int = 0

    def group(self, tensor: int) -> int:
        while self.parent.get(tensor, tensor) != tensor:
            tensor = self.parent[tensor]
        return tensor

    def at(self, index: int) -> str:
        return f"{self.where}, node {index} ({self.graph.nodes[index].op})"


def with_seeded_weights(graph: Graph, seed: int = 0) -> Graph:
    """`graph` with weights, biases and quantisation wherever it has none; the same for the same seed, anywhere.

    What is known already (elements, quantisation) stays. Convolutions without a bias get one, as converters do.
    Raises ModelError for operators and element types for which it cannot choose.
    """
    if seed < 0:
        raise ModelError(f"the seed is {seed}", where="seed", fix="use 0 or more")
    # Biases first: they are tensors of their own, and the seed of a tensor depends on its index.
    graph = _with_biases(graph)
    draft = _Draft(graph, seed, f"network '{graph.name}'", list(graph.tensors))
    # From the inputs on, in the order of execution: a node's spread is known when its readers are drawn.
    for index in graph.inputs:
        draft.spreads[index] = _known(draft.tensors[index]) or _INPUT
    for index in range(len(graph.nodes)):
        _advance(draft, index)
    # Scales before biases, as a bias is stored in units of input scale times weight scale.
    _quantise(draft)
    for index, node in enumerate(graph.nodes):
        layer = _drawing(node).weights
        if layer is not None:
            _set_bias(draft, index, layer)
    return replace(graph, tensors=tuple(draft.tensors))


def _drawing(node: Node) -> Drawing:
    return OPS[node.op].drawing if node.op in OPS else _NOT_DRAWN


def _with_biases(graph: Graph) -> Graph:
    """No convolution without bias: LiteRT refuses those, and TFLM crashes on depthwise."""
    tensors = list(graph.tensors)
    nodes = []
    for node in graph.nodes:
        present = node.inputs
        layer = _drawing(node).weights
        if layer is not None and layer.axis is not None and not _has_bias(node, layer):
            wide = DType.INT64 if node.signature.output.dtype is DType.INT16 else DType.INT32
            kind = tensor_type((node.signature.input(layer.weights).shape[layer.channels],), wide, True)
            present = (*present[: layer.bias], len(tensors))
            tensors.append(Tensor(f"{node.name}/bias", kind))
        nodes.append(retyped(node, tensors, present))
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes))


def _known(tensor: Tensor) -> Spread | None:
    """Spread of a tensor that is quantised already; the elements are taken to use the range."""
    quantization = tensor.quantization
    if quantization is None or quantization.is_per_channel:
        return None
    scale, zero_point = quantization.scales[0], quantization.zero_points[0]
    least, most = dtype_range(tensor.dtype)
    low, high = scale * (least - zero_point), scale * (most - zero_point)
    return Spread(snapped((low + high) / 2), snapped((high - low) / 8), low, high, fixed=True)


def _advance(draft: _Draft, index: int) -> None:
    """Draw what a node needs, estimate what it gives, and tie what must be quantised alike."""
    node = draft.graph.nodes[index]
    layer = _drawing(node).weights
    if layer is not None:
        drawn: Spread | None = _draw(draft, index, layer)
    else:
        operands = [_operand(draft, node, tensor, index) for tensor in node.inputs]
        known, rule = [spread for spread in operands if spread is not None], _drawing(node).spread
        drawn = rule(node, known) if rule is not None and known else None
    if drawn is None:
        raise ModelError(
            "weights and quantisation cannot be drawn for this operator",
            where=draft.at(index),
            fix="give its tensors elements and quantisation, or leave the operator out",
        )
    for output in node.outputs:
        draft.spreads[output] = _known(draft.tensors[output]) or _bounded(drawn)
    kept = _drawing(node).alike
    if kept is not None:
        # What must share a scale is joined in a forest; the output is the root, whose spread then counts.
        for tensor in (*node.inputs[kept], *node.outputs):
            if tensor in draft.spreads:
                draft.parent[draft.group(tensor)] = draft.group(node.outputs[0])


def _bounded(spread: Spread) -> Spread:
    """Within what scales hold: sums of sums double their range layer by layer. Beyond it the network saturates."""
    reach = max(-spread.low, spread.high)
    if reach <= _MOST_REACH:
        return spread
    mean, low, high = (min(max(number, -_MOST_REACH), _MOST_REACH) for number in (spread.mean, spread.low, spread.high))
    return Spread(mean, min(spread.std, _MOST_REACH / REACH), low, high, spread.fixed)


def _operand(draft: _Draft, node: Node, tensor: int, index: int) -> Spread | None:
    """Spread of an input; None for absent ones and for integers that say where, not what."""
    if tensor == ABSENT:
        return None
    if tensor in draft.spreads:
        return draft.spreads[tensor]
    operand = draft.tensors[tensor]
    if operand.dtype not in _QUANTISED:
        return None
    number = _drawing(node).stands_for
    # A lone constant without elements (the 3 of x + 3, say) stands for a number that the operator's own rule gives.
    if operand.constant is None and operand.type.elements == 1 and number is not None:
        limit = (1 << (operand.dtype.bits - 1)) - 1
        elements = np.full(operand.shape, limit, np.dtype(operand.dtype.unpacked.value))
        draft.tensors[tensor] = replace(
            operand, constant=_frozen(elements), quantization=Quantization((_float32(number / limit),), (0,))
        )
        return constant(number)
    spread = _known(operand)
    if spread is None or operand.constant is None:
        raise ModelError(
            f"'{operand.name}' is a constant without elements or quantisation, and what it stands for is unknown",
            where=draft.at(index),
            fix="give it elements and quantisation",
        )
    return spread


def _draw(draft: _Draft, index: int, layer: Weights) -> Spread:
    """Weights of a node, and the spread of its output."""
    node = draft.graph.nodes[index]
    source = draft.spreads.get(node.inputs[layer.source])
    weights = draft.tensors[node.inputs[layer.weights]]
    if source is None or weights.dtype not in _WEIGHT_LIMIT or draft.tensors[node.outputs[0]].dtype not in _QUANTISED:
        what = f"cannot draw {weights.dtype} weights for {draft.tensors[node.outputs[0]].dtype} activations"
        raise ModelError(
            what, where=draft.at(index), fix="use int8, int4 or int2 weights, and such activations or int16"
        )
    activation = getattr(node.attributes, "fused_activation_function", Activation.NONE)
    mean, std = CENTRES.get(activation, CENTRES[Activation.NONE])
    if weights.constant is None or weights.quantization is None:
        kernel = max(weights.shape[1:3], default=1) if len(weights.shape) == 4 else 1
        taps = kernel * max(node.signature.output.shape, default=1)
        size_bytes = _WORK_BYTES * (weights.type.elements + taps) + draft.drawn_bytes
        refuse_beyond(size_bytes, "drawing its weights", where=draft.at(index))
        draft.drawn_bytes += weights.type.elements
        elements = weights.constant if weights.constant is not None else _weights(draft, node, layer)
        coverage = _coverage(draft.graph, node, layer)
        norms = np.sqrt(_channel_sums(elements, layer, coverage, power=2)) * _deviation(source, _has_bias(node, layer))
        if layer.axis is None:
            norms = np.sqrt(np.array([(norms**2).mean()]))
        scales = tuple(_float32(snapped(std / norm)) for norm in norms.tolist())
        quantization = Quantization(scales, (0,) * len(scales), layer.axis or 0)
        tensor = node.inputs[layer.weights]
        draft.tensors[tensor] = replace(weights, constant=elements, quantization=quantization)
    if not _has_bias(node, layer):
        mean = 0.0
    return after(activation, mean, std)


def _weights(draft: _Draft, node: Node, layer: Weights) -> NDArray[Any]:
    """Integers, roughly normal, cut off at three deviations; no channel is zero throughout."""
    index = node.inputs[layer.weights]
    tensor = draft.tensors[index]
    limit = _WEIGHT_LIMIT[tensor.dtype]
    # The sum of four bytes has a deviation of 148.
    sums = _random_bytes(draft, index, 4 * tensor.type.elements).reshape(-1, 4).astype(np.int32).sum(axis=1) + 2
    elements = np.clip((sums * (limit * 1024 // 444) + 512) >> 10, -limit, limit).astype(np.int8).reshape(tensor.shape)
    by_channel = np.moveaxis(elements, layer.channels, 0)
    dead = ~by_channel.reshape(by_channel.shape[0], -1).any(axis=1)
    by_channel[(dead, *(0,) * (elements.ndim - 1))] = (limit + 1) // 2
    return _frozen(elements)


def _random_bytes(draft: _Draft, index: int, count: int) -> NDArray[np.int8]:
    name = zlib.crc32(draft.tensors[index].name.encode())
    generator = np.random.PCG64(np.random.SeedSequence([draft.seed, index, name]))
    return generator.random_raw(-(-count // 8)).astype("<u8").view(np.int8)[:count]


def _channel_sums(elements: NDArray[Any], layer: Weights, coverage: NDArray[np.float64], power: int) -> NDArray[Any]:
    """For each output channel the sum of (its weights to that power, times the share of outputs that meet them)."""
    weighted = np.moveaxis(elements.astype(np.int64) ** power * coverage, layer.channels, 0)
    # Sums of at most 2**53 / 2**22: exact whatever their order, as coverage is a multiple of 2**-10.
    sums: NDArray[Any] = weighted.reshape(weighted.shape[0], -1).sum(axis=1)
    return sums


def _coverage(graph: Graph, node: Node, layer: Weights) -> NDArray[np.float64]:
    """Share of a layer's outputs for which a tap lies on the map and not on its zero padding: (1, kh, kw, 1).

    On small maps that is few: a 7x7 kernel on a 3x3 map meets 18 % of its taps. Padding may be a PAD node.
    """
    if node.op == "TRANSPOSE_CONV":
        stride = int(getattr(node.attributes, "stride_h", 1) * getattr(node.attributes, "stride_w", 1))
        return np.array(max(1024 // stride, 1) / 1024)
    op = OPS[node.op]
    stored = node.signature.input(layer.weights).shape
    kernel = stored[1:3]
    if (
        len(node.signature.input(0).shape) != 4 or len(stored) != 4 or kernel == (1, 1)
    ):  # FULLY_CONNECTED takes maps too
        return np.array(1.0)
    rows, cols = (_taps(graph, node, op, layer.source, size, axis) for axis, size in enumerate(kernel))
    return np.rint(rows[:, None] * cols[None, :] * 1024).clip(1)[None, :, :, None] / 1024


def _taps(graph: Graph, node: Node, op: OpDef, source: int, size: int, axis: int) -> NDArray[np.float64]:
    """Share of output rows (or columns) for which each tap of a kernel of `size` lies on the map."""
    kind = node.signature
    outputs = (kind.output.rows, kind.output.cols)[axis]
    start, stop = _on_map(graph, node.inputs[source], axis)
    first, second = (op.needs(kind, source, Span(o, o + 1), Span(o, o + 1)) for o in (0, 1))
    assert first is not None
    assert second is not None
    stride = second[axis].start - first[axis].start
    dilation = int(getattr(node.attributes, ("dilation_h_factor", "dilation_w_factor")[axis], 1))
    places = first[axis].start + stride * np.arange(outputs)[:, None] + dilation * np.arange(size)[None, :]
    share: NDArray[np.float64] = ((places >= start) & (places < stop)).mean(axis=0)
    return share


def _on_map(graph: Graph, tensor: int, axis: int) -> tuple[int, int]:
    """Rows (or columns) of a tensor that are no zero padding."""
    kind = graph.tensors[tensor].type
    size = (kind.rows, kind.cols)[axis]
    producer = graph.producer.get(tensor)
    if producer is None:
        return 0, size
    op = OPS[graph.nodes[producer].op]
    pads = op.padding(graph.nodes[producer].signature) if op.padding is not None else None
    if pads is None:
        return 0, size
    return (pads.top, size - pads.bottom) if axis == 0 else (pads.left, size - pads.right)


def _has_bias(node: Node, layer: Weights) -> bool:
    return len(node.inputs) > layer.bias and node.inputs[layer.bias] != ABSENT


def _deviation(source: Spread, centred: bool) -> float:
    """Of the input from what the bias takes away."""
    return max(source.std if centred else math.hypot(source.mean, source.std), 2**-20)


def _quantise(draft: _Draft) -> None:
    """Scale and zero point for every activation that has none."""
    members: dict[int, list[int]] = {}
    for tensor in draft.spreads:
        members.setdefault(draft.group(tensor), []).append(tensor)
    for group in members.values():
        spread = _common(draft, group)
        for index in group:
            member = draft.tensors[index]
            if member.quantization is None and member.dtype in _QUANTISED:
                draft.tensors[index] = replace(member, quantization=_affine(spread, member.dtype))


def _common(draft: _Draft, group: Sequence[int]) -> Spread:
    spreads = [draft.spreads[index] for index in group]
    low, high = min(s.low for s in spreads), max(s.high for s in spreads)
    fixed = next((index for index in group if draft.spreads[index].fixed), None)
    if fixed is None:
        return Spread(0.0, 0.0, low, high)
    fixed_spread = draft.spreads[fixed]
    if any((s.low, s.high) != (fixed_spread.low, fixed_spread.high) for s in spreads if s.fixed):
        raise ModelError(
            f"tensor '{draft.tensors[fixed].name}' has a range of its own, and an operator joins it with another one",
            where=draft.where,
            fix="put a QUANTIZE between them",
        )
    return fixed_spread


def _affine(spread: Spread, dtype: DType) -> Quantization:
    if dtype is DType.INT16:
        largest = max(-spread.low, spread.high)
        return Quantization((_float32(1 / 32768 if spread.fixed else largest / 32767),), (0,))
    lowest, highest = dtype_range(dtype)
    scale = (spread.high - spread.low) / (highest - lowest)
    return Quantization((_float32(scale),), (min(max(round(lowest - spread.low / scale), lowest), highest),))


def _set_bias(draft: _Draft, index: int, layer: Weights) -> None:
    """Bias that puts each channel's mean where its activation wants it, give or take."""
    node = draft.graph.nodes[index]
    if not _has_bias(node, layer) or draft.tensors[node.inputs[layer.bias]].constant is not None:
        return
    source, weights = draft.tensors[node.inputs[layer.source]], draft.tensors[node.inputs[layer.weights]]
    assert source.quantization is not None and weights.quantization is not None and weights.constant is not None  # noqa: PT018
    bias = node.inputs[layer.bias]
    in_scale = source.quantization.scales[0]
    scales = [_float32(in_scale * scale) for scale in weights.quantization.scales]
    mean, std = CENTRES.get(
        getattr(node.attributes, "fused_activation_function", Activation.NONE), CENTRES[Activation.NONE]
    )
    sums = _channel_sums(weights.constant, layer, _coverage(draft.graph, node, layer), power=1)
    offset = draft.spreads[node.inputs[layer.source]].mean / in_scale
    jitter = _random_bytes(draft, bias, len(sums)).astype(np.float64) / 128 * _JITTER
    elements = np.rint((mean + std * jitter) / np.array(scales) - offset * sums)
    tensor = draft.tensors[bias]
    dtype = np.dtype(tensor.dtype.value)
    limits = np.iinfo(dtype)
    elements = np.clip(elements, limits.min >> 1, limits.max >> 1).astype(dtype)
    quantization = Quantization(tuple(scales), (0,) * len(scales), 0)
    draft.tensors[bias] = replace(tensor, constant=_frozen(elements), quantization=quantization)


def _float32(number: float) -> float:
    return float(np.float32(number))


def _frozen(elements: NDArray[Any]) -> NDArray[Any]:
    elements.flags.writeable = False
    return elements
