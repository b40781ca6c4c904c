"""Which tensors TFLM's kernels look at while they prepare. Each look takes temporary room in the arena.

A kernel's Prepare asks for one TfLiteTensor after the other. Their room is given back only when the whole node is
prepared, so looking twice takes twice as much. A look is written `i0` (input 0), `o0` (output 0); absent inputs are
skipped; `*` stands where the kernel asks for what it keeps, which is at the end otherwise.

Source: traced in the wheel tflite-micro 0.dev20261023182759 (`MicroAllocator::AllocateTempTfLiteTensor`), over every
operator of `scripts/operator_catalogue.py` and of the corpus.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mcusim.graph import DType, Signature

__all__ = ["looks"]

KEPT = "*"

_BOTH = "i0 o0"
_CONVOLUTION = "o0 i0 i1 * i0 i1 i2 o0"
_LSTM = "i0 i1 i2 i3 i4 i5 i6 i7 i8 i12 i13 i14 i15 i18 i19 o0"

_BY_PATTERN: Mapping[str, str] = MappingProxyType(
    {
        "": "NEG FLOOR MAXIMUM MINIMUM LOGICAL_AND LOGICAL_OR ARG_MAX ARG_MIN PACK UNPACK SHAPE CALL_ONCE VAR_HANDLE "
        "WHILE",
        "i0": "RELU6 READ_VARIABLE IF SPLIT",
        "i1": "ASSIGN_VARIABLE",
        "i2": "SPLIT_V",
        "i0 i1": "EQUAL NOT_EQUAL LESS LESS_EQUAL GREATER GREATER_EQUAL",
        "i0 i0 o0": "TANH",
        "i0 i1 o0": "ADD SUB MUL DIV SQUARED_DIFFERENCE FLOOR_DIV FLOOR_MOD CUMSUM BATCH_MATMUL REVERSE_V2 "
        "BROADCAST_TO BROADCAST_ARGS FILL GATHER GATHER_ND EMBEDDING_LOOKUP EXPAND_DIMS RESIZE_BILINEAR "
        "RESIZE_NEAREST_NEIGHBOR PAD MIRROR_PAD PRELU TRANSPOSE",
        "i0 i1 i2 o0": "SELECT_V2 DYNAMIC_UPDATE_SLICE SLICE PADV2 FULLY_CONNECTED SignalPCAN",
        "i0 i1 i2 i3 o0": "STRIDED_SLICE",
        "i0 i1 i2 i3 i4 o0": "SVDF",
        "o0 i0": "L2_POOL_2D",
        "i0 o0 i1 i0 i1": "REDUCE_ALL",
        "i0 o0 o1": "SignalFilterBankSpectralSubtraction SignalFftAutoScale SignalFramer SignalStacker",
        "i0 i1 i2": "TFLite_Detection_PostProcess",
        "i0 i1 i2 i3 i4 i5 o0": "SignalFilterBank",
        _CONVOLUTION: "CONV_2D DEPTHWISE_CONV_2D",
        _LSTM: "UNIDIRECTIONAL_SEQUENCE_LSTM",
    }
)
_PATTERNS = {op: pattern for pattern, ops in _BY_PATTERN.items() for op in ops.split()}


def looks(signature: Signature) -> str:
    """What the kernel of a node looks at, in order. Of an operator that nobody traced: its first input and output."""
    op = signature.op
    is_int8 = any(kind is not None and kind.dtype is DType.INT8 for kind in signature.inputs[:1])
    if op in ("MEAN", "SUM"):
        return "i0 o0 i1 i0 i1" + (" o0" if is_int8 else "")
    if op in ("REDUCE_MAX", "REDUCE_MIN"):
        return "i0 i1 o0 i0 o0 i1" if is_int8 else "i0 i1 i0 o0 i1"
    if op == "TRANSPOSE_CONV":
        is_float = any(kind is not None and kind.dtype.is_float for kind in signature.inputs[2:3])
        return "o0 i2 i1 *" + ("" if is_float else " i2 i1 i3 o0")
    if op == "ADD_N":
        return " ".join(["i0 o0", *[f"i{index}" for index in range(1, len(signature.inputs))]])
    if op == "CONCATENATION":
        return " ".join(["i0 o0", *[f"i{index}" for index in range(len(signature.inputs))]])
    return _PATTERNS.get(op.removeprefix("CUSTOM:"), _BOTH)
