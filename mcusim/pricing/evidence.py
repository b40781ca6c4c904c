"""What stands behind a time: measured systems, the nearest measured kernels and layers, and how an interval came about.

How far two layers are apart is counted in octaves: doubling the input channels, the output channels, the taps of the
kernel or the width of the map is one octave each; apart by (1, 1, 0, 0) is a distance of 1.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from math import hypot, log2
from typing import NamedTuple, Protocol

import numpy as np

from mcusim.graph import Graph, Signature
from mcusim.ops import OPS, Work, WorkKind
from mcusim.pricing.efforts import EFFORTS
from mcusim.pricing.fitting import OwnLayer
from mcusim.pricing.intervals import Known, is_alone, known_of
from mcusim.pricing.measurements import KernelTime, Measurement, kernel_times, measurements, network_layers
from mcusim.pricing.places import Place
from mcusim.pricing.prices import Coefficients
from mcusim.pricing.stored import Calibration
from mcusim.pricing.systems import System

__all__ = [
    "IntervalReason",
    "LayerReason",
    "NearKernel",
    "NearLayer",
    "NearOwn",
    "Part",
    "SystemEvidence",
    "interval_reason",
    "layer_reasons",
    "shape_words",
    "systems_behind",
]

_LEAST_SHARE = 0.005
SHOWN = 2
"""Nearest kernels, and networks, of a layer."""


class SystemEvidence(NamedTuple):
    """What was measured on one system.   networks: names, in the order of their times.   kernels: operators alone."""

    system: System
    rows: tuple[Measurement, ...]
    kernels: int
    known: Known


def systems_behind(
    calibration: Calibration, runtime: str | None = None, board: str | None = None
) -> tuple[SystemEvidence, ...]:
    """Every system with measurements, those with most networks first.   runtime, board: only of these, if named."""
    rows: dict[System, list[Measurement]] = {}
    kernels: dict[System, int] = {}
    for row in measurements():
        if not row.left_out:
            rows.setdefault(row.system, []).append(row)
    for kernel in kernel_times():
        kernels[kernel.system] = kernels.get(kernel.system, 0) + 1
    systems = [
        SystemEvidence(
            system,
            tuple(sorted(rows.get(system, ()), key=lambda row: row.cycles)),
            kernels.get(system, 0),
            known_of(system, calibration.fit.measured),
        )
        for system in sorted({*rows, *kernels})
        if runtime in (None, system.runtime) and board in (None, system.board)
    ]
    return tuple(sorted(systems, key=lambda entry: (-len(entry.rows), -entry.kernels, entry.system)))


class NearKernel(NamedTuple):
    """A kernel measured alone, and how far its shape is from a layer's, in octaves."""

    octaves: float
    row: KernelTime


class NearLayer(NamedTuple):
    """A layer of a measured network, its shape in words, and how far it is from another, in octaves."""

    octaves: float
    shape: str
    row: Measurement


class NearOwn(NamedTuple):
    """A layer that the user has timed, its shape in words, and how far it is from another, in octaves."""

    octaves: float
    shape: str
    layer: OwnLayer
    system: System


class LayerReason(NamedTuple):
    """What is nearest to a layer among all that was measured.   node: its index.   shape: in words.

    own: layers that the user has timed.
    """

    node: int
    shape: str
    kernels: tuple[NearKernel, ...]
    layers: tuple[NearLayer, ...]
    own: tuple[NearOwn, ...] = ()


def layer_reasons(
    graph: Graph, indices: Iterable[int], place: Place, calibration: Calibration
) -> tuple[LayerReason, ...]:
    """What was measured nearest to some nodes of a graph, for the runtime and core of a place."""
    reasons = []
    for index in indices:
        signature = graph.nodes[index].signature
        if signature.op not in OPS or not signature.outputs:
            continue
        work = _whole(signature)
        kernels = sorted(
            (NearKernel(_octaves(work, own), row) for row, own in _kernels() if _alike(work, own)),
            # Of kernels that are equally near, one that ran on the same core says more.
            key=lambda near: (near.octaves, near.row.system.core != place.system.core),
        )
        own = _near_own(work, place.system, calibration)
        near = _near_layers(work, place.system)
        reasons.append(LayerReason(index, shape_words(work), tuple(kernels[:SHOWN]), near, own))
    return tuple(reasons)


def _near_own(work: Work, system: System, calibration: Calibration) -> tuple[NearOwn, ...]:
    """Nearest layers that the user has timed with the runtime, those of the same system first among equal ones."""
    if not calibration.own_layers:
        return ()
    systems = dict(zip(calibration.fit.ids, calibration.fit.systems, strict=True))
    near = [
        NearOwn(_octaves(work, own), shape_words(own), own, systems[own.row])
        for own in calibration.own_layers
        if own.row in systems and systems[own.row].runtime == system.runtime and _alike(work, own)
    ]
    return tuple(sorted(near, key=lambda one: (round(one.octaves, 2), one.system != system))[:SHOWN])


def _near_layers(work: Work, system: System) -> tuple[NearLayer, ...]:
    """Nearest layers of networks measured with the runtime: first on the system itself, one a network."""
    nearest: dict[str, NearLayer] = {}
    for row in measurements():
        if row.left_out or row.system.runtime != system.runtime:
            continue
        for own in network_layers(row.network, row.system.runtime):
            if _alike(work, own):
                near = NearLayer(_octaves(work, own), shape_words(own), row)
                best = nearest.get(row.network_id)
                if best is None or _rank(near, system) < _rank(best, system):
                    nearest[row.network_id] = near
    return tuple(sorted(nearest.values(), key=lambda near: _rank(near, system))[:SHOWN])


def _rank(near: NearLayer, system: System) -> tuple[float, int]:
    """Nearest shape first; among equal ones what shares most with the system."""
    other = near.row.system
    # A system itself, then the same release anywhere, then the same board, then the same core.
    shared = (other == system) * 8 + (other[:3] == system[:3]) * 4 + (other.board == system.board) * 2
    return round(near.octaves, 2), -(shared + (other.core == system.core))


@cache
def _kernels() -> tuple[tuple[KernelTime, Work], ...]:
    return tuple((row, row.work) for row in kernel_times() if row.work is not None)


def _whole(signature: Signature) -> Work:
    return OPS[signature.op].work(signature, signature.output.rows, signature.output.cols, 1)


class Shaped(Protocol):
    """What tells two layers apart."""

    @property
    def kind(self) -> WorkKind: ...
    @property
    def channels_in(self) -> int: ...
    @property
    def channels_out(self) -> int: ...
    @property
    def taps(self) -> int: ...
    @property
    def width(self) -> int: ...


def _alike(one: Shaped, other: Shaped) -> bool:
    return one.kind is other.kind


def _octaves(one: Shaped, other: Shaped) -> float:
    pairs = zip(_features(one), _features(other), strict=True)
    return hypot(*[log2(max(a, 1)) - log2(max(b, 1)) for a, b in pairs])


def _features(work: Shaped) -> tuple[int, int, int, int]:
    return work.channels_in, work.channels_out, work.taps, work.width


def shape_words(work: Shaped) -> str:
    """A layer's shape in words: what the inner loop sees."""
    kind = str(work.kind).replace("_", " ")
    parts = [kind, f"{work.channels_in} to {work.channels_out} channels"]
    if work.taps > 1:
        parts.append(f"{work.taps} taps")
    if work.width > 1:
        parts.append(f"{work.width} wide")
    return ", ".join(parts)


# ---------------------------------------------------------------------------------------------------------------------
# The interval


class Part(NamedTuple):
    """One kind of work: its share of the time, and how unsure the time would be if nothing but its price were.

    deviation: of the logarithm of the time. Measured sums tie prices together, so those of all kinds partly cancel.
    """

    work: str
    of_time: float
    deviation: float


class IntervalReason(NamedTuple):
    """How an interval came about, in standard deviations of the logarithm of the time.

    known: how much of the system was measured.   prices: of the prices of the work.   noise: of a measured time around
    the model.   scale: what their sum is multiplied with so that left-out times of this kind lie inside four times out
    of five.   parts: the kinds of work that the time is spent on, those that make the interval wide first.
    sibling: the build and board whose interval holds, as an own one would be narrower though less is known; "" for an
    own one.   is_of_own: whether it reaches as far as it does only to hold the user's own times.
    """

    known: Known
    evidence: str
    prices: float
    noise: float
    scale: float
    parts: tuple[Part, ...]
    sibling: str = ""
    is_of_own: bool = False


def interval_reason(amounts: Sequence[float], prices: Coefficients, place: Place) -> IntervalReason:
    """Of the time that so much of each effort takes.   prices: of `place`."""
    spent = np.multiply(amounts, prices.cycles)
    shares = spent / max(float(spent.sum()), 1e-9)
    variance = max(float(shares @ prices.covariance @ shares), 1e-12)
    parts = []
    for work in dict.fromkeys(effort.base for effort in EFFORTS):
        own = np.where([effort.base == work for effort in EFFORTS], shares, 0.0)
        # The deviation that one kind of work alone would give: measured sums tie the kinds together, so they do not add
        # up.
        parts.append(Part(work, float(own.sum()), float(own @ prices.covariance @ own) ** 0.5))
    wider = prices.wider_sibling(amounts)
    return IntervalReason(
        Known.KERNEL if is_alone(amounts) else place.known,
        place.evidence,
        variance**0.5,
        prices.row_variance**0.5,
        prices.scale_at(amounts, variance),
        tuple(sorted([part for part in parts if part.of_time >= _LEAST_SHARE], key=lambda part: -part.deviation)),
        "" if wider is None else f"{wider.version} on {wider.board}",
        # Whether the interval would be narrower if it did not have to reach the user's own times.
        replace(prices, own_reach=0.0).interval(amounts) != prices.interval(amounts),
    )
