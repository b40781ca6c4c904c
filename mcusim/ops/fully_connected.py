"""FULLY_CONNECTED: the input, as rows of `in` elements, times weights of shape (units, in)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Activation, Attributes, Shape, Signature, TensorType
from mcusim.ops.operands import operand, refusal
from mcusim.ops.registry import OpDef, Work, WorkKind, register
from mcusim.ops.tiles import bytes_of, no_needs, share

__all__ = ["FULLY_CONNECTED", "FullyConnectedAttributes"]


@dataclass(frozen=True, slots=True)
class FullyConnectedAttributes(Attributes):
    """Attributes of FULLY_CONNECTED, under TFLite's names.

    weights_format: 0 as stored, 1 shuffled for a mobile kernel that microcontrollers do not have.
    keep_num_dims: the output keeps the input's leading dimensions; else they are one.
    """

    fused_activation_function: Activation = Activation.NONE
    weights_format: int = 0
    keep_num_dims: bool = False
    asymmetric_quantize_inputs: bool = False


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, FullyConnectedAttributes)
    op = "FULLY_CONNECTED"
    source, weights = operand(op, inputs, 0), operand(op, inputs, 1, "weights").shape
    if len(weights) != 2 or 0 in weights:
        raise refusal(op, f"weights {weights} are not (units, inputs)", "give it weights of rank 2")
    units, depth = weights
    # Without `keep_num_dims` the rows need not end where a dimension does.
    fits = source.channels == depth if attributes.keep_num_dims else source.elements % depth == 0
    if not fits:
        raise refusal(
            op,
            f"input {source.shape} does not split into rows of {depth}, the weights' depth",
            "make the input's last dimension the weights' last",
        )
    if attributes.keep_num_dims:
        return ((*source.shape[:-1], units),)
    return ((source.elements // depth, units),)


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    units, depth = signature.input(1).shape
    source, output = signature.input(0), signature.output
    outputs = share(signature, output.elements, rows, cols)
    inputs = share(signature, source.elements, rows, cols)
    return Work(
        WorkKind.FULLY_CONNECTED,
        macs=outputs * depth,
        outputs=outputs,
        inputs=inputs,
        read_bytes=bytes_of(outputs * depth, source),
        written_bytes=bytes_of(outputs, output),
        weight_bytes=calls * sum(t.size_bytes for t in signature.inputs[1:] if t is not None and t.is_constant),
        channels_in=depth,
        channels_out=units,
        calls=calls,
    )


FULLY_CONNECTED = register(
    OpDef(
        name="FULLY_CONNECTED",
        summary="matrix of weights times the input",
        attributes=FullyConnectedAttributes,
        options="FullyConnectedOptions",
        infer=_infer,
        needs=no_needs,
        work=_work,
        parameters=(1, 2),
    )
)
