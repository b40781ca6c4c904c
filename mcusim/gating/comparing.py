"""Two reports -> what changed, which layers grew, and which limits that breaks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import msgspec

from mcusim.errors import InputError
from mcusim.files import content_of, parse_json, reason_of
from mcusim.gating.limits import FIGURES, Limit, Metric
from mcusim.report import SCHEMA_VERSION
from mcusim.units import format_hz

__all__ = ["Change", "Common", "Comparison", "Growth", "compare_reports", "read_report"]

_GREW = 3
"""Layers that are named."""


_MOST = 2**53
"""Whole numbers up to here are exact as floating-point numbers too; no figure of a report comes near."""
_Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
_Bytes = Annotated[int, msgspec.Meta(ge=1, le=_MOST)]
_Amount = Annotated[float, msgspec.Meta(ge=0, le=_MOST)]


class _Layer(msgspec.Struct, frozen=True):
    index: _Count
    name: str
    sram_bytes: _Count = 0
    weight_bytes: _Count = 0
    cycles: _Amount | None = None


class _Named(msgspec.Struct, frozen=True):
    name: str


class _Board(_Named, frozen=True):
    clock_hz: _Count | None = None


class _Sram(msgspec.Struct, frozen=True):
    peak_bytes: _Bytes | None = None


class _Flash(msgspec.Struct, frozen=True):
    total_bytes: _Count | None = None


class _Latency(msgspec.Struct, frozen=True):
    ms: _Amount | None = None


class _Energy(msgspec.Struct, frozen=True):
    uj: _Amount | None = None


class ReportDocument(msgspec.Struct, frozen=True):
    """What a gate reads of the document of `mcusim run --json`."""

    schema_version: _Count
    verdict: str
    model: _Named
    profile: _Board
    runtime: _Named
    sram: _Sram
    flash: _Flash
    latency: _Latency
    layers: list[_Layer]
    convention: _Named | None = None
    energy: _Energy | None = None


class Common(StrEnum):
    """What two reports need in common, or a limit says nothing: their figures are about different things."""

    NETWORK = "network"
    BOARD = "board"
    CLOCK = "clock"
    RUNTIME = "runtime"
    CONVENTION = "convention"


class Growth(NamedTuple):
    """A layer that grew, in the metric's own unit for layers (bytes, or cycles). before: None for a new layer.

    index: of the layer in the report: names need not be distinct.
    """

    index: int  # type: ignore[assignment]  # nobody searches a layer as a tuple
    name: str
    before: float | None
    after: float


@dataclass(frozen=True, slots=True)
class Change:
    """One metric. before, after: None where the report does not know.

    limits: that were asked for.   broken: those that do not hold; empty where nothing can be compared.
    """

    metric: Metric
    before: float | None
    after: float | None
    limits: tuple[Limit, ...]
    layers: tuple[Growth, ...]

    @property
    def broken(self) -> tuple[Limit, ...]:
        """The limits that the growth breaks."""
        if self.before is None or self.after is None:
            return ()
        return tuple([limit for limit in self.limits if not limit.is_kept(self.before, self.after)])

    @property
    def is_unknown(self) -> bool:
        """Whether a limit was asked for and a side is not known."""
        return bool(self.limits) and (self.before is None or self.after is None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every metric of two reports. other: in what they differ besides (`runtime: tflm, was tinyengine`).

    apart: what they should have in common for a limit to say anything, and have not.
    """

    model: str
    changes: tuple[Change, ...]
    other: tuple[str, ...]
    apart: tuple[Common, ...] = ()

    @property
    def holds(self) -> bool | None:
        """Whether every limit holds; None where that cannot be known."""
        if any(change.broken for change in self.changes):
            return False
        is_limited = any(change.limits for change in self.changes)
        is_unknown = any(change.is_unknown for change in self.changes)
        return None if is_unknown or (self.apart and is_limited) else True


def read_report(path: str) -> ReportDocument:
    """The document that `mcusim run --json` wrote. Raises InputError."""
    fix = "write one with `mcusim run MODEL --profile BOARD --json FILE`"
    try:
        content = content_of(path)
    except (OSError, ValueError) as error:
        raise InputError(reason_of(error), where=path, fix=fix) from None
    try:
        report = parse_json(content, ReportDocument)
    except ValueError as error:
        raise InputError(f"it is no report of mcusim ({str(error)[:120]})", where=path, fix=fix) from None
    if report.schema_version > SCHEMA_VERSION:
        what = f"it is a report of version {report.schema_version}, and this mcusim reads up to {SCHEMA_VERSION}"
        raise InputError(what, where=path, fix=f"update mcusim, or {fix}")
    return report


def compare_reports(
    before: ReportDocument, after: ReportDocument, limits: Sequence[Limit] = (), across: Collection[Common] = ()
) -> Comparison:
    """Metric by metric.   across: what may differ, and limits hold all the same."""
    changes = [_change(metric, before, after, limits) for metric in Metric]
    was, now = _shared(before), _shared(after)
    differing = [what for what in Common if was[what] != now[what]]
    other = [f"{what}: {now[what]}, was {was[what]}" for what in differing]
    if before.verdict != after.verdict:
        other.append(f"verdict: {after.verdict}, was {before.verdict}")
    apart = [what for what in differing if what not in across]
    return Comparison(after.model.name, tuple(changes), tuple(other), tuple(apart))


def _shared(report: ReportDocument) -> dict[Common, str]:
    clock_hz, convention = report.profile.clock_hz, report.convention
    return {
        Common.NETWORK: report.model.name,
        Common.BOARD: report.profile.name,
        Common.CLOCK: "not known" if clock_hz is None else format_hz(clock_hz),
        Common.RUNTIME: report.runtime.name,
        Common.CONVENTION: report.runtime.name if convention is None else convention.name,
    }


def _change(metric: Metric, before: ReportDocument, after: ReportDocument, limits: Sequence[Limit]) -> Change:
    mine = tuple([limit for limit in limits if limit.metric is metric])
    figures = _figure(before, metric), _figure(after, metric)
    return Change(metric, *figures, mine, _grown(before, after, FIGURES[metric].layer))


def _figure(report: ReportDocument, metric: Metric) -> float | None:
    table, field = FIGURES[metric].path
    record: Any = getattr(report, table)
    value: float | None = None if record is None else getattr(record, field)
    return value


def _grown(before: ReportDocument, after: ReportDocument, field: str) -> tuple[Growth, ...]:
    """The layers that grew most, by name; of several with one name, in their order."""
    was: dict[str, list[float]] = {}
    for layer in before.layers:
        was.setdefault(layer.name, []).append(getattr(layer, field) or 0)
    grown = []
    for layer in after.layers:
        earlier = was.get(layer.name)
        old, new = (earlier.pop(0) if earlier else None), getattr(layer, field) or 0
        if new > (old or 0):
            grown.append(Growth(layer.index, layer.name, old, new))
    grown.sort(key=lambda growth: (growth.before or 0) - growth.after)
    return tuple(grown[:_GREW])
