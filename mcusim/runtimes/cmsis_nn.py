"""CMSIS-NN inside TFLM: which function serves a layer, the scratch it asks for, and what its wrapper keeps.

One decision gives name, reason and scratch, so that they cannot drift apart. Sizes are those for cores with the DSP
extension (Cortex-M4, M7, M33) and GCC (assumption A5): `armclang` makes a 1x1 convolution ask for 4 bytes an input
channel. What cores with Helium (M55, M85) and cores without either (M0, M3) ask for is in `cmsis_nn_cores`.

Source: ARM-software/CMSIS-NN, Source/**/*_wrapper_*.c and *_get_buffer_sizes_*.c (2023 to 2026);
tensorflow/tflite-micro, tensorflow/lite/micro/kernels/cmsis_nn/*.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from mcusim.graph import DType, Signature, TensorType
from mcusim.lowering.rules import Scratch
from mcusim.ops.conv_2d import Conv2DAttributes, conv_windows
from mcusim.ops.depthwise_conv_2d import DepthwiseConv2DAttributes, depthwise_windows
from mcusim.ops.registry import attributes_of
from mcusim.ops.shared.windows import SIGNATURES_KEPT, WindowAttributes
from mcusim.region import Window
from mcusim.runtimes.tflm_kernels import KERNELS, channel_arrays, transpose_conv_bias
from mcusim.runtimes.tflm_storage import Buffers, KernelStorage, StorageRequest

__all__ = ["CMSIS_NN_KERNELS", "Route", "is_fast_s16", "route"]

FAST_DEPTHWISE_TAPS = 512
"""From so many taps on, the fast 16-bit depthwise kernel is not used."""

REVERSE_TCOL_EFFICIENT_THRESHOLD = 16
"""Input channels above which a transposed convolution is run as a convolution. Assumption A6."""


class Route(NamedTuple):
    """What serves a layer. function: "" where it is TFLM's reference kernel.   why: the property that decides.

    hint: where that property costs time: what would be faster.
    """

    function: str
    why: str
    scratch: Scratch = ()
    hint: str = ""


@lru_cache(SIGNATURES_KEPT)
def route(signature: Signature) -> Route:
    """Where TFLM built with CMSIS-NN sends a node."""
    choose = _ROUTES.get(signature.op)
    route_ = choose(signature) if choose is not None else None
    if route_ is not None:
        return route_
    reference = KERNELS.get(signature.op)
    asked = reference.scratch(StorageRequest(signature)) if reference is not None else ()
    why = "not in CMSIS-NN" if choose is None else "in CMSIS-NN for other types or shapes"
    return Route("", why, asked, _REFERENCE_HINTS.get(signature.op, ""))


_REFERENCE_HINTS = {
    "ADD": "slow path: the reference kernel; faster with int8 or int16 operands of one shape",
    "MUL": "slow path: the reference kernel; faster with int8 or int16 operands of one shape",
    "MEAN": "slow path: the reference kernel; faster as AVERAGE_POOL_2D over the same rows and columns",
    **dict.fromkeys(
        ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"),
        "slow path: the reference kernel; faster with int8 activations and weights",
    ),
}

SIMD = 4
"""Channels that the kernels for cores with the DSP extension take at a time; what remains goes one by one."""


def _remainder_hint(channels: int) -> str:
    rest = channels % SIMD
    if not rest or channels < SIMD:
        return ""
    return f"slow path: {rest} of {channels} channels go one by one; faster with a multiple of {SIMD}"


def _round_up_4(value: int) -> int:
    return -(-value // 4) * 4


def _conv_2d(signature: Signature) -> Route | None:
    source, weights = signature.input(0), signature.input(1)
    rows, cols = conv_windows(signature)
    attributes = attributes_of(signature, Conv2DAttributes)
    taps, in_c = rows.kernel * cols.kernel, source.channels
    is_dilated = rows.dilation != 1 or cols.dilation != 1
    # int16 has one function for all shapes: its columns are int16, two columns at once, 4 bytes a tap.
    if source.dtype is DType.INT16:
        return Route("arm_convolve_s16", "16-bit activations", (("im2col", 4 * taps * in_c),))
    if source.dtype is not DType.INT8:
        return None
    bits = "s4" if weights.dtype is DType.INT4 else "s8"
    is_grouped = weights.channels != in_c
    # The library's own order of questions: 1x1 without borders first, then a single row, then im2col.
    if taps == 1 and not (rows.before or cols.before or is_dilated or is_grouped):
        hint = _remainder_hint(in_c)
        if rows.stride == cols.stride == 1:
            return Route(f"arm_convolve_1x1_{bits}_fast", "1x1, stride 1", hint=hint)
        why = f"1x1, stride {rows.stride}x{cols.stride}: row by row"
        return Route(f"arm_convolve_1x1_{bits}", why, hint=hint)
    # Two columns of int16, padded to a multiple of four elements; the function for 4-bit weights does not pad.
    columns = (("im2col", 4 * (taps * in_c if bits == "s4" else _round_up_4(taps * in_c))),)
    if source.rows == rows.kernel == cols.dilation == 1 and attributes.stride_w * in_c % 4 == 0 and not is_grouped:
        return Route(f"arm_convolve_1_x_n_{bits}", f"a row, 1x{cols.kernel}", columns)
    odd = [word for word, holds in (("grouped", is_grouped), ("dilated", is_dilated)) if holds]
    why = ", ".join([f"{rows.kernel}x{cols.kernel}", *odd, "im2col"])
    return Route(f"arm_convolve_{bits}", why, columns, _gathering_hint(signature, rows, cols))


def _gathering_hint(signature: Signature, rows: Window, cols: Window) -> str:
    """Where a small change of shape would spare gathering the columns."""
    in_c = signature.input(0).channels
    if rows.kernel == cols.kernel == 1 and (rows.before or cols.before):
        return "slow path: padded, so columns are gathered first; faster without padding"
    if signature.input(0).rows == rows.kernel == 1 and cols.kernel > 1 and cols.dilation == 1:
        step = cols.stride * in_c
        return (
            f"slow path: stride x channels is {step}, so columns are gathered first; faster with a multiple of {SIMD}"
        )
    return ""


def _depthwise(signature: Signature) -> Route | None:
    source, weights = signature.input(0), signature.input(1)
    rows, cols = depthwise_windows(signature)
    taps, in_c = rows.kernel * cols.kernel, source.channels
    if source.dtype is DType.INT16:
        if not is_fast_s16(signature):
            return Route("arm_depthwise_conv_s16", "16-bit activations")
        return Route("arm_depthwise_conv_fast_s16", "16-bit activations", (("im2col", 2 * in_c * taps),))
    if source.dtype is not DType.INT8:
        return None
    is_plain = source.shape[0] == rows.dilation == cols.dilation == 1
    multiplier = attributes_of(signature, DepthwiseConv2DAttributes).depth_multiplier
    bits = "s4" if weights.dtype is DType.INT4 else "s8"
    size = f"{rows.kernel}x{cols.kernel}"
    # The wrapper dispatches by channels, not by the option: batches and dilation go to the generic loop.
    if not is_plain or in_c != signature.output.channels:
        filters = signature.output.channels // in_c
        odd = "batch or dilation" if not is_plain else f"depth multiplier {filters}"
        hint = _GENERIC_HINT if not is_plain or filters % 4 else _FOUR_FILTERS_HINT
        if is_plain and in_c == 1:
            hint = _ONE_CHANNEL_HINT
        return Route(f"arm_depthwise_conv_{bits}", f"{size}, {odd}", hint=hint)
    if bits == "s8" and rows.kernel == cols.kernel == 3 and max(rows.before, cols.before) <= 1:
        return Route("arm_depthwise_conv_3x3_s8", "3x3, padding up to 1", hint=_remainder_hint(in_c))
    asked = (("im2col", 2 * in_c * taps),)
    if multiplier != 1:  # old files leave it 0: the buffer is asked for by the shapes, the function by the option
        return Route(f"arm_depthwise_conv_{bits}", f"{size}, depth multiplier {multiplier}", asked, _GENERIC_HINT)
    return Route(f"arm_depthwise_conv_{bits}_opt", f"{size}, one filter a channel", asked, _remainder_hint(in_c))


def is_fast_s16(signature: Signature) -> bool:
    """Whether a depthwise convolution on 16-bit activations takes the fast kernel (USE_FAST_DW_CONV_S16)."""
    rows, cols = depthwise_windows(signature)
    multiplier = attributes_of(signature, DepthwiseConv2DAttributes).depth_multiplier
    return multiplier == rows.dilation == cols.dilation == 1 and rows.kernel * cols.kernel < FAST_DEPTHWISE_TAPS


_GENERIC_HINT = (
    "slow path: a loop without SIMD, some 2.5 times the instructions; faster with one filter a channel, batch 1 and no "
    "dilation"
)
"""Counted on a Cortex-M4 for 3x3 on 96 channels: 31.5 instructions a multiply-accumulate against 12.5."""

_FOUR_FILTERS_HINT = "slow path: a loop without SIMD, four filters at a time; faster with one filter a channel"
_ONE_CHANNEL_HINT = "slow path: a loop without SIMD; faster as CONV_2D, which on one channel computes the same"


def _transpose_conv(signature: Signature) -> Route | None:
    out_c, kernel_h, kernel_w, in_c = signature.input(1).shape
    source = signature.input(2)
    if source.dtype is DType.INT16:
        accumulators = ("accumulators", 8 * signature.output.elements)
        return Route("", "16-bit activations", (accumulators, *transpose_conv_bias(signature)))
    if source.dtype is not DType.INT8:
        return None
    attributes = attributes_of(signature, WindowAttributes)
    stride_h, stride_w = attributes.stride_h, attributes.stride_w
    taps = kernel_h * kernel_w
    if max(stride_h, stride_w) <= 2 and in_c > REVERSE_TCOL_EFFICIENT_THRESHOLD:
        asked = (("im2col", 4 * _round_up_4(taps * in_c)), ("reversed weights", taps * in_c * out_c))
        return Route("arm_transpose_conv_s8", f"as a convolution: {in_c} channels, strides of 2 at most", asked)
    # The library takes stride_h for the width too.
    width = (source.cols - 1) * stride_w + max(kernel_w, stride_h)
    asked = (("accumulators", 4 * width * out_c * max(kernel_h, stride_h)), ("reversed weights", 0))
    return Route("arm_transpose_conv_s8", "row by row", asked)


def _fully_connected(signature: Signature) -> Route | None:
    source, weights = signature.input(0), signature.input(1)
    if source.dtype is DType.INT16:
        return Route("arm_fully_connected_s16", "16-bit activations")
    if source.dtype is not DType.INT8:
        return None
    if weights.dtype is DType.INT4:
        return Route("arm_fully_connected_s4", "4-bit weights")
    # TFLM hands such a layer to the 1x1 kernel, which reads four channels at a time.
    if _is_1x1(signature):
        return Route("arm_convolve_1x1_s8_fast", "output of rank 3 or more, depth a multiple of 4")
    return Route("arm_fully_connected_s8", "int8")


def _is_1x1(signature: Signature) -> bool:
    """Whether a fully connected layer is run as a 1x1 convolution."""
    weights = signature.input(1)
    return (
        signature.input(0).dtype is DType.INT8
        and weights.dtype is DType.INT8
        and len(signature.output.shape) > 2
        and weights.shape[-1] % 4 == 0
    )


def _average_pool(signature: Signature) -> Route | None:
    bits = _bits(signature.input(0))
    if not bits:
        return None
    return Route(f"arm_avgpool_{bits}", str(signature.input(0).dtype), (("sums", 4 * signature.input(0).channels),))


def _softmax(signature: Signature) -> Route | None:
    source, output = _bits(signature.input(0)), _bits(signature.output)
    if not source or not output:
        return None
    why = f"{signature.input(0).dtype} to {signature.output.dtype}"
    return Route(f"arm_softmax_{source}" if source == output else f"arm_softmax_{source}_{output}", why)


def _svdf(signature: Signature) -> Route | None:
    if signature.input(0).dtype is not DType.INT8:
        return None
    state = signature.input(2).dtype
    asked = KERNELS["SVDF"].scratch(StorageRequest(signature))
    return Route("arm_svdf_s8" if state is DType.INT8 else "arm_svdf_state_s16_s8", f"{state} state", asked)


def _lstm(signature: Signature) -> Route | None:
    bits = _bits(signature.input(0))
    cell = _cell_state(signature)
    if not bits or cell is None:
        return None
    gates = tuple((f"gate {gate}", cell.size_bytes) for gate in range(3))
    return Route(f"arm_lstm_unidirectional_{bits}", f"{signature.input(0).dtype}, 16-bit cell state", gates)


def _cell_state(signature: Signature) -> TensorType | None:
    """The 16-bit cell state, which the integer LSTM needs; None where there is none."""
    cell = signature.inputs[19] if signature.has(19) else None
    return cell if cell is not None and cell.dtype is DType.INT16 else None


def _same_shapes(function: str) -> Callable[[Signature], Route | None]:
    """ADD and MUL: without broadcasting only."""

    def choose(signature: Signature) -> Route | None:
        bits = _bits(signature.output)
        if not bits or signature.input(0).shape != signature.input(1).shape:
            return None
        return Route(f"{function}_{bits}", "operands of one shape")

    return choose


def _by_type(function: str, *types: DType) -> Callable[[Signature], Route | None]:
    def choose(signature: Signature) -> Route | None:
        source = signature.input(0)
        return Route(f"{function}_{_bits(source)}", str(source.dtype)) if source.dtype in types else None

    return choose


def _bits(tensor: TensorType) -> str:
    """The suffix of CMSIS-NN's names; "" for types that it does not have."""
    return {DType.INT8: "s8", DType.INT16: "s16"}.get(tensor.dtype, "")


_ROUTES: Mapping[str, Callable[[Signature], Route | None]] = MappingProxyType(
    {
        "CONV_2D": _conv_2d,
        "DEPTHWISE_CONV_2D": _depthwise,
        "TRANSPOSE_CONV": _transpose_conv,
        "FULLY_CONNECTED": _fully_connected,
        "AVERAGE_POOL_2D": _average_pool,
        "MAX_POOL_2D": _by_type("arm_max_pool", DType.INT8, DType.INT16),
        "ADD": _same_shapes("arm_elementwise_add"),
        "MUL": _same_shapes("arm_elementwise_mul"),
        "SOFTMAX": _softmax,
        "SVDF": _svdf,
        "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
        "BATCH_MATMUL": _by_type("arm_batch_matmul", DType.INT8, DType.INT16),
        "MAXIMUM": _by_type("arm_maximum", DType.INT8),
        "MINIMUM": _by_type("arm_minimum", DType.INT8),
        "PAD": _by_type("arm_pad", DType.INT8),
        "PADV2": _by_type("arm_pad", DType.INT8),
        "TRANSPOSE": _by_type("arm_transpose", DType.INT8),
    }
)


# ---------------------------------------------------------------------------------------------------------------------
# What the wrappers keep: the reference kernel's structs and more


def _fully_connected_buffers(call: StorageRequest) -> Buffers:
    buffers = KERNELS["FULLY_CONNECTED"].buffers(call)
    return (*buffers, *channel_arrays(call.signature.output.channels)) if _is_1x1(call.signature) else buffers


def _lstm_buffers(call: StorageRequest) -> Buffers:
    """Eight arrays of effective biases: input and state of four gates."""
    cell = _cell_state(call.signature)
    if cell is None:
        return ()
    width_bytes = 8 if call.signature.input(0).dtype is DType.INT16 else 4
    return tuple((f"effective bias {index}", width_bytes * cell.channels) for index in range(8))


def _with(op: str, more: str, buffers: Callable[[StorageRequest], Buffers] | None = None) -> KernelStorage:
    """The storage of `op` with further members, `more`, and CMSIS-NN's scratch."""
    reference = KERNELS[op]
    return replace(
        reference,
        source=f"{reference.source}, cmsis_nn/",
        data=f"{reference.data} {more}",
        buffers=buffers or reference.buffers,
        scratch=lambda call: route(call.signature).scratch,
    )


_GATE = " 2i 2p 2i 3p i"

CMSIS_NN_KERNELS: Mapping[str, KernelStorage] = MappingProxyType(
    {
        **KERNELS,
        "CONV_2D": _with("CONV_2D", "i"),
        "DEPTHWISE_CONV_2D": _with("DEPTHWISE_CONV_2D", "i"),
        "TRANSPOSE_CONV": _with("TRANSPOSE_CONV", "i"),
        "FULLY_CONNECTED": _with("FULLY_CONNECTED", "2p i p 3i", _fully_connected_buffers),
        "BATCH_MATMUL": _with("BATCH_MATMUL", "5i"),
        "AVERAGE_POOL_2D": _with("AVERAGE_POOL_2D", "i"),
        "MAX_POOL_2D": _with("MAX_POOL_2D", "i"),
        "SVDF": _with("SVDF", "p"),
        "SOFTMAX": _with("SOFTMAX", "2i"),
        "UNIDIRECTIONAL_SEQUENCE_LSTM": _with("UNIDIRECTIONAL_SEQUENCE_LSTM", f"15i{4 * _GATE}", _lstm_buffers),
    }
)
