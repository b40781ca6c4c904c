"""Rules that a kernel's conditions are made of: each returns what is broken, or "".

A rule of a signature looks at shapes, constants and options; a rule of numbers at scales and zero points.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mcusim.graph import DType, Quantization, Shape, Signature, Tensor, TensorType
from mcusim.runtimes.conditions import OUT, NumberRule, Numbers, ShapeRule

__all__ = [
    "above",
    "along_named_axis",
    "bias_scale",
    "constant",
    "divisor",
    "each_like",
    "elements",
    "entry_an_axis",
    "fixed_output",
    "known",
    "most_inputs",
    "name_of",
    "none_negative",
    "one_option",
    "quantised",
    "rank",
    "same_quantisation",
    "same_rank",
    "same_shape",
    "scale_above_zero",
    "scale_of",
    "unquantised",
    "variable",
    "zero_point",
]


# ---------------------------------------------------------------------------------------------------------------------
# Rules of a signature


def _kind(signature: Signature, place: int) -> TensorType | None:
    operands: Sequence[TensorType | None] = signature.inputs if place >= 0 else signature.outputs
    index = place if place >= 0 else OUT - place
    return operands[index] if index < len(operands) else None


def name_of(place: int) -> str:
    """What a sentence calls an operand."""
    return f"input {place}" if place >= 0 else "the output" if place == OUT else f"output {OUT - place}"


def rank(place: int, least: int, most: int) -> ShapeRule:
    """An operand has so many dimensions."""

    def rule(signature: Signature) -> str:
        kind = _kind(signature, place)
        if kind is None or least <= len(kind.shape) <= most:
            return ""
        wanted = f"{least}" if least == most else f"{least} to {most}"
        return f"{name_of(place)} has rank {len(kind.shape)}, and may have {wanted}"

    return rule


def same_shape(place: int, other: int) -> ShapeRule:
    """Two operands have one shape."""

    def rule(signature: Signature) -> str:
        one, two = _kind(signature, place), _kind(signature, other)
        if one is None or two is None or one.shape == two.shape:
            return ""
        return f"{name_of(place)} is {_shown(one.shape)}, and {name_of(other)} {_shown(two.shape)}: they must be alike"

    return rule


def same_rank(place: int, other: int, more: int = 0) -> ShapeRule:
    """An operand has as many dimensions as another, or so many more."""

    def rule(signature: Signature) -> str:
        one, two = _kind(signature, place), _kind(signature, other)
        if one is None or two is None or len(one.shape) == len(two.shape) + more:
            return ""
        wanted = len(two.shape) + more
        return f"{name_of(place)} has rank {len(one.shape)}, and must have {wanted} beside {name_of(other)}"

    return rule


def entry_an_axis(place: int, other: int) -> ShapeRule:
    """An operand has one element for each dimension of another."""

    def rule(signature: Signature) -> str:
        entries, axes = _kind(signature, place), _kind(signature, other)
        if entries is None or axes is None or entries.elements == len(axes.shape):
            return ""
        return f"{name_of(place)} has {entries.elements} elements, and {name_of(other)} {len(axes.shape)} axes"

    return rule


def none_negative(place: int) -> ShapeRule:
    """No element of a small integer constant is below zero."""

    def rule(signature: Signature) -> str:
        kind = _kind(signature, place)
        lowest = min(kind.values, default=0) if kind is not None and kind.values else 0
        return f"{name_of(place)} has {lowest}, and may have none below 0" if lowest < 0 else ""

    return rule


def each_like(first: int) -> ShapeRule:
    """Every input has the shape of input `first`."""

    def rule(signature: Signature) -> str:
        wanted = signature.input(first).shape
        for place, kind in enumerate(signature.inputs):
            if kind is not None and kind.shape != wanted:
                return f"input {place} is {_shown(kind.shape)}, and input {first} {_shown(wanted)}: they must be alike"
        return ""

    return rule


def elements(place: int, count: int) -> ShapeRule:
    """An operand has so many elements."""

    def rule(signature: Signature) -> str:
        kind = _kind(signature, place)
        if kind is None or kind.elements == count:
            return ""
        return f"{name_of(place)} has {kind.elements} elements, and must have {count}"

    return rule


def above(name: str, limit: float, *types: DType) -> ShapeRule:
    """An option is above a limit.   types: of input 0, for which that is asked."""

    def rule(signature: Signature) -> str:
        value = getattr(signature.attributes, name, None)
        if value is None or value > limit or signature.input(0).dtype not in types:
            return ""
        return f"its {name} is {value:g}, and must be above {limit:g}"

    return rule


def constant(place: int) -> ShapeRule:
    """An operand is known before the network runs."""

    def rule(signature: Signature) -> str:
        kind = _kind(signature, place)
        return (
            ""
            if kind is None or kind.is_constant
            else f"{name_of(place)} is computed at run time, and must be constant"
        )

    return rule


def variable(place: int) -> ShapeRule:
    """An operand is no constant: the kernel keeps its state in it."""

    def rule(signature: Signature) -> str:
        kind = _kind(signature, place)
        return f"{name_of(place)} is constant, and must be a variable" if kind is not None and kind.is_constant else ""

    return rule


def most_inputs(count: int, least: int = 1) -> ShapeRule:
    """There are so many inputs."""

    def rule(signature: Signature) -> str:
        count_of_inputs = len(signature.inputs)
        return (
            ""
            if least <= count_of_inputs <= count
            else f"it has {count_of_inputs} inputs, and may have {least} to {count}"
        )

    return rule


def one_option(name: str, allowed: Collection[object], refusal: str) -> ShapeRule:
    """An option has one of these values. An operator whose options mcusim does not read has none of them.

    refusal: the sentence for any other value.
    """

    def rule(signature: Signature) -> str:
        value = getattr(signature.attributes, name, None)
        return "" if value is None or value in allowed else refusal

    return rule


def _shown(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a scalar"


# ---------------------------------------------------------------------------------------------------------------------
# Rules of scales and zero points


def scale_of(tensor: Tensor) -> tuple[float, int]:
    """Scale and zero point; 0 and 0 where it has none, as a runtime reads it."""
    stored = tensor.quantization
    return (stored.scales[0], stored.zero_points[0]) if stored is not None else (0.0, 0)


def _of_types(place: int, types: Collection[DType], rule: NumberRule) -> NumberRule:
    """A rule that holds where an operand has one of these types."""

    def chosen(numbers: Numbers) -> str:
        operand = numbers.operand(place)
        return rule(numbers) if operand is not None and operand.dtype in types else ""

    return chosen


def known(numbers: Numbers, *places: int) -> list[Tensor] | None:
    """The operands, where each is there and has the scale that it will run with."""
    operands = [operand for operand in map(numbers.operand, places) if operand is not None]
    if len(operands) < len(places) or not (numbers.is_stored or all(each.quantization for each in operands)):
        return None
    return operands


def same_quantisation(
    place: int, other: int, *types: DType, tolerance: float = 0.0, scale_only: bool = False, at: int = 0
) -> NumberRule:
    """Two operands have one scale and zero point.

    types: of operand `at`, for which that is asked.   tolerance: by how much scales may differ, absolutely.
    """

    def rule(numbers: Numbers) -> str:
        both = known(numbers, place, other)
        if both is None:
            return ""
        (one, zero), (two, other_zero) = map(scale_of, both)
        if abs(one - two) <= tolerance and (scale_only or zero == other_zero):
            return ""
        return (
            f"{name_of(place)} has {_quantised(one, zero)}, and {name_of(other)} {_quantised(two, other_zero)}: "
            "they must be quantised alike"
        )

    return _of_types(at, types, rule)


def _quantised(scale: float, zero: int) -> str:
    return f"scale {scale:.6g} and zero point {zero}" if scale else "no scale"


def fixed_output(
    scale: float | None, zero_point: int, *types: DType, relative: float = 0.0, source: DType | None = None
) -> NumberRule:
    """The result has this scale and zero point.

    scale: None for any.   types: of the result, for which that is asked.   source: of input 0, too.
    """

    def rule(numbers: Numbers) -> str:
        output, first = known(numbers, OUT), numbers.operand(0)
        if output is None or (source is not None and (first is None or first.dtype is not source)):
            return ""
        own_scale, zero = scale_of(output[0])
        if (scale is None or abs(own_scale - scale) <= relative * scale) and zero == zero_point:
            return ""
        wanted = (
            f"zero point {zero_point}" if scale is None else f"scale 1/{round(1 / scale)} and zero point {zero_point}"
        )
        return f"the output has {_quantised(own_scale, zero)}, and must have {wanted}"

    return _of_types(OUT, types, rule)


def zero_point(place: int, value: int, *types: DType, at: int | None = None) -> NumberRule:
    """An operand has this zero point.   types: of operand `at`, or of its own."""

    def rule(numbers: Numbers) -> str:
        operand = known(numbers, place)
        own = scale_of(operand[0])[1] if operand else value
        return "" if own == value else f"{name_of(place)} has zero point {own}, and must have {value}"

    return _of_types(place if at is None else at, types, rule)


def quantised(place: int, *types: DType, channels: int | None = None, at: int = 0) -> NumberRule:
    """An operand has a scale: one, or one a channel along axis `channels`.   types: of operand `at`."""

    def rule(numbers: Numbers) -> str:
        operand = known(numbers, place)
        if operand is None:
            return ""
        stored = operand[0].quantization
        if stored is None:
            return _without_scale(place, operand[0])
        return _channels_broken(stored, operand[0].shape, channels, place)

    return _of_types(at, types, rule)


def divisor(place: int, *types: DType, at: int = 0) -> NumberRule:
    """An operand has a scale, which the kernel divides by or takes the logarithm of.

    No kernel looks at it: it computes with an infinite factor, of which a processor makes what it makes of infinities.
    types: of operand `at`.   Source: TFLM quantization_util.cc, QuantizeMultiplier.
    """

    def rule(numbers: Numbers) -> str:
        operand = known(numbers, place)
        if operand is None or operand[0].quantization is not None:
            return ""
        return f"{_without_scale(place, operand[0])}, and the kernel needs one above 0"

    return _of_types(at, types, rule)


def along_named_axis(place: int, *types: DType) -> NumberRule:
    """Several scales are as many as elements along the axis that the file names.   types: of input 0."""

    def rule(numbers: Numbers) -> str:
        operand = known(numbers, place)
        if operand is None or operand[0].quantization is None:
            return ""
        return _named_axis_broken(operand[0].quantization, operand[0].shape, place)

    return _of_types(0, types, rule)


def _without_scale(place: int, operand: Tensor) -> str:
    what = f", {operand.without_scale}" if operand.lacks_zero_point else " has no scale"
    return f"{name_of(place)}{what}"


def scale_above_zero(place: int, *types: DType) -> NumberRule:
    """An operand's scale is not 0, as converters store it for constants that are all zeros.   types: of the operand."""

    def rule(numbers: Numbers) -> str:
        operand = known(numbers, place)
        stored = None if operand is None else operand[0].quantization
        if stored is None or stored.scales[0]:
            return ""
        return f"{name_of(place)} has the scale 0, and must have one above it: set-up aborts"

    return _of_types(place, types, rule)


def unquantised(place: int, *types: DType, at: int = OUT) -> NumberRule:
    """An operand has no scale.   types: of operand `at`, for which that is asked."""

    def rule(numbers: Numbers) -> str:
        operand = numbers.operand(place)
        if operand is None or operand.quantization is None:
            return ""
        return f"{name_of(place)} has {_quantised(*scale_of(operand))}, and may have none"

    return _of_types(at, types, rule)


def _channels_broken(stored: Quantization, shape: Shape, channels: int | None, place: int) -> str:
    count = len(stored.scales)
    if count == 1 or channels is None:
        return ""
    wanted = shape[channels] if channels < len(shape) else 1
    if count == wanted:
        return _named_axis_broken(stored, shape, place)
    return f"{name_of(place)} has {count} scales, and may have one, or one for each of the {wanted} of axis {channels}"


def _named_axis_broken(stored: Quantization, shape: Shape, place: int) -> str:
    """Source: TFLM kernel_util.cc, PopulateConvolutionQuantizationParams; fully_connected_common.cc."""
    count, axis = len(stored.scales), stored.axis
    size = shape[axis] if 0 <= axis < len(shape) else 0
    if count in (1, size):
        return ""
    return f"{name_of(place)} has {count} scales, said to lie along axis {axis}, which has {size or 'no'} elements"


def bias_scale(bias: int, x: int, weights: int, tolerance: float, *types: DType) -> NumberRule:
    """The bias has the scale of the products, but for a part `tolerance` of the output's.   types: of operand `x`."""

    def rule(numbers: Numbers) -> str:
        operands = known(numbers, bias, x, weights, OUT)
        if operands is None or (operands[2].quantization and operands[2].quantization.is_per_channel):
            return ""
        own, source, weight, result = (scale_of(each)[0] for each in operands)
        if own == 0.0 and operands[0].quantization is None and not numbers.is_stored:
            return ""
        product = source * weight
        if result and abs(product - own) / result <= tolerance:
            return ""
        return (
            f"input {bias} has scale {own:.6g}, and input {x} times input {weights} {product:.6g}: "
            "a bias must have the scale of the products"
        )

    return _of_types(x, types, rule)
