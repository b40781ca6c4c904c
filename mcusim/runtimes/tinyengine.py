"""TinyEngine: generated code, PADs folded, depthwise convolutions in place, im2col and kernel buffers held beside.

A clean TinyEngine. The quirks of its code generator belong to a convention, not to this runtime.
Source: tinyengine code_generator (allocator, GeneralMemoryScheduler), release of the STM32H743 measurements.
"""

from __future__ import annotations

from functools import lru_cache

from mcusim.graph import Graph, Signature
from mcusim.lowering.rules import InputPlace, LoweringRules, Scratch
from mcusim.ops.depthwise_conv_2d import depthwise_windows
from mcusim.ops.windows import SIGNATURES_KEPT
from mcusim.planners import tinyengine_first_fit
from mcusim.report import Basis
from mcusim.runtimes.registry import Flash, Kernel, Runtime, register
from mcusim.runtimes.stored import generated_bytes, generated_ledger
from mcusim.schedule import StageKind

__all__ = ["TINYENGINE", "model_size_bytes"]

CODE_BYTES = 63 * 1024
"""STM32H743 image less model data: 62.6 to 65.5 KiB on the eight MCUNet rows of tinyengine's README, whichever kernels
they call (20 to 26 KiB of it). Calibrated, A7.
"""

_SPECIAL_KERNELS = (3, 5, 7)


@lru_cache(SIGNATURES_KEPT)
def _held_scratch(signature: Signature) -> Scratch:
    """The im2col buffer (two int16 columns, or one padded channel) and the int16 kernel buffer, in bytes."""
    match signature.op:
        case "CONV_2D":
            out_c, kernel_h, kernel_w, in_c = signature.input(1).shape
            taps = kernel_h * kernel_w
            kernel_bytes = 2 * taps * in_c * out_c if taps > 1 else 0
            return (("im2col", 4 * taps * in_c), ("kernel", kernel_bytes))
        case "DEPTHWISE_CONV_2D":
            _, kernel_h, kernel_w, _ = signature.input(1).shape
            _, height, width, _ = signature.input(0).shape
            padded = (height + 2 * (kernel_h // 2)) * (width + 2 * (kernel_w // 2))
            return (("im2col", 2 * padded),)
        case "FULLY_CONNECTED":
            return (("im2col", 4 * signature.input(1).shape[-1]),)
        case _:
            return ()


_PACKED_CAVEAT = "kernels of fewer than 8 bits were never released; their time is that of int8 ones"


@lru_cache(SIGNATURES_KEPT)
def _kernel(signature: Signature) -> Kernel:
    """The function of a layer. MCUNet's int4 results were measured with kernels that were never released."""
    found = _released_kernel(signature)
    packed = {t.dtype for t in (*signature.inputs, *signature.outputs) if t is not None and t.dtype.is_packed}
    if not packed or not found.supported:
        return found
    types = " and ".join(sorted(packed, reverse=True))
    return Kernel(f"{signature.op.lower()} of {types}", why="not released", caveat=_PACKED_CAVEAT)


def _released_kernel(signature: Signature) -> Kernel:
    match signature.op:
        case "CONV_2D":
            return _convolution(signature)
        case "DEPTHWISE_CONV_2D":
            _, kernel_h, kernel_w, _ = signature.input(1).shape
            if kernel_h == kernel_w and kernel_h in _SPECIAL_KERNELS:
                stride = depthwise_windows(signature)[0].stride
                name = f"depthwise_kernel{kernel_h}x{kernel_w}_stride{stride}_inplace_CHW_fpreq"
                return Kernel(name, why=f"{kernel_h}x{kernel_w}, stride {stride}, in place")
            return Kernel("", False, f"no depthwise kernel of {kernel_h}x{kernel_w}; it has 3x3, 5x5 and 7x7")
        case op if op in _OTHER_KERNELS:
            return Kernel(_OTHER_KERNELS[op])
        case op:
            return Kernel("", False, f"TinyEngine's code generator does not handle {op}")


_OTHER_KERNELS = {
    "ADD": "add_fpreq",
    "MUL": "mul",
    "AVERAGE_POOL_2D": "avg_pooling",
    "MEAN": "avg_pooling",
    "MAX_POOL_2D": "max_pooling",
    "RESIZE_NEAREST_NEIGHBOR": "upsample_byte",
    "FULLY_CONNECTED": "fully_connected_fp",
    "CONCATENATION": "concat_channels",
    "PAD": "pad",
    "RESHAPE": "reshape",
    "SQUEEZE": "reshape",
    "TRANSPOSE": "transpose",
    "SUB": "sub",
    "SOFTMAX": "softmax",
}


def _convolution(signature: Signature) -> Kernel:
    _, kernel_h, kernel_w, in_c = signature.input(1).shape
    if signature.input(0).channels != in_c:
        return Kernel("", False, "grouped convolutions are not handled")
    if kernel_h == kernel_w == 1:
        if in_c in (8, 16, 24, 48):
            return Kernel(f"convolve_1x1_s8_ch{in_c}_fpreq", why=f"1x1 with {in_c} input channels")
        return Kernel("convolve_1x1_s8_fpreq", why="1x1")
    if in_c == 3 and kernel_h == kernel_w == 3:
        return Kernel("convolve_s8_kernel3_inputch3_stride2_pad1_fpreq", why="first convolution, 3 input channels")
    return Kernel(f"convolve_s8_kernel{kernel_h}x{kernel_w}_fpreq", why=f"{kernel_h}x{kernel_w}")


def model_size_bytes(graph: Graph) -> int:
    """The generator's MODEL_SIZE: weights of all convolutions and fully connected layers, and 8 bytes a channel."""
    return generated_bytes(graph, 8)


def _flash(graph: Graph) -> Flash:
    return Flash(model_size_bytes(graph), CODE_BYTES, Basis.CALIBRATED)


TINYENGINE = register(
    Runtime(
        name="tinyengine",
        version="0363956",
        title="TinyEngine, generated C",
        rules=LoweringRules(
            folds_padding=True,
            relabels_free=True,
            caller_converts=True,
            in_place=frozenset({"DEPTHWISE_CONV_2D"}),
            held_scratch=_held_scratch,
            alignment=4,
            uniform_patches=True,
            copies_input_patch=True,
            patch_input_place=InputPlace.EXTERNAL,
        ),
        planner_name="tinyengine-first-fit",
        planner=tinyengine_first_fit,
        kernel=_kernel,
        flash=_flash,
        flash_ledger=generated_ledger,
        memory_basis=Basis.DERIVED,
        persistent_basis=Basis.DERIVED,
        price_family="tinyengine",
        versions=("0363956", "2020", "unstated"),
        cores=frozenset({"cortex-m4", "cortex-m7", "cortex-m33"}),  # its kernels use the DSP extension
        weight_bits=(8, 4, 2),  # as its int4 kernels, and CMix-NN's, would take them
        activation_bits=(8, 4, 2),
        stages=frozenset({StageKind.LAYER, StageKind.PATCH}),
        evidence="SRAM equals the published STM32H743 column on 10 of 11 networks and the generator's PEAK_MEM on 4; "
        "latency: 11 networks on STM32H743, 4 on STM32F746",
    )
)
