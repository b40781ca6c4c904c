"""SignalStacker: the latest frames of channels side by side, every few frames; and whether there were enough yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, DType, Shape, Signature, TensorType, tensor_type
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_types, mismatch, signal

__all__ = ["SIGNAL_STACKER", "SignalStackerAttributes"]


@dataclass(frozen=True, slots=True)
class SignalStackerAttributes(CustomAttributes):
    """stacker_left_context, stacker_right_context: frames before and behind.   stacker_step: frames between answers."""

    num_channels: int = 0
    stacker_left_context: int = 0
    stacker_right_context: int = 0
    stacker_step: int = 0

    @property
    def stacked(self) -> int:
        """Numbers of one answer."""
        return self.num_channels * (self.stacker_left_context + self.stacker_right_context + 1)


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, SignalStackerAttributes)
    return ((attributes.stacked,), ())


def _remembers(call: Signature) -> tuple[TensorType, ...]:
    """What waits, how many numbers of it, and whether the first frame came."""
    attributes = attributes_of(call, SignalStackerAttributes)
    room = attributes.stacked + max(attributes.num_channels, 0)
    return (tensor_type((room,), DType.INT16), tensor_type((2,), DType.INT64))


def _prepare(call: Call) -> SignalStackerAttributes:
    """Source: TFLM signal, stacker.cc."""
    check_types(call, ((DType.INT16,), (DType.INT16, DType.BOOL)))
    attributes = attributes_of(call.signature, SignalStackerAttributes)
    contexts = attributes.stacker_left_context, attributes.stacker_right_context
    frames = sum(contexts) + 1
    if call.input(0).shape != (attributes.num_channels,) or min(contexts) < 0:
        raise mismatch(call, f"{call.input(0).shape} is no frame of {attributes.num_channels} channels")
    if not 1 <= attributes.stacker_step <= frames:
        raise mismatch(call, f"it cannot step over {attributes.stacker_step} of {frames} frames")
    return attributes


SIGNAL_STACKER = register(
    signal(
        "SignalStacker",
        "the latest frames of channels side by side",
        _infer,
        _prepare,
        kernel="signal_stacker",
        attributes=SignalStackerAttributes,
        remembers=_remembers,
    )
)
