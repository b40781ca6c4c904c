"""SVDF: a fully connected layer over time, its weights split into features and time; keeps `memory` past activations.

Inputs: input (batch, in), feature weights (filters, in), time weights (filters, memory), bias (units), state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import Integers, Scaling, dtype_range, scaling
from mcusim.errors import ModelError
from mcusim.graph import Activation, Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, OpDef, Work, WorkKind, attributes_of, register
from mcusim.ops.shared.accumulators import (
    OutputStage,
    constant_of,
    output_stage,
    per_tensor,
    per_tensor_to_divide_by,
    rounding_of,
    unsupported,
)
from mcusim.ops.shared.operands import check_states, operand, refusal
from mcusim.ops.shared.tiles import constant_bytes, no_needs
from mcusim.ops.shared.versions import by_type

__all__ = ["STATE", "SVDF", "PreparedSvdf", "SvdfAttributes"]

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


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSvdf:
    """What the kernel trusts.

    features: (in, filters), times: (filters, memory), bias: (units,); in int64.   rank: filters of a unit.
    feature_scaling: of new activations.   state_zero_point, state_lowest, state_highest: of the state.
    """

    features: Integers
    times: Integers
    bias: Integers
    rank: int
    input_zero_point: int
    feature_scaling: Scaling
    state_zero_point: int
    state_lowest: int
    state_highest: int
    stage: OutputStage


def _elements(call: Call, index: int) -> NDArray[Any]:
    return constant_of(call, index).astype(np.int64)


def _check_bias(call: Call, filters: int) -> None:
    """Raise ModelError unless the bias has one int32 for each unit."""
    units = filters // attributes_of(call.signature, SvdfAttributes).rank
    if call.signature.has(3) and (call.input(3).shape != (units,) or call.input(3).dtype is not DType.INT32):
        what = f"the bias is {call.input(3).dtype} of shape {call.input(3).shape}, not int32 of ({units},)"
        raise ModelError(what, where=call.where, fix="export the model again")


def _prepare(call: Call) -> PreparedSvdf:
    """Factors are formed in double; the fused activation is not applied.   Source: TFLM svdf_common.cc."""
    source, features, times, state = (call.input(index) for index in (0, 1, 2, STATE))
    if (source.dtype, features.dtype, call.outputs[0].dtype) != (DType.INT8,) * 3:
        raise unsupported(call, f"{source.dtype} with weights of {features.dtype}")
    if times.dtype is not state.dtype or times.dtype not in (DType.INT8, DType.INT16):
        raise unsupported(call, f"time weights of {times.dtype} and a state of {state.dtype}")
    filters, memory = times.shape
    _check_bias(call, filters)
    check_states(call, STATE)
    if state.type.elements != source.shape[0] * filters * memory:
        what = f"the state's shape is {state.shape}, not (batch, filters * memory)"
        raise ModelError(what, where=call.where, fix="export the model again")
    scale, zero_point = per_tensor(call, source)
    state_scale, state_zero_point = per_tensor_to_divide_by(call, state)
    feature_scale, time_scale = per_tensor(call, features)[0], per_tensor(call, times)[0]
    output_scale = per_tensor_to_divide_by(call, call.outputs[0])[0]
    new, out = scale * feature_scale / state_scale, state_scale * time_scale / output_scale
    rank = attributes_of(call.signature, SvdfAttributes).rank
    rounding = rounding_of(call)
    return PreparedSvdf(
        _elements(call, 1).T,
        _elements(call, 2),
        _elements(call, 3) if call.signature.has(3) else np.zeros(filters // rank, np.int64),
        rank,
        zero_point,
        scaling(new, rounding),
        state_zero_point,
        *dtype_range(state.dtype),
        output_stage(call, out, rounding, Activation.NONE),
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
        most_inputs=5,
        prepare=_prepare,
        kernel="svdf",
        version=by_type({DType.INT8: 3}),
    )
)
