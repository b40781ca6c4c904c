"""Working memory of CMSIS-NN's kernels on each family of cores: the same functions ask for other buffers.

    DSP      Cortex-M4, M7, M33: two columns of int16 (`cmsis_nn.route` has their sizes)
    MVE      Cortex-M55, M85 (Helium): four columns, in whole vectors; sums of the weights of a fully connected layer
    SCALAR   Cortex-M0, M0+, M3, M23: as DSP, and nothing for depthwise convolutions and average pools of int8

Source: ARM-software/CMSIS-NN, Source/**/*_get_buffer_sizes_*.c; tests compare with the library's own answers, as the
`cmsis_nn` binding of the executorch wheel 1.5.1 gives them. That TFLM keeps the sums of constant weights with its
persistent bytes: tensorflow/lite/micro/kernels/cmsis_nn/fully_connected.cc and svdf.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from mcusim.graph import DType, Signature
from mcusim.lowering.rules import Scratch
from mcusim.ops.conv_2d import conv_windows
from mcusim.ops.depthwise_conv_2d import depthwise_windows
from mcusim.ops.registry import attributes_of
from mcusim.ops.shared.windows import SIGNATURES_KEPT, WindowAttributes
from mcusim.region import Window
from mcusim.runtimes.cmsis_nn import CMSIS_NN_KERNELS, REVERSE_TCOL_EFFICIENT_THRESHOLD, is_fast_s16, route
from mcusim.runtimes.tflm_storage import Buffers, KernelStorage, StorageRequest

__all__ = ["Family", "family_of", "family_scratch", "kernels_of"]


class Family(StrEnum):
    """Cores for which the library is built alike."""

    DSP = "dsp"
    MVE = "mve"
    SCALAR = "scalar"


_FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        **dict.fromkeys(("cortex-m4", "cortex-m7", "cortex-m33"), Family.DSP),
        **dict.fromkeys(("cortex-m55", "cortex-m85"), Family.MVE),
        **dict.fromkeys(("cortex-m0", "cortex-m0+", "cortex-m3", "cortex-m23"), Family.SCALAR),
    }
)

VECTOR_BYTES = 16
COLUMNS = 4
"""Columns that Helium kernels gather at a time."""
DEPTHWISE_CHANNELS = 124
"""CH_IN_BLOCK_MVE: channels that a Helium depthwise kernel gathers at a time."""


def family_of(core: str) -> Family:
    """The family of a core by its name."""
    return _FAMILIES[core]


@lru_cache(SIGNATURES_KEPT)
def family_scratch(signature: Signature, family: Family) -> Scratch:
    """What the kernel of a node asks for on a family of cores. Requests of 0 bytes are among them."""
    own = _OWN.get((signature.op, family))
    scratch = own(signature) if own is not None and route(signature).function else None
    return route(signature).scratch if scratch is None else scratch


def _rounded(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _columns(size_bytes: int) -> Scratch:
    return (("im2col", size_bytes),) if size_bytes else ()


def _conv_2d(signature: Signature) -> Scratch | None:
    return _columns(_conv_bytes(signature, *conv_windows(signature)))


def _conv_bytes(signature: Signature, rows: Window, cols: Window) -> int:
    """Columns of a convolution on Helium."""
    source, weights = signature.input(0), signature.input(1)
    in_c = source.channels
    taps = rows.kernel * cols.kernel
    if source.dtype is DType.INT16:
        return 2 * COLUMNS * _rounded(taps * in_c, VECTOR_BYTES // 2)
    is_grouped = weights.channels != in_c
    is_dilated = rows.dilation != 1 or cols.dilation != 1
    if taps == 1 and not (rows.before or cols.before or is_dilated or is_grouped):
        return 0
    is_row = source.rows == rows.kernel == cols.dilation == 1 and cols.stride * in_c % 4 == 0 and not is_grouped
    if is_row and _is_wide(source.cols, signature.output.cols, cols):
        return 0 if weights.dtype is DType.INT4 else (cols.kernel + cols.before) * in_c
    return COLUMNS * _rounded(taps * in_c, VECTOR_BYTES)


def _is_wide(width: int, out_width: int, cols: Window) -> bool:
    """Whether the outputs that touch the padding of a row are no more than all of them."""
    total = (out_width - 1) * cols.stride + cols.kernel - width
    odd = total % 2 if total >= 0 else -(-total % 2)  # as C has it
    left = max(1, -(-cols.before // cols.stride)) if cols.before else 0
    right = max(1, -(-(cols.before + odd) // cols.stride)) if cols.before + odd else 0
    return left + right <= out_width


def _depthwise(signature: Signature) -> Scratch | None:
    source, weights = signature.input(0), signature.input(1)
    rows, cols = depthwise_windows(signature)
    taps, out_c = rows.kernel * cols.kernel, signature.output.channels
    if source.dtype is DType.INT16:
        return _columns(8 * taps * source.channels + 8) if is_fast_s16(signature) else ()
    if source.channels == 1 < out_c and weights.dtype is not DType.INT4:  # runs as a convolution
        return _columns(_one_channel_bytes(signature, rows, cols) + taps * out_c)
    is_plain = source.shape[0] == rows.dilation == cols.dilation == 1
    if not is_plain or source.channels != out_c:
        return ()
    return _columns(COLUMNS * DEPTHWISE_CHANNELS * taps)


def _one_channel_bytes(signature: Signature, rows: Window, cols: Window) -> int:
    """Columns of the convolution that a depthwise one of a single channel is run as."""
    source = signature.input(0)
    taps = rows.kernel * cols.kernel
    if taps == 1 and not (rows.before or cols.before or rows.dilation != 1 or cols.dilation != 1):
        return 0
    is_row = source.rows == rows.kernel == cols.dilation == 1 and cols.stride % 4 == 0
    if is_row and _is_wide(source.cols, signature.output.cols, cols):
        return cols.kernel + cols.before
    return COLUMNS * _rounded(taps, VECTOR_BYTES)


def _depthwise_scalar(signature: Signature) -> Scratch | None:
    return None if signature.input(1).dtype is DType.INT4 else ()


def _nothing(signature: Signature) -> Scratch | None:
    """Average pools, which ask all the same."""
    return tuple((role, 0) for role, _ in route(signature).scratch)


def _fully_connected(signature: Signature) -> Scratch | None:
    """Sums of weights that are computed at run time; those of constants are kept."""
    return _sums(signature) if not signature.input(1).is_constant else None


def _sums(signature: Signature) -> Scratch:
    if route(signature).function != "arm_fully_connected_s8":
        return ()
    return (("sums of the weights", 4 * signature.output.channels),)


def _transpose_conv(signature: Signature) -> Scratch | None:
    out_c, kernel_h, kernel_w, in_c = signature.input(1).shape
    attributes = attributes_of(signature, WindowAttributes)
    if max(attributes.stride_h, attributes.stride_w) > 2 or in_c <= REVERSE_TCOL_EFFICIENT_THRESHOLD:
        return None
    if signature.input(2).dtype is not DType.INT8:
        return None
    taps = kernel_h * kernel_w
    return (
        ("im2col", COLUMNS * _rounded(taps * in_c, VECTOR_BYTES)),
        ("reversed weights", taps * in_c * out_c),
    )


_OWN: Mapping[tuple[str, Family], Callable[[Signature], Scratch | None]] = MappingProxyType(
    {
        ("CONV_2D", Family.MVE): _conv_2d,
        ("DEPTHWISE_CONV_2D", Family.MVE): _depthwise,
        ("DEPTHWISE_CONV_2D", Family.SCALAR): _depthwise_scalar,
        ("AVERAGE_POOL_2D", Family.MVE): _nothing,
        ("AVERAGE_POOL_2D", Family.SCALAR): _nothing,
        ("FULLY_CONNECTED", Family.MVE): _fully_connected,
        ("TRANSPOSE_CONV", Family.MVE): _transpose_conv,
    }
)


# ---------------------------------------------------------------------------------------------------------------------
# What the wrappers keep


def kernels_of(family: Family) -> Mapping[str, KernelStorage]:
    """What every operator keeps and asks for on a family of cores."""
    if family is Family.DSP:
        return CMSIS_NN_KERNELS
    kernels = dict(CMSIS_NN_KERNELS)
    for op, own in _OWN:
        if own is family:
            kernels[op] = replace(kernels[op], scratch=lambda call: family_scratch(call.signature, family))
    if family is Family.MVE:
        for op, sums in (("FULLY_CONNECTED", _kept_sums), ("SVDF", _kept_svdf_sums)):
            kernels[op] = _keeping(kernels[op], sums)
    return MappingProxyType(kernels)


def _keeping(storage: KernelStorage, more: Callable[[StorageRequest], Buffers]) -> KernelStorage:
    return replace(storage, buffers=lambda call: (*storage.buffers(call), *more(call)))


def _kept_sums(call: StorageRequest) -> Buffers:
    return _sums(call.signature) if call.signature.input(1).is_constant else ()


def _kept_svdf_sums(call: StorageRequest) -> Buffers:
    if not route(call.signature).function:
        return ()
    return (("sums of the weights", 4 * call.signature.input(1).shape[0]),)
