"""Kernels of the operators that sum products of inputs and weights, and how they lay both out.

What the convolutions compute on (`kernels/gemm.h`): four pixels side by side, two channels at a time.

    columns, int16          weights, int8                   sums
    p0 p1 p2 p3   k=0,2     w0 w1 w0 w1   of k=0, 2         p0..p3 x channels 0, 1
    p0 p1 p2 p3   k=1,3     w0 w1 w0 w1   of k=1, 3

A channel's table takes 9 bytes: bias (4) and multiplier (4) side by side, and shift (1).
"""

from __future__ import annotations

from typing import NamedTuple

from mcusim.firmware.choices.kinds import KernelChoice, Stored, dtypes, is_16
from mcusim.graph import DType, Padding, Signature
from mcusim.ops.conv_2d import conv_windows
from mcusim.ops.depthwise_conv_2d import depthwise_windows
from mcusim.ops.registry import attributes_of
from mcusim.ops.shared.windows import WindowAttributes
from mcusim.region import Window

__all__ = [
    "BANDS",
    "COLUMN_PIXELS",
    "Matrix",
    "Ring",
    "column_depth",
    "conv_2d",
    "depthwise",
    "depthwise_kernel",
    "fully_connected",
    "matrix_of",
    "ring_geometry",
    "segments",
    "transpose_conv",
]

COLUMN_PIXELS = 4
"""Pixels that a block of the matrix product takes side by side."""


def segments(kernel: tuple[int, int], in_c: int, group_c: int, col_dilation: int) -> tuple[int, int]:
    """How a window lies in memory: (number of contiguous runs of input elements, elements of each)."""
    kernel_h, kernel_w = kernel
    if group_c == in_c and col_dilation == 1:
        # Without groups or dilation a row of the window is one run of memory: kernel_w pixels side by side.
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


def conv_2d(signature: Signature) -> KernelChoice | None:
    if not signature.input(1).is_constant:
        return _computed(signature, 0, signature.input(1).shape[0])
    if dtypes(signature) != (DType.INT8, DType.INT8, DType.INT8):
        return _conv_16(signature, "conv_2d_16") if is_16(signature) else None
    return _matrix(signature)


class Matrix(NamedTuple):
    """A convolution as the matrix product takes it.   group_c: input channels of each group."""

    out_c: int
    kernel: tuple[int, int]
    group_c: int
    rows: Window
    cols: Window


def matrix_of(signature: Signature) -> Matrix:
    """Of CONV_2D, and of DEPTHWISE_CONV_2D over a single channel, which is the same."""
    if signature.op == "CONV_2D":
        out_c, kernel_h, kernel_w, group_c = signature.input(1).shape
        return Matrix(out_c, (kernel_h, kernel_w), group_c, *conv_windows(signature))
    _, kernel_h, kernel_w, out_c = signature.input(1).shape
    return Matrix(out_c, (kernel_h, kernel_w), 1, *depthwise_windows(signature))


def _matrix(signature: Signature) -> KernelChoice:
    out_c, (kernel_h, kernel_w), group_c, _, cols = matrix_of(signature)
    in_c, output = signature.input(0).channels, signature.output
    groups = in_c // group_c
    runs, length = segments((kernel_h, kernel_w), in_c, group_c, cols.dilation)
    words, rest = column_depth(runs, length)
    per_group = _even(out_c // groups)
    stored = (Stored("weights", 4, groups * per_group * (words + rest) // 4), *_table(groups * per_group))
    # A 1x1 convolution of one pixel is a dense layer, and that kernel needs no columns.
    if groups == 1 and kernel_h == kernel_w == 1 and output.rows * output.cols == 1:
        return KernelChoice("fully_connected", "fully_connected.h", (), stored)
    columns_bytes = 2 * COLUMN_PIXELS * (words + rest)
    # Behind the columns: bytes gathered for their ends, and a run that is put together at the border.
    is_gathered = group_c % 4 and _may_reach_over(signature, (kernel_h, kernel_w))
    gathered_bytes = rest + (-(-length // 4) * 4 if is_gathered else 0)
    return KernelChoice("conv_2d", "conv_2d.h", (("columns", columns_bytes + gathered_bytes),), stored)


def _may_reach_over(signature: Signature, kernel: tuple[int, int]) -> bool:
    """Whether a window of this node may reach over the border of the whole map.

    The signature may be that of a piece, whose input is as large as its windows want it, borders included: by its
    shapes there is no padding.
    """
    attributes = attributes_of(signature, WindowAttributes)
    return attributes.pads is not None or (attributes.padding is Padding.SAME and kernel != (1, 1))


def fully_connected(signature: Signature) -> KernelChoice | None:
    if is_16(signature):
        return _conv_16(signature, "fully_connected_16")
    if dtypes(signature) != (DType.INT8, DType.INT8, DType.INT8):
        return None
    if not signature.input(1).is_constant:
        is_packed = signature.input(1).dtype.is_packed
        return KernelChoice("dense_computed", "dense_computed.h") if not is_packed else None
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


def _computed(signature: Signature, position: int, channels: int) -> KernelChoice | None:
    """Weights that the network computes are read as they lie.   position: of the activations."""
    kinds = signature.input(position).dtype, signature.input(1).dtype, signature.output.dtype
    known = _COMPUTED_BIASES.get((signature.op, kinds[0]))
    bias = 2 + (position == 2)
    has_known_bias = known is not None and (not signature.has(bias) or signature.input(bias).dtype in known)
    if kinds[1] is not DType.INT8 or kinds[0] is not kinds[2] or not has_known_bias:
        return None
    stored = Stored("multiplier", 4, channels), Stored("shift", 1, channels)
    return KernelChoice("conv_computed", "computed.h", (), stored)


_COMPUTED_BIASES = {
    **dict.fromkeys([(op, DType.INT8) for op in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")], (DType.INT32,)),
    ("CONV_2D", DType.INT16): (DType.INT32, DType.INT64),
    ("DEPTHWISE_CONV_2D", DType.INT16): (DType.INT64,),
    ("TRANSPOSE_CONV", DType.INT16): (DType.INT16, DType.INT64),
}
"""Element types of the bias that goes with computed weights, by operator and activations; of any other TFLM takes the
bytes for one of these."""


def _bias_bytes(signature: Signature) -> int:
    """Of 16-bit activations. TFLM's CONV_2D and FULLY_CONNECTED know a bias of 32 bits; others read any as 64."""
    is_narrow = signature.op in _NARROW_BIASES and signature.has(2) and signature.input(2).dtype is DType.INT32
    return 4 if is_narrow else 8


_NARROW_BIASES = ("CONV_2D", "FULLY_CONNECTED")


SMALL = 4
"""Rows and columns that a kernel for small pieces computes."""
KERNELS_BY_ROWS = (4, 5, 6)
"""Windows that small pieces with stride 2, whose rows of outputs share few inputs, compute row by row: registers do not
keep all weights, but those of two rows, for all columns of a piece."""


class Ring(NamedTuple):
    """The working memory of the fast depthwise kernel, for four channels at a time.

    band: rows of outputs from one filling to the next.   cols: of outputs.   rows: of inputs held.   words: pairs of
    input columns held.   weight_words: of one channel, expanded.
    """

    band: int
    cols: int
    rows: int
    words: int
    weight_words: int

    @property
    def is_of_piece(self) -> bool:
        """Whether it is for pieces of one row or two: a row alone is then computed four columns at a time. Where there
        are fewer columns, that is so much code for nothing."""
        return self.band <= 2 and self.cols >= 4

    @property
    def is_small(self) -> bool:
        """Whether it is for pieces of few rows and columns: each row is one block, and rows are the inner loop."""
        return self.band == SMALL

    def widths(self, height: int) -> tuple[int, ...]:
        """Columns of the blocks that are so many rows high: of most, and of those that may follow."""
        if self.is_small:
            return tuple(range(SMALL, 0, -1))
        return (4, 2, 1) if height == 1 and self.is_of_piece else (2, 1)

    @property
    def keeps_weights(self) -> bool:
        """Whether the expanded weights of a channel fit into registers."""
        return self.weight_words <= 6

    @property
    def stored_weight_words(self) -> int:
        """Of a channel, beside the ring: none where each is used once before it goes, and fits into registers."""
        return 0 if self.band == 1 and self.keeps_weights else self.weight_words

    @property
    def size_bytes(self) -> int:
        return 4 * 4 * (self.rows * self.words + self.stored_weight_words)


BANDS = (1, 2, SMALL, 8)
"""Rows of outputs that a depthwise kernel computes from one filling of its ring: pieces of a row, of two, of few rows
and columns, and maps."""


def ring_geometry(kernel: int, stride: int, output_cols: int, band: int) -> Ring:
    """Two rows and two columns of outputs are computed at once, from pairs of int16 inputs."""
    pair_words = (kernel + stride + 1) // 2  # that two neighbouring outputs read
    words = ((output_cols + 1) // 2 - 1) * stride + pair_words
    # Packed pairs of weights as they meet even outputs, and for stride 1 odd ones too.
    per_row = kernel - 1 if stride == 1 else (kernel + 1) // 2
    return Ring(band, output_cols, kernel + (band - 1) * stride, words, kernel * per_row)


def depthwise_kernel(kernel: int, stride: int, output_rows: int, output_cols: int) -> tuple[str, Ring]:
    """The fast kernel for so many outputs, and its working memory."""
    is_small = output_cols <= SMALL and stride == 2 and kernel in KERNELS_BY_ROWS
    band = next((band for band in BANDS if output_rows <= band and (band != SMALL or is_small)), BANDS[-1])
    ring = ring_geometry(kernel, stride, output_cols, band)
    is_narrow = band <= 2 and not ring.is_of_piece
    return f"depthwise_{kernel}x{kernel}_s{stride}_by_{band}{'_narrow' if is_narrow else ''}", ring


FAST_DEPTHWISE_KERNELS = range(2, 8)


def depthwise(signature: Signature) -> KernelChoice | None:
    if not signature.input(1).is_constant:
        return _computed(signature, 0, signature.input(1).shape[3])
    if is_16(signature):
        choice = _conv_16(signature, "depthwise_conv_2d_16")
        weights, bias, *table = choice.stored
        channels = signature.input(1).shape[3]
        return choice._replace(stored=(weights, *(a._replace(elements=channels) for a in (bias, *table))))
    if dtypes(signature) != (DType.INT8, DType.INT8, DType.INT8):
        return None
    channels = signature.input(1).shape[3]
    # One input channel: a depthwise convolution with a multiplier is a plain one, and the matrix product serves it
    # better.
    if channels > signature.input(0).channels == 1:
        return _matrix(signature)
    stored = (Stored("weights", 1, signature.input(1).elements), *_table(channels))
    rows, cols = depthwise_windows(signature)
    if channels != signature.input(0).channels or not _is_fast(rows, cols):
        return KernelChoice("depthwise_any", "depthwise_any.h", (), stored)
    source, output = signature.input(0), signature.output
    name, ring = depthwise_kernel(rows.kernel, rows.stride, output.rows, output.cols)
    # A row of outputs is written when the rows of inputs up to its own are in the ring, and never behind them.
    over = (0,) if output.rows <= source.rows and output.cols <= source.cols else ()
    return KernelChoice(name, f"{name}.h", (("ring", ring.size_bytes),), stored, over)


def _is_fast(rows: Window, cols: Window) -> bool:
    alike = (rows.kernel, rows.stride, rows.dilation) == (cols.kernel, cols.stride, cols.dilation)
    return alike and rows.kernel in FAST_DEPTHWISE_KERNELS and rows.stride in (1, 2) and rows.dilation == 1


def transpose_conv(signature: Signature) -> KernelChoice | None:
    if not signature.input(1).is_constant:
        return _computed(signature, 2, signature.input(1).shape[0])
    kinds = signature.input(2).dtype, signature.input(1).dtype, signature.output.dtype
    weights = signature.input(1)
    if kinds == (DType.INT16, DType.INT8, DType.INT16):
        return _conv_16(signature, "transpose_conv_16")
    if kinds != (DType.INT8, DType.INT8, DType.INT8):
        return None
    stored = (Stored("weights", 1, weights.elements), *_table(weights.shape[0]))
    return KernelChoice("transpose_conv", "transpose_conv.h", (), stored)
