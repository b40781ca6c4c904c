"""SignalFftAutoScale: samples shifted left as far as they fit, and by how many bits."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.custom import check_ranks, check_types, signal
from mcusim.ops.shared.operands import operand

__all__ = ["SIGNAL_FFT_AUTO_SCALE"]


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return (operand("SignalFftAutoScale", inputs, 0).shape, ())


def _prepare(call: Call) -> None:
    """Source: TFLM signal, fft_auto_scale.cc."""
    check_types(call, ((DType.INT16,), (DType.INT16, DType.INT32)))
    check_ranks(call, (1,), (1, 0))


SIGNAL_FFT_AUTO_SCALE = register(
    signal(
        "SignalFftAutoScale",
        "samples shifted left as far as they fit, and by how many bits",
        _infer,
        _prepare,
        kernel="signal_fft_auto_scale",
    )
)
