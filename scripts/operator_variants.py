"""Variants of a network of one operator: other types, ranks, constants, quantisations, counts and options.

Types vary in all operands together, in each alone, and in each pair. Everything else varies in one place. A variant may
be nonsense; what a runtime makes of it is the question.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from random import Random
from typing import Any

from one_operator import STORED, Network, Operand, Operator, schema
from operator_lines import retyped, stored

__all__ = ["TYPES", "Variant", "mixtures", "variants"]

TYPES = (
    *("float32", "float16", "int64", "int32", "int16", "int8", "int4", "uint8", "uint16", "uint32", "bool"),
    *("float64", "uint64", "complex64", "string"),
)
_PAIRED = TYPES[:11]
_MOST_PAIRED = 6
_NUMBERS = (-1, 0, 1, 2, 3, 7)
_ENOUGH_INPUTS = 12

Variant = tuple[str, Network]
"""What varies (types, ranks, constants, quantisation, counts, options), and the network."""


def variants(network: Network) -> Iterator[Variant]:
    """The network itself, and all its variants; each with a label that says what is different."""
    yield "itself", network
    for kind, vary in _KINDS.items():
        for label, variant in vary(network):
            yield kind, replace(variant, label=f"{network.label}  ~ {kind}: {label}")


def mixtures(bases: Mapping[str, Sequence[Network]], count: int, seed: int) -> Iterator[tuple[str, str, Network]]:
    """(operator, kinds of change, network): several changes at once, as they meet in files that nobody made up.

    bases: operator -> networks that run. What they read is drawn over its whole range four times out of five.
    """
    random = Random(seed)
    for _ in range(count):
        op = random.choice(sorted(bases))
        network, kinds = random.choice(bases[op]), []
        for _ in range(random.choice((0, 1, 1, 2, 2, 3))):
            kind = random.choice(list(_KINDS))
            changes = list(_KINDS[kind](network))
            if changes:
                label, changed = random.choice(changes)
                kinds.append(kind)
                network = replace(changed, label=f"{network.label}  ~ {kind}: {label}")
        if random.random() < 0.8:
            network = replace(network, tensors=tuple(_fed_widely(each) for each in network.tensors))
        yield op, " + ".join(kinds) or "itself", network


def _fed_widely(operand: Operand) -> Operand:
    """Stored integers and floats of the whole range instead of small numbers; positions stay as they are."""
    is_value = (
        operand.elements is None and operand.dtype in (*STORED, "float32") and (operand.low, operand.high) == (1, 3)
    )
    return replace(operand, low=None, high=None) if is_value else operand


def _with(network: Network, **changes: Any) -> Network:
    """The network with other fields of its operator."""
    return replace(network, operators=(replace(network.operators[0], **changes),))


def _with_tensors(network: Network, changes: dict[int, Operand]) -> Network:
    return replace(network, tensors=tuple(changes.get(i, each) for i, each in enumerate(network.tensors)))


def _named(network: Network) -> dict[int, str]:
    """Tensor -> what it is to the operator."""
    operator = network.operators[0]
    names = {tensor: f"output {place}" for place, tensor in enumerate(operator.outputs)}
    return {tensor: f"input {place}" for place, tensor in enumerate(operator.inputs) if tensor >= 0} | names


def _types(network: Network) -> Iterator[tuple[str, Network]]:
    names, tensors = _named(network), network.tensors
    for dtype in TYPES:
        for first in {each.dtype for each in tensors}:
            alike = {i: retyped(each, dtype) for i, each in enumerate(tensors) if each.dtype == first}
            yield f"{first} as {dtype}", _with_tensors(network, alike)
        for index, name in names.items():
            yield f"{name} {dtype}", _with_tensors(network, {index: retyped(tensors[index], dtype)})
    paired = list(names.items()) if len(names) <= _MOST_PAIRED else []
    for (one, name), (other, second) in combinations(paired, 2):
        for a, b in product(_PAIRED, _PAIRED):
            changes = {one: retyped(tensors[one], a), other: retyped(tensors[other], b)}
            yield f"{name} {a}, {second} {b}", _with_tensors(network, changes)


def _ranks(network: Network) -> Iterator[tuple[str, Network]]:
    names, tensors = _named(network), network.tensors

    def shaped(index: int, rank: int) -> Operand:
        shape = tensors[index].shape
        if rank >= len(shape):
            return _reshaped(tensors[index], (1,) * (rank - len(shape)) + shape)
        kept = shape[len(shape) - rank :]
        folded = (math.prod(shape[: len(shape) - rank + 1]), *kept[1:]) if rank else ()
        return _reshaped(tensors[index], folded)

    for rank in range(8):
        for index, name in names.items():
            yield f"{name} of rank {rank}", _with_tensors(network, {index: shaped(index, rank)})
        many = {index: shaped(index, rank) for index in names if not tensors[index].dtype.startswith("int32")}
        yield f"all of rank {rank}", _with_tensors(network, many)


def _reshaped(operand: Operand, shape: tuple[int, ...]) -> Operand:
    elements = operand.elements
    if elements is not None and elements.size == math.prod(shape):
        elements = elements.reshape(shape)
    return replace(operand, shape=shape, elements=elements)


def _constants(network: Network) -> Iterator[tuple[str, Network]]:
    for index, name in _named(network).items():
        operand = network.tensors[index]
        if name.startswith("output"):
            continue
        if operand.elements is None:
            fixed = replace(operand, elements=stored(operand.dtype, operand.shape), is_variable=False)
            yield f"{name} constant", _with_tensors(network, {index: fixed})
            if operand.dtype in STORED:
                yield f"{name} constant of scale 0", _with_tensors(network, {index: replace(fixed, scale=(0.0,))})
        else:
            yield f"{name} at run time", _with_tensors(network, {index: replace(operand, elements=None)})
        if not operand.is_variable:
            loose = replace(operand, is_variable=True, elements=None)
            yield f"{name} variable", _with_tensors(network, {index: loose})


def _quantisation(network: Network) -> Iterator[tuple[str, Network]]:
    for index, name in _named(network).items():
        operand = network.tensors[index]
        if operand.dtype not in STORED and operand.elements is None:
            continue
        scale = operand.scale if isinstance(operand.scale, float) else operand.scale[0]
        for label, changes in _quantised(operand, scale or 0.05):
            yield f"{name} {label}", _with_tensors(network, {index: replace(operand, **changes)})


def _quantised(operand: Operand, scale: float) -> Iterator[tuple[str, dict[str, Any]]]:
    for factor in (1e-7, 1e-6, 0.5, 0.99, 1.001, 1.01, 1.03, 2.0, 200.0, 1e6):
        yield f"scale times {factor}", {"scale": scale * factor}
    yield "without scale", {"scale": 0.0}
    for zero in (-128, -3, 1, 127):
        yield f"zero point {zero}", {"zero_point": zero}
    yield "without zero point", {"scale": operand.scale or scale, "zero_point": None}
    for axis, size in enumerate(operand.shape):
        if size > 1:
            yield f"a scale a channel along {axis}", {"scale": (scale,) * size, "axis": axis}
            for said in range(len(operand.shape)):
                if said != axis:
                    yield f"a scale a channel along {axis}, said of {said}", {"scale": (scale,) * size, "axis": said}


def _counts(network: Network) -> Iterator[tuple[str, Network]]:
    operator = network.operators[0]
    inputs, outputs = operator.inputs, operator.outputs
    for place in range(len(inputs)):
        yield f"input {place} absent", _with(network, inputs=(*inputs[:place], -1, *inputs[place + 1 :]))
    for count in range(len(inputs)):
        yield f"{count} inputs", _with(network, inputs=inputs[:count])
    if inputs and inputs[-1] >= 0:
        for count in range(len(inputs) + 1, _ENOUGH_INPUTS):
            yield f"{count} inputs", _longer(network, count)
    for count in range(len(outputs)):
        yield f"{count} outputs", _with(network, outputs=outputs[:count])
    if outputs:
        more = replace(network, tensors=(*network.tensors, network.tensors[outputs[-1]]))
        yield f"{len(outputs) + 1} outputs", _with(more, outputs=(*outputs, len(network.tensors)))
    for shape in ((), (1,), (0,), (0, 3)):
        more = replace(network, tensors=(*network.tensors, Operand(shape, "int16", scale=0.001)))
        yield f"an intermediate tensor of shape {shape}", _with(more, intermediates=(len(network.tensors),))


def _longer(network: Network, count: int) -> Network:
    """More inputs like the last one."""
    inputs = network.operators[0].inputs
    extra = range(len(network.tensors), len(network.tensors) + count - len(inputs))
    more = replace(network, tensors=(*network.tensors, *(network.tensors[inputs[-1]] for _ in extra)))
    return _with(more, inputs=(*inputs, *extra))


def _options(network: Network) -> Iterator[tuple[str, Network]]:
    operator = network.operators[0]
    if not operator.table:
        return
    yield "none", _with(network, table="", options={})
    for name, value in _fields(operator).items():
        for other in _others(value):
            if other != value and (other != -1 or not name.endswith("Type")):  # no element type is -1
                yield f"{name} {other}", _with(network, options={**operator.options, name: other})


def _fields(operator: Operator) -> dict[str, Any]:
    """Every field of the operator's options table, as it stands or by default."""
    defaults = vars(getattr(schema, f"{operator.table}T")())
    return {name: operator.options.get(name, value) for name, value in defaults.items()}


def _others(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (False, True)
    if isinstance(value, int):
        return _NUMBERS
    return (-1.0, 0.0, 0.5, 1.0, 7.0) if isinstance(value, float) else ()


_KINDS = {
    "types": _types,
    "ranks": _ranks,
    "constants": _constants,
    "quantisation": _quantisation,
    "counts": _counts,
    "options": _options,
}
