"""Which version of an operator a .tflite file must name: the oldest that does what the node asks for.

A runtime refuses versions that it does not know, so a file must not claim a newer one than it needs. TFLM ignores them.
Source: TensorFlow, lite/tools/versioning/op_version.cc (GetBuiltinOperatorVersion), for the types that mcusim knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcusim.graph import ABSENT, Activation, DType, Node, Signature, Tensor

__all__ = ["operator_version"]

_FOUR_DIMENSIONS = 4

_INT8 = "ARG_MAX DEPTH_TO_SPACE LOG_SOFTMAX SPACE_TO_DEPTH SPLIT_V STRIDED_SLICE SUM"
_INT8_AND_INT16 = (
    "AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD REDUCE_MAX RELU "
    "RELU6 SOFTMAX TANH"
)

_BY_TYPE: dict[str, dict[DType, int]] = {
    **{op: {DType.INT8: 2} for op in _INT8.split()},
    **{op: {DType.INT8: 2, DType.INT16: 3} for op in _INT8_AND_INT16.split()},
    "ADD": {DType.INT8: 2, DType.INT16: 3, DType.INT64: 4},
    "DEQUANTIZE": {DType.INT8: 2, DType.INT16: 3, DType.FLOAT16: 3, DType.INT4: 6},
    "GATHER": {DType.INT8: 2, DType.BOOL: 3, DType.INT16: 4, DType.INT4: 7},
    "LEAKY_RELU": {DType.INT8: 2, DType.INT16: 2},
    "MUL": {DType.INT8: 2, DType.INT16: 4, DType.INT64: 5},
    "PACK": {DType.INT8: 2, DType.INT16: 3},
    "PAD": {DType.INT8: 2, DType.INT16: 3},
    "PADV2": {DType.INT8: 2, DType.INT16: 3},
    "RESIZE_BILINEAR": {DType.INT8: 2, DType.INT16: 4},
    "RESIZE_NEAREST_NEIGHBOR": {DType.INT8: 2, DType.INT16: 4},
    "SLICE": {DType.INT8: 2, DType.INT16: 4},
    "SUB": {DType.INT8: 2, DType.INT64: 4, DType.INT16: 5},
    "SVDF": {DType.INT8: 3},
    "TILE": {DType.INT8: 3},
    "TRANSPOSE": {DType.INT8: 2, DType.BOOL: 3, DType.INT16: 5},
    "UNPACK": {DType.INT8: 2, DType.UINT8: 2, DType.BOOL: 3, DType.INT16: 4},
}
"""Version by the element type of the first input; 1 for all others."""


def operator_version(node: Node, tensors: Sequence[Tensor]) -> int:
    """Version of TFLite's operator that computes a node of a graph with these tensors."""
    special = _SPECIAL.get(node.op)
    if special is not None:
        return special(node, tensors)
    return _by_type(node.op, _dtype(node.signature, 0))


def _by_type(op: str, dtype: DType | None) -> int:
    return _BY_TYPE.get(op, {}).get(dtype, 1) if dtype is not None else 1


def _dtype(signature: Signature, index: int) -> DType | None:
    found = signature.inputs[index] if index < len(signature.inputs) else None
    return found.dtype if found is not None else None


def _weighted(node: Node, on_int8: int, on_int4: int) -> int:
    """int16 activations take int8 weights, and files name the version of int8 for them."""
    return {DType.INT8: on_int8, DType.INT4: on_int4}.get(_dtype(node.signature, 1) or DType.FLOAT32, 1)


def _conv_2d(node: Node, tensors: Sequence[Tensor]) -> int:
    is_grouped = node.signature.input(0).channels != node.signature.input(1).channels
    return 6 if is_grouped else _weighted(node, 3, 7)


def _depthwise(node: Node, tensors: Sequence[Tensor]) -> int:
    attributes = node.attributes
    is_dilated = max(getattr(attributes, "dilation_w_factor", 1), getattr(attributes, "dilation_h_factor", 1)) > 1
    return max(_weighted(node, 3, 7), 2 if is_dilated else 1)


def _fully_connected(node: Node, tensors: Sequence[Tensor]) -> int:
    if not node.signature.has(2) and len(node.inputs) == 2:
        return max(6, _weighted(node, 6, 10))
    if getattr(node.attributes, "keep_num_dims", False):
        return max(5, _weighted(node, 5, 10))
    return _weighted(node, 4, 10)


def _transpose_conv(node: Node, tensors: Sequence[Tensor]) -> int:
    if getattr(node.attributes, "fused_activation_function", Activation.NONE) is not Activation.NONE:
        return 4
    return 3 if node.signature.has(3) else _weighted(node, 2, 2)


def _mul(node: Node, tensors: Sequence[Tensor]) -> int:
    version = _by_type("MUL", _dtype(node.signature, 0))
    scales = [_scale(tensors, index) for index in (*node.inputs, *node.outputs)]
    if version < 4 and len(scales) == 3 and all(scales) and scales[0] * scales[1] / scales[2] >= 1:
        return 3
    return version


def _scale(tensors: Sequence[Tensor], index: int) -> float:
    quantization = tensors[index].quantization if index != ABSENT else None
    return quantization.scales[0] if quantization is not None else 0.0


def _split(node: Node, tensors: Sequence[Tensor]) -> int:
    return {DType.INT8: 2, DType.INT32: 3, DType.INT16: 4}.get(_dtype(node.signature, 1) or DType.FLOAT32, 1)


def _strided_slice(node: Node, tensors: Sequence[Tensor]) -> int:
    attributes, source = node.attributes, node.signature.input(0)
    if getattr(attributes, "offset", False):
        return 8
    if getattr(attributes, "ellipsis_mask", 0) or getattr(attributes, "new_axis_mask", 0):
        return 6
    return 4 if len(source.shape) > _FOUR_DIMENSIONS else _by_type("STRIDED_SLICE", source.dtype)


def _resize(node: Node, tensors: Sequence[Tensor]) -> int:
    exact = ("half_pixel_centers",) if node.op == "RESIZE_BILINEAR" else ("half_pixel_centers", "align_corners")
    moved = any(getattr(node.attributes, name, False) for name in exact)
    return max(_by_type(node.op, _dtype(node.signature, 0)), 3 if moved else 1)


def _cast(node: Node, tensors: Sequence[Tensor]) -> int:
    types = {_dtype(node.signature, 0), node.signature.output.dtype}
    newest = ((DType.BFLOAT16, 7), (DType.INT4, 6), (DType.FLOAT64, 5), (DType.FLOAT16, 5), (DType.UINT16, 4))
    rest = ((DType.INT8, 3), (DType.UINT32, 2))
    return next((version for dtype, version in (*newest, *rest) if dtype in types), 1)


def _quantize(node: Node, tensors: Sequence[Tensor]) -> int:
    quantization = tensors[node.outputs[0]].quantization
    if quantization is not None and quantization.is_per_channel:
        return 3
    return 2 if node.signature.output.dtype is DType.INT16 else 1


def _lstm(node: Node, tensors: Sequence[Tensor]) -> int:
    if _dtype(node.signature, 0) is DType.INT16 and _dtype(node.signature, 2) is DType.INT8:
        return 5
    return 4 if getattr(node.attributes, "diagonal_recurrent_tensors", False) else 1


def _wide(node: Node, tensors: Sequence[Tensor]) -> int:
    """More than four dimensions take a version of their own: 4, but 5 for SLICE."""
    source = node.signature.input(0)
    version = _by_type(node.op, source.dtype)
    if len(source.shape) <= _FOUR_DIMENSIONS:
        return version
    return max(version, 5 if node.op == "SLICE" else 4)


_SPECIAL: dict[str, Callable[[Node, Sequence[Tensor]], int]] = {
    "CAST": _cast,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "MUL": _mul,
    "PAD": _wide,
    "PADV2": _wide,
    "QUANTIZE": _quantize,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SLICE": _wide,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": _wide,
    "TRANSPOSE_CONV": _transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}
