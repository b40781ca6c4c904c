"""What each kernel is called with: the integers that an operator prepared, as constants and arguments of C.

One function a kernel. It stores the arrays that `choice.py` announced, defines the layer's constants, and writes the
call. `emit.py` makes the file of it.
"""

from __future__ import annotations

from collections.abc import Callable

from mcusim.firmware.calls.control import write_if, write_while
from mcusim.firmware.calls.convolutions import (
    write_conv_2d,
    write_depthwise,
    write_fully_connected,
    write_transpose_conv,
)
from mcusim.firmware.calls.elements import (
    write_add_n,
    write_cast,
    write_compare,
    write_convert,
    write_l2_normalization,
    write_leaky_relu,
    write_log_softmax,
    write_lookup,
    write_prelu,
    write_product,
    write_quotient,
    write_relation,
    write_relu,
    write_root,
    write_sigmoid,
    write_softmax,
    write_squares,
    write_sum,
)
from mcusim.firmware.calls.movement import (
    write_assign_variable,
    write_batching,
    write_blocks,
    write_broadcast_args,
    write_broadcast_to,
    write_circular_buffer,
    write_concatenation,
    write_copy,
    write_embedding_lookup,
    write_fill,
    write_gather,
    write_gather_nd,
    write_nothing,
    write_one_hot,
    write_pad,
    write_picks,
    write_read_variable,
    write_select,
    write_shape,
    write_slices,
    write_transpose,
    write_update_slice,
    write_zeros_like,
)
from mcusim.firmware.calls.recurrent import write_lstm, write_svdf
from mcusim.firmware.calls.reductions import (
    write_batch_matmul,
    write_bilinear,
    write_cumsum,
    write_extreme,
    write_pool,
    write_reduce,
)
from mcusim.firmware.calls.shared import refused
from mcusim.firmware.calls.signals import SIGNAL_WRITERS
from mcusim.firmware.steps import StepText
from mcusim.ops.shared.late import Late

__all__ = ["write_call"]


_COMPUTED = ("dense_computed", "conv_computed", "move")
"""Kernels that know weights and places which the network computes."""


def write_call(s: StepText) -> None:
    """Constants, declarations and the call of one step."""
    if isinstance(s.prepared, Late) and s.choice.name not in _COMPUTED:
        raise refused(s, "whose weights or places the network computes")
    s.include(s.choice.file)
    _WRITERS[s.step.signature.op](s)


_WRITERS: dict[str, Callable[[StepText], None]] = {
    "CONV_2D": write_conv_2d,
    "DEPTHWISE_CONV_2D": write_depthwise,
    "FULLY_CONNECTED": write_fully_connected,
    "TRANSPOSE_CONV": write_transpose_conv,
    "ADD": write_sum,
    "SUB": write_sum,
    "MUL": write_product,
    "DIV": write_quotient,
    "MAXIMUM": write_compare,
    "MINIMUM": write_compare,
    "PRELU": write_prelu,
    **dict.fromkeys(("HARD_SWISH", "ELU"), write_lookup),
    **dict.fromkeys(("ABS", "RSQRT"), write_root),
    **dict.fromkeys(("RELU", "RELU6"), write_relu),
    **dict.fromkeys(("LOGISTIC", "TANH"), write_sigmoid),
    "GATHER": write_gather,
    "ARG_MAX": write_extreme,
    "ARG_MIN": write_extreme,
    "CAST": write_cast,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": write_lstm,
    "LEAKY_RELU": write_leaky_relu,
    "SOFTMAX": write_softmax,
    "LOG_SOFTMAX": write_log_softmax,
    "AVERAGE_POOL_2D": write_pool,
    "MAX_POOL_2D": write_pool,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), write_reduce),
    "QUANTIZE": write_convert,
    "DEQUANTIZE": write_convert,
    "BATCH_MATMUL": write_batch_matmul,
    "RESIZE_BILINEAR": write_bilinear,
    "SVDF": write_svdf,
    "PAD": write_pad,
    "PADV2": write_pad,
    "CONCATENATION": write_concatenation,
    "PACK": write_concatenation,
    **dict.fromkeys(("UNPACK", "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V"), write_slices),
    "TRANSPOSE": write_transpose,
    "SPACE_TO_DEPTH": write_blocks,
    "DEPTH_TO_SPACE": write_blocks,
    **dict.fromkeys(("MIRROR_PAD", "TILE", "RESIZE_NEAREST_NEIGHBOR"), write_picks),
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "COPY"), write_copy),
    "READ_VARIABLE": write_read_variable,
    "ASSIGN_VARIABLE": write_assign_variable,
    "SHAPE": write_shape,
    "SPACE_TO_BATCH_ND": write_batching,
    "BATCH_TO_SPACE_ND": write_batching,
    "BROADCAST_TO": write_broadcast_to,
    "ZEROS_LIKE": write_zeros_like,
    "REVERSE_V2": write_picks,
    "SQUARED_DIFFERENCE": write_squares,
    **dict.fromkeys(("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"), write_relation),
    "ADD_N": write_add_n,
    "CUMSUM": write_cumsum,
    "L2_NORMALIZATION": write_l2_normalization,
    "LOGICAL_NOT": write_lookup,
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_OR"), write_compare),
    **dict.fromkeys(("REDUCE_ALL", "REDUCE_ANY"), write_reduce),
    "EMBEDDING_LOOKUP": write_embedding_lookup,
    "GATHER_ND": write_gather_nd,
    "FILL": write_fill,
    "ONE_HOT": write_one_hot,
    "DYNAMIC_UPDATE_SLICE": write_update_slice,
    "SELECT_V2": write_select,
    "VAR_HANDLE": write_nothing,
    "CALL_ONCE": write_nothing,
    "CUSTOM:CIRCULAR_BUFFER": write_circular_buffer,
    **SIGNAL_WRITERS,
    "BROADCAST_ARGS": write_broadcast_args,
    "IF": write_if,
    "WHILE": write_while,
}
