"""SVDF: a fully connected layer over time, its weights split into features and time; keeps `memory` past activations.

Inputs: input (batch, in), feature weights (filters, in), time weights (filters, memory), bias (units), state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Activation, Attributes, Shape, Signature, TensorType
from mcusim.ops.operands import operand, refusal
from mcusim.ops.registry import OpDef, Work, WorkKind, register
from mcusim.ops.tiles import constant_bytes, no_needs

__all__ = ["SVDF", "SvdfAttributes"]

STATE = 4
"""Index of the state among the inputs."""


@dataclass(frozen=True, slots=True)
class SvdfAttributes(Attributes):
    """Attributes of SVDF, under TFLite's names. rank: filters that make up a unit."""

    rank: int = 0
    fused_activation_function: Activation = Activation.NONE
    asymmetric_quantize_inputs: bool = False


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, SvdfAttributes)
    source, feature, time = (
        operand("SVDF", inputs, index, name).shape
        for index, name in enumerate(("input", "feature weights", "time weights"))
    )
    if not len(source) == len(feature) == len(time) == 2 or source[1] != feature[1] or feature[0] != time[0]:
        raise refusal(
            "SVDF",
            f"input {source}, feature weights {feature} and time weights {time} do not go together",
            "they are (batch, in), (filters, in) and (filters, memory)",
        )
    if attributes.rank < 1 or feature[0] % attributes.rank:
        raise refusal("SVDF", f"{feature[0]} filters are not units of rank {attributes.rank}", "use a divisor as rank")
    return ((source[0], feature[0] // attributes.rank),)


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    source, output, time = signature.input(0), signature.output, signature.input(2)
    filters, memory = time.shape
    state_bytes = signature.input(STATE).size_bytes if signature.has(STATE) else 0
    return Work(
        WorkKind.RECURRENT,
        macs=source.shape[0] * filters * (source.shape[1] + memory),
        outputs=output.elements,
        inputs=source.elements,
        read_bytes=source.size_bytes + state_bytes,
        written_bytes=output.size_bytes + state_bytes,
        weight_bytes=calls * constant_bytes(signature),
        channels_in=source.shape[1],
        channels_out=filters,
        taps=memory,
        calls=calls,
    )


SVDF = register(
    OpDef(
        name="SVDF",
        summary="fully connected over time, its weights split into features and time",
        attributes=SvdfAttributes,
        options="SVDFOptions",
        infer=_infer,
        needs=no_needs,
        work=_work,
        parameters=(1, 2, 3),
    )
)
