"""In which pieces a network runs: a list of stages over its computing nodes. A schedule never changes the result.

    SPEC  = STAGE ("+" STAGE)*
    STAGE = "layer" | "layer@N" | "patch:PxQ@N" | "stream:R@N"
    SPEC  = "auto"

`patch:PxQ@N` runs the next N computing nodes in a grid of P rows by Q columns, halo recomputed; `stream:R@N` in bands
of R output rows, halo rows cached. Nodes that only move data (PAD, RESHAPE, TRANSPOSE, QUANTIZE, DEQUANTIZE) are not
counted. What remains runs layer by layer. `auto` is whatever `mcusim.search` finds best for a board and a runtime.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from mcusim.errors import ScheduleError

__all__ = ["AUTO", "LAYER", "Schedule", "StageKind", "StageSpec", "parse_schedule"]


class StageKind(StrEnum):
    """How a stage cuts its tensors."""

    LAYER = "layer"
    PATCH = "patch"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage.

    nodes: computing nodes that it covers; None for all that remain (layer stages only).
    rows, cols: grid of a patch stage.   band_rows: output rows of one band of a stream stage.
    """

    kind: StageKind = StageKind.LAYER
    nodes: int | None = None
    rows: int = 1
    cols: int = 1
    band_rows: int = 0

    @property
    def is_cut(self) -> bool:
        """Whether its layers run in pieces."""
        return self.kind is not StageKind.LAYER

    def __str__(self) -> str:
        match self.kind:
            case StageKind.PATCH:
                return f"patch:{self.rows}x{self.cols}@{self.nodes}"
            case StageKind.STREAM:
                return f"stream:{self.band_rows}@{self.nodes}"
            case StageKind.LAYER:
                return "layer" if self.nodes is None else f"layer@{self.nodes}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Stages in order. The nodes after the last one run layer by layer.

    is_auto: still to be found, for a network on a board; it has no stages.
    """

    stages: tuple[StageSpec, ...] = ()
    is_auto: bool = False

    def __str__(self) -> str:
        if self.is_auto:
            return "auto"
        return "+".join(map(str, self.stages)) or "layer"

    @property
    def is_layer(self) -> bool:
        """Whether every node runs whole, one after the other."""
        return not self.is_auto and not any(stage.is_cut for stage in self.stages)


LAYER = Schedule()
"""Layer by layer, the schedule of every runtime unless it is told otherwise."""

AUTO = Schedule(is_auto=True)
"""The cheapest schedule that fits the board, or the one that comes nearest. `simulate` finds it."""

_STAGE = re.compile(
    r"layer(?:@(?P<layers>\d+))?|patch:(?P<rows>\d+)x(?P<cols>\d+)@(?P<patched>\d+)|stream:(?P<band>\d+)@(?P<streamed>\d+)"
)


@lru_cache(1024)
def parse_schedule(spec: str) -> Schedule:
    """The schedule that `spec` writes down. Raises ScheduleError, with the grammar, where it does not read."""
    if spec.strip().lower() == "auto":
        return AUTO
    stages = []
    for text in spec.strip().lower().split("+"):
        match = _STAGE.fullmatch(text.strip())
        stage = _stage(match) if match else None
        if stage is None:
            raise ScheduleError(
                f"stage '{text.strip()}' does not read",
                where=f"schedule '{spec}'",
                fix=f"write {_meant(spec)}: layer@N, patch:PxQ@N and stream:R@N joined by '+', all numbers 1 or more; "
                "or layer, or auto",
            )
        stages.append(stage)
    remaining = [i for i, stage in enumerate(stages) if stage.nodes is None]
    if remaining and remaining[0] != len(stages) - 1:
        raise ScheduleError(
            "'layer' without a count takes every node that remains, so nothing can follow it",
            where=f"schedule '{spec}'",
            fix=f"say how many: {'+'.join('layer@1' if s.nodes is None else str(s) for s in stages)}",
        )
    if remaining:
        stages.pop()  # what remains runs layer by layer anyway
    return Schedule(tuple(stages))


def _meant(spec: str) -> str:
    """What a spec that does not read may have meant: kinds by their spelling, missing numbers made up."""
    stages = [_meant_stage(text) for text in spec.strip().lower().split("+") if text.strip()]
    return "+".join(stages) or "layer"


def _meant_stage(text: str) -> str:
    word = re.match(r"[a-z ]*", text.strip())
    near = difflib.get_close_matches(word[0] if word else "", list(StageKind), n=1, cutoff=0.3)
    numbers = [max(int(number), 1) for number in re.findall(r"\d+", text)]
    match near[0] if near else StageKind.PATCH:
        case StageKind.LAYER:
            return f"layer@{[*numbers, 1][0]}"
        case StageKind.STREAM:
            band, nodes, *_ = [*numbers, 1, 1]
            return f"stream:{band}@{nodes}"
        case _:
            *grid, nodes = numbers[:3] or [1]
            rows, cols = (*grid, *grid, 2, 2)[:2]
            return f"patch:{rows}x{cols}@{nodes}"


def _stage(match: re.Match[str]) -> StageSpec | None:
    numbers = {name: int(text) for name, text in match.groupdict().items() if text is not None}
    if 0 in numbers.values():
        return None
    if "patched" in numbers:
        return StageSpec(StageKind.PATCH, numbers["patched"], numbers["rows"], numbers["cols"])
    if "streamed" in numbers:
        return StageSpec(StageKind.STREAM, numbers["streamed"], band_rows=numbers["band"])
    return StageSpec(StageKind.LAYER, numbers.get("layers"))
