"""Evidence from measurements, a fit from evidence, and the fit as a file.

`scripts/calibrate.py` makes the package's own (`data/fit.json`); `mcusim calibrate` adds one's own measurements to it.

    measurements.csv, kernels.csv      network or operator, system, latency
        | evidence_of                  MACs, outputs, bytes of each effort; cycles; how exact the digits are
        | refit                        prices (`regression`), then the widths of intervals (`intervals`)
    fit.json                           a line a row: its shares, its pull, its system's prices

The file holds rows and not prices, as the price of any system, also one that nobody measured, is a sum over rows.
Numbers have seven digits: enough for the same answers, and few enough that another machine writes the same file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from mcusim.boards import board_names, load_board
from mcusim.files import parse_json
from mcusim.ops import WorkKind
from mcusim.pricing.covariances import Spread, Spreads
from mcusim.pricing.efforts import EFFORTS
from mcusim.pricing.intervals import Known, Scale, Scales, find_scales
from mcusim.pricing.measurements import (
    KernelTime,
    Measurement,
    family_of,
    kernel_times,
    measurements,
    network_efforts,
)
from mcusim.pricing.physics import log_cycles_of
from mcusim.pricing.regression import Evidence, Fit, fit_rows
from mcusim.pricing.systems import LEVELS, System

__all__ = [
    "OwnLayer",
    "OwnSystem",
    "evidence_of",
    "fit_from_bytes",
    "fit_to_bytes",
    "kernel_evidence",
    "log_physics",
    "lone_operators",
    "package_evidence",
    "refit",
]

CROWD, EVERY_KERNEL = 100, 24
"""Where more operators of one kind than CROWD were measured on one system, every so many-th is evidence."""


def log_physics(system: System, clock_hz: int = 0) -> tuple[float, ...]:
    """Log cycles of each effort on a system, as far as counted instructions and its memory tell.

    clock_hz: the board's own if 0.
    """
    if system.board not in board_names():
        return log_cycles_of(system.core)
    board = load_board(system.board)
    return log_cycles_of(system.core, board.with_clock(clock_hz) if clock_hz else board)


@cache
def _row(measurement: Measurement) -> Evidence:
    system = measurement.system
    return Evidence(
        measurement.id,
        system,
        measurement.network_id,
        family_of(measurement.network),
        network_efforts(measurement.network, system.runtime),
        measurement.cycles,
        measurement.rounding,
        log_physics(system, measurement.clock_hz),
    )


def evidence_of(rows: Iterable[Measurement]) -> tuple[Evidence, ...]:
    """The measurements that count as evidence, with the efforts of their networks."""
    return tuple(_row(row) for row in rows if not row.left_out)


@cache
def kernel_evidence(every: int = 1) -> tuple[Evidence, ...]:
    """Single operators as evidence. every: of those measured by the hundred, one in so many counts.

    Hundreds of convolutions on one system say hardly more than some dozens, and a fit's time grows with rows cubed.
    """
    crowd = Counter((row.system, row.op) for row in kernel_times())
    place: Counter[tuple[System, str]] = Counter()
    chosen = []
    for row in kernel_times():
        kin = (row.system, row.op)
        place[kin] += 1
        if crowd[kin] < CROWD or place[kin] % every == 0:
            chosen.append(_kernel_row(row))
    return tuple(chosen)


def _kernel_row(row: KernelTime) -> Evidence:
    name = row.network.partition(":")[2]
    return Evidence(
        row.id,
        row.system,
        name or row.id,
        family_of(row.network) if name else f"{row.op} alone",
        row.amounts,
        row.cycles,
        0.0,
        log_physics(row.system, row.clock_hz),
        is_kernel=True,
    )


def package_evidence() -> tuple[Evidence, ...]:
    """What the package's own fit is made from: networks, then kernels."""
    return (*evidence_of(measurements()), *kernel_evidence(EVERY_KERNEL))


def refit(rows: Sequence[Evidence], spreads: Spreads) -> tuple[Fit, Scales]:
    """A fit and the scales of its intervals."""
    fit = fit_rows(rows, spreads)
    return fit, find_scales(rows, fit, lone_operators())


def lone_operators() -> tuple[Evidence, ...]:
    """Every operator that was measured by itself, also those that are too many alike to be evidence."""
    times = kernel_times()
    return tuple(row for row, time in zip(kernel_evidence(), times, strict=True) if not time.network)


# ---------------------------------------------------------------------------------------------------------------------
# The fit as a file


_Positive = Annotated[float, msgspec.Meta(gt=0.0, le=1e3)]
_Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
_Spread = Annotated[float, msgspec.Meta(ge=0.0, le=1e3)]


_Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class OwnLayer(NamedTuple):
    """A layer of one's own network, timed on one's own board. The rest: of `Work`, of the layer as a whole.

    row: the id of its evidence.   name: of the layer.   cycles: of the core.
    """

    row: str
    network: str
    name: str
    cycles: Annotated[float, msgspec.Meta(gt=0.0, le=1e18)]
    kind: WorkKind
    channels_in: _Count
    channels_out: _Count
    taps: _Count
    width: _Count


class OwnSystem(NamedTuple):
    """A system that one has measured oneself.

    reach: intervals there reach so far to each side, in logarithms, that they hold one's own times.   notes: what one
    should know who uses these times.
    """

    system: System
    reach: Annotated[float, msgspec.Meta(ge=0.0, le=50.0)]
    notes: tuple[str, ...]


class _Row(msgspec.Struct, frozen=True):
    id: str
    system: tuple[str, str, str, str, str, str, str]
    network: str
    shares: list[_Share]
    pull: float
    variance: _Positive
    weight: _Share
    log_prices: list[float]


class _Document(msgspec.Struct, frozen=True):
    """efforts, levels, spreads, scales: names, so that a fit of another version of mcusim is seen to be one.

    reach: of runtimes, as `Spreads.runtimes`.   factors: on scales, as `Scales.by_runtime`.
    """

    efforts: list[str]
    levels: dict[str, tuple[_Spread, _Spread, _Spread, _Spread]]
    spreads: dict[str, _Spread]
    reach: dict[str, _Positive]
    scales: dict[str, tuple[_Positive, _Positive, _Positive, _Positive]]
    factors: dict[str, tuple[_Positive, _Positive]]
    rows: list[_Row]
    own_scale: _Positive = 1.0
    own_layers: list[OwnLayer] = []
    own_systems: list[OwnSystem] = []


_DIGITS = 7
_EVERYWHERE = ("effort", "shape", "noise", "kernel_noise", "external")


def fit_to_bytes(
    fit: Fit,
    scales: Scales,
    own_scale: float = 1.0,
    own_layers: Sequence[OwnLayer] = (),
    own_systems: Sequence[OwnSystem] = (),
) -> bytes:
    """JSON text of a fit: a line a row. The others: of `stored.Calibration`."""
    spreads = fit.spreads
    head = {
        "efforts": [effort.name for effort in EFFORTS],
        "levels": {name: [_short(value) for value in spreads.levels[name]] for name in LEVELS},
        "spreads": {name: _short(getattr(spreads, name)) for name in _EVERYWHERE},
        "reach": {name: _short(value) for name, value in spreads.runtimes.items()},
        # Single kernels are scaled apart, and single rows need no name of a network: "" marks them in `Fit.networks`.
        "scales": {known.name.lower(): [_short(value) for value in scales.by_known[known]] for known in Known},
        "factors": {name: [_short(value) for value in pair] for name, pair in scales.by_runtime.items()},
        **({} if own_scale == 1.0 else {"own_scale": _short(own_scale)}),
        **({"own_layers": list(own_layers)} if own_layers else {}),
        **({"own_systems": list(own_systems)} if own_systems else {}),
    }
    rows = [
        {
            "id": fit.ids[i],
            "system": list(fit.systems[i]),
            "network": fit.networks[i],
            "shares": [_short(value) for value in fit.shares[i]],
            "pull": _short(fit.pull[i]),
            "variance": _short(fit.variance[i]),
            "weight": _short(fit.weights[i]),
            "log_prices": [_short(value) for value in fit.log_prices[i]],
        }
        for i in range(len(fit.ids))
    ]
    lines = [f'"{name}": {msgspec.json.encode(value).decode()},' for name, value in head.items()]
    body = ",\n".join(msgspec.json.encode(row).decode() for row in rows)
    return ("{\n" + "\n".join(lines) + '\n"rows": [\n' + body + "\n]}\n").encode()


def _short(value: float) -> float:
    """So many digits that a fit made elsewhere, with another order of sums, has the same text in all but rare cases."""
    return float(f"{value:.{_DIGITS}g}")


def fit_from_bytes(
    content: bytes,
) -> tuple[Fit, Scales, float, tuple[OwnLayer, ...], tuple[OwnSystem, ...]]:
    """The fit, the scales of its intervals and that of one's own systems, one's own layers and systems.

    Raises ValueError if it is not one of this version.
    """
    document = parse_json(content, _Document)
    # A fit of other efforts or levels would be read into the wrong columns, so all names must agree.
    names = (document.efforts, list(document.levels), list(document.scales), list(document.spreads))
    own = ([effort.name for effort in EFFORTS], list(LEVELS), [known.name.lower() for known in Known])
    if names != (*own, list(_EVERYWHERE)):
        raise ValueError("it was made by another version of mcusim")
    levels = {name: Spread(*values) for name, values in document.levels.items()}
    spreads = Spreads(levels, **document.spreads, runtimes=document.reach)
    scales = Scales({known: Scale(*document.scales[known.name.lower()]) for known in Known}, document.factors)
    rows = document.rows
    if not rows or any({len(row.shares), len(row.log_prices)} != {len(EFFORTS)} for row in rows):
        raise ValueError("its rows are not whole")

    def column(name: str) -> Any:
        return np.array([getattr(row, name) for row in rows])

    fit = Fit(
        tuple(row.id for row in rows),
        tuple(System(*row.system) for row in rows),
        tuple(row.network for row in rows),
        spreads,
        column("shares"),
        column("pull"),
        column("variance"),
        column("weight"),
        column("log_prices"),
    )
    return fit, scales, document.own_scale, tuple(document.own_layers), tuple(document.own_systems)
