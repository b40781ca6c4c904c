"""CIRCULAR_BUFFER: the latest rows of a stream, in a variable; each call brings one row, and the oldest goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.custom import CustomAttributes, check_types, mismatch, signal
from mcusim.ops.shared.operands import operand

__all__ = ["CIRCULAR_BUFFER", "CircularBufferAttributes"]

EACH_CALL_ROWS = (5, 13, 25)
"""Where a file does not say the period, it is 1 for buffers of so many rows.   Source: circular_buffer.cc, Prepare."""


@dataclass(frozen=True, slots=True)
class CircularBufferAttributes(CustomAttributes):
    """cycles_max: what follows runs in each so-many-th call; 0 or less: as TFLM guesses it from the rows."""

    cycles_max: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    """Only the file tells how many rows are kept: `prepare` compares the shapes."""
    return (operand("CIRCULAR_BUFFER", inputs, 0).shape,)


def _prepare(call: Call) -> None:
    """Source: TFLM circular_buffer.cc, circular_buffer_common.cc."""
    check_types(call, ((DType.INT8,), (DType.INT8,)))
    source, output = call.input(0).shape, call.outputs[0].shape
    if len(source) != 4 or len(output) != 4 or 0 in output or source != (output[0], 1, *output[2:]):
        raise mismatch(call, f"{source} is no row of the {output} that are kept")
    if source[0] != 1:  # the kernel moves the rows of one batch
        raise ModelError("it keeps rows of several batches", where=call.where, fix="use one batch")
    if not call.outputs[0].is_variable:
        what = "its output is no variable, so other tensors may lie there between two calls"
        raise ModelError(what, where=call.where, fix="export the model with a variable as its output")
    period = attributes_of(call.signature, CircularBufferAttributes).cycles_max
    if period != 1 and not (period <= 0 and output[1] in EACH_CALL_ROWS):
        what = f"with cycles_max {period} what follows does not run in each call, which mcusim cannot execute"
        raise ModelError(what, where=call.where, fix="cut the network behind it, or set cycles_max to 1")


CIRCULAR_BUFFER = register(
    replace(
        signal(
            "CIRCULAR_BUFFER",
            "the latest rows of a stream, in a variable",
            _infer,
            _prepare,
            kernel="circular_buffer",
            attributes=CircularBufferAttributes,
        ),
        prepare=_prepare,
    )
)
