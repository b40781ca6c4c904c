"""UNIDIRECTIONAL_SEQUENCE_LSTM: a long short-term memory run over a sequence.

Inputs: 0 sequence; 1-4 input weights (units, in) and 5-8 recurrent weights (units, out) of the input, forget, cell and
output gates; 9-11 peepholes (units); 12-15 gate biases; 16, 17 projection (out, units) and its bias; 18, 19 states
(batch, out) and (batch, units); 20-23 layer normalisation (units).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from mcusim.graph import Activation, Attributes, Shape, Signature, TensorType
from mcusim.ops.operands import operand, refusal
from mcusim.ops.registry import OpDef, Work, WorkKind, register
from mcusim.ops.tiles import constant_bytes, no_needs

__all__ = ["UNIDIRECTIONAL_SEQUENCE_LSTM", "UnidirectionalSequenceLstmAttributes"]

STATES = (18, 19)
MATRICES = (*range(1, 9), 16)


@dataclass(frozen=True, slots=True)
class UnidirectionalSequenceLstmAttributes(Attributes):
    """Attributes of UNIDIRECTIONAL_SEQUENCE_LSTM, under TFLite's names.

    cell_clip, proj_clip: bounds of the cell state and of the projection; 0 for none.
    time_major: the sequence is (time, batch, in) instead of (batch, time, in).
    """

    fused_activation_function: Activation = Activation.NONE
    cell_clip: float = 0.0
    proj_clip: float = 0.0
    time_major: bool = False
    asymmetric_quantize_inputs: bool = False
    diagonal_recurrent_tensors: bool = False


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    op = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    sequence = operand(op, inputs, 0, "sequence").shape
    weights = operand(op, inputs, 4, "input to output weights").shape
    recurrent = operand(op, inputs, 8, "recurrent to output weights").shape
    if len(sequence) != 3 or len(weights) != 2 or sequence[2] != weights[1] or recurrent[:1] != weights[:1]:
        raise refusal(
            op,
            f"sequence {sequence}, input weights {weights} and recurrent weights {recurrent} do not go together",
            "they are (batch, time, in), (units, in) and (units, out)",
        )
    # Diagonal recurrent weights are stored as vectors: as many outputs as units.
    return ((*sequence[:2], recurrent[-1]),)


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    sequence, output = signature.input(0), signature.output
    steps = prod(sequence.shape[:2])
    units, depth = signature.input(4).shape
    state_bytes = sum(signature.input(index).size_bytes for index in STATES if signature.has(index))
    return Work(
        WorkKind.RECURRENT,
        macs=steps * sum(signature.input(index).elements for index in MATRICES if signature.has(index)),
        outputs=output.elements,
        inputs=sequence.elements,
        read_bytes=sequence.size_bytes + sequence.shape[1] * state_bytes,
        written_bytes=output.size_bytes + sequence.shape[1] * state_bytes,
        weight_bytes=calls * constant_bytes(signature),
        channels_in=depth + output.channels,
        channels_out=units,
        calls=calls,
    )


UNIDIRECTIONAL_SEQUENCE_LSTM = register(
    OpDef(
        name="UNIDIRECTIONAL_SEQUENCE_LSTM",
        summary="long short-term memory run over a sequence",
        attributes=UnidirectionalSequenceLstmAttributes,
        options="UnidirectionalSequenceLSTMOptions",
        infer=_infer,
        needs=no_needs,
        work=_work,
        parameters=(*range(1, 18), *range(20, 24)),
    )
)
