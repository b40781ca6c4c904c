"""SignalFramer: overlapping frames of a stream of samples, and whether there were enough of them yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, DType, Shape, Signature, TensorType, tensor_type
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_types, mismatch, signal
from mcusim.ops.shared.operands import operand

__all__ = ["SIGNAL_FRAMER", "SignalFramerAttributes"]


@dataclass(frozen=True, slots=True)
class SignalFramerAttributes(CustomAttributes):
    """frame_size, frame_step: samples of a frame, and from one to the next.   prefill: zeros come before the first."""

    frame_size: int = 0
    frame_step: int = 0
    prefill: bool = False

    @property
    def held(self) -> int:
        """Samples that wait when a frame is given out: as many whole steps as it takes, after zeros just a frame."""
        return self.frame_size if self.prefill else -(-self.frame_size // max(self.frame_step, 1)) * self.frame_step


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, SignalFramerAttributes)
    *outer, samples = operand("SignalFramer", inputs, 0).shape or (1,)
    return ((*outer, samples // max(attributes.frame_step, 1), attributes.frame_size), ())


def _remembers(call: Signature) -> tuple[TensorType, ...]:
    """The latest samples of each stream, and how many steps of them came so far."""
    held = attributes_of(call, SignalFramerAttributes).held
    streams = call.input(0).elements // call.input(0).channels
    return (tensor_type((streams, held), DType.INT16), tensor_type((1,), DType.INT64))


def _prepare(call: Call) -> SignalFramerAttributes:
    """Source: TFLM signal, framer.cc."""
    check_types(call, ((DType.INT16,), (DType.INT16, DType.BOOL)))
    attributes, shape = attributes_of(call.signature, SignalFramerAttributes), call.input(0).shape
    step, size = attributes.frame_step, attributes.frame_size
    if not shape or step < 1 or size < step or shape[-1] < step or shape[-1] % step:
        raise mismatch(call, f"{shape} samples do not come in steps of {step} to frames of {size}")
    return attributes


SIGNAL_FRAMER = register(
    signal(
        "SignalFramer",
        "overlapping frames of a stream of samples",
        _infer,
        _prepare,
        kernel="signal_framer",
        attributes=SignalFramerAttributes,
        remembers=_remembers,
    )
)
