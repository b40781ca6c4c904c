"""The answer: one frozen, typed Report. Terminal, JSON, CSV, pandas and plots are views of it.

The fields are those of the JSON document, in its order and under its names; `Report.to_dict()` is that document.
A number that nobody can know is None, with a warning that says why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from mcusim.units import cycles_to_ms, format_bytes, format_ms, format_percent

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SCHEMA_VERSION",
    "SHOWN_LAYERS",
    "AliveInfo",
    "BankInfo",
    "Basis",
    "ConventionInfo",
    "EnergyInfo",
    "FlashInfo",
    "InputInfo",
    "LatencyInfo",
    "LayerInfo",
    "ModelInfo",
    "PartInfo",
    "PeakInfo",
    "ProfileInfo",
    "Report",
    "RuntimeInfo",
    "ScheduleInfo",
    "SramInfo",
    "StageInfo",
    "Verdict",
]

SCHEMA_VERSION = 1


class Basis(StrEnum):
    """What stands behind a number."""

    EXACT = "exact"
    """What the runtime itself would do, byte for byte."""
    DERIVED = "derived"
    """Follows from published rules, with no free parameter."""
    CALIBRATED = "calibrated"
    """A constant or a form was chosen by looking at published numbers."""
    PROVISIONAL = "provisional"
    """An estimate that no measurement has checked yet."""
    MEASURED = "measured"
    PUBLISHED = "published"


class Verdict(StrEnum):
    """Whether the network fits its memory and time budgets."""

    FITS = "fits"
    DOES_NOT_FIT = "does-not-fit"
    UNKNOWN = "unknown"


class ModelInfo(NamedTuple):
    """The network. `params` counts weights and biases; `published_params` is the printed figure of its source."""

    name: str
    source: str
    input_shape: tuple[int, ...]
    macs: int
    params: int
    published_params: float | None
    weight_bytes: int


class ProfileInfo(NamedTuple):
    name: str
    core: str
    clock_hz: int
    sram_bytes: int
    flash_bytes: int


class RuntimeInfo(NamedTuple):
    """runs: whether it can run this network, in these pieces, on this board; None where that cannot be told.

    why: where nobody asked for this runtime, what those lack that would have come first; else "".
    planner: what places the buffers of its arena; None where that is not known.
    """

    name: str
    version: str
    runs: bool | None = True
    why: str = ""
    planner: str | None = None


class PartInfo(NamedTuple):
    """An item of a sum. why: what it is, in a few words."""

    name: str
    bytes: int
    why: str


class ConventionInfo(NamedTuple):
    """How memory was counted. what: one line on it.   parts: the items of a sum, empty where buffers were placed."""

    name: str
    basis: Basis
    what: str = ""
    parts: tuple[PartInfo, ...] = ()


class StageInfo(NamedTuple):
    kind: str
    grid: tuple[int, int]
    nodes: tuple[int, int]
    """First and last node of the stage, by index."""
    recomputed_macs: int
    halo_bytes: int
    input_piece: tuple[int, int] = (1, 1)
    """Rows and columns of the stage's input that one piece reads at most, with the border that a runtime pads."""


class ScheduleInfo(NamedTuple):
    spec: str
    stages: tuple[StageInfo, ...]
    recomputed_macs: int
    reordered: bool = False
    """Whether the layers run in another order than that of the file."""


class InputInfo(NamedTuple):
    bytes: int
    where: str


class AliveInfo(NamedTuple):
    """A buffer that is alive at the peak."""

    name: str
    bytes: int


class PeakInfo(NamedTuple):
    """The step at which most is alive. layer: name of the node that runs then."""

    stage: int
    step: int
    layer: str
    alive: tuple[AliveInfo, ...]


class BankInfo(NamedTuple):
    """A memory bank. used_bytes: more than there are in the last bank of the arena's run where the arena does not fit.

    in_run: whether the arena may lie here.   buffers: what lies here, wholly or in part, when most is alive.
    reserved_bytes: at its end, that the board's profile keeps from the arena.
    """

    name: str
    address: int
    size_bytes: int
    used_bytes: int
    kind: str = ""
    in_run: bool = True
    buffers: tuple[str, ...] = ()
    reserved_bytes: int = 0


class SramInfo(NamedTuple):
    """peak = arena + scratch + persistent + setup.

    arena_bytes: what the planner placed.   scratch_bytes: held beside it.   persistent_bytes: lives as long as the
    runtime does.   setup_bytes: what an interpreter's arena must have on top, to set up in and for its alignment.
    recommended_arena_bytes: the size to give an interpreter's arena; None for generated code.
    harness_bytes: what the benchmark adds behind published totals; not counted.
    stack_bytes: what its calls take of the stack at most. It is outside of the peak, and both together must fit; None
    where nobody has counted it, and the budget leaves room for it.
    is_bound: whether it takes at least so much, and how much more nobody knows.
    """

    peak_bytes: int
    arena_bytes: int
    scratch_bytes: int
    persistent_bytes: int
    budget_bytes: int
    fits: bool | None
    peak: PeakInfo | None
    banks: tuple[BankInfo, ...]
    basis: Basis
    is_bound: bool = False
    setup_bytes: int = 0
    recommended_arena_bytes: int | None = None
    harness_bytes: int = 0
    stack_bytes: int | None = None

    @property
    def with_stack_bytes(self) -> int:
        """What must fit: the peak, and the stack where it is known."""
        return self.peak_bytes + (self.stack_bytes or 0)

    @property
    def measured_bytes(self) -> int:
        """What is used of the arena while the benchmark runs: to be compared with published totals."""
        return self.peak_bytes - self.setup_bytes + self.harness_bytes


class FlashInfo(NamedTuple):
    """model_bytes: what the runtime stores of the network.   code_bytes: kernels and runtime, as far as known.

    low_bytes, high_bytes: between which the total lies, as the code's size is an estimate; None where it is not known.
    fits: None where the budget lies between them.
    """

    model_bytes: int | None
    weight_bytes: int
    code_bytes: int | None
    total_bytes: int | None
    budget_bytes: int
    fits: bool | None
    basis: Basis
    low_bytes: int | None = None
    high_bytes: int | None = None


class LatencyInfo(NamedTuple):
    """low_ms, high_ms: the time lies between them four times out of five.   evidence: what was measured.

    fits: None where the budget lies between them too.   version: the runtime's whose times these are.
    """

    cycles: int | None
    ms: float | None
    low_ms: float | None
    high_ms: float | None
    basis: Basis
    budget_ms: float | None = None
    fits: bool | None = None
    evidence: str = ""
    version: str = ""


class EnergyInfo(NamedTuple):
    uj: float
    low_uj: float
    high_uj: float
    basis: Basis


class LayerInfo(NamedTuple):
    """One node of the graph. sram_bytes: the most that is alive while it runs, and the scratch held beside it.

    kernel: the function that serves it.   why: the property of its shape that sends it there.
    hint: where that costs time: what would be faster; "" where nothing is known to be.
    cycles: compute (multiply-accumulates), store (requantising, storing, element-wise arithmetic), memory (gathering,
    moving, waiting for flash) and overhead (entering kernels) together.
    """

    index: int  # type: ignore[assignment]  # the document's name for it; nobody searches a layer as a tuple
    name: str
    op: str
    kernel: str
    output_shape: tuple[int, ...]
    macs: int
    cycles: int | None
    sram_bytes: int
    weight_bytes: int
    basis: Basis
    why: str = ""
    hint: str = ""
    compute_cycles: int | None = None
    store_cycles: int | None = None
    memory_cycles: int | None = None
    overhead_cycles: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All that `mcusim run` knows about one network on one board under one runtime and schedule."""

    verdict: Verdict
    model: ModelInfo
    profile: ProfileInfo
    runtime: RuntimeInfo
    convention: ConventionInfo
    schedule: ScheduleInfo
    input: InputInfo
    sram: SramInfo
    flash: FlashInfo
    latency: LatencyInfo
    energy: EnergyInfo | None
    layers: tuple[LayerInfo, ...]
    warnings: tuple[str, ...]

    @property
    def counts_layers_otherwise(self) -> bool:
        """Whether SRAM is counted by other rules than those of the runtime, whose bytes the layers show."""
        return bool(self.convention.parts) or self.convention.name != self.runtime.name

    @property
    def fits(self) -> bool | None:
        """True or False where it is known whether every budget holds; None where it is not."""
        return None if self.verdict is Verdict.UNKNOWN else self.verdict is Verdict.FITS

    def reworded(self, worded: Callable[[str], str]) -> Report:
        """The same in other words (`wording.Worded`)."""
        hints = {hint: worded(hint) for hint in {layer.hint for layer in self.layers}}
        layers = tuple([layer._replace(hint=hints[layer.hint]) for layer in self.layers])
        return replace(self, warnings=tuple(map(worded, self.warnings)), layers=layers if any(hints) else self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document as plain dicts, lists, strings and numbers."""
        document: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
        for name in self.__slots__:
            document[name] = _plain(getattr(self, name))
        return document

    def to_json(self, indent: int | None = 2) -> str:
        """The JSON document as text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def to_frame(self) -> pd.DataFrame:
        """One row a layer, with `ms` beside `cycles`."""
        import pandas as pd

        frame = pd.DataFrame(self.layers, columns=list(LayerInfo._fields))
        frame["basis"] = frame["basis"].map(str)
        frame.insert(
            frame.columns.get_loc("cycles") + 1,
            "ms",
            frame["cycles"].astype(float) / self.profile.clock_hz * 1e3,
        )
        return frame

    def __repr__(self) -> str:
        time = "" if self.latency.ms is None else f", {format_ms(self.latency.ms)}"
        used, budget = format_bytes(self.sram.peak_bytes), format_bytes(self.sram.budget_bytes)
        asked = f"{self.model.name[:60]!r} on {self.profile.name!r} with {self.runtime.name!r}"
        return f"<Report {asked}: {self.verdict}, {used} of {budget} SRAM{time}>"

    def _repr_html_(self) -> str:
        return _notebook_page(self)

    def __str__(self) -> str:
        model, board = self.model.name, self.profile.name
        return f"{model} on {board}: {self.verdict}, {self.sram.peak_bytes} of {self.sram.budget_bytes} bytes of SRAM"


def _plain(value: object) -> object:
    if hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


SHOWN_LAYERS = 5
"""Layers in a notebook: those that take most time, or most memory where the time is not known."""

_TABLE = 'style="border-collapse: collapse; margin: 0.3em 0"'
_CELL = 'style="text-align: left; padding: 0.1em 0.8em 0.1em 0; background: none"'
_WORDS = {True: "fits", False: "does not fit", None: "not sure"}


def _notebook_page(report: Report) -> str:
    """A Report as one <div> for notebooks: verdict, budgets, the heaviest layers, warnings.

    Colours are the page's own, so that it reads on dark pages as on light ones. Every text of a file is escaped.
    """
    verdict = str(report.verdict).replace("-", " ")
    heading = f"<b>{_text(report.model.name)} on {_text(report.profile.name)}: {_text(verdict)}</b>"
    how = f"{_text(report.runtime.name)} {_text(report.runtime.version)}, schedule {_text(report.schedule.spec)}"
    parts = [heading, f"<div>{how}</div>", _table(("", "takes", "of", "used", "", "basis"), _budgets(report))]
    layers = _heaviest(report)
    if layers:
        rows = [_layer(layer, report.profile.clock_hz) for layer in layers]
        parts.append(_table(("layer", "op", "SRAM", "time"), rows))
        if len(layers) < len(report.layers):
            parts.append(f"<div><small>{len(layers)} of {len(report.layers)} layers; .to_frame() has all</small></div>")
    parts += [f"<div><small>! {_text(warning)}</small></div>" for warning in report.warnings]
    return f"<div>{''.join(parts)}</div>"


def _budgets(report: Report) -> list[Sequence[str]]:
    sram, flash, time, energy = report.sram, report.flash, report.latency, report.energy
    stored = flash.model_bytes if flash.total_bytes is None else flash.total_bytes
    rows: list[Sequence[str]] = [("SRAM", *_share(sram.peak_bytes, sram.budget_bytes), _WORDS[sram.fits], sram.basis)]
    at_least = "> " if flash.total_bytes is None else ""
    amount, *rest = _share(flash.weight_bytes if stored is None else stored, flash.budget_bytes)
    rows.append(("flash", at_least + amount, *rest, _WORDS[flash.fits], flash.basis))
    if time.ms is None or time.low_ms is None or time.high_ms is None:
        rows.append(("time", "not known", "", "", "", ""))
    else:
        limit = ("", "", "")
        if time.budget_ms is not None:
            limit = (format_ms(time.budget_ms), format_percent(time.ms / time.budget_ms), _WORDS[time.fits])
        interval = f"{format_ms(time.ms)} ({format_ms(time.low_ms)} to {format_ms(time.high_ms)})"
        rows.append(("time", interval, *limit, time.basis))
    if energy is not None:
        millijoules = f"{energy.uj / 1e3:.2f} mJ ({energy.low_uj / 1e3:.2f} to {energy.high_uj / 1e3:.2f})"
        rows.append(("energy", millijoules, "", "", "", energy.basis))
    return rows


def _share(used: int, budget: int) -> tuple[str, str, str]:
    return format_bytes(used), format_bytes(budget), format_percent(used / budget)


def _heaviest(report: Report) -> list[LayerInfo]:
    """In the order of the network."""
    ranked = sorted(report.layers, key=lambda layer: (-(layer.cycles or 0), -layer.sram_bytes))[:SHOWN_LAYERS]
    return sorted(ranked, key=lambda layer: layer[0])


def _layer(layer: LayerInfo, clock_hz: int) -> Sequence[str]:
    time = "?" if layer.cycles is None else format_ms(cycles_to_ms(layer.cycles, clock_hz))
    return layer.name[:60], layer.op, format_bytes(layer.sram_bytes), time


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th {_CELL}>{_text(title)}</th>" for title in titles)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return f"<table {_TABLE}><tr>{head}</tr>{body}</table>"


def _cells(row: Sequence[str]) -> str:
    return "".join(f"<td {_CELL}>{_text(cell)}</td>" for cell in row)


def _text(text: str) -> str:
    return escape("".join(c if c.isprintable() else "?" for c in text))
