"""A quantised network computed in float32 from its dequantised weights: what each layer would be without rounding.

Not bit-exact against anything: it is the yardstick of quantisation error. An operator that has no float form here
starts again from the dequantised answer of the integer run, and is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NamedTuple

import numpy as np

from mcusim.errors import ModelError
from mcusim.execution.arena import whole_piece
from mcusim.execution.preparation import Array
from mcusim.graph import ABSENT, Activation, DType, Graph, Node, Tensor, TensorType, signature, tensor_type
from mcusim.ops import OPS
from mcusim.ops.registry import Call, StateRole

__all__ = ["FloatRun", "dequantize", "float_run"]


class FloatRun(NamedTuple):
    """tensors: index -> float32 (integers without a scale as they are).   restarted: nodes without a float form."""

    tensors: Mapping[int, Array]
    restarted: tuple[str, ...]


def dequantize(tensor: Tensor, stored: Array) -> Array:
    """The real numbers that stored integers stand for; anything without a scale stays as it is."""
    quantization = tensor.quantization
    if quantization is None or not tensor.dtype.is_integer or tensor.type.values is not None:
        return stored
    scales, zeros = np.array(quantization.scales, np.float64), np.array(quantization.zero_points, np.float64)
    if quantization.is_per_channel:
        shape = [1] * stored.ndim
        shape[quantization.axis] = -1
        scales, zeros = scales.reshape(shape), zeros.reshape(shape)
    return np.asarray((scales * (stored.astype(np.float64) - zeros)).astype(np.float32))


def float_run(graph: Graph, traced: Mapping[int, Array]) -> FloatRun:
    """Every tensor of a run in float32.   traced: the integer run, which has the inputs and what must be restarted."""
    known = {index: dequantize(graph.tensors[index], traced[index]) for index in graph.inputs}
    restarted = []
    for node in graph.nodes:
        outputs = _computed(graph, node, known)
        if outputs is None:
            outputs = [dequantize(graph.tensors[t], traced[t]) if t in traced else np.zeros(0) for t in node.outputs]
            # Handles and states have no arithmetic: an operator that reads them restarts, and that is no loss worth
            # naming.
            if OPS[node.op].state is StateRole.NONE:
                restarted.append(node.name)
        known.update(zip(node.outputs, outputs, strict=True))
    return FloatRun(known, tuple(restarted))


def _computed(graph: Graph, node: Node, known: Mapping[int, Array]) -> list[Array] | None:
    inputs = [_input(graph, index, known) for index in node.inputs]
    if OPS[node.op].state is not StateRole.NONE or any(array is None for array in inputs[:1]):
        return None
    form = OPS[node.op].in_float
    if form is not None:
        computed = form(node.signature, inputs)
        activation = getattr(node.attributes, "fused_activation_function", Activation.NONE)
        low, high = _CLAMPS.get(activation, (-np.inf, np.inf))
        shape = node.signature.output.shape
        return [np.clip(computed, low, high).astype(np.float32).reshape(shape)]
    return _by_kernel(graph, node, inputs)


def _input(graph: Graph, index: int, known: Mapping[int, Array]) -> Array | None:
    if index == ABSENT:
        return None
    constant = graph.tensors[index].constant
    return known.get(index) if constant is None else dequantize(graph.tensors[index], constant)


def _by_kernel(graph: Graph, node: Node, inputs: Sequence[Array | None]) -> list[Array] | None:
    """The operator's own kernel, told that its tensors are float32."""
    tensors = [None if index == ABSENT else _as_float(graph.tensors[index]) for index in node.inputs]
    outputs = [_as_float(graph.tensors[index]) for index in node.outputs]
    kinds: tuple[TensorType | None, ...] = tuple(None if tensor is None else tensor.type for tensor in tensors)
    call = signature(node.op, node.attributes, kinds, tuple(tensor.type for tensor in outputs))
    op = OPS[node.op]
    if not op.kernel:
        return None
    room = [np.zeros(tensor.shape, tensor.dtype.unpacked.value) for tensor in outputs]
    arrays = [np.zeros(0, np.float32) if array is None else array for array in inputs]
    try:
        ready = op.prepare(Call(call, tuple(tensors), tuple(outputs), node.name)) if op.prepare is not None else None
        kernel = import_module(op.kernel_module)
        kernel.run(ready, arrays, room, whole_piece(call.outputs[0], len(arrays)))
    except ModelError:
        return None
    return room


def _as_float(tensor: Tensor) -> Tensor:
    if tensor.quantization is None or not tensor.dtype.is_integer or tensor.type.values is not None:
        return tensor
    constant = None if tensor.constant is None else dequantize(tensor, tensor.constant)
    return Tensor(tensor.name, tensor_type(tensor.shape, DType.FLOAT32, tensor.is_constant), None, constant)


_CLAMPS: Mapping[Activation, tuple[float, float]] = {
    Activation.RELU: (0.0, np.inf),
    Activation.RELU6: (0.0, 6.0),
    Activation.RELU_N1_TO_1: (-1.0, 1.0),
}
