"""UNIDIRECTIONAL_SEQUENCE_LSTM. Hidden and cell state are written in place, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import Integers, Scaling, narrow, rescale, wrap_int32
from mcusim.ops.registry import Piece
from mcusim.ops.unidirectional_sequence_lstm import STATES, Gate, PreparedLstm

__all__ = ["run"]

Array = NDArray[Any]

LOWEST, HIGHEST = -(1 << 15), (1 << 15) - 1


def _clamp(values: Array) -> Integers:
    return np.clip(values.astype(np.int64), LOWEST, HIGHEST)


def _looked_up(values: Integers, table: Array) -> Integers:
    return np.asarray(table[values & 0xFFFF], np.int64)


def _stored(prepared: PreparedLstm, sums: Integers, by: Scaling) -> Integers:
    """A matrix product as FULLY_CONNECTED stores it: int16."""
    return _clamp(rescale(sums if prepared.is_wide else wrap_int32(sums), by))


def _gate(prepared: PreparedLstm, gate: Gate, x: Integers, hidden: Integers) -> Integers:
    """activation(x * W + bias + hidden * U), Q0.15; both products are rounded to int16 first.

    Source: TFLM lstm_eval.h, CalculateLstmGate.
    """
    from_input = _stored(prepared, x @ gate.inputs + gate.bias, gate.input_scaling)
    from_hidden = _stored(prepared, hidden @ gate.recurrent, gate.recurrent_scaling)
    return _looked_up(_clamp(from_input + from_hidden), gate.activation)


def _step(prepared: PreparedLstm, source: Array, hidden: Array, cell: Array) -> None:
    """One time step of all batches; `hidden` and `cell` are written.   Source: TFLM lstm_eval.h, LstmStep."""
    x = source.astype(np.int64) - prepared.input_zero_point
    before = hidden.astype(np.int64) - prepared.hidden_zero_point
    forget = _gate(prepared, prepared.forget_gate, x, before)
    let_in = _gate(prepared, prepared.input_gate, x, before)
    candidate = _gate(prepared, prepared.cell_gate, x, before)
    kept = _clamp(rescale(forget * cell, prepared.forget_scaling))
    state = _clamp(kept + _clamp(rescale(let_in * candidate, prepared.input_scaling)))
    if prepared.cell_clip > 0:
        state = np.clip(state, -prepared.cell_clip, prepared.cell_clip)
    cell[...] = state.astype(np.int16)
    let_out = _gate(prepared, prepared.output_gate, x, before)
    after = rescale(_looked_up(state, prepared.cell_tanh) * let_out, prepared.hidden_scaling)
    narrow(after + prepared.hidden_zero_point, *prepared.hidden_range, hidden)


def run(prepared: PreparedLstm, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0]: (batch, time, in).   inputs[18], inputs[19]: hidden and cell state, contiguous, written."""
    source, output = inputs[0], outputs[0]
    if not prepared.time_major:
        source, output = source.swapaxes(0, 1), output.swapaxes(0, 1)
    batch = source.shape[1]
    hidden, cell = inputs[STATES[0]].reshape(batch, -1), inputs[STATES[1]].reshape(batch, -1)
    if not np.shares_memory(hidden, inputs[STATES[0]]) or not np.shares_memory(cell, inputs[STATES[1]]):
        raise AssertionError("a state's array is not contiguous")
    for time in range(source.shape[0]):
        _step(prepared, source[time], hidden, cell)
        output[time] = hidden
