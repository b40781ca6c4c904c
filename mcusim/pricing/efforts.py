"""Work -> effort: the amounts that cycles are proportional to, whatever the runtime and the board.

A kernel's time is a sum: so much for each multiply-accumulate, for each output that is requantised and stored, for
each element gathered before it is used (im2col), for each element moved, for each call. What these cost differs
between runtimes and cores; how many there are follows from a layer's shape.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from mcusim.graph import Signature
from mcusim.ops import Work, WorkKind

__all__ = [
    "CAUSES",
    "EFFORTS",
    "GROUPS",
    "PUBLISHED",
    "Cause",
    "Effort",
    "EffortModel",
    "Parts",
    "WorkRates",
    "efforts",
    "rates_of_work",
]

SHALLOW_CHANNELS = 4
"""Convolutions over fewer input channels (images, spectrograms) have inner loops that do not fill a SIMD word."""


class Cause(StrEnum):
    """What cycles are spent on."""

    COMPUTE = "compute"
    """Multiply-accumulates."""
    STORE = "store"
    """Requantising and storing outputs; element-wise arithmetic."""
    MEMORY = "memory"
    """Gathering and moving bytes, and waiting for memory."""
    OVERHEAD = "overhead"
    """Entering kernels."""


class Effort(NamedTuple):
    """One kind of effort. group: efforts of one kind of kernel, whose prices move together between runtimes."""

    name: str
    group: str
    cause: Cause


EFFORTS = (
    Effort("pointwise_mac", "pointwise", Cause.COMPUTE),
    Effort("pointwise_output", "pointwise", Cause.STORE),
    Effort("shallow_mac", "conv", Cause.COMPUTE),
    Effort("conv_mac", "conv", Cause.COMPUTE),
    Effort("conv_output", "conv", Cause.STORE),
    Effort("conv_gather", "conv", Cause.MEMORY),
    Effort("depthwise_mac", "depthwise", Cause.COMPUTE),
    Effort("depthwise_output", "depthwise", Cause.STORE),
    Effort("dense_mac", "dense", Cause.COMPUTE),
    Effort("dense_output", "dense", Cause.STORE),
    Effort("element", "element", Cause.STORE),
    Effort("copied_element", "element", Cause.MEMORY),
    Effort("unpacked", "packing", Cause.MEMORY),
    Effort("call", "call", Cause.OVERHEAD),
)
GROUPS = tuple(dict.fromkeys(effort.group for effort in EFFORTS))
CAUSES = tuple(effort.cause for effort in EFFORTS)
_PLACE = {effort.name: place for place, effort in enumerate(EFFORTS)}

ELEMENTS_OF_AN_INPUT = 0.1
"""An element that a pool or a sum reads, in element-wise results: 6.5 to 7.5 instructions of CMSIS-NN against 81."""

UNPACKED_BY_WEIGHT = {4: 1.0, 2: 0.05}
"""Unpacking a weight, in units of a nibble: two instructions with shifts and a mask for int4; bytes of int2 come out
four at a time with one bit-field instruction each."""
COLUMNS_AT_ONCE = 2
"""Convolutions use a weight for two columns before they unpack the next."""

Parts = tuple[tuple[int, float], ...]


class _Rule(NamedTuple):
    """Places of the efforts of one kind of work; None where it has none."""

    mac: int | None = None
    output: int | None = None
    read: tuple[int, float] | None = None
    gather: int | None = None
    call: float = 1.0


_DENSE = _Rule(_PLACE["dense_mac"], _PLACE["dense_output"])
_POOL = _Rule(read=(_PLACE["element"], ELEMENTS_OF_AN_INPUT))
_ELEMENT = _Rule(output=_PLACE["element"])
_CONV = _Rule(_PLACE["conv_mac"], _PLACE["conv_output"], gather=_PLACE["conv_gather"])
_SHALLOW = _CONV._replace(mac=_PLACE["shallow_mac"])
_RULES = {
    WorkKind.POINTWISE: _Rule(_PLACE["pointwise_mac"], _PLACE["pointwise_output"]),
    WorkKind.CONV: _CONV,
    WorkKind.DEPTHWISE: _Rule(_PLACE["depthwise_mac"], _PLACE["depthwise_output"]),
    WorkKind.FULLY_CONNECTED: _DENSE,
    WorkKind.RECURRENT: _DENSE,
    WorkKind.POOL: _POOL,
    WorkKind.REDUCE: _POOL,
    WorkKind.ELEMENTWISE: _ELEMENT,
    WorkKind.LOOKUP: _ELEMENT,
    WorkKind.COPY: _Rule(output=_PLACE["copied_element"]),
    WorkKind.CONTROL: _Rule(call=0.1),
}
_CALL, _UNPACKED = _PLACE["call"], _PLACE["unpacked"]


class WorkRates(NamedTuple):
    """Cycles for one multiply-accumulate (gathering included), output, input and call of some work."""

    mac: float
    output: float
    input: float
    call: float


_NOTHING_PACKED = WorkRates(0.0, 0.0, 0.0, 0.0)


def _rule_of(work: Work) -> _Rule:
    if work.kind is WorkKind.CONV and work.channels_in < SHALLOW_CHANNELS:
        return _SHALLOW
    return _RULES[work.kind]


def efforts(work: Work) -> Parts:
    """(place in EFFORTS, amount) of every effort that the work takes."""
    rule = _rule_of(work)
    parts: list[tuple[int, float]] = []
    if rule.mac is not None and work.macs:
        parts.append((rule.mac, work.macs))
        if rule.gather is not None:
            parts.append((rule.gather, work.macs / work.channels_out))
    if rule.output is not None and work.outputs:
        parts.append((rule.output, work.outputs))
    if rule.read is not None and work.inputs:
        place, share = rule.read
        parts.append((place, share * work.inputs))
    packed = _packing(work)
    amount = packed.mac * work.macs + packed.output * work.outputs + packed.input * work.inputs
    if amount:
        parts.append((_UNPACKED, amount))
    if work.calls:
        parts.append((_CALL, rule.call * work.calls))
    return tuple(parts)


def _packing(work: Work) -> WorkRates:
    """Elements unpacked or packed for each multiply-accumulate, output and input; none where all have 8 bits."""
    if work.weight_bits >= 8 and work.input_bits >= 8 and work.output_bits >= 8:
        return _NOTHING_PACKED
    by_mac = UNPACKED_BY_WEIGHT.get(work.weight_bits, 0.0)
    if work.kind in (WorkKind.POINTWISE, WorkKind.CONV):
        by_mac /= COLUMNS_AT_ONCE
    return WorkRates(by_mac, float(work.output_bits < 8), float(work.input_bits < 8), 0.0)


def rates_of_work(cycles: tuple[float, ...], work: Work) -> WorkRates:
    """The prices of this kind of work where an effort at place i costs `cycles[i]`."""
    rule = _rule_of(work)
    mac = 0.0 if rule.mac is None else cycles[rule.mac]
    if rule.gather is not None:
        mac += cycles[rule.gather] / work.channels_out
    output = 0.0 if rule.output is None else cycles[rule.output]
    read = 0.0 if rule.read is None else cycles[rule.read[0]] * rule.read[1]
    packed, unpacking = _packing(work), cycles[_UNPACKED]
    return WorkRates(
        mac + packed.mac * unpacking,
        output + packed.output * unpacking,
        read + packed.input * unpacking,
        cycles[_CALL] * rule.call,
    )


class EffortModel(NamedTuple):
    """How the work of a node is taken apart into efforts that have prices.

    causes: of each effort, by place.   parts: (place, amount) of every effort that some work of a node takes.
    rates: where an effort at place i costs `cycles[i]`, what a unit of such work costs.
    """

    causes: tuple[Cause, ...]
    parts: Callable[[Signature, Work], Parts]
    rates: Callable[[tuple[float, ...], Signature, Work], WorkRates]


PUBLISHED = EffortModel(
    CAUSES, lambda call, work: efforts(work), lambda cycles, call, work: rates_of_work(cycles, work)
)
"""The efforts whose prices come from published times: a kind of inner loop says what they are, whoever wrote it."""
