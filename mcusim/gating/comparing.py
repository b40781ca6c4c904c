"""Two reports -> what changed, which layers grew, and which limits that breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from mcusim.errors import InputError
from mcusim.files import content_of, parse_json, reason_of
from mcusim.gating.limits import FIGURES, Limit, Metric

__all__ = ["Change", "Comparison", "Growth", "compare_reports", "read_report"]

_GREW = 3
"""Layers that are named."""


class _Layer(msgspec.Struct, frozen=True):
    index: int
    name: str
    sram_bytes: int = 0
    weight_bytes: int = 0
    cycles: int | None = None


class ReportDocument(msgspec.Struct, frozen=True):
    """What a gate reads of the document of `mcusim run --json`."""

    schema_version: int
    verdict: str
    model: dict[str, Any]
    profile: dict[str, Any]
    runtime: dict[str, Any]
    sram: dict[str, Any]
    flash: dict[str, Any]
    latency: dict[str, Any]
    layers: list[_Layer]
    energy: dict[str, Any] | None = None


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
    """Every metric of two reports. other: in what they differ besides (`runtime: tflm, was tinyengine`)."""

    model: str
    changes: tuple[Change, ...]
    other: tuple[str, ...]

    @property
    def holds(self) -> bool | None:
        """Whether every limit holds; None where that cannot be known."""
        if any(change.broken for change in self.changes):
            return False
        return None if any(change.is_unknown for change in self.changes) else True


def read_report(path: str) -> ReportDocument:
    """The document that `mcusim run --json` wrote. Raises InputError."""
    fix = "write one with `mcusim run MODEL --profile BOARD --json FILE`"
    try:
        content = content_of(path)
    except (OSError, ValueError) as error:
        raise InputError(reason_of(error), where=path, fix=fix) from None
    try:
        return parse_json(content, ReportDocument)
    except ValueError as error:
        raise InputError(f"it is no report of mcusim ({str(error)[:120]})", where=path, fix=fix) from None


def compare_reports(before: ReportDocument, after: ReportDocument, limits: Sequence[Limit] = ()) -> Comparison:
    """Metric by metric."""
    changes = [_change(metric, before, after, limits) for metric in Metric]
    return Comparison(str(after.model.get("name", "?")), tuple(changes), tuple(_others(before, after)))


def _others(before: ReportDocument, after: ReportDocument) -> list[str]:
    """What two reports that are compared should have in common."""
    pairs = {
        "network": (before.model.get("name"), after.model.get("name")),
        "board": (before.profile.get("name"), after.profile.get("name")),
        "runtime": (before.runtime.get("name"), after.runtime.get("name")),
        "verdict": (before.verdict, after.verdict),
    }
    return [f"{what}: {now}, was {was}" for what, (was, now) in pairs.items() if was != now]


def _change(metric: Metric, before: ReportDocument, after: ReportDocument, limits: Sequence[Limit]) -> Change:
    mine = tuple([limit for limit in limits if limit.metric is metric])
    figures = _figure(before, metric), _figure(after, metric)
    return Change(metric, *figures, mine, _grown(before, after, FIGURES[metric].layer))


def _figure(report: ReportDocument, metric: Metric) -> float | None:
    table, field = FIGURES[metric].path
    record: Mapping[str, Any] | None = getattr(report, table)
    value = None if record is None else record.get(field)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


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
