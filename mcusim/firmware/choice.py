"""Which C kernel serves a signature, what it needs while it runs and what it stores: decided here and nowhere else.

    Signature -> choose -> KernelChoice(name, files, scratch, stored, overwrites)

Planner (scratch, overwrites), flash ledger (stored), prices (name) and emitter (files) read the same choice. It depends
on the signature alone, neither on the core nor on the weights: a kernel is one text, whose DSP instructions have
portable stand-ins, and its arrays are laid out alike on every core.

What the convolutions compute on (`kernels/gemm.h`): four pixels side by side, two channels at a time.

    columns, int16          weights, int8                   sums
    p0 p1 p2 p3   k=0,2     w0 w1 w0 w1   of k=0, 2         p0..p3 x channels 0, 1
    p0 p1 p2 p3   k=1,3     w0 w1 w0 w1   of k=1, 3

A channel's table takes 9 bytes: bias (4) and multiplier (4) side by side, and shift (1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from mcusim.graph import DType, Signature
from mcusim.ops import OPS
from mcusim.ops.conv_2d import conv_windows
from mcusim.ops.depthwise_conv_2d import depthwise_windows
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.region import Window

__all__ = [
    "COLUMN_PIXELS",
    "EXTERNAL_INPUT_BYTES",
    "STACK_BOUND_BYTES",
    "KernelChoice",
    "Stored",
    "choose",
    "column_depth",
    "ring_geometry",
    "segments",
]

EXTERNAL_INPUT_BYTES = 4
"""A pointer to each external input lies behind the arena, and lives as long as the network."""
STACK_BOUND_BYTES = 1024
"""More than an inference takes of the stack: no kernel has arrays that grow with the network. Emulated: up to 508 bytes
on a Cortex-M4, 864 on an M3."""
COLUMN_PIXELS = 4
"""Pixels that a block of the matrix product takes side by side."""


class Stored(NamedTuple):
    """One constant array of a step.   element_bytes: of one of its `elements`."""

    name: str
    element_bytes: int
    elements: int

    @property
    def size_bytes(self) -> int:
        return self.element_bytes * self.elements


class KernelChoice(NamedTuple):
    """What serves a signature.

    name: of the C function.   file: of `kernels/`, which names the files that it needs itself.
    scratch: (role, bytes) of its working memory.   stored: its constant arrays.
    overwrites: inputs on top of which it may compute its output.
    """

    name: str
    file: str
    scratch: tuple[tuple[str, int], ...] = ()
    stored: tuple[Stored, ...] = ()
    overwrites: tuple[int, ...] = ()

    @property
    def stored_bytes(self) -> int:
        return sum(array.size_bytes for array in self.stored)


_Chooser = Callable[[Signature], KernelChoice | None]


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


# ---------------------------------------------------------------------------------------------------------------------
# Convolutions


def segments(kernel: tuple[int, int], in_c: int, group_c: int, col_dilation: int) -> tuple[int, int]:
    """How a window lies in memory: (number of contiguous runs of input elements, elements of each)."""
    kernel_h, kernel_w = kernel
    if group_c == in_c and col_dilation == 1:
        return kernel_h, kernel_w * in_c
    return kernel_h * kernel_w, group_c


def column_depth(runs: int, length: int) -> tuple[int, int]:
    """Elements of a column: (those that come as words of four from each run, the rest gathered and filled up)."""
    words = runs * (length // 4 * 4)
    return words, -(-(runs * (length % 4)) // 4) * 4


def _table(channels: int) -> tuple[Stored, ...]:
    return Stored("scale", 4, 2 * channels), Stored("shift", 1, channels)


def _even(count: int) -> int:
    return count + count % 2


def _conv_2d(signature: Signature) -> KernelChoice | None:
    if _dtypes(signature) != (DType.INT8, DType.INT8, DType.INT8):
        return _conv_16(signature, "conv_2d_16") if _is_16(signature) else None
    out_c, kernel_h, kernel_w, group_c = signature.input(1).shape
    in_c, output = signature.input(0).channels, signature.output
    groups = in_c // group_c
    rows, cols = conv_windows(signature)
    runs, length = segments((kernel_h, kernel_w), in_c, group_c, cols.dilation)
    words, rest = column_depth(runs, length)
    per_group = _even(out_c // groups)
    stored = (Stored("weights", 4, groups * per_group * (words + rest) // 4), *_table(groups * per_group))
    if groups == 1 and kernel_h == kernel_w == 1 and output.rows * output.cols == 1:
        return KernelChoice("fully_connected", "fully_connected.h", (), stored)
    columns_bytes = 2 * COLUMN_PIXELS * (words + rest)
    has_border = rows.before + rows.after + cols.before + cols.after > 0
    # Behind the columns: bytes gathered for their ends, and a run that is put together at the border.
    gathered_bytes = rest + (-(-length // 4) * 4 if group_c % 4 and has_border else 0)
    return KernelChoice("conv_2d", "conv_2d.h", (("columns", columns_bytes + gathered_bytes),), stored)


def _fully_connected(signature: Signature) -> KernelChoice | None:
    if _is_16(signature):
        return _conv_16(signature, "fully_connected_16")
    if _dtypes(signature) != (DType.INT8, DType.INT8, DType.INT8) or not signature.input(1).is_constant:
        return None
    units, depth = signature.input(1).shape
    wide = -(-depth // 4) * 4
    stored = (Stored("weights", 4, _even(units) * wide // 4), *_table(_even(units)))
    return KernelChoice("fully_connected", "fully_connected.h", (), stored)


def _conv_16(signature: Signature, name: str) -> KernelChoice:
    """int16 activations: weights as they are, biases of 32 or 64 bits, a multiplier and a shift a channel."""
    weights = signature.input(1)
    bias_bytes = _bias_bytes(signature)
    channels = weights.shape[0]
    stored = (
        Stored("weights", 1, weights.elements),
        Stored("bias", bias_bytes, channels),
        Stored("multiplier", 4, channels),
        Stored("shift", 1, channels),
    )
    return KernelChoice(name, "wide.h", (), stored)


def _bias_bytes(signature: Signature) -> int:
    position = 3 if signature.op == "TRANSPOSE_CONV" else 2
    return 4 if signature.has(position) and signature.input(position).dtype is DType.INT32 else 8


class Ring(NamedTuple):
    """The working memory of the fast depthwise kernel, for four channels at a time.

    band: rows of outputs from one filling to the next.   rows: of inputs held.   words: pairs of input columns held.
    weight_words: of one channel, expanded.
    """

    band: int
    rows: int
    words: int
    weight_words: int

    @property
    def size_bytes(self) -> int:
        return 4 * 4 * (self.rows * self.words + self.weight_words)


BANDS = (2, 8)
"""Rows of outputs that a depthwise kernel computes from one filling of its ring: pieces of few rows, and maps."""


def ring_geometry(kernel: int, stride: int, output_cols: int, band: int) -> Ring:
    """Two rows and two columns of outputs are computed at once, from pairs of int16 inputs."""
    pair_words = (kernel + stride + 1) // 2  # that two neighbouring outputs read
    words = ((output_cols + 1) // 2 - 1) * stride + pair_words
    # Packed pairs of weights as they meet even outputs, and for stride 1 odd ones too.
    per_row = kernel - 1 if stride == 1 else (kernel + 1) // 2
    return Ring(band, kernel + (band - 1) * stride, words, kernel * per_row)


FAST_DEPTHWISE_KERNELS = range(2, 8)


def _depthwise(signature: Signature) -> KernelChoice | None:
    if _is_16(signature):
        choice = _conv_16(signature, "depthwise_conv_2d_16")
        weights, bias, *table = choice.stored
        channels = signature.input(1).shape[3]
        return choice._replace(stored=(weights, *(a._replace(elements=channels) for a in (bias, *table))))
    if _dtypes(signature) != (DType.INT8, DType.INT8, DType.INT8):
        return None
    channels = signature.input(1).shape[3]
    stored = (Stored("weights", 1, signature.input(1).elements), *_table(channels))
    rows, cols = depthwise_windows(signature)
    if channels != signature.input(0).channels or not _is_fast(rows, cols):
        return KernelChoice("depthwise_any", "depthwise_any.h", (), stored)
    band = next((band for band in BANDS if signature.output.rows <= band), BANDS[-1])
    ring = ring_geometry(rows.kernel, rows.stride, signature.output.cols, band)
    name = f"depthwise_{rows.kernel}x{rows.kernel}_s{rows.stride}_by_{band}"
    source, output = signature.input(0), signature.output
    # A row of outputs is written when the rows of inputs up to its own are in the ring, and never behind them.
    over = (0,) if output.rows <= source.rows and output.cols <= source.cols else ()
    return KernelChoice(name, f"{name}.h", (("ring", ring.size_bytes),), stored, over)


def _is_fast(rows: Window, cols: Window) -> bool:
    alike = (rows.kernel, rows.stride, rows.dilation) == (cols.kernel, cols.stride, cols.dilation)
    return alike and rows.kernel in FAST_DEPTHWISE_KERNELS and rows.stride in (1, 2) and rows.dilation == 1


def _transpose_conv(signature: Signature) -> KernelChoice | None:
    kinds = signature.input(2).dtype, signature.input(1).dtype, signature.output.dtype
    weights = signature.input(1)
    if kinds == (DType.INT16, DType.INT8, DType.INT16):
        return _conv_16(signature, "transpose_conv_16")
    if kinds != (DType.INT8, DType.INT8, DType.INT8):
        return None
    stored = (Stored("weights", 1, weights.elements), *_table(weights.shape[0]))
    return KernelChoice("transpose_conv", "transpose_conv.h", (), stored)


# ---------------------------------------------------------------------------------------------------------------------
# Other arithmetic


def _same(signature: Signature, *dtypes: DType) -> bool:
    kinds = {k.dtype for k in (*signature.inputs, *signature.outputs) if k is not None}
    return len(kinds) == 1 and next(iter(kinds)) in dtypes


def _on_equal_inputs(signature: Signature) -> tuple[int, ...]:
    """Inputs of the output's own shape: element by element, each is read before it is replaced."""
    output = signature.output
    return tuple(
        index
        for index, kind in enumerate(signature.inputs[:2])
        if kind is not None and kind == output and not kind.is_constant
    )


def _binary(name: str, *dtypes: DType) -> _Chooser:
    def chooser(signature: Signature) -> KernelChoice | None:
        if not _same(signature, *dtypes):
            return None
        return KernelChoice(name, f"{name}.h", (), (), _on_equal_inputs(signature))

    return chooser


_STORED_INTEGERS = (DType.INT8, DType.INT16)


def _lookup(signature: Signature) -> KernelChoice | None:
    if _same(signature, DType.INT8):
        return KernelChoice("lookup", "lookup.h", (), (Stored("table", 1, 256),), (0,))
    return None


def _sigmoid(signature: Signature) -> KernelChoice | None:
    if _same(signature, DType.INT16):
        return KernelChoice("sigmoid_16", "sigmoid_16.h", (), (Stored("table", 2, 256),), (0,))
    return _lookup(signature)


def _leaky_relu(signature: Signature) -> KernelChoice | None:
    if _same(signature, DType.INT16):
        return KernelChoice("leaky_relu_16", "leaky_relu_16.h", (), (), (0,))
    return _lookup(signature)


def _softmax(signature: Signature) -> KernelChoice | None:
    kinds = signature.input(0).dtype, signature.output.dtype
    if kinds in ((DType.INT8, DType.INT8), (DType.INT8, DType.INT16)):
        overwrites = (0,) if kinds[0] is kinds[1] else ()
        return KernelChoice("softmax", "softmax.h", (), (Stored("exponentials", 4, 256),), overwrites)
    if kinds == (DType.INT16, DType.INT16):
        stored = Stored("exponentials", 2, 513), Stored("reciprocals", 2, 513)
        return KernelChoice("softmax_16", "softmax_16.h", (), stored, (0,))
    return None


def _gather(signature: Signature) -> KernelChoice | None:
    positions = signature.input(1)
    if positions.dtype not in (DType.INT16, DType.INT32) or signature.output.dtype.is_packed:
        return None
    return KernelChoice("gather", "gather.h")


_READ_TYPES = (DType.INT8, DType.UINT8, DType.INT16, DType.INT32, DType.BOOL)


def _extreme(signature: Signature) -> KernelChoice | None:
    known = signature.input(0).dtype in _READ_TYPES and signature.output.dtype in (DType.INT32, DType.INT64)
    return KernelChoice("extreme", "extreme.h") if known else None


def _cast(signature: Signature) -> KernelChoice | None:
    known = signature.input(0).dtype in _READ_TYPES and signature.output.dtype in _READ_TYPES
    return KernelChoice("cast", "convert.h") if known else None


def _lstm(signature: Signature) -> KernelChoice | None:
    source, state = signature.input(0), signature.input(18)
    if source.dtype not in (DType.INT8, DType.INT16) or not all(
        signature.has(i) for i in (*range(1, 9), *range(12, 16))
    ):
        return None
    units, inputs = signature.input(1).shape
    bias_bytes = 8 if source.dtype is DType.INT16 else 4
    gate = (
        Stored("inputs", 1, units * inputs),
        Stored("recurrent", 1, units * units),
        Stored("bias", bias_bytes, units),
    )
    stored = tuple(array._replace(name=f"{array.name}_{number}") for number in range(4) for array in gate)
    scratch = (("hidden", units * state.dtype.bits // 8),)
    return KernelChoice("lstm", "lstm.h", scratch, (*stored, Stored("table", 2, 256)))


def _log_softmax(signature: Signature) -> KernelChoice | None:
    if not _same(signature, DType.INT8):
        return None
    stored = Stored("exponentials", 4, 256), Stored("scaled", 4, 256)
    return KernelChoice("log_softmax", "log_softmax.h", (), stored, (0,))


def _pool(signature: Signature) -> KernelChoice | None:
    name = "average_pool_2d" if signature.op == "AVERAGE_POOL_2D" else "max_pool_2d"
    if _same(signature, DType.INT8):
        return KernelChoice(name, "pool_2d.h")
    return KernelChoice(f"{name}_16", "pool_2d_16.h") if _same(signature, DType.INT16) else None


def _reduction(signature: Signature) -> KernelChoice | None:
    kinds = signature.input(0).dtype, signature.output.dtype
    if kinds not in ((DType.INT8, DType.INT8), (DType.INT16, DType.INT16)):
        return None
    return KernelChoice("reduce", "reduce.h")


def _converting(signature: Signature) -> KernelChoice | None:
    kinds = signature.input(0).dtype, signature.output.dtype
    if any(kind.is_packed for kind in kinds):
        return None
    overwrites = (0,) if kinds[0].bits == kinds[1].bits else ()
    return KernelChoice("convert", "convert.h", (), (), overwrites)


def _comparison(signature: Signature) -> KernelChoice | None:
    kinds = signature.input(0).dtype, signature.input(1).dtype
    return KernelChoice("relation", "relation.h") if kinds == (DType.INT8, DType.INT8) else None


def _batch_matmul(signature: Signature) -> KernelChoice | None:
    return KernelChoice("batch_matmul", "batch_matmul.h") if _same(signature, DType.INT8) else None


def _bilinear(signature: Signature) -> KernelChoice | None:
    if not signature.input(0).dtype is signature.output.dtype is DType.INT8:
        return None
    places = signature.output.rows + signature.output.cols
    return KernelChoice("resize_bilinear", "resize_bilinear.h", (), (Stored("places", 2, 3 * places),))


def _svdf(signature: Signature) -> KernelChoice | None:
    features, times = signature.input(1), signature.input(2)
    stored = (
        Stored("features", 1, features.elements),
        Stored("times", times.dtype.bits // 8, times.elements),
        Stored("bias", 4, signature.output.shape[-1]),
    )
    return KernelChoice("svdf" if times.dtype is DType.INT16 else "svdf_8", "svdf.h", (), stored)


# ---------------------------------------------------------------------------------------------------------------------
# Movement


def _move(signature: Signature) -> KernelChoice | None:
    kinds = {kind.dtype.bits for kind in signature.outputs}
    return KernelChoice("move", "move.h") if all(bits >= 8 and bits % 8 == 0 for bits in kinds) else None


def _picks(signature: Signature) -> KernelChoice | None:
    choice = _move(signature)
    if choice is None:
        return None
    places = sum(signature.output.shape) + 1  # of each axis, and of those that are not there
    return choice._replace(name="pick", stored=(Stored("places", 2, places),))


def _copy(signature: Signature) -> KernelChoice | None:
    return KernelChoice("copy", "base.h", (), (), (0,))


def _nothing(signature: Signature) -> KernelChoice | None:
    return KernelChoice("", "base.h")


def _shape(signature: Signature) -> KernelChoice | None:
    return KernelChoice("copy", "base.h", (), (Stored("shape", 4, signature.output.elements),))


_CHOOSERS: dict[str, _Chooser] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transpose_conv,
    "ADD": _binary("sum", *_STORED_INTEGERS),
    "SUB": _binary("sum", *_STORED_INTEGERS),
    "MUL": _binary("product", *_STORED_INTEGERS),
    "MAXIMUM": _binary("compare", DType.INT8),
    "MINIMUM": _binary("compare", DType.INT8),
    "PRELU": _binary("prelu", DType.INT8),
    "LOGISTIC": _sigmoid,
    "TANH": _sigmoid,
    "ABS": _lookup,
    "ELU": _lookup,
    "GATHER": _gather,
    "ARG_MAX": _extreme,
    "ARG_MIN": _extreme,
    "CAST": _cast,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
    "HARD_SWISH": _lookup,
    "RELU": _lookup,
    "RELU6": _lookup,
    "LEAKY_RELU": _leaky_relu,
    "SOFTMAX": _softmax,
    "LOG_SOFTMAX": _log_softmax,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _reduction,
    "SUM": _reduction,
    "REDUCE_MAX": _reduction,
    "REDUCE_MIN": _reduction,
    "QUANTIZE": _converting,
    "DEQUANTIZE": _converting,
    "BATCH_MATMUL": _batch_matmul,
    "RESIZE_BILINEAR": _bilinear,
    "SVDF": _svdf,
    "PAD": _move,
    "PADV2": _move,
    "CONCATENATION": _move,
    "PACK": _move,
    "UNPACK": _move,
    "SLICE": _move,
    "STRIDED_SLICE": _move,
    "SPLIT": _move,
    "SPLIT_V": _move,
    "TRANSPOSE": _move,
    "SPACE_TO_DEPTH": _move,
    "DEPTH_TO_SPACE": _move,
    "MIRROR_PAD": _picks,
    "TILE": _picks,
    "RESIZE_NEAREST_NEIGHBOR": _picks,
    "RESHAPE": _copy,
    "SQUEEZE": _copy,
    "EXPAND_DIMS": _copy,
    "COPY": _copy,
    "READ_VARIABLE": _copy,
    "ASSIGN_VARIABLE": _copy,
    "SHAPE": _shape,
    "SPACE_TO_BATCH_ND": _move,
    "BATCH_TO_SPACE_ND": _move,
    "BROADCAST_TO": _move,
    "ZEROS_LIKE": _move,
    "REVERSE_V2": _picks,
    "SQUARED_DIFFERENCE": _binary("squares", DType.INT8),
    **dict.fromkeys(("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"), _comparison),
    "VAR_HANDLE": _nothing,
    "CALL_ONCE": _nothing,
}


def _operands(signature: Signature) -> tuple[Stored, ...]:
    """Constants that a kernel reads as an operand like another: neither parameters nor shapes and axes."""
    op = OPS[signature.op]
    if signature.op not in _READS_CONSTANTS:
        return ()
    return tuple(
        Stored(f"input_{index}", kind.dtype.bits // 8, kind.elements)
        for index, kind in enumerate(signature.inputs)
        if kind is not None and kind.is_constant and (index in _READS_CONSTANTS[op.name])
    )


_ALL = range(64)
_READS_CONSTANTS: dict[str, range] = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU", "BATCH_MATMUL"), range(2)),
    **dict.fromkeys(("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"), range(2)),
    "SQUARED_DIFFERENCE": range(2),
    **dict.fromkeys(("BROADCAST_TO", "REVERSE_V2", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), range(1)),
    **dict.fromkeys(("CONCATENATION", "PACK"), _ALL),
    **dict.fromkeys(("PAD", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SLICE", "STRIDED_SLICE"), range(1)),
    **dict.fromkeys(("TILE", "MIRROR_PAD", "RESIZE_NEAREST_NEIGHBOR", "UNPACK", "SPLIT_V", "QUANTIZE"), range(1)),
    "SPLIT": range(1, 2),
    "ASSIGN_VARIABLE": range(1, 2),
    "GATHER": range(2),
}


# ---------------------------------------------------------------------------------------------------------------------


def _dtypes(signature: Signature) -> tuple[DType, DType, DType]:
    """Of activations, weights and output; int4 weights are stored as the int8 that holds them."""
    kinds = signature.input(0).dtype, signature.input(1).dtype.unpacked, signature.output.dtype
    return kinds


def _is_16(signature: Signature) -> bool:
    return _dtypes(signature) == (DType.INT16, DType.INT8, DType.INT16)
