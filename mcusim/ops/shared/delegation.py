"""Shared by the operators that LiteRT hands to XNNPACK: which nodes it takes.

Python's interpreter runs 8-bit layers by XNNPACK's kernels, which form factors in float32 and round otherwise than
TFLite's own; what XNNPACK does not take, TFLite's own kernels run. Here is who runs a node; how it rounds then is said
by `accumulators.rounding_of`, and by the few operators that XNNPACK computes in another way altogether.
Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from mcusim.graph import Activation, DType, Padding, Tensor
from mcusim.ops.registry import Call, Numerics, attributes_of
from mcusim.ops.shared.windows import WindowAttributes

__all__ = ["is_delegated", "ratio"]

_BYTES = frozenset({DType.INT8, DType.UINT8})
MOST_AXES = 6
"""Of a tensor of XNNPACK."""
_CLAMPS = frozenset({Activation.NONE, Activation.RELU, Activation.RELU6, Activation.RELU_N1_TO_1})
_LEAST_NORMAL = float(np.finfo(np.float32).tiny)


def ratio(dividend: float, divisor: float) -> float:
    """A quotient of scales in float32, in which XNNPACK forms it."""
    return float(np.float32(dividend) / np.float32(divisor))


def is_delegated(call: Call) -> bool:
    """Whether this execution follows LiteRT, and LiteRT runs the node by XNNPACK.

    Source: LiteRT xnnpack_delegate.cc, VisitNode; probed on one-operator networks.
    """
    takes = _TAKEN.get(call.signature.op)
    return call.numerics is Numerics.LITERT and takes is not None and not call.computed and takes(call)


def _scale(tensor: Tensor) -> float:
    return tensor.quantization.scales[0] if tensor.quantization is not None else 0.0


def _is_bytes(tensor: Tensor) -> bool:
    """Whether it is 8 bits wide with one scale."""
    quantization = tensor.quantization
    if quantization is None or quantization.is_per_channel or quantization.axis:
        return False
    is_alike = quantization.scales[0] >= _LEAST_NORMAL
    return tensor.dtype in _BYTES and is_alike and len(tensor.shape) <= MOST_AXES and 0 not in tensor.shape


def _are_bytes(call: Call, *indices: int) -> bool:
    """Whether these inputs and the output have one 8-bit type, and an activation, if any, is a clamp."""
    tensors = [*(call.input(index) for index in indices), call.outputs[0]]
    activation = getattr(call.signature.attributes, "fused_activation_function", Activation.NONE)
    return activation in _CLAMPS and all(map(_is_bytes, tensors)) and len({tensor.dtype for tensor in tensors}) == 1


def _sum(call: Call) -> bool:
    out = _scale(call.outputs[0])
    return _are_bytes(call, 0, 1) and all(2**-10 <= ratio(_scale(call.input(k)), out) < 2**8 for k in (0, 1))


def _product(call: Call) -> bool:
    if not _are_bytes(call, 0, 1):
        return False
    both = float(np.float32(_scale(call.input(0))) * np.float32(_scale(call.input(1))))
    return 2**-16 <= ratio(both, _scale(call.outputs[0])) < 2**8


def _conversion(call: Call) -> bool:
    source, output = call.input(0), call.outputs[0]
    if source.dtype is DType.FLOAT32:
        return _is_bytes(output)
    return _are_bytes(call, 0) and 2**-8 <= ratio(_scale(source), _scale(output)) <= 2**7


def _leaky(call: Call) -> bool:
    """The slope below 0 must be a number that its 8 fractional bits hold."""
    if not _are_bytes(call, 0):
        return False
    alpha = float(getattr(call.signature.attributes, "alpha", 0.0))
    above = ratio(_scale(call.input(0)), _scale(call.outputs[0]))
    below = float(np.float32(above) * np.float32(alpha))
    fits = 2**-8 <= above <= 2**7 and -127.99609375 <= below <= 2**7 and abs(below) >= 2**-8
    return fits and abs(alpha) >= _LEAST_NORMAL


def _layer(source: int, weights: int, bias: int, axis: int, *, takes_packed: bool = False) -> Callable[[Call], bool]:
    """Of layers with weights.   axis: of the weights, along which scales may lie.   takes_packed: whether int4 too."""

    def takes(call: Call) -> bool:
        if call.input(weights).dtype.is_packed and not takes_packed:
            return False
        return _are_bytes(call, source) and _are_weights(call, weights, source, axis) and _is_bias(call, bias)

    return takes


def _scatter(call: Call) -> bool:
    """A transposed convolution whose kernels leave no gaps, where padding is counted from the output."""
    attributes = attributes_of(call.signature, WindowAttributes)
    _, kernel_h, kernel_w, _ = call.input(1).shape
    has_gaps = attributes.stride_h > kernel_h or attributes.stride_w > kernel_w
    return _layer(2, 1, 3, axis=0)(call) and not (has_gaps and attributes.padding is Padding.SAME)


def _are_weights(call: Call, index: int, source: int, axis: int) -> bool:
    """Whether they are stored, with zero points of 0 where they are signed and scales that are no zeros."""
    tensor, quantization = call.input(index), call.input(index).quantization
    if quantization is None:
        return False
    is_placed = quantization.axis == axis or not quantization.is_per_channel
    is_centred = tensor.dtype is DType.UINT8 or not any(quantization.zero_points)
    has_scales = all(scale >= _LEAST_NORMAL for scale in quantization.scales)
    return tensor.dtype.unpacked is call.input(source).dtype and is_placed and is_centred and has_scales


def _is_bias(call: Call, index: int) -> bool:
    if not call.signature.has(index):
        return True
    tensor = call.input(index)
    return tensor.dtype is DType.INT32 and tensor.quantization is not None


def _matrices(call: Call) -> bool:
    """The second must be as weights are."""
    quantization = call.input(1).quantization
    return _are_bytes(call, 0, 1) and quantization is not None and not any(quantization.zero_points)


def _elements(call: Call) -> bool:
    return _are_bytes(call, 0)


_TAKEN: Mapping[str, Callable[[Call], bool]] = MappingProxyType(
    {
        "ADD": _sum,
        "SUB": _sum,
        "MUL": _product,
        "QUANTIZE": _conversion,
        "LEAKY_RELU": _leaky,
        "CONV_2D": _layer(0, 1, 2, axis=0),
        "DEPTHWISE_CONV_2D": _layer(0, 1, 2, axis=3),
        "FULLY_CONNECTED": _layer(0, 1, 2, axis=0, takes_packed=True),
        "TRANSPOSE_CONV": _scatter,
        "BATCH_MATMUL": _matrices,
        "MEAN": _elements,
        "SUM": _elements,
        "RESIZE_BILINEAR": _elements,
    }
)
"""Those of 8 bits that XNNPACK takes and computes otherwise. Of LOGISTIC, TANH and ELU it makes the same tables."""
