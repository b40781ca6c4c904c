"""Kernels of the audio front end, in fixed point; of floats there are none."""

from __future__ import annotations

from mcusim.firmware.choices.kinds import Chooser, KernelChoice, Stored
from mcusim.graph import DType, Signature

__all__ = ["filter_bank_log", "signal", "transform"]

_INTEGERS = (DType.INT16, DType.INT32, DType.UINT32, DType.UINT64, DType.BOOL)


def signal(name: str) -> Chooser:
    """The kernel called `name`, of whole numbers."""

    def chooser(signature: Signature) -> KernelChoice | None:
        kinds = {kind.dtype for kind in (*signature.inputs, *signature.outputs) if kind is not None}
        return KernelChoice(name, f"{name}.h") if kinds <= set(_INTEGERS) else None

    return chooser


def transform(signature: Signature) -> KernelChoice | None:
    """Fourier transforms work in complex numbers of 32 bits each, half as many as there are samples."""
    source, output = signature.input(0), signature.output
    if source.dtype not in (DType.INT16, DType.INT32) or not source.shape or not output.shape:
        return None
    is_inverse = signature.op == "CUSTOM:SignalIrfft"
    half = output.channels // 2 if is_inverse else output.channels // 2 - 1
    stored = Stored("turns", 4, 2 * half), Stored("ends", 4, 2 * (half // 2))
    return KernelChoice("signal_fft", "signal_fft.h", (("numbers", 8 * half),), stored)


def filter_bank_log(signature: Signature) -> KernelChoice | None:
    choice = signal("signal_filter_bank_log")(signature)
    return choice._replace(stored=(Stored("pieces", 2, 130),)) if choice is not None else None
