"""Shared by the operators that fold axes into one number (MEAN, SUM) or weigh elements against their axis (SOFTMAX).

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache, partial

import numpy as np

from mcusim.arithmetic.quant import Rounding, Scaling
from mcusim.errors import ModelError
from mcusim.graph import Activation, Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Numerics, OpDef, Work, WorkKind
from mcusim.ops.shared.accumulators import (
    OutputStage,
    output_stage,
    per_tensor,
    per_tensor_to_divide_by,
    rounding_of,
    unsupported,
)
from mcusim.ops.shared.delegation import is_delegated, ratio
from mcusim.ops.shared.elementwise import element_work, infer_same
from mcusim.ops.shared.operands import axis_of, constant_ints, operand, refusal
from mcusim.ops.shared.tiles import bytes_of, entire, is_feature_map, over_alike, same_region, share
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.region import Region, Span

__all__ = ["PreparedReduction", "ReducerAttributes", "Reduction", "over_channels", "reduce_work", "reducer"]


class Reduction(StrEnum):
    """How elements are folded into one."""

    MEAN = "mean"
    SUM = "sum"
    MAX = "max"
    MIN = "min"
    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True, eq=False)
class PreparedReduction:
    """What the kernel trusts.

    axes: which are folded.   count: elements that become one.   zero_point: of the input.
    stage: of sums and means of stored integers; None for floats, and for what only compares.
    line: slope and start in float32, by which XNNPACK makes outputs of sums as they are; halves go to even.
    """

    reduction: Reduction
    axes: tuple[int, ...]
    count: int
    zero_point: int = 0
    stage: OutputStage | None = None
    line: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class ReducerAttributes(Attributes):
    """Attributes of a reduction, under TFLite's names. keep_dims: folded axes stay, with size 1."""

    keep_dims: bool = False


def _axes(op: str, inputs: Sequence[TensorType | None]) -> frozenset[int]:
    shape = operand(op, inputs, 0).shape
    return frozenset(axis_of(op, axis, shape) for axis in constant_ints(op, inputs, 1, "axes"))


def _infer(op: str, attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, ReducerAttributes)
    axes, shape = _axes(op, inputs), operand(op, inputs, 0).shape
    if attributes.keep_dims:
        return (tuple(1 if axis in axes else size for axis, size in enumerate(shape)),)
    return (tuple(size for axis, size in enumerate(shape) if axis not in axes),)


@lru_cache(SIGNATURES_KEPT)
def _axes_of(signature: Signature) -> frozenset[int]:
    return _axes(signature.op, signature.inputs)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    """Not tileable once both rows and columns are folded, or the output is no feature map."""
    source = signature.input(0)
    if index or not is_feature_map(signature.output) or not is_feature_map(source):
        return None
    axes = _axes_of(signature)
    if 1 in axes and 2 in axes:
        return None
    return Region(
        entire(rows, source.rows) if 1 in axes else rows,
        entire(cols, source.cols) if 2 in axes else cols,
    )


def reduce_work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    """`work` of an operator that reads every input element once."""
    source, output = signature.input(0), signature.output
    outputs = share(signature, output.elements, rows, cols)
    inputs = share(signature, source.elements, rows, cols)
    return Work(
        WorkKind.REDUCE,
        outputs=outputs,
        inputs=inputs,
        read_bytes=bytes_of(inputs, source),
        written_bytes=bytes_of(outputs, output),
        channels_in=source.channels,
        channels_out=output.channels,
        taps=source.elements // output.elements,
        calls=calls,
        input_bits=source.dtype.bits,
        output_bits=output.dtype.bits,
    )


def _mean_scaling(scaled: Scaling, count: int) -> Scaling:
    """A factor divided by `count`, in integers.   Source: TFLite reference/reduce.h, QuantizedMeanOrSum."""
    shift = int(scaled.shift)
    more = min(count.bit_length() - 1, 32, 31 + shift)
    multiplier = (int(scaled.multiplier) << more) // count
    factor = np.asarray(float(scaled.factor) / count, np.float32)
    return replace(
        scaled, multiplier=np.asarray(multiplier, np.int32), shift=np.asarray(shift - more, np.int32), factor=factor
    )


_NUMBERS = (DType.FLOAT32, DType.INT8, DType.INT16, DType.UINT8)
_TYPES = {Reduction.ALL: (DType.BOOL,), Reduction.ANY: (DType.BOOL,)}


def _prepare(reduction: Reduction, call: Call) -> PreparedReduction:
    """Sums are 32 bits wide, and wrap.   Source: TFLM reduce_common.cc."""
    source, output = call.input(0), call.outputs[0]
    axes = tuple(sorted(_axes_of(call.signature)))
    count = 1
    for axis in axes:
        count *= source.shape[axis]
    dtype = source.dtype.unpacked
    if dtype is not output.dtype.unpacked or dtype not in _TYPES.get(reduction, _NUMBERS):
        raise unsupported(call, f"{source.dtype} to {output.dtype}")
    if dtype in (DType.FLOAT32, DType.BOOL):
        return PreparedReduction(reduction, axes, count)
    scale, zero_point = per_tensor(call, source)
    out_scale, out_zero_point = per_tensor_to_divide_by(call, output)
    if reduction in (Reduction.MAX, Reduction.MIN):
        if (scale, zero_point, source.dtype) != (out_scale, out_zero_point, output.dtype):
            what = "input and output have different scales"
            raise ModelError(what, where=call.where, fix="quantise the network again")
        return PreparedReduction(reduction, axes, count)
    if is_delegated(call):
        one = np.float32(1)
        slope = np.float32(ratio(scale, out_scale)) * (one / np.float32(count) if reduction is Reduction.MEAN else one)
        start = np.float32(out_zero_point) + np.float32(-zero_point * count) * slope
        stage = output_stage(call, float(slope), Rounding.NEAREST, Activation.NONE)
        return PreparedReduction(reduction, axes, count, zero_point, stage, (float(slope), float(start)))
    if call.numerics is Numerics.LITERT and reduction is Reduction.SUM:  # its own kernel sums in float32
        stage = output_stage(call, ratio(scale, out_scale), Rounding.AWAY, Activation.NONE)
        return PreparedReduction(reduction, axes, count, zero_point, stage)
    stage = output_stage(call, scale / out_scale, rounding_of(call), Activation.NONE)
    if reduction is Reduction.MEAN:
        stage = replace(stage, scaling=_mean_scaling(stage.scaling, count))
    return PreparedReduction(reduction, axes, count, zero_point, stage)


def reducer(name: str, summary: str, reduction: Reduction) -> OpDef:
    """An operator that folds the axes that input 1 lists. Negative axes count from the end, repeated ones once."""
    return OpDef(
        name=name,
        summary=summary,
        attributes=ReducerAttributes,
        options="ReducerOptions",
        infer=partial(_infer, name),
        needs=_needs,
        work=reduce_work,
        most_inputs=2,
        shape_inputs=(1,),
        packs=True,
        prepare=partial(_prepare, reduction),
        kernel="reduction",
    )


def _infer_channels(op: str, attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    if not operand(op, inputs, 0).shape:
        raise refusal(op, "a scalar has no last axis", "give it a tensor of rank 1 or more")
    return infer_same(op, attributes, inputs)


def over_channels(name: str, summary: str, *, attributes: type[Attributes] = Attributes, options: str = "") -> OpDef:
    """An operator that weighs each element against the last axis. In place: it reads a row before it writes it."""
    return OpDef(
        name=name,
        summary=summary,
        attributes=attributes,
        options=options,
        infer=partial(_infer_channels, name),
        needs=same_region,
        work=partial(element_work, WorkKind.LOOKUP),
        overwrites=over_alike(0),
        most_inputs=1,
    )
