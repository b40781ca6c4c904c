"""SignalOverlapAdd: overlapping frames summed to a stream of samples: (..., frames, size) -> (..., frames * step)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, DType, Shape, Signature, TensorType, tensor_type
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_types, mismatch, signal
from mcusim.ops.shared.operands import operand

__all__ = ["SIGNAL_OVERLAP_ADD", "SignalOverlapAddAttributes"]


@dataclass(frozen=True, slots=True)
class SignalOverlapAddAttributes(CustomAttributes):
    """frame_step: samples from one frame to the next."""

    frame_step: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, SignalOverlapAddAttributes)
    shape = operand("SignalOverlapAdd", inputs, 0).shape
    return ((*shape[:-2], shape[-2] * attributes.frame_step),) if len(shape) > 1 else ((),)


def _remembers(call: Signature) -> tuple[TensorType, ...]:
    """What frames still add to the samples to come."""
    kind = call.input(0)
    streams = kind.elements // (kind.shape[-1] * kind.shape[-2]) if len(kind.shape) > 1 else 1
    return (tensor_type((streams, kind.channels), kind.dtype),)


def _prepare(call: Call) -> int:
    """The step.   Source: TFLM signal, overlap_add.cc."""
    check_types(call, *(((kind,), (kind,)) for kind in (DType.INT16, DType.FLOAT32)))
    step, shape = attributes_of(call.signature, SignalOverlapAddAttributes).frame_step, call.input(0).shape
    if len(shape) < 2 or not 1 <= step <= shape[-1]:
        raise mismatch(call, f"frames {shape} do not overlap in steps of {step}")
    return step


SIGNAL_OVERLAP_ADD = register(
    signal(
        "SignalOverlapAdd",
        "overlapping frames summed to a stream of samples",
        _infer,
        _prepare,
        kernel="signal_overlap_add",
        attributes=SignalOverlapAddAttributes,
        remembers=_remembers,
    )
)
