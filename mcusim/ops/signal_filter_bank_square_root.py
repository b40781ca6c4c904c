"""SignalFilterBankSquareRoot: roots of channels, shifted right. Inputs: channels, by how many bits."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.custom import check_ranks, check_types, signal
from mcusim.ops.shared.operands import operand

__all__ = ["SIGNAL_FILTER_BANK_SQUARE_ROOT"]


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return (operand("SignalFilterBankSquareRoot", inputs, 0).shape,)


def _prepare(call: Call) -> None:
    """Source: TFLM signal, filter_bank_square_root.cc, square_root_64.cc."""
    check_types(call, ((DType.UINT64, DType.INT32), (DType.UINT32,)))
    check_ranks(call, (1, 0), (1,))


SIGNAL_FILTER_BANK_SQUARE_ROOT = register(
    signal(
        "SignalFilterBankSquareRoot",
        "roots of channels, shifted right",
        _infer,
        _prepare,
        kernel="signal_filter_bank_square_root",
    )
)
