"""Checks of single kernels of TFLM that the general rules of `conditions.py` have no words for.

Source: tensorflow/tflite-micro, tensorflow/lite/micro/kernels; each names its file there.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from mcusim.graph import Activation, DType, Signature, Tensor
from mcusim.ops.registry import attributes_of, taken_inputs
from mcusim.ops.squeeze import SqueezeAttributes
from mcusim.ops.strided_slice import StridedSliceAttributes
from mcusim.ops.unidirectional_sequence_lstm import UnidirectionalSequenceLstmAttributes
from mcusim.runtimes.condition_rules import divisor, fixed_output, known, name_of, scale_of, zero_point
from mcusim.runtimes.conditions import OUT, NumberRule, Numbers, ShapeRule

__all__ = [
    "activation_range",
    "alike_inputs",
    "below_one",
    "below_power",
    "circular_shapes",
    "given_or_left_out",
    "logistic_range",
    "lstm_states",
    "no_zero_points",
    "one_scale",
    "same_bytes",
    "softmax_range",
    "squeezes_ones",
    "strided_output",
    "sum_scale",
    "svdf_bias",
    "table_scale",
    "unset_scales",
]


def given_or_left_out(place: int) -> ShapeRule:
    """An optional input at the end is left out, not marked absent: the kernel would read it (depthwise_conv.cc)."""

    def rule(signature: Signature) -> str:
        if place < len(signature.inputs) and signature.inputs[place] is None:
            return f"input {place} is marked absent, which the kernel reads all the same: leave it out, or give zeros"
        return ""

    return rule


def unset_scales(*types: DType) -> ShapeRule:
    """The kernel runs on these types by multipliers that its Prepare sets for int8 only (comparisons.cc)."""

    def rule(signature: Signature) -> str:
        dtype = signature.input(0).dtype
        if dtype not in types:
            return ""
        return f"input 0 is {dtype}, which it compares by scales that nothing sets: what it answers means nothing"

    return rule


def table_scale(numbers: Numbers) -> str:
    """Rows of integers become real numbers by a scale (embedding_lookup.cc)."""
    table, output = numbers.operand(1), numbers.operand(OUT)
    if table is None or output is None or table.dtype.is_float or output.dtype is not DType.FLOAT32:
        return ""
    return divisor(1, table.dtype, at=1)(numbers)


class _Axis(NamedTuple):
    """One axis of a strided slice. shrinks: it leaves the shape."""

    begin: int
    end: int
    stride: int
    shrinks: bool

    @property
    def size(self) -> int:
        return max(ceil((self.end - self.begin) / self.stride), 0)


def strided_output(signature: Signature) -> str:
    """TFLM reads an entry an axis, and knows neither ellipses nor new axes (strided_slice_common.cc)."""
    rank = len(signature.input(0).shape)
    bounds = [signature.input(place).values for place in (1, 2, 3)]
    if any(each is None for each in bounds):
        return ""
    begins, ends, strides = (each or () for each in bounds)
    fewest = min(map(len, (begins, ends, strides)))
    if fewest < rank:
        return f"it gives {fewest} entries for {rank} axes, and TFLM reads one for each: give all axes"
    if 0 in strides[:rank]:
        return "a stride is 0"
    axes = [_axis(signature, axis, begins[axis], ends[axis], strides[axis]) for axis in range(rank)]
    shape = tuple(axis.size for axis in axes if not axis.shrinks)
    if shape == signature.output.shape:
        return ""
    masks = attributes_of(signature, StridedSliceAttributes)
    foreign = [name for name in ("ellipsis", "new axis") if getattr(masks, f"{name.replace(' ', '_')}_mask")]
    sentence = f"TFLM reads no {' and no '.join(foreign)} mask, and comes to" if foreign else "TFLM comes to"
    return f"{sentence} the shape {_shown(shape)}, and the output is {_shown(signature.output.shape)}"


def _axis(signature: Signature, axis: int, begin: int, end: int, stride: int) -> _Axis:
    size = signature.input(0).shape[axis]
    masks = attributes_of(signature, StridedSliceAttributes)
    shrinks = bool(masks.shrink_axis_mask >> axis & 1)
    lowest, highest = (0, size) if stride > 0 else (-1, size - 1)
    if masks.begin_mask >> axis & 1:
        first = lowest if stride > 0 else highest
    else:
        first = min(max(begin + size if begin < 0 else begin, lowest), highest)
    if shrinks:
        return _Axis(first, first + 1, stride, True)
    if masks.end_mask >> axis & 1:
        last = highest if stride > 0 else lowest
    else:
        last = min(max(end + size if end < 0 else end, lowest), highest)
    return _Axis(first, last, stride, False)


def circular_shapes(signature: Signature) -> str:
    """One row comes in, and the rows that are kept go out; all else is alike (circular_buffer_common.cc)."""
    source, output = signature.input(0).shape, signature.output.shape
    if source[1] == 1 and all(source[axis] == output[axis] for axis in (0, 2, 3)):
        return ""
    return (
        f"input 0 is {_shown(source)}, and the output {_shown(output)}: they may differ in rows, and one row comes in"
    )


def lstm_states(signature: Signature) -> str:
    """Both states hold a number for each cell of each batch (lstm_eval_common.cc)."""
    source, cells = signature.input(0).shape, signature.input(1).shape[0]
    is_time_major = attributes_of(signature, UnidirectionalSequenceLstmAttributes).time_major
    batches = source[1] if is_time_major else source[0]
    for place in (18, 19):
        elements = signature.input(place).elements
        if elements != batches * cells:
            return f"input {place} has {elements} elements, and must have {batches} times {cells}"
    return ""


def same_bytes(signature: Signature) -> str:
    """SQUEEZE copies bytes: as many come out as went in (squeeze.cc)."""
    source, output = signature.input(0), signature.output
    sizes = [each.elements * each.dtype.unpacked.bits // 8 for each in (source, output)]
    return "" if sizes[0] == sizes[1] else f"input 0 takes {sizes[0]} bytes, and the output {sizes[1]}"


def squeezes_ones(signature: Signature) -> str:
    """Every dimension that is squeezed is 1 (squeeze.cc)."""
    shape = signature.input(0).shape
    for axis in attributes_of(signature, SqueezeAttributes).squeeze_dims:
        if not (-len(shape) <= axis < len(shape) and shape[axis] == 1):
            return f"dimension {axis} of {_shown(shape)} is not 1, and cannot be squeezed"
    return ""


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


# ---------------------------------------------------------------------------------------------------------------------
# Scales and zero points


def svdf_bias(numbers: Numbers) -> str:
    """The bias has the scale of state times time weights (svdf_common.cc)."""
    operands = known(numbers, 2, 3, 4)
    if operands is None or operands[0].dtype.is_float:
        return ""
    weights, bias, state = (scale_of(each)[0] for each in operands)
    if abs(bias - state * weights) < 1e-5:
        return ""
    return f"input 3 has scale {bias:.6g}, and input 2 times input 4 {weights * state:.6g}: a bias must have that scale"


def logistic_range() -> tuple[NumberRule, ...]:
    """16 bits: no zero points, and results of 1/32768 (logistic_common.cc, tanh.cc)."""
    return (zero_point(0, 0, DType.INT16), fixed_output(1 / 32768, 0, DType.INT16, relative=6.9e-4))


def softmax_range(numbers: Numbers) -> str:
    """The input's scale gives a multiplier above 1, or set-up aborts.   Source: TFLM softmax_common.cc."""
    operands = known(numbers, 0)
    if operands is None or operands[0].dtype is not DType.INT8 or operands[0].quantization is None:
        return ""
    scale, beta = operands[0].quantization.scales[0], getattr(numbers.signature.attributes, "beta", 1.0)
    if scale * beta * _SOFTMAX_UNIT > 1:
        return ""
    return f"input 0 has the scale {scale:g}, and must have more than {1 / (beta * _SOFTMAX_UNIT):.3g}: set-up aborts"


_SOFTMAX_UNIT = 1 << 26
"""31 bits less the 5 integer ones of a difference."""


def activation_range(numbers: Numbers) -> str:
    """The bound of a fused activation is an int32 at the output's scale.   Source: kernel_util.cc, CheckedQuantize."""
    activation = getattr(numbers.signature.attributes, "fused_activation_function", Activation.NONE)
    bound = {Activation.RELU6: 6.0, Activation.RELU_N1_TO_1: 1.0}.get(activation)
    output = numbers.operand(OUT)
    if bound is None or output is None or output.dtype not in (DType.INT8, DType.INT16) or output.quantization is None:
        return ""
    scale = output.quantization.scales[0]
    if scale * _INT32_STEPS > bound:
        return ""
    return f"the output's scale {scale:g} is too small for its fused {activation}: {bound:g} is no int32 there"


_INT32_STEPS = 2.0**31


def no_zero_points(dtype: DType) -> NumberRule:
    """No operand has a zero point where input 0 is of that type (batch_matmul.cc, concatenation.cc, elementwise.cc)."""

    def rule(numbers: Numbers) -> str:
        source = numbers.operand(0)
        if source is None or source.dtype is not dtype:
            return ""
        taken = taken_inputs(numbers.signature)
        named = [(f"input {place}", each) for place, each in enumerate(numbers.inputs[:taken])]
        for name, each in (*named, ("the output", numbers.outputs[0])):
            if each is not None and scale_of(each)[1]:
                return f"{name} has zero point {scale_of(each)[1]}, and must have 0"
        return ""

    return rule


def alike_inputs(*types: DType, with_output: bool = False) -> NumberRule:
    """All inputs, and the result too, have one scale and zero point (concatenation.cc, add_n.cc)."""

    def rule(numbers: Numbers) -> str:
        operands: list[tuple[str, Tensor]] = [
            (f"input {place}", each) for place, each in enumerate(numbers.inputs) if each is not None
        ]
        if with_output:
            operands.insert(0, ("the output", numbers.outputs[0]))
        name, first = operands[0]
        if first.dtype not in types or not (numbers.is_stored or all(each.quantization for _, each in operands)):
            return ""
        for other, each in operands[1:]:
            if scale_of(each) != scale_of(first):
                (scale, zero), (wanted, wanted_zero) = scale_of(each), scale_of(first)
                return (
                    f"{other} has scale {scale:.6g} and zero point {zero}, and {name} {wanted:.6g} and {wanted_zero}: "
                    "they must be quantised alike"
                )
        return ""

    return rule


def below_power(factor: float, *types: DType) -> NumberRule:
    """The input's scale times `factor` is less than the output's (hard_swish_common.cc: its multiplier is below 1)."""

    def rule(numbers: Numbers) -> str:
        operands = known(numbers, 0, OUT)
        if operands is None or operands[0].dtype not in types:
            return ""
        (source, _), (result, _) = map(scale_of, operands)
        if source * factor < result or not result:
            return ""
        return f"the output's scale, {result:.6g}, is not above {factor:.6g} of the input's, {source:.6g}"

    return rule


def below_one(*types: DType) -> NumberRule:
    """Both inputs have scales below 1, which become their multipliers (comparisons.cc)."""

    def rule(numbers: Numbers) -> str:
        operands = known(numbers, 0, 1)
        if operands is None or operands[0].dtype not in types:
            return ""
        for place, each in enumerate(operands):
            if not 0 < scale_of(each)[0] < 1:
                return f"input {place} has scale {scale_of(each)[0]:.6g}, and must have one between 0 and 1"
        return ""

    return rule


def sum_scale(bits: int, *types: DType, inputs: tuple[int, ...] = (0, 1)) -> NumberRule:
    """Twice the larger scale is less than the result's times 2 ** bits (add_common.cc, add_n.cc, cumsum.cc)."""

    def rule(numbers: Numbers) -> str:
        operands = known(numbers, *inputs, OUT)
        if operands is None or operands[-1].dtype not in types:
            return ""
        *sources, result = (scale_of(each)[0] for each in operands)
        if 0 < max(sources) * 2 < result * 2**bits:
            return ""
        return f"the output has scale {result:.6g}, too far from {max(sources):.6g}, the larger one of its inputs"

    return rule


def one_scale(place: int, *types: DType, may_lack: bool = False) -> NumberRule:
    """An operand of these types has one scale, or at most one (quantize_common.cc, fully_connected_common.cc)."""

    def rule(numbers: Numbers) -> str:
        operands = known(numbers, place)
        if operands is None or operands[0].dtype not in types:
            return ""
        stored = operands[0].quantization
        if may_lack if stored is None else not stored.is_per_channel:
            return ""
        return f"{name_of(place)} has {len(stored.scales) if stored else 'no'} scales, and must have one"

    return rule
