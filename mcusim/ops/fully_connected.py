"""FULLY_CONNECTED: the input, as rows of `in` elements, times weights of shape (units, in)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Activation, Attributes, DType, Node, Shape, Signature, Tensor, TensorType
from mcusim.ops.registry import Call, Drawing, OpDef, Weights, Work, WorkKind, attributes_of, register
from mcusim.ops.shared.accumulators import (
    Accumulator,
    check_dtypes,
    exact_float,
    prepare_accumulator,
    quantization_of,
    unsupported,
)
from mcusim.ops.shared.float_forms import biased
from mcusim.ops.shared.float_sums import FloatSums, are_floats, prepare_float_sums
from mcusim.ops.shared.operands import operand, refusal
from mcusim.ops.shared.tiles import bytes_of, no_needs, share
from mcusim.ops.shared.versions import weighted

__all__ = ["FULLY_CONNECTED", "FullyConnectedAttributes", "PreparedFullyConnected"]


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
        weight_bits=signature.input(1).dtype.bits,
        input_bits=source.dtype.bits,
        output_bits=output.dtype.bits,
    )


@dataclass(frozen=True, eq=False)
class PreparedFullyConnected:
    """What the kernel trusts.   accumulator: weights are (units, in)."""

    accumulator: Accumulator

    @cached_property
    def matrix(self) -> NDArray[Any]:
        """The transpose of the weights, in the float type that is exact for them."""
        return np.ascontiguousarray(self.accumulator.weights.T, exact_float(self.accumulator))


def _prepare(call: Call) -> PreparedFullyConnected | FloatSums:
    """Sums of int16 inputs are 64 bits wide unless the bias is not.

    Weights have a zero point unless they are quantised per channel.
    Source: TFLM fully_connected_common.cc, fully_connected.cc.
    """
    attributes = attributes_of(call.signature, FullyConnectedAttributes)
    if attributes.weights_format:
        raise unsupported(call, "shuffled weights")
    if are_floats(call, 0, 1):
        return prepare_float_sums(call, activation=attributes.fused_activation_function, channel_axis=0)
    check_dtypes(
        call,
        (DType.INT8, DType.INT8, DType.INT8),
        (DType.INT16, DType.INT8, DType.INT16),
        (DType.UINT8, DType.UINT8, DType.UINT8),
    )
    accumulator = prepare_accumulator(
        call,
        activation=attributes.fused_activation_function,
        channel_axis=0,
        has_narrow_bias=True,
        uses_zero_point=not quantization_of(call, call.input(1)).is_per_channel,
    )
    return PreparedFullyConnected(accumulator)


def _version(node: Node, tensors: Sequence[Tensor]) -> int:
    if not node.signature.has(2) and len(node.inputs) == 2:
        return max(6, weighted(node, 6, 10))
    if getattr(node.attributes, "keep_num_dims", False):
        return max(5, weighted(node, 5, 10))
    return weighted(node, 4, 10)


def _in_float(call: Signature, inputs: Sequence[NDArray[Any] | None]) -> NDArray[Any]:
    x, weights = np.asarray(inputs[0]), np.asarray(inputs[1])
    return biased(x.reshape(-1, weights.shape[1]) @ weights.T, inputs)


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
        late=(1, 2),
        most_inputs=3,
        packs=True,
        prepare=_prepare,
        kernel="fully_connected",
        version=_version,
        drawing=Drawing(weights=Weights(source=0, weights=1, bias=2, axis=None, channels=0)),
        in_float=_in_float,
    )
)
