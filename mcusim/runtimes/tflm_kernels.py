"""What TFLM's kernels keep and ask for: parsed parameters, kernel data, buffers made by Prepare, scratch requests.

Structs stand as layouts (`tflm_storage`); custom operators have a table of their own (`tflm_custom`).

Source: tensorflow/tflite-micro, tensorflow/lite/micro; each entry names its file there. Where a file gives no layout,
its size was read from the Init and Parse functions of the wheel tflite-micro 0.dev20261023182759, and split into ints
and pointers after its header.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from types import MappingProxyType

from mcusim.graph import DType, Signature
from mcusim.lowering.rules import UNPACKED_WEIGHTS, Scratch
from mcusim.ops import OPS
from mcusim.ops.batch_matmul import BatchMatMulAttributes
from mcusim.ops.registry import Pads, attributes_of
from mcusim.runtimes.tflm_custom import CUSTOM_KERNELS
from mcusim.runtimes.tflm_storage import (
    EVAL_TENSOR,
    MCU_POINTER_BYTES,
    Buffers,
    KernelStorage,
    StorageRequest,
    int_array_bytes,
    layout_bytes,
    none,
)

__all__ = [
    "KERNELS",
    "KERNELS_2026",
    "channel_arrays",
    "moving_hint",
    "reference_name",
    "scratch",
    "transpose_conv_bias",
]

# ---------------------------------------------------------------------------------------------------------------------
# What each kernel keeps


def channel_arrays(channels: int) -> Buffers:
    """An int32 multiplier and an int32 shift a channel."""
    return (("multipliers a channel", 4 * channels), ("shifts a channel", 4 * channels))


def _per_channel(axis: int) -> Callable[[StorageRequest], Buffers]:
    return lambda call: channel_arrays(call.signature.input(1).shape[axis])


def _fully_connected_buffers(call: StorageRequest) -> Buffers:
    return channel_arrays(call.weight_scales) if call.weight_scales > 1 else ()


def _concatenation_buffers(call: StorageRequest) -> Buffers:
    signature = call.signature
    if signature.output.dtype is not DType.INT8:
        return ()
    size_bytes = 4 * len(signature.inputs)
    return (("scales of the inputs", size_bytes), ("zero points of the inputs", size_bytes))


def _softmax_buffers(call: StorageRequest) -> Buffers:
    if call.signature.input(0).dtype is not DType.INT16:
        return ()
    return (("table of exp(x)", 2 * 513), ("table of 1 / (1 + x)", 2 * 513))


def _batch_matmul_buffers(call: StorageRequest) -> Buffers:
    signature = call.signature
    attributes = attributes_of(signature, BatchMatMulAttributes)
    buffers = [("quantisation", 28)] if signature.input(0).dtype in (DType.INT8, DType.INT16) else []
    for operand, is_copied in ((signature.input(0), attributes.adj_x), (signature.input(1), not attributes.adj_y)):
        if is_copied:
            buffers.append(("transposed operand: tensor", layout_bytes(EVAL_TENSOR, call.pointer_bytes)[0]))
            buffers.append(("transposed operand: shape", int_array_bytes(len(operand.shape))))
            buffers.append(("transposed operand: copy of its data", operand.size_bytes))
    return (*buffers, *_output_shape(call))


def _output_shape(call: StorageRequest) -> Buffers:
    return tuple(("writable output shape", int_array_bytes(len(t.shape))) for t in call.signature.outputs[:1])


def _embedding_buffers(call: StorageRequest) -> Buffers:
    return (*_output_shape(call), ("kernel data", layout_bytes("2i p", call.pointer_bytes)[0]))


def _int8_data(layout: str) -> Callable[[StorageRequest], Buffers]:
    """Kernel data that Prepare makes, and only for int8 inputs."""

    def buffers(call: StorageRequest) -> Buffers:
        is_int8 = any(t is not None and t.dtype is DType.INT8 for t in call.signature.inputs[:1])
        return (("kernel data", layout_bytes(layout, call.pointer_bytes)[0]),) if is_int8 else ()

    return buffers


def _stretched_shape(call: StorageRequest) -> Buffers:
    return _output_shape(call) if any(-1 in t.shape for t in call.signature.outputs[:1]) else ()


# ---------------------------------------------------------------------------------------------------------------------
# What each kernel asks for while it runs


def _unpacked_int4(call: StorageRequest) -> Scratch:
    weights = call.signature.input(1)
    return ((UNPACKED_WEIGHTS, weights.elements),) if weights.dtype is DType.INT4 else ()


def _transpose_conv_scratch(call: StorageRequest) -> Scratch:
    """An accumulator an output element: int32, or int64 for int16."""
    dtype, elements = call.signature.input(2).dtype, call.signature.output.elements
    if dtype is DType.INT8:
        return (("accumulators", 4 * elements),)
    if dtype is DType.INT16:
        return (("accumulators", 8 * elements), *transpose_conv_bias(call.signature))
    return ()


def transpose_conv_bias(signature: Signature) -> Scratch:
    """Where 16-bit activations came with a 16-bit bias, that bias in int64."""
    bias = signature.inputs[3] if signature.has(3) else None
    return (("widened bias", 8 * bias.elements),) if bias is not None and bias.dtype is DType.INT16 else ()


def _svdf_scratch(call: StorageRequest) -> Scratch:
    source, filters = call.signature.input(0), call.signature.input(1).shape[0]
    products = ("filter outputs", 4 * source.shape[0] * filters)
    if source.dtype is DType.INT8:
        return (products, ("unit outputs", 4 * call.signature.output.elements))
    return (products,)


def _reduction_scratch(call: StorageRequest) -> Scratch:
    """An index counter a dimension, and the axes counted from the front: none of an empty list."""
    source, axes = (*call.signature.inputs, None, None)[:2]
    if source is None or axes is None:
        return ()
    return (("index", 4 * len(source.shape)), ("axes", 4 * prod(axes.shape)))


def _mean_scratch(call: StorageRequest) -> Scratch:
    if call.signature.input(0).dtype in (DType.INT8, DType.INT16):
        return (("sums", 4 * call.signature.output.elements), *_reduction_scratch(call))
    return _reduction_scratch(call)


def _mirror_pad_scratch(call: StorageRequest) -> Scratch:
    size_bytes = 4 * len(call.signature.input(0).shape)
    return (("output strides", size_bytes), ("input strides", size_bytes))


def _add_n_scratch(call: StorageRequest) -> Scratch:
    return (("pointers to the inputs", call.pointer_bytes * len(call.signature.inputs)),)


def _lstm_scratch(call: StorageRequest) -> Scratch:
    """Four gate buffers like the cell state."""
    state = call.signature.inputs[19] if call.signature.has(19) else None
    return () if state is None else tuple((f"gate {gate}", state.size_bytes) for gate in range(4))


# ---------------------------------------------------------------------------------------------------------------------
# The table

_POOL = KernelStorage(source="kernels/pooling.h", params="10i", data="8i")
_MEAN = KernelStorage(source="kernels/reduce.h", params="b", data="11i", scratch=_mean_scratch)
_REDUCE = KernelStorage(source="kernels/reduce.h", params="b", data="11i", scratch=_reduction_scratch)
_COMPARISON = KernelStorage(source="kernels/comparisons.cc", data="8i")
_PAD = KernelStorage(source="kernels/pad.h", data="14i")
_QUANTIZE = KernelStorage(source="kernels/quantize.h, dequantize.h", data="q 6i")
_ELEMENTWISE = KernelStorage(source="kernels/elementwise.cc", data="7i")
_OPTION = KernelStorage(source="c/builtin_op_data.h", params="i")
_TWO_OPTIONS = KernelStorage(source="c/builtin_op_data.h", params="2i")
_TWO_FLAGS = KernelStorage(source="c/builtin_op_data.h", params="2b")

_KEEP_NOTHING = """
TRANSPOSE READ_VARIABLE MAXIMUM MINIMUM NEG EXP LOG SIN COS SQRT SQUARE FLOOR CEIL ROUND SLICE EXPAND_DIMS
BATCH_TO_SPACE_ND FILL BROADCAST_TO BROADCAST_ARGS REVERSE_V2 LOGICAL_AND LOGICAL_OR LOGICAL_NOT FLOOR_DIV FLOOR_MOD
ZEROS_LIKE DYNAMIC_UPDATE_SLICE
"""


def _convolution(axis: int) -> KernelStorage:
    """A convolution whose weights have their output channels along `axis`."""
    return KernelStorage(
        source="kernels/conv.h",
        params="7i",
        data="9i 2p 3i",
        data_compression="2i",
        buffers=_per_channel(axis),
        scratch=_unpacked_int4,
    )


KERNELS: Mapping[str, KernelStorage] = MappingProxyType(
    {
        "CONV_2D": _convolution(axis=0),
        "DEPTHWISE_CONV_2D": _convolution(axis=3),
        "TRANSPOSE_CONV": KernelStorage(
            source="kernels/transpose_conv.cc",
            params="5i",
            data="b 8h 9i 2i 2p",
            data_compression="2i",
            buffers=_per_channel(axis=0),
            scratch=_transpose_conv_scratch,
        ),
        "FULLY_CONNECTED": KernelStorage(
            source="kernels/fully_connected.h",
            params="4i",
            data="9i 2p b",
            data_compression="2i",
            buffers=_fully_connected_buffers,
            scratch=_unpacked_int4,
        ),
        "BATCH_MATMUL": KernelStorage(
            source="kernels/batch_matmul.h", params="3b", data="3p 3b", buffers=_batch_matmul_buffers
        ),
        "SVDF": KernelStorage(source="kernels/svdf.h", params="2i b", data="9i", scratch=_svdf_scratch),
        "UNIDIRECTIONAL_SEQUENCE_LSTM": KernelStorage(
            source="kernels/lstm_shared.h", params="3i 3b", data="172i", scratch=_lstm_scratch
        ),
        "AVERAGE_POOL_2D": _POOL,
        "MAX_POOL_2D": _POOL,
        "SOFTMAX": KernelStorage(
            source="kernels/softmax_common.cc", params="i", data="q 7i 5p", buffers=_softmax_buffers
        ),
        "MEAN": _MEAN,
        "SUM": _MEAN,
        "REDUCE_MAX": _REDUCE,
        "REDUCE_MIN": _REDUCE,
        "REDUCE_ALL": _REDUCE,
        "ADD": KernelStorage(source="kernels/add.h", params="i b", data="15i"),
        "SUB": KernelStorage(source="kernels/sub.h", params="i b", data="13i"),
        "MUL": KernelStorage(source="kernels/mul.h", params="i", data="9i"),
        "DIV": KernelStorage(source="kernels/div.cc", params="i", data="7i"),
        "SQUARED_DIFFERENCE": KernelStorage(source="kernels/squared_difference.cc", data="28i"),
        "CONCATENATION": KernelStorage(
            source="kernels/concatenation.cc",
            params="2i",
            data="b 2p h 2i",
            data_compression="10i",
            buffers=_concatenation_buffers,
        ),
        "PAD": _PAD,
        "PADV2": _PAD,
        "MIRROR_PAD": KernelStorage(source="kernels/mirror_pad.cc", params="i", data="5i", scratch=_mirror_pad_scratch),
        "STRIDED_SLICE": KernelStorage(source="kernels/strided_slice.h", params="5i b", data="21i"),
        "RESHAPE": KernelStorage(source="kernels/reshape_common.cc", params="9i", buffers=_stretched_shape),
        "SQUEEZE": KernelStorage(source="c/builtin_op_data.h", params="9i"),
        "QUANTIZE": _QUANTIZE,
        "DEQUANTIZE": _QUANTIZE,
        "RELU": KernelStorage(source="kernels/activations.h", data="7i"),
        "RELU6": KernelStorage(source="kernels/activations.h", data="2i"),
        "LEAKY_RELU": KernelStorage(source="kernels/leaky_relu.h", params="i", data="6i"),
        "PRELU": KernelStorage(source="kernels/prelu.h", data="7i"),
        "LOGISTIC": KernelStorage(source="kernels/logistic.h", data="4i"),
        "TANH": KernelStorage(source="kernels/tanh.cc", data="4i"),
        "HARD_SWISH": KernelStorage(source="kernels/hard_swish.h", data="5i"),
        "ELU": KernelStorage(source="kernels/elu.cc", data="256b"),
        "L2_NORMALIZATION": KernelStorage(source="kernels/l2norm.cc", params="i", data="i"),
        "ABS": _ELEMENTWISE,
        "RSQRT": _ELEMENTWISE,
        "SPACE_TO_DEPTH": KernelStorage(source="kernels/space_to_depth.cc", params="i", buffers=_output_shape),
        "DEPTH_TO_SPACE": KernelStorage(source="kernels/depth_to_space.cc", params="i", buffers=_output_shape),
        "GATHER": KernelStorage(source="kernels/gather.cc", params="2i", buffers=_output_shape),
        "GATHER_ND": KernelStorage(source="kernels/gather_nd.cc", buffers=_output_shape),
        "CUMSUM": KernelStorage(source="kernels/cumsum.cc", params="2b", buffers=_int8_data("9i")),
        "LOG_SOFTMAX": KernelStorage(source="kernels/log_softmax.cc", buffers=_int8_data("5i 2p")),
        "ADD_N": KernelStorage(source="kernels/add_n.cc", buffers=_int8_data("10i"), scratch=_add_n_scratch),
        "EMBEDDING_LOOKUP": KernelStorage(source="kernels/embedding_lookup.cc", buffers=_embedding_buffers),
        "L2_POOL_2D": KernelStorage(source="kernels/l2_pool_2d.cc", params="10i", buffers=_output_shape),
        "SPACE_TO_BATCH_ND": KernelStorage(source="kernels/space_to_batch_nd.cc", data="i"),
        "SELECT_V2": KernelStorage(source="kernels/select.cc", data="b"),
        "VAR_HANDLE": KernelStorage(source="kernels/var_handle.cc", params="2p", data="i"),
        "ASSIGN_VARIABLE": KernelStorage(source="kernels/assign_variable.cc", data="i"),
        "CALL_ONCE": KernelStorage(source="kernels/call_once.cc", params="i", data="i b"),
        "IF": KernelStorage(source="kernels/if.cc", params="2i", data="2i"),
        "WHILE": KernelStorage(source="kernels/while.cc", params="2i", data="2i"),
        **CUSTOM_KERNELS,
        **dict.fromkeys(("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"), _COMPARISON),
        **dict.fromkeys(("ARG_MAX", "ARG_MIN", "SHAPE", "SPLIT", "SPLIT_V"), _OPTION),
        **dict.fromkeys(("PACK", "UNPACK", "CAST"), _TWO_OPTIONS),
        **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _TWO_FLAGS),
        **dict.fromkeys(_KEEP_NOTHING.split(), KernelStorage(source="neither Init nor options")),
    }
)
"""Every operator whose storage is known, as reference kernels keep it in the releases of 2024 and 2025."""

KERNELS_2026: Mapping[str, KernelStorage] = MappingProxyType(
    {
        **KERNELS,
        "FULLY_CONNECTED": replace(KERNELS["FULLY_CONNECTED"], params="4i p i"),  # gains quant_spec
        "CONCATENATION": replace(KERNELS["CONCATENATION"], buffers=none),
    }
)
"""The same in the wheel 0.dev20261023182759."""


def scratch(storage: KernelStorage | None, signature: Signature, pointer_bytes: int = MCU_POINTER_BYTES) -> Scratch:
    """The scratch of a node that the planner places; empty requests take no space."""
    if storage is None:
        return ()
    return tuple([request for request in storage.scratch(StorageRequest(signature, pointer_bytes)) if request[1]])


def reference_name(signature: Signature) -> str:
    """What a report calls TFLM's own kernel."""
    return f"reference {signature.op.removeprefix('CUSTOM:')}"


def moving_hint(signature: Signature) -> str:
    """Where a layer that only moves bytes could be spared."""
    op = OPS.get(signature.op)
    pads = op.padding(signature) if op is not None and op.padding is not None else None
    if pads is None:
        return ""
    if pads == Pads():
        return "it pads nothing, and copies all the same; faster without it"
    return "slow path: a copy of the whole map; faster where the layer behind it pads itself (padding SAME)"
