"""Which of TinyEngine's kernels computes a layer, by the property of its shape that decides.

The generator names functions after shapes; a layer whose shape has none is not supported, even where the generator
would name one that computes something else (its pointwise kernels step over no column, whatever the stride). Names
are those of code generated as in its examples (assumption A25).
Source: mit-han-lab/tinyengine 0363956, code_generator/operators/*.py, OpGenerator.py, TfliteConvertor.py and
converters/tflite_parser/fc.py; TinyEngine/src/kernels/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

from mcusim.graph import Signature
from mcusim.ops.conv_2d import conv_windows
from mcusim.ops.depthwise_conv_2d import depthwise_windows
from mcusim.ops.shared.foreign import foreign_operator
from mcusim.ops.shared.pooling import pool_windows
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.region import Window
from mcusim.runtimes.registry import Kernel
from mcusim.runtimes.tinyengine_conditions import shape_refusal

__all__ = ["tinyengine_kernel", "tinyengine_patch_kernel"]

UNROLLED = (8, 16, 24, 48)
"""Input channels that have pointwise kernels of their own."""

FIRST = "convolve_s8_kernel3_inputch3_stride2_pad1_fpreq"

SIMD = 4
"""Channels that the pointwise kernels read at a time."""

PACKED_CAVEAT = "kernels of fewer than 8 bits were never released; their time is an estimate"

REFUSED = (
    "the released 1x1 kernels return without computing where input channels are no multiple of 4: pad to a multiple"
)


@lru_cache(SIGNATURES_KEPT)
def tinyengine_kernel(signature: Signature) -> Kernel:
    """The kernel that serves a node, or why none does. MCUNet's int4 results had kernels that were never released."""
    choose = _CHOICES.get(signature.op)
    if choose is None:
        foreign, name = foreign_operator(signature.op), signature.op.removeprefix("CUSTOM:")
        whose = f"{name} is {foreign.reason}" if foreign else ""
        return _none(whose or f"TinyEngine's code generator does not handle {name}")
    refused = shape_refusal(signature)
    kernel = _none(refused) if refused else choose(signature)
    packed = {t.dtype for t in (*signature.inputs, *signature.outputs) if t is not None and t.dtype.is_packed}
    if not packed or not kernel.supported:
        return kernel
    types = " and ".join(sorted(packed, reverse=True))
    return Kernel(f"{signature.op.lower()} of {types}", why="not released", caveat=PACKED_CAVEAT)


@lru_cache(SIGNATURES_KEPT)
def tinyengine_patch_kernel(signature: Signature) -> Kernel:
    """The kernel that serves a node of a patch: those with windows have variants that put zeros around border patches.

    The convolution's requantises with integers; the library comes with the depthwise ones of 3x3 only.
    """
    kernel = tinyengine_kernel(signature)
    if signature.op == "DEPTHWISE_CONV_2D" and kernel.supported:
        return kernel._replace(name=f"patchpadding_{kernel.name}", why=f"{kernel.why}, pads border patches")
    if kernel.name == FIRST:
        name = f"patchpadding_{FIRST.removesuffix('_pad1_fpreq')}"
        return kernel._replace(name=name, why=f"{kernel.why}, pads border patches")
    return kernel


def _none(why: str) -> Kernel:
    return Kernel("", False, why)


def _convolution(signature: Signature) -> Kernel:
    out_c, kernel_h, kernel_w, in_c = signature.input(1).shape
    rows, cols = conv_windows(signature)
    if signature.input(0).channels != in_c:
        return _none("no kernel for grouped convolutions")
    if rows.dilation != 1 or cols.dilation != 1:
        return _none("no kernel for dilated convolutions")
    if kernel_h == kernel_w == 1:
        if rows.stride != 1 or cols.stride != 1:
            return _none(
                f"no 1x1 kernel of stride {_by(rows.stride, cols.stride)}: TinyEngine has them for stride 1 only"
            )
        return _pointwise(in_c, out_c, "1x1")
    strides = {rows.stride, cols.stride}
    if kernel_h == kernel_w == 3 and strides == {2} and in_c == 3:
        return Kernel(FIRST, why="3x3, stride 2, 3 input channels")
    if kernel_h == kernel_w == 3 and strides == {1}:
        return Kernel("convolve_s8_kernel3_stride1_pad1_fpreq", why="3x3, stride 1")
    shape = f"{kernel_h}x{kernel_w} convolution of stride {_by(rows.stride, cols.stride)}"
    return _none(f"no kernel for a {shape}: there are 1x1, 3x3 of stride 1, and 3x3 of stride 2 on 3 channels")


def _pointwise(in_c: int, out_c: int, what: str) -> Kernel:
    why = f"{what}, {in_c} input channels"
    hint = "" if in_c % SIMD == 0 else REFUSED
    if out_c % 2:
        return Kernel("convolve_1x1_s8_oddch_fpreq", why=f"{what}, odd output channels: {out_c}", hint=hint)
    if in_c in UNROLLED:
        return Kernel(f"convolve_1x1_s8_ch{in_c}_fpreq", why=f"{why}: unrolled")
    return Kernel("convolve_1x1_s8_fpreq", why=why, hint=hint)


def _depthwise(signature: Signature) -> Kernel:
    _, kernel_h, kernel_w, out_c = signature.input(1).shape
    rows, cols = depthwise_windows(signature)
    if signature.input(0).channels != out_c:
        return _none("no depthwise kernel for more than one filter a channel")
    if rows.dilation != 1 or cols.dilation != 1:
        return _none("no kernel for dilated convolutions")
    if rows.stride != cols.stride:
        return _none(f"no depthwise kernel of stride {_by(rows.stride, cols.stride)}: one stride holds for both axes")
    shape = f"{kernel_h}x{kernel_w}"
    if kernel_h > kernel_w:  # made under CWH in the name, called under CHW
        return _none(f"no depthwise kernel of {shape}: of those taller than wide it makes one and calls another")
    name = f"depthwise_kernel{shape}_stride{rows.stride}_inplace_CHW_fpreq"
    return Kernel(name, why=f"{shape}, stride {rows.stride}, generated, in place")


def _dense(signature: Signature) -> Kernel:
    units, depth = signature.input(1).shape
    return _pointwise(depth, units, "as a 1x1 convolution")


def _pool(function: str) -> Callable[[Signature], Kernel]:
    def choose(signature: Signature) -> Kernel:
        rows, cols = pool_windows(signature)
        if not (_is_sampling(rows) and _is_sampling(cols)):
            return _none("its pools have windows that neither overlap nor reach over the border")
        return Kernel(function, why=f"{_by(rows.kernel, cols.kernel)}, windows side by side")

    return choose


def _is_sampling(window: Window) -> bool:
    """Whether the windows lie side by side. The stride does not matter to the only one, which has it all."""
    return (window.stride == window.kernel or window.kernel > 1) and not (window.before or window.after)


def _mul(signature: Signature) -> Kernel:
    shapes = [tensor.shape for tensor in signature.inputs if tensor is not None]
    scales = [shape for shape in shapes if shape[:-1].count(1) == len(shape) - 1]
    if not scales:
        return _none("its MUL scales the channels of a map, nothing else")
    return Kernel("element_mult_nx1", why="a map times one value a channel")


def _fixed(function: str, why: str) -> Callable[[Signature], Kernel]:
    kernel = Kernel(function, why=why)
    return lambda signature: kernel


def _by(rows: int, cols: int) -> str:
    return f"{rows}x{cols}"


_CHOICES: Mapping[str, Callable[[Signature], Kernel]] = MappingProxyType(
    {
        "CONV_2D": _convolution,
        "DEPTHWISE_CONV_2D": _depthwise,
        "FULLY_CONNECTED": _dense,
        "AVERAGE_POOL_2D": _pool("avg_pooling"),
        "MAX_POOL_2D": _pool("max_pooling"),
        "MEAN": _fixed("avg_pooling", "a mean over rows and columns, as one pool"),
        "ADD": _fixed("add_fpreq", "element by element"),
        "MUL": _mul,
        "TRANSPOSE": _fixed("avg_pooling", "one pool with the means that follow"),
        "RESIZE_NEAREST_NEIGHBOR": _fixed("upsample_byte", "copies of every element"),
    }
)
