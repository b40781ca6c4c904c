"""UNIDIRECTIONAL_SEQUENCE_LSTM: a long short-term memory run over a sequence.

Inputs: 0 sequence; 1-4 input weights (units, in) and 5-8 recurrent weights (units, out) of the input, forget, cell and
output gates; 9-11 peepholes (units); 12-15 gate biases; 16, 17 projection (out, units) and its bias; 18, 19 states
(batch, out) and (batch, units); 20-23 layer normalisation (units).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import Integers, Rounding, Scaling, dtype_range, scaling
from mcusim.errors import ModelError
from mcusim.graph import Activation, Attributes, DType, Node, Shape, Signature, Tensor, TensorType
from mcusim.ops.registry import Call, OpDef, Work, WorkKind, attributes_of, register
from mcusim.ops.shared.accumulators import (
    bias_of,
    constant_of,
    per_tensor,
    per_tensor_to_divide_by,
    quantization_of,
    rounding_of,
    unsupported,
)
from mcusim.ops.shared.lookups import clamped_table, stored_values
from mcusim.ops.shared.operands import check_states, operand, refusal
from mcusim.ops.shared.sigmoids import checked_log2, logistic16, tanh16
from mcusim.ops.shared.tiles import constant_bytes, no_needs
from mcusim.ops.shared.versions import dtype_of

__all__ = [
    "STATES",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "Gate",
    "PreparedLstm",
    "UnidirectionalSequenceLstmAttributes",
]

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


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """One gate: its two matrices, (in, units) and (out, units), its bias, and the table of its activation (int16)."""

    inputs: Integers
    recurrent: Integers
    bias: Integers
    input_scaling: Scaling
    recurrent_scaling: Scaling
    activation: NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedLstm:
    """What the kernel trusts. The cell state is int16; gates are Q0.15 after their activations.

    input_gate, ..: gates.   is_wide: sums are 64 bits wide (int16 inputs); else they wrap at 32.
    forget_scaling, input_scaling: of the products that make the new cell state.   hidden_scaling: of the new hidden
    state, with its zero point and type's range.   cell_clip: bound of the cell state, 0 for none.
    cell_tanh: tanh of each cell state, by bit pattern.   time_major: the sequence is (time, batch, in).
    """

    input_gate: Gate
    forget_gate: Gate
    cell_gate: Gate
    output_gate: Gate
    is_wide: bool
    input_zero_point: int
    hidden_zero_point: int
    hidden_range: tuple[int, int]
    forget_scaling: Scaling
    input_scaling: Scaling
    hidden_scaling: Scaling
    cell_clip: int
    cell_tanh: NDArray[np.int16]
    time_major: bool


GATE_SCALE = 2.0**-12
"""Of what goes into a gate's activation, Q3.12; what comes out is Q0.15."""
ACTIVATED_SCALE = 2.0**-15
VARIANTS = {9: "peepholes", 10: "peepholes", 11: "peepholes", 16: "a projection", 17: "a projection", 20: "layer norm"}


def _gate(call: Call, number: int, activation: NDArray[Any], rounding: Rounding) -> Gate:
    """Gate 0 to 3: input, forget, cell, output."""
    matrices, scalings = [], []
    for index, source in ((1 + number, 0), (5 + number, STATES[0])):
        weights = call.input(index)
        if weights.dtype is not DType.INT8:
            raise unsupported(call, f"weights of {weights.dtype}")
        if any(quantization_of(call, weights).zero_points):
            raise unsupported(call, "weights with a zero point")
        if len(set(quantization_of(call, weights).scales)) > 1:  # whose bytes TFLM answers otherwise
            raise unsupported(call, "weights with a scale a channel")
        product = per_tensor(call, call.input(source))[0] * per_tensor(call, weights)[0]
        matrices.append(constant_of(call, index).astype(np.int64).T)
        scalings.append(scaling(product / GATE_SCALE, rounding))
    if call.signature.has(12 + number) and not call.input(12 + number).dtype.is_integer:
        raise unsupported(call, f"a bias of {call.input(12 + number).dtype}")
    read_as = DType.INT64 if call.input(0).dtype is DType.INT16 else DType.INT32
    bias = bias_of(call, 12 + number, call.input(1 + number).shape[0], read_as)
    return Gate(matrices[0], matrices[1], bias, scalings[0], scalings[1], activation)


def _cell_tanh(scale: float) -> NDArray[Any]:
    """Source: TFLM lstm_eval.cc, Tanh."""
    shift = 12 + checked_log2(scale)[0]
    multiplier, right = (3 << shift, 0) if shift >= 0 else (3, -shift)
    return clamped_table(tanh16(stored_values(DType.INT16), multiplier, right), DType.INT16)


def _check_variant(call: Call) -> DType:
    """The element type of inputs and hidden state. Raises ModelError for what TFLM's kernel does not know."""
    for index, what in VARIANTS.items():
        if call.signature.has(index):
            raise unsupported(call, f"with {what}")
    if any(not call.signature.has(index) for index in (*range(1, 9), *range(12, 16), *STATES)):
        raise unsupported(call, "without all four gates, their biases and states")
    source, hidden, cell = (call.input(index).dtype for index in (0, *STATES))
    if source not in (DType.INT8, DType.INT16) or hidden is not source or cell is not DType.INT16:
        raise unsupported(call, f"{source} with a hidden state of {hidden} and a cell state of {cell}")
    if call.outputs[0].dtype is not source:
        raise unsupported(call, f"{source} to {call.outputs[0].dtype}")
    _check_shapes(call)
    return source


def _check_shapes(call: Call) -> None:
    """Raise ModelError unless weights, biases and states have the shapes that go with the sequence."""
    sequence, units = call.input(0).shape, call.input(4).shape[0]
    batch = sequence[1 if attributes_of(call.signature, UnidirectionalSequenceLstmAttributes).time_major else 0]
    right: dict[int, Shape] = dict.fromkeys(range(1, 5), (units, sequence[2]))
    right |= dict.fromkeys(range(5, 9), (units, units))
    right |= dict.fromkeys(range(12, 16), (units,)) | dict.fromkeys(STATES, (batch, units))
    for index, shape in right.items():
        if call.input(index).shape != shape:
            what = f"input {index} ('{call.input(index).name[:60]}') has shape {call.input(index).shape}, not {shape}"
            raise ModelError(what, where=call.where, fix="export the model again")
    check_states(call, *STATES)


def _prepare(call: Call) -> PreparedLstm:
    """Source: TFLM lstm_eval_common.cc, PrepareGateParametersInteger."""
    dtype = _check_variant(call)
    attributes = attributes_of(call.signature, UnidirectionalSequenceLstmAttributes)
    if attributes.fused_activation_function is not Activation.TANH:
        raise unsupported(call, f"activation {attributes.fused_activation_function}")
    is_wide = dtype is DType.INT16
    rounding = Rounding.REDUCED if is_wide else rounding_of(call)
    values = stored_values(DType.INT16)
    sigmoid = clamped_table(logistic16(values, 3, 0), DType.INT16)
    tangent = clamped_table(tanh16(values, 3, 0), DType.INT16)
    hidden_scale, hidden_zero_point = per_tensor_to_divide_by(call, call.input(STATES[0]))
    cell_scale, cell_zero_point = per_tensor_to_divide_by(call, call.input(STATES[1]))
    if cell_zero_point:
        raise unsupported(call, f"a cell state with the zero point {cell_zero_point}")
    clip = int(min(max(attributes.cell_clip / cell_scale, -32768.0), 32767.0))
    if attributes.cell_clip > 0 and not clip:
        raise unsupported(call, f"a cell_clip of {attributes.cell_clip:g}, less than one step of the cell state,")
    products = rounding_of(call)
    return PreparedLstm(
        _gate(call, 0, sigmoid, rounding),
        _gate(call, 1, sigmoid, rounding),
        _gate(call, 2, tangent, rounding),
        _gate(call, 3, sigmoid, rounding),
        is_wide,
        per_tensor(call, call.input(0))[1],
        hidden_zero_point,
        dtype_range(dtype),
        scaling(ACTIVATED_SCALE * cell_scale / cell_scale, products),
        scaling(ACTIVATED_SCALE * ACTIVATED_SCALE / cell_scale, products),
        scaling(ACTIVATED_SCALE * ACTIVATED_SCALE / hidden_scale, products),
        clip if attributes.cell_clip > 0 else 0,
        _cell_tanh(cell_scale),
        attributes.time_major,
    )


def _version(node: Node, tensors: Sequence[Tensor]) -> int:
    if dtype_of(node.signature, 0) is DType.INT16 and dtype_of(node.signature, 2) is DType.INT8:
        return 5
    return 4 if getattr(node.attributes, "diagonal_recurrent_tensors", False) else 1


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
        most_inputs=24,
        prepare=_prepare,
        kernel="unidirectional_sequence_lstm",
        version=_version,
    )
)
