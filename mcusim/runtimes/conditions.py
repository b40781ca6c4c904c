"""What a kernel asks of the node that it is to run: the words in which a runtime's table of kernels says it.

A *form* lists element types, operand by operand, as one line of text:

    int8 int8|int4 int32? > int8        activations, weights, an optional bias, one result
    float32|int8 int32 > =0             the result has the type of input 0
    float32|int8 =0* > =0               any number of further inputs like input 0
    any any > int8 ...                  `any` type; `...`: whatever else there is does not matter
    !int16 > !int16                     any type but this

A node whose types meet no form is refused in the words of the form that it comes nearest to. *Rules* are functions that
return what is broken, or "": of a signature (ranks, constants, options), or of scales and zero points, which only a
node with its numbers has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from mcusim.graph import ABSENT, DType, Graph, Quantization, Shape, Signature, Tensor, TensorType

__all__ = [
    "OUT",
    "Conditions",
    "NumberRule",
    "Numbers",
    "Refusal",
    "ShapeRule",
    "above",
    "bias_scale",
    "constant",
    "each_like",
    "elements",
    "entry_an_axis",
    "fixed_output",
    "known",
    "most_inputs",
    "name_of",
    "numbers_of",
    "one_option",
    "quantised",
    "rank",
    "same_quantisation",
    "same_rank",
    "same_shape",
    "scale_of",
    "takes",
    "unquantised",
    "variable",
    "zero_point",
]

OUT = -1
"""Operand number of the first result, OUT - 1 of the second; inputs count from 0."""


class Numbers(NamedTuple):
    """A node with what its tensors hold. As `ops.registry.Call` without what an execution adds.

    is_stored: read from a file. A network that was described by its architecture has no scales yet, which breaks
    nothing.
    """

    signature: Signature
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    is_stored: bool = True

    def operand(self, place: int) -> Tensor | None:
        """An input by its number, or the first result (OUT)."""
        if place == OUT:
            return self.outputs[0] if self.outputs else None
        return self.inputs[place] if place < len(self.inputs) else None


_ANY = frozenset(DType) - {DType.STRING, DType.VARIANT}
"""What tensors on microcontrollers are made of."""


class Refusal(NamedTuple):
    """node: its index in the graph.   why: a sentence without its full stop."""

    node: int
    why: str


def numbers_of(graph: Graph) -> Iterator[tuple[int, Numbers]]:
    """Each node with what its tensors hold; none of a network that is known by its architecture and has no scales."""
    is_stored = graph.source.file_bytes is not None
    if not is_stored and not any(tensor.quantization for tensor in graph.tensors):
        return
    tensors = graph.tensors
    for index, node in enumerate(graph.nodes):
        inputs = tuple([None if place == ABSENT else tensors[place] for place in node.inputs])
        yield index, Numbers(node.signature, inputs, tuple([tensors[place] for place in node.outputs]), is_stored)


ShapeRule = Callable[[Signature], str]
NumberRule = Callable[[Numbers], str]


@dataclass(frozen=True, slots=True)
class _Slot:
    """An operand of a form. types: those it may have.   like: number of the input whose type it must have, or -1."""

    types: frozenset[DType]
    text: str
    like: int = -1
    is_optional: bool = False

    def takes(self, kind: TensorType | None, inputs: Sequence[TensorType | None]) -> bool:
        if kind is None:
            return self.is_optional
        if self.like >= 0:
            other = inputs[self.like] if self.like < len(inputs) else None
            return other is not None and kind.dtype is other.dtype
        return kind.dtype in self.types


@dataclass(frozen=True, slots=True)
class _Side:
    """The inputs of a form, or its results. repeated: what all further ones must be; None where there may be none."""

    slots: tuple[_Slot, ...]
    repeated: _Slot | None = None

    def slot(self, place: int) -> _Slot | None:
        return self.slots[place] if place < len(self.slots) else self.repeated


@dataclass(frozen=True, slots=True)
class _Form:
    inputs: _Side
    outputs: _Side

    def broken(self, signature: Signature) -> list[tuple[int, str]]:
        """What does not meet it: (how many operands before it do, a sentence)."""
        inputs, outputs = signature.inputs, signature.outputs
        found = _side_broken(self.inputs, inputs, inputs, "input")
        return found + [
            (len(self.inputs.slots) + met, told) for met, told in _side_broken(self.outputs, outputs, inputs, "output")
        ]


def _side_broken(
    side: _Side, kinds: Sequence[TensorType | None], inputs: Sequence[TensorType | None], word: str
) -> list[tuple[int, str]]:
    broken = []
    for place in range(max(len(side.slots), len(kinds))):
        kind = kinds[place] if place < len(kinds) else None
        slot = side.slot(place)
        if slot is None:
            broken.append((place, f"it has {len(kinds)} {word}s, and may have {len(side.slots)}"))
            break
        if not slot.takes(kind, inputs):
            name = word if word == "output" and len(side.slots) == 1 else f"{word} {place}"
            told = "is missing" if kind is None else f"is {kind.dtype}, and must be {_wanted(slot, inputs)}"
            broken.append((place, f"{name} {told}"))
    return broken


def _wanted(slot: _Slot, inputs: Sequence[TensorType | None]) -> str:
    if slot.like < 0:
        return slot.text
    other = inputs[slot.like] if slot.like < len(inputs) else None
    return f"as input {slot.like}" + (f": {other.dtype}" if other is not None else "")


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """What one kernel asks. forms: element types.   shapes, numbers: rules beyond types."""

    forms: tuple[_Form, ...]
    shapes: tuple[ShapeRule, ...] = ()
    numbers: tuple[NumberRule, ...] = ()

    @classmethod
    def of(cls, *forms: str, shapes: tuple[ShapeRule, ...] = (), numbers: tuple[NumberRule, ...] = ()) -> Conditions:
        return cls(tuple(_form(text) for text in forms), shapes, numbers)

    def broken_types(self, signature: Signature) -> str:
        """What types and counts break, by the form that comes nearest; "" where one is met."""
        nearest: list[tuple[int, str]] = []
        for form in self.forms:
            broken = form.broken(signature)
            if not broken:
                return ""
            if not nearest or (len(broken), -broken[0][0]) < (len(nearest), -nearest[0][0]):
                nearest = broken
        return "; ".join(told for _, told in nearest)

    def broken_shapes(self, signature: Signature) -> str:
        """What else a signature breaks."""
        told = self.broken_types(signature)
        if told:
            return told  # rules trust that the operands are there
        return "; ".join(told for told in (rule(signature) for rule in self.shapes) if told)

    def broken_numbers(self, numbers: Numbers) -> str:
        """What scales and zero points break. Only for a node whose signature breaks nothing."""
        return "; ".join(told for told in (rule(numbers) for rule in self.numbers) if told)


@cache
def _form(text: str) -> _Form:
    inputs, _, outputs = text.partition(">")
    return _Form(_side(inputs.split()), _side(outputs.split()))


def takes(form: str, signature: Signature) -> bool:
    """Whether a signature meets a form."""
    return not _form(form).broken(signature)


def _side(tokens: Sequence[str]) -> _Side:
    slots, repeated = [], None
    for token in tokens:
        if token == "...":
            repeated = _Slot(_ANY, "another type", is_optional=True)
        elif token.endswith("*"):
            repeated = _slot(token[:-1])
        else:
            slots.append(_slot(token))
    return _Side(tuple(slots), repeated)


def _slot(token: str) -> _Slot:
    is_optional, token = token.endswith("?"), token.removesuffix("?")
    if token.startswith("="):
        return _Slot(frozenset(), token, int(token[1:]), is_optional)
    if token == "any":
        return _Slot(_ANY, "another type", is_optional=is_optional)
    named = frozenset(DType(name) for name in token.removeprefix("!").split("|"))
    text = _listed(token.removeprefix("!").split("|"))
    if token.startswith("!"):
        return _Slot(_ANY - named, f"another type than {text}", is_optional=is_optional)
    return _Slot(named, text, is_optional=is_optional)


def _listed(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


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
        found = len(signature.inputs)
        return "" if least <= found <= count else f"it has {found} inputs, and may have {least} to {count}"

    return rule


def one_option(name: str, allowed: Collection[object], told: str) -> ShapeRule:
    """An option has one of these values; an operator whose options mcusim does not read has none.   told: why not."""

    def rule(signature: Signature) -> str:
        value = getattr(signature.attributes, name, None)
        return "" if value is None or value in allowed else told

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
    found = [operand for operand in map(numbers.operand, places) if operand is not None]
    if len(found) < len(places) or not (numbers.is_stored or all(each.quantization for each in found)):
        return None
    return found


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
        found, zero = scale_of(output[0])
        if (scale is None or abs(found - scale) <= relative * scale) and zero == zero_point:
            return ""
        wanted = (
            f"zero point {zero_point}" if scale is None else f"scale 1/{round(1 / scale)} and zero point {zero_point}"
        )
        return f"the output has {_quantised(found, zero)}, and must have {wanted}"

    return _of_types(OUT, types, rule)


def zero_point(place: int, value: int, *types: DType) -> NumberRule:
    """An operand of these types has this zero point."""

    def rule(numbers: Numbers) -> str:
        operand = known(numbers, place)
        found = scale_of(operand[0])[1] if operand else value
        return "" if found == value else f"{name_of(place)} has zero point {found}, and must have {value}"

    return _of_types(place, types, rule)


def quantised(place: int, *types: DType, channels: int | None = None, at: int = 0) -> NumberRule:
    """An operand has a scale: one, or one a channel along axis `channels`.   types: of operand `at`."""

    def rule(numbers: Numbers) -> str:
        operand = known(numbers, place)
        if operand is None:
            return ""
        stored = operand[0].quantization
        if stored is None:
            return f"{name_of(place)} has no scale"
        return _channels_broken(stored, operand[0].shape, channels, place)

    return _of_types(at, types, rule)


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
        return ""
    return f"{name_of(place)} has {count} scales, and may have one, or one for each of the {wanted} of axis {channels}"


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
