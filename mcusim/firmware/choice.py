"""Which C kernel serves a signature, what it needs while it runs and what it stores: decided here and nowhere else.

    Signature -> choose -> KernelChoice(name, file, scratch, stored, overwrites)

Planner (scratch, overwrites), flash ledger (stored), prices (name) and emitter (file) read the same choice. It depends
on the signature alone, neither on the core nor on the weights: a kernel is one text, whose DSP instructions have
portable stand-ins, and its arrays are laid out alike on every core. `choices/` has a function a kind of operator.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from mcusim.firmware.choices import arithmetic, convolutions, movement, signals
from mcusim.firmware.choices.convolutions import (
    BANDS,
    COLUMN_PIXELS,
    Ring,
    column_depth,
    depthwise_kernel,
    matrix_of,
    ring_geometry,
    segments,
)
from mcusim.firmware.choices.kinds import STORED_INTEGERS, Chooser, KernelChoice, Stored, binary, plain_or
from mcusim.graph import DType, Signature
from mcusim.ops.shared.windows import SIGNATURES_KEPT

__all__ = [
    "BANDS",
    "COLUMN_PIXELS",
    "EXTERNAL_INPUT_BYTES",
    "STACK_BOUND_BYTES",
    "KernelChoice",
    "Ring",
    "Stored",
    "choose",
    "column_depth",
    "depthwise_kernel",
    "matrix_of",
    "overwrites_of",
    "ring_geometry",
    "scratch_of",
    "segments",
]

EXTERNAL_INPUT_BYTES = 4
"""A pointer to each external input lies behind the arena, and lives as long as the network."""
STACK_BOUND_BYTES = 1280
"""More than an inference takes of the stack: no kernel has arrays that grow with the network. Emulated: up to 552 bytes
on a Cortex-M4, 944 on an M3."""


def scratch_of(signature: Signature) -> tuple[tuple[str, int], ...]:
    """(role, bytes) of the working memory that a signature's kernel takes."""
    choice = choose(signature)
    return choice.scratch if choice is not None else ()


def overwrites_of(signature: Signature) -> tuple[int, ...]:
    """Inputs on top of which a signature's kernel may compute its output."""
    choice = choose(signature)
    return choice.overwrites if choice is not None else ()


@lru_cache(SIGNATURES_KEPT)
def choose(signature: Signature) -> KernelChoice | None:
    """The kernel of a signature; None where mcusim has none in C."""
    chooser = _CHOOSERS.get(signature.op)
    choice = chooser(signature) if chooser is not None else None
    if choice is None:
        return None
    return choice._replace(stored=choice.stored + _operands(signature))


_CHOOSERS: dict[str, Chooser] = {
    "CONV_2D": convolutions.conv_2d,
    "DEPTHWISE_CONV_2D": convolutions.depthwise,
    "FULLY_CONNECTED": convolutions.fully_connected,
    "TRANSPOSE_CONV": convolutions.transpose_conv,
    "ADD": plain_or(binary("sum", *STORED_INTEGERS)),
    "SUB": plain_or(binary("sum", *STORED_INTEGERS)),
    "MUL": plain_or(binary("product", *STORED_INTEGERS)),
    "DIV": plain_or(binary("quotient", DType.INT8)),
    "MAXIMUM": plain_or(binary("compare", *STORED_INTEGERS)),
    "MINIMUM": plain_or(binary("compare", *STORED_INTEGERS)),
    "PRELU": binary("prelu", DType.INT8),
    "LOGISTIC": arithmetic.sigmoid,
    "TANH": arithmetic.sigmoid,
    "ABS": arithmetic.root,
    "ELU": arithmetic.lookup,
    "GATHER": movement.gather,
    "ARG_MAX": arithmetic.extreme,
    "ARG_MIN": arithmetic.extreme,
    "CAST": arithmetic.cast,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": arithmetic.lstm,
    "HARD_SWISH": arithmetic.lookup,
    "RELU": arithmetic.relu,
    "RELU6": arithmetic.relu,
    "LEAKY_RELU": arithmetic.leaky_relu,
    "SOFTMAX": arithmetic.softmax,
    "LOG_SOFTMAX": arithmetic.log_softmax,
    "AVERAGE_POOL_2D": arithmetic.pool,
    "MAX_POOL_2D": arithmetic.pool,
    "MEAN": arithmetic.reduction,
    "SUM": arithmetic.reduction,
    "REDUCE_MAX": arithmetic.reduction,
    "REDUCE_MIN": arithmetic.reduction,
    "QUANTIZE": arithmetic.converting,
    "DEQUANTIZE": arithmetic.converting,
    "BATCH_MATMUL": arithmetic.batch_matmul,
    "RESIZE_BILINEAR": arithmetic.bilinear,
    "SVDF": arithmetic.svdf,
    "PAD": movement.move,
    "PADV2": movement.move,
    "CONCATENATION": movement.move,
    "PACK": movement.move,
    "UNPACK": movement.move,
    "SLICE": movement.move,
    "STRIDED_SLICE": movement.move,
    "SPLIT": movement.move,
    "SPLIT_V": movement.move,
    "TRANSPOSE": movement.move,
    "SPACE_TO_DEPTH": movement.move,
    "DEPTH_TO_SPACE": movement.move,
    "MIRROR_PAD": movement.picks,
    "TILE": movement.picks,
    "RESIZE_NEAREST_NEIGHBOR": movement.picks,
    "RESHAPE": movement.copy,
    "SQUEEZE": movement.copy,
    "EXPAND_DIMS": movement.copy,
    "COPY": movement.copy,
    "READ_VARIABLE": movement.copy,
    "ASSIGN_VARIABLE": movement.copy,
    "SHAPE": movement.shape,
    "SPACE_TO_BATCH_ND": movement.move,
    "BATCH_TO_SPACE_ND": movement.move,
    "BROADCAST_TO": movement.move,
    "ZEROS_LIKE": movement.move,
    "REVERSE_V2": movement.picks,
    "SQUARED_DIFFERENCE": plain_or(binary("squares", *STORED_INTEGERS)),
    **dict.fromkeys(("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"), arithmetic.comparison),
    "ADD_N": arithmetic.add_n,
    "CUMSUM": arithmetic.cumsum,
    "L2_NORMALIZATION": arithmetic.l2_normalization,
    "RSQRT": arithmetic.root,
    "LOGICAL_NOT": arithmetic.lookup,
    "LOGICAL_AND": binary("compare", DType.BOOL),
    "LOGICAL_OR": binary("compare", DType.BOOL),
    "REDUCE_ALL": arithmetic.reduction,
    "REDUCE_ANY": arithmetic.reduction,
    "EMBEDDING_LOOKUP": movement.embedding,
    "GATHER_ND": movement.gather_nd,
    "FILL": movement.move,
    "ONE_HOT": movement.one_hot,
    "DYNAMIC_UPDATE_SLICE": movement.update_slice,
    "SELECT_V2": movement.select,
    "VAR_HANDLE": movement.nothing,
    "CALL_ONCE": movement.nothing,
    "CUSTOM:CIRCULAR_BUFFER": movement.latest,
    "CUSTOM:SignalRfft": signals.transform,
    "CUSTOM:SignalIrfft": signals.transform,
    "CUSTOM:SignalFilterBankLog": signals.filter_bank_log,
    "CUSTOM:SignalWindow": signals.signal("signal_window"),
    "CUSTOM:SignalFftAutoScale": signals.signal("signal_fft_auto_scale"),
    "CUSTOM:SignalEnergy": signals.signal("signal_energy"),
    "CUSTOM:SignalFilterBank": signals.signal("signal_filter_bank"),
    "CUSTOM:SignalFilterBankSquareRoot": signals.signal("signal_filter_bank_square_root"),
    "CUSTOM:SignalFilterBankSpectralSubtraction": signals.signal("signal_filter_bank_spectral_subtraction"),
    "CUSTOM:SignalPCAN": signals.signal("signal_pcan"),
    "CUSTOM:SignalDelay": signals.signal("signal_delay"),
    "CUSTOM:SignalOverlapAdd": signals.signal("signal_overlap_add"),
    "CUSTOM:SignalFramer": signals.signal("signal_framer"),
    "CUSTOM:SignalStacker": signals.signal("signal_stacker"),
    "BROADCAST_ARGS": movement.broadcast_args,
    "IF": movement.nothing,
    "WHILE": movement.nothing,
}


def _operands(signature: Signature) -> tuple[Stored, ...]:
    """Constants that a kernel reads as an operand like another: neither parameters nor shapes and axes."""
    # Where weights are computed, they are operands like the activations: the kernel reads all of them in place.
    read: Collection[int] = _READS_CONSTANTS.get(signature.op, ())
    # With constant weights the layer's own tables hold what is learned; only the operands beside them can be constants.
    if signature.op in _WEIGHTED and not signature.input(1).is_constant:
        read = _WEIGHTED[signature.op]
    return tuple(
        Stored(f"input_{index}", kind.dtype.bits // 8, kind.elements)
        for index, kind in enumerate(signature.inputs)
        if kind is not None and kind.is_constant and index in read
    )


_WEIGHTED = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), (0, 2)),
    "TRANSPOSE_CONV": (2, 3),
}
"""Activations and bias of operators with weights: where those are computed, these need not be."""
_ALL = range(64)
_SIGNALS = tuple(op for op in _CHOOSERS if op.startswith("CUSTOM:Signal"))
_READS_CONSTANTS: dict[str, Collection[int]] = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "PRELU", "BATCH_MATMUL"), range(2)),
    **dict.fromkeys(("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"), range(2)),
    "SQUARED_DIFFERENCE": range(2),
    **dict.fromkeys(("BROADCAST_TO", "REVERSE_V2", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), range(1)),
    **dict.fromkeys(("CONCATENATION", "PACK"), _ALL),
    **dict.fromkeys(("PAD", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SLICE", "STRIDED_SLICE"), range(1)),
    **dict.fromkeys(("TILE", "MIRROR_PAD", "RESIZE_NEAREST_NEIGHBOR", "UNPACK", "SPLIT_V", "QUANTIZE"), range(1)),
    "SPLIT": range(1, 2),
    "ASSIGN_VARIABLE": range(1, 2),
    **dict.fromkeys(("GATHER", "GATHER_ND", "EMBEDDING_LOOKUP", "LOGICAL_AND", "LOGICAL_OR"), range(2)),
    **dict.fromkeys(("DYNAMIC_UPDATE_SLICE", "SELECT_V2"), range(3)),
    **dict.fromkeys(("ADD_N", "IF", "WHILE"), _ALL),
    "FILL": range(1, 2),
    "ONE_HOT": (0, 2, 3),
    "BROADCAST_ARGS": range(2),
    **dict.fromkeys(_SIGNALS, _ALL),
}
