"""Calls of the operators with a state."""

from __future__ import annotations

from typing import cast

import numpy as np

from mcusim.arithmetic.fixed_point import SIGMOID_TABLE
from mcusim.firmware.calls.shared import Fields, refused, scaled_fields, stage_fields
from mcusim.firmware.steps import StepText
from mcusim.ops.shared.sigmoids import checked_log2
from mcusim.ops.svdf import STATE, PreparedSvdf
from mcusim.ops.unidirectional_sequence_lstm import STATES, Gate, PreparedLstm

__all__ = ["write_lstm", "write_svdf"]


def write_lstm(s: StepText) -> None:
    p = cast(PreparedLstm, s.prepared)
    if any(s.constant(i) is None for i in (*range(1, 9), *range(12, 16))):
        raise refused(s, "whose weights the network computes")
    batch, steps, inputs = s.kind(0).shape if not p.time_major else (s.kind(0).shape[i] for i in (1, 0, 2))
    units = p.input_gate.bias.size
    gates = [
        _gate(s, number, gate, p.is_wide)
        for number, gate in enumerate((p.input_gate, p.forget_gate, p.cell_gate, p.output_gate))
    ]
    table = s.store("table", SIGMOID_TABLE.astype(np.uint16))
    cell = s.graph.tensors[s.tensor(STATES[1])].quantization
    assert cell is not None, "preparing it asked for a scale"
    # Of the cell state's scale, a power of two, only the exponent counts: it becomes a shift in front of the tanh.
    shift = 12 + checked_log2(cell.scales[0])[0]
    pairs = {"forget": p.forget_scaling, "input": p.input_scaling, "hidden": p.hidden_scaling}
    layer = s.define(
        "mcu_lstm_layer",
        {
            "gates": tuple(gates),
            "activation": {"table": table, "multiplier": 3, "right": 0},
            "cell_tanh": {"table": table, "multiplier": 3 << max(shift, 0), "right": max(-shift, 0)},
            "batch": batch,
            "steps": steps,
            "inputs": inputs,
            "units": units,
            "time_step": batch * inputs if p.time_major else inputs,
            "batch_step": inputs if p.time_major else steps * inputs,
            "out_time_step": batch * units if p.time_major else units,
            "out_batch_step": units if p.time_major else steps * units,
            "element_bytes": s.kind(0).dtype.bits // 8,
            "is_wide": p.is_wide,
            "input_zero_point": p.input_zero_point,
            "hidden_zero_point": p.hidden_zero_point,
            "hidden_lowest": p.hidden_range[0],
            "hidden_highest": p.hidden_range[1],
            **{f"{name}_multiplier": int(by.multiplier) for name, by in pairs.items()},
            **{f"{name}_shift": int(by.shift) for name, by in pairs.items()},
            "clip": p.cell_clip,
        },
    )
    s.call("mcu_lstm", layer, s.whole(0), s.whole(STATES[0]), s.whole(STATES[1]), s.whole_output(), s.scratch())


def _gate(s: StepText, number: int, gate: Gate, is_wide: bool) -> Fields:
    return {
        "inputs": s.store(f"inputs_{number}", np.ascontiguousarray(gate.inputs.T).astype(np.int8)),
        "recurrent": s.store(f"recurrent_{number}", np.ascontiguousarray(gate.recurrent.T).astype(np.int8)),
        "bias": s.store(f"bias_{number}", gate.bias.astype(np.int64 if is_wide else np.int32)),
        "input_multiplier": int(gate.input_scaling.multiplier),
        "input_shift": int(gate.input_scaling.shift),
        "recurrent_multiplier": int(gate.recurrent_scaling.multiplier),
        "recurrent_shift": int(gate.recurrent_scaling.shift),
    }


def write_svdf(s: StepText) -> None:
    p = cast(PreparedSvdf, s.prepared)
    filters, memory = p.times.shape
    batch, inputs = s.kind(0).shape
    time_bytes = s.kind(2).dtype.bits // 8
    layer = s.define(
        "mcu_svdf_layer",
        {
            "features": s.store("features", np.ascontiguousarray(p.features.T).astype(np.int8)),
            "times": s.store("times", p.times.astype(np.int8 if time_bytes == 1 else np.int16)),
            "bias": s.store("bias", p.bias.astype(np.int32)),
            "batch": batch,
            "inputs": inputs,
            "filters": filters,
            "memory": memory,
            "rank": p.rank,
            "time_bytes": time_bytes,
            "input_zero_point": p.input_zero_point,
            "state_zero_point": p.state_zero_point,
            "feature": scaled_fields(p.feature_scaling, 0, p.state_lowest, p.state_highest),
            "stage": stage_fields(p.stage),
        },
    )
    s.call("mcu_svdf", layer, s.whole(0), s.whole(STATE), s.whole_output())
