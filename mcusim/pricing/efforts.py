"""Work -> effort: the amounts that cycles are proportional to, whatever the runtime and the board.

A kernel's time is a sum: so much for each multiply-accumulate, for each output that is requantised and stored, for
each element gathered before it is used (im2col), for each element moved, for each call. What these cost differs
between runtimes and cores; how many there are follows from a layer's shape.

Where the price of a multiply-accumulate differs with the shape (few input channels, narrow maps, large kernels), it has
a price at some knots, and a layer between two knots takes a share of each. So the price of a depthwise kernel is found
in `_kernel_rates`, and what a unit of each of its efforts costs on a board in `prices.py`:

    depthwise, 20 columns wide      knots   5      12      28      64
                                    share   0      0.4     0.6     0
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from math import log2
from operator import itemgetter
from typing import NamedTuple

from mcusim.graph import Signature
from mcusim.ops import Work, WorkKind
from mcusim.pricing.cycles import Cause

__all__ = [
    "CAUSES",
    "EFFORTS",
    "GROUPS",
    "PUBLISHED",
    "Effort",
    "EffortModel",
    "Parts",
    "WorkRates",
    "efforts",
    "rates_of_work",
]


class Effort(NamedTuple):
    """One kind of effort.

    group: efforts of one kind of kernel, whose prices move together between runtimes.
    base, knot: efforts of one base are the same work at other shapes; the knot is the shape's place on its axes, in
    octaves, so that prices of near shapes resemble each other.
    """

    name: str
    group: str
    cause: Cause
    base: str
    knot: tuple[float, ...] = ()


class _Axis(NamedTuple):
    """Places in one dimension of shape where an effort has a price of its own; between them prices are interpolated."""

    feature: str
    knots: tuple[int, ...]


class _Declared(NamedTuple):
    base: str
    group: str
    cause: Cause
    axes: tuple[_Axis, ...] = ()


_DECLARED = (
    _Declared("pointwise_mac", "pointwise", Cause.COMPUTE, (_Axis("channels_in", (8, 32, 128)),)),
    _Declared("pointwise_output", "pointwise", Cause.STORE),
    _Declared("conv_mac", "conv", Cause.COMPUTE, (_Axis("channels_in", (1, 3, 16, 64)),)),
    _Declared("conv_output", "conv", Cause.STORE),
    _Declared("conv_gather", "conv", Cause.MEMORY),
    _Declared("conv_copy", "conv", Cause.MEMORY),
    _Declared("rest_mac", "conv", Cause.COMPUTE),
    _Declared("depthwise_mac", "depthwise", Cause.COMPUTE, (_Axis("width", (5, 12, 28, 64)), _Axis("taps", (9, 25)))),
    _Declared("depthwise_output", "depthwise", Cause.STORE),
    _Declared("dense_mac", "dense", Cause.COMPUTE, (_Axis("channels_in", (32, 512)),)),
    _Declared("dense_output", "dense", Cause.STORE),
    _Declared("element", "element", Cause.STORE),
    _Declared("broadcast_element", "element", Cause.STORE),
    _Declared("activated", "element", Cause.STORE),
    _Declared("looked_up", "element", Cause.STORE),
    _Declared("pooled", "element", Cause.STORE),
    _Declared("reduced", "element", Cause.STORE),
    _Declared("copied_element", "element", Cause.MEMORY),
    _Declared("unpacked", "packing", Cause.MEMORY),
    _Declared("weight_byte", "weights", Cause.MEMORY),
    _Declared("weight_again", "weights", Cause.MEMORY),
    _Declared("call", "call", Cause.OVERHEAD),
)


def _refined(declared: _Declared) -> list[Effort]:
    name, group, cause, axes = declared
    shapes: list[tuple[tuple[str, int], ...]] = [()]
    # The product of all axes: depthwise_mac has 4 widths times 2 sizes of windows, so 8 prices.
    for axis in axes:
        shapes = [(*shape, (axis.feature, knot)) for shape in shapes for knot in axis.knots]
    return [
        Effort(
            ":".join([name, *(f"{feature}={knot}" for feature, knot in shape)]),
            group,
            cause,
            name,
            tuple(log2(knot) for _, knot in shape),
        )
        for shape in shapes
    ]


EFFORTS = tuple(effort for declared in _DECLARED for effort in _refined(declared))
GROUPS = tuple(dict.fromkeys(effort.group for effort in EFFORTS))
CAUSES = tuple(effort.cause for effort in EFFORTS)
_AXES = {declared.base: declared.axes for declared in _DECLARED}
_FIRST = {declared.base: [effort.base for effort in EFFORTS].index(declared.base) for declared in _DECLARED}

UNPACKED_BY_WEIGHT = {4: 1.0, 2: 0.05}
"""Unpacking a weight, in units of a nibble: two instructions with shifts and a mask for int4; bytes of int2 come out
four at a time with one bit-field instruction each."""
COLUMNS_AT_ONCE = 2
"""Convolutions use a weight for two columns before they take the next."""
LANES = 4
"""Multiply-accumulates of one turn of the inner loop; what is left of the depth runs one by one."""
KEPT_BYTES = 16_384
"""Weights of one layer that a cache keeps from column to column: 16 KiB in a Cortex-M7 and in front of the QSPI flash
of RP2040 and RP2350."""

Parts = tuple[tuple[int, float], ...]


class WorkRates(NamedTuple):
    """Of one multiply-accumulate, output, input and call of some work: cycles, or amounts of one effort."""

    mac: float
    output: float
    input: float
    call: float


class _Shape(NamedTuple):
    """What decides how much of each effort a multiply-accumulate, an output and so on take."""

    kind: WorkKind
    channels_in: int
    channels_out: int
    taps: int
    width: int
    weight_bits: int
    input_bits: int
    output_bits: int


def _hats(axis: _Axis, shape: _Shape) -> list[float]:
    """Shares of the knots of an axis, linear in the logarithm between two neighbours, constant beyond the ends."""
    places = [log2(knot) for knot in axis.knots]
    # In octaves, as the fit has it, and no further than the outermost knots: beyond them nobody measured.
    place = min(max(log2(max(getattr(shape, axis.feature), 1)), places[0]), places[-1])
    shares = [0.0] * len(places)
    for left, (low, high) in enumerate(pairwise(places)):
        if low <= place <= high:
            right = (place - low) / (high - low)
            shares[left], shares[left + 1] = 1.0 - right, right
            break
    return shares


def _spread_over_knots(base: str, shape: _Shape) -> list[tuple[int, float]]:
    """(place in EFFORTS, share) of the efforts of one base that price this shape."""
    shares = [1.0]
    for axis in _AXES[base]:
        shares = [share * hat for share in shares for hat in _hats(axis, shape)]
    return [(_FIRST[base] + knot, share) for knot, share in enumerate(shares) if share]


def _kernel_rates(shape: _Shape) -> dict[str, WorkRates]:
    """Amounts of each base that this kind of kernel takes, for one of its multiply-accumulates, outputs, ..."""
    kind, in_c, out_c, taps = shape[:4]
    weights = in_c * out_c * taps * shape.weight_bits / 8
    # Weights that the cache cannot hold are fetched anew for every pair of columns, so per output.
    again = weights / (COLUMNS_AT_ONCE * out_c) if weights > KEPT_BYTES else 0.0
    mac, output, read = (WorkRates(1.0, 0.0, 0.0, 0.0), WorkRates(0.0, 1.0, 0.0, 0.0), WorkRates(0.0, 0.0, 1.0, 0.0))
    once = WorkRates(0.0, 0.0, 0.0, weights)
    # A dot product of depth 27 runs 6 turns of 4 and 3 single steps: `27 % 4` per output.
    rest = WorkRates(0.0, float(in_c * taps % LANES), 0.0, 0.0)
    call = {"call": WorkRates(0.0, 0.0, 0.0, 1.0)}
    match kind:
        case WorkKind.POINTWISE:
            more = {"rest_mac": rest, "weight_again": WorkRates(0.0, again, 0.0, 0.0), "weight_byte": once}
            return {"pointwise_mac": mac, "pointwise_output": output} | more | call
        case WorkKind.CONV:
            gathered = {
                # An element is gathered once for all output channels that use it.
                "conv_gather": WorkRates(1.0 / out_c, 0.0, 0.0, 0.0),
                "conv_copy": WorkRates(1.0 / (in_c * out_c), 0.0, 0.0, 0.0),
            }
            more = {"rest_mac": rest, "weight_again": WorkRates(0.0, again, 0.0, 0.0), "weight_byte": once}
            return {"conv_mac": mac, "conv_output": output} | gathered | more | call
        case WorkKind.DEPTHWISE:
            return {"depthwise_mac": mac, "depthwise_output": output, "weight_byte": once} | call
        case WorkKind.FULLY_CONNECTED | WorkKind.RECURRENT:
            return {"dense_mac": mac, "dense_output": output, "rest_mac": rest, "weight_byte": once} | call
        case WorkKind.POOL:
            return {"pooled": read} | call
        case WorkKind.REDUCE:
            return {"reduced": read} | call
        case WorkKind.ELEMENTWISE:
            return {"element": output} | call
        case WorkKind.BROADCAST:
            return {"broadcast_element": output} | call
        case WorkKind.ACTIVATION:
            return {"activated": output} | call
        case WorkKind.LOOKUP:
            return {"looked_up": output} | call
        case WorkKind.COPY:
            return {"copied_element": output} | call
        case WorkKind.CONTROL:
            # A tenth of a call: control flow enters no kernel that sets anything up.
            return {"call": WorkRates(0.0, 0.0, 0.0, 0.1)}


def _packing(shape: _Shape) -> WorkRates:
    """Elements unpacked or packed for each multiply-accumulate, output and input; none where all have 8 bits."""
    by_mac = UNPACKED_BY_WEIGHT.get(shape.weight_bits, 0.0)
    # Unpacked once for the columns that share a weight.
    if shape.kind in (WorkKind.POINTWISE, WorkKind.CONV):
        by_mac /= COLUMNS_AT_ONCE
    return WorkRates(by_mac, float(shape.output_bits < 8), float(shape.input_bits < 8), 0.0)


Tariff = tuple[tuple[int, float, float, float, float], ...]
"""(place in EFFORTS, amounts for one multiply-accumulate, output, input and call)."""

_SHAPE_OF = itemgetter(*[Work._fields.index(field) for field in _Shape._fields])


@lru_cache(4096)
def _tariff(key: tuple[WorkKind, int, int, int, int, int, int, int]) -> Tariff:
    """Every effort of work of a shape.   key: the fields of _Shape, as `_SHAPE_OF` takes them from the work."""
    known = _Shape(*key)
    bases = _kernel_rates(known)
    packing = _packing(known)
    if any(packing):
        bases["unpacked"] = packing
    return tuple(
        (place, share * rates.mac, share * rates.output, share * rates.input, share * rates.call)
        for base, rates in bases.items()
        for place, share in _spread_over_knots(base, known)
        if any(rates)
    )


def efforts(work: Work) -> Parts:
    """(place in EFFORTS, amount) of every effort that the work takes."""
    macs, outputs, inputs, calls = work.macs, work.outputs, work.inputs, work.calls
    amounts = [
        (place, mac * macs + output * outputs + read * inputs + call * calls)
        for place, mac, output, read, call in _tariff(_SHAPE_OF(work))
    ]
    return tuple([part for part in amounts if part[1]])


def rates_of_work(cycles: tuple[float, ...], work: Work) -> WorkRates:
    """The prices of this kind of work where an effort at place i costs `cycles[i]`."""
    mac = output = read = call = 0.0
    for place, of_mac, of_output, of_input, of_call in _tariff(_SHAPE_OF(work)):
        price = cycles[place]
        mac += price * of_mac
        output += price * of_output
        read += price * of_input
        call += price * of_call
    return WorkRates(mac, output, read, call)


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
