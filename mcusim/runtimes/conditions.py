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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from mcusim.graph import ABSENT, DType, Graph, Signature, Tensor, TensorType

__all__ = [
    "OUT",
    "Conditions",
    "NumberRule",
    "Numbers",
    "Refusal",
    "ShapeRule",
    "numbers_of",
    "takes",
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
    if not is_stored and not graph.quantizations:
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
        reasons = _side_broken(self.inputs, inputs, inputs, "input")
        return reasons + [
            (len(self.inputs.slots) + met, reason)
            for met, reason in _side_broken(self.outputs, outputs, inputs, "output")
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
            reason = "is missing" if kind is None else f"is {kind.dtype}, and must be {_wanted(slot, inputs)}"
            broken.append((place, f"{name} {reason}"))
    return broken


def _wanted(slot: _Slot, inputs: Sequence[TensorType | None]) -> str:
    if slot.like < 0:
        return slot.text
    other = inputs[slot.like] if slot.like < len(inputs) else None
    return f"as input {slot.like}" + (f": {other.dtype}" if other is not None else "")


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """What one kernel asks. forms: element types.   shapes, numbers: rules beyond types.

    prepared: forms, one of which a node must meet to be set up; the kernel asks for `forms` when it runs. () where
        set-up asks for those.   late: rules that are asked for only when it runs.
    """

    forms: tuple[_Form, ...]
    shapes: tuple[ShapeRule, ...] = ()
    numbers: tuple[NumberRule, ...] = ()
    prepared: tuple[_Form, ...] = ()
    late: tuple[ShapeRule | NumberRule, ...] = ()

    @classmethod
    def of(
        cls,
        *forms: str,
        shapes: tuple[ShapeRule, ...] = (),
        numbers: tuple[NumberRule, ...] = (),
        prepared: tuple[str, ...] = (),
        late: tuple[ShapeRule | NumberRule, ...] = (),
    ) -> Conditions:
        return cls(tuple(map(_form, forms)), shapes, numbers, tuple(map(_form, prepared)), late)

    def at_set_up(self) -> Conditions:
        """What is asked of a node that is set up and never runs."""
        shapes = tuple([rule for rule in self.shapes if rule not in self.late])
        numbers = tuple([rule for rule in self.numbers if rule not in self.late])
        return Conditions(self.prepared or self.forms, shapes, numbers)

    def broken_types(self, signature: Signature) -> str:
        """What types and counts break, by the form that comes nearest; "" where one is met."""
        nearest: list[tuple[int, str]] = []
        for form in self.forms:
            broken = form.broken(signature)
            if not broken:
                return ""
            if not nearest or (len(broken), -broken[0][0]) < (len(nearest), -nearest[0][0]):
                nearest = broken
        return "; ".join(reason for _, reason in nearest)

    def broken_shapes(self, signature: Signature) -> str:
        """What a signature breaks: its types, or the first rule. Rules may trust those before them."""
        reason = self.broken_types(signature)
        if reason:
            return reason
        return next((reason for reason in (rule(signature) for rule in self.shapes) if reason), "")

    def broken_numbers(self, numbers: Numbers) -> str:
        """What scales and zero points break. Only for a node whose signature breaks nothing."""
        return "; ".join(reason for reason in (rule(numbers) for rule in self.numbers) if reason)


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
