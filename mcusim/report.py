"""The answer: one frozen, typed Report. Terminal, JSON, CSV, pandas and plots are views of it.

The fields are those of the JSON document, in its order and under its names; `Report.to_dict()` is that document.
A number that nobody can know is None, with a warning that says why.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from mcusim.report_html import report_html
from mcusim.units import format_bytes, format_ms

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SCHEMA_VERSION",
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
    """runs: whether it can run this network, in these pieces, on this board; None where that cannot be told."""

    name: str
    version: str
    runs: bool | None = True


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
    """

    name: str
    address: int
    size_bytes: int
    used_bytes: int
    kind: str = ""
    in_run: bool = True
    buffers: tuple[str, ...] = ()


class SramInfo(NamedTuple):
    """peak = arena + scratch + persistent.

    arena_bytes: what the planner placed.   scratch_bytes: held beside it.   persistent_bytes: lives as long as the
    runtime does.   is_bound: whether it takes at least so much, and how much more nobody knows.
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


class FlashInfo(NamedTuple):
    """model_bytes: what the runtime stores of the network.   code_bytes: kernels and runtime, as far as known."""

    model_bytes: int | None
    weight_bytes: int
    code_bytes: int | None
    total_bytes: int | None
    budget_bytes: int
    fits: bool | None
    basis: Basis


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
        return report_html(self)

    def __str__(self) -> str:
        model, board = self.model.name, self.profile.name
        return f"{model} on {board}: {self.verdict}, {self.sram.peak_bytes} of {self.sram.budget_bytes} bytes of SRAM"


def _plain(value: object) -> object:
    if hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value
