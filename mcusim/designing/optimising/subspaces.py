"""Which part of a search space fits a board best: the first stage of TinyNAS.

A space is divided by choices of the whole network (width and resolution). From each part networks are drawn, and those
that the board holds are kept. The part whose kept networks have the most MACs in the mean is where a search should
look: within one family, more MACs mean more capacity.
Source: MCUNet (arXiv 2007.10319), section 3.1 and Figure 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from os import PathLike
from typing import Any, Literal, TypedDict

from mcusim.boards.board import Board
from mcusim.designing.effort import SAMPLE
from mcusim.designing.spaces import Space, find_space
from mcusim.errors import InputError
from mcusim.question.arguments import chosen_runtime, the_board, the_budgets
from mcusim.report import Verdict
from mcusim.runtimes import Runtime
from mcusim.simulation.simulate import simulate

__all__ = ["AXES", "Progress", "SubSpace", "SubSpaces", "compare_subspaces", "subspaces_document"]

AXES = ("width", "resolution")
"""Choices that divide a space, as far as it has them."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class SubSpace:
    """A part of the space.

    values: of the choices that it is held at.   drawn: networks looked at.
    macs: of each network that the board holds, ascending.
    """

    values: dict[str, Any]
    drawn: int
    macs: tuple[int, ...]

    @property
    def label(self) -> str:
        """As in the paper: w0.5-r144."""
        return "-".join(f"{name[0]}{value}" for name, value in self.values.items()) or "whole"

    @property
    def share(self) -> float:
        """Networks that the board holds, in parts of those drawn."""
        return len(self.macs) / self.drawn

    @property
    def mean_macs(self) -> float | None:
        """Of the networks that the board holds; None where it holds none."""
        return sum(self.macs) / len(self.macs) if self.macs else None

    def quantile(self, share: float) -> int | None:
        """The least MACs that at least this share of the held networks does not exceed; None where none is held."""
        return self.macs[max(math.ceil(share * len(self.macs)), 1) - 1] if self.macs else None


@dataclass(frozen=True, slots=True)
class SubSpaces:
    """The parts of a space, best first: most mean MACs.

    least_share: a part of which the board holds less is not called the best, however many MACs its few networks have.
    """

    space: Space
    board: Board
    runtime: Runtime
    sram_bytes: int
    flash_bytes: int
    max_ms: float | None
    sample: int
    seed: int
    least_share: float
    parts: tuple[SubSpace, ...]

    @property
    def best(self) -> SubSpace | None:
        """None where the board holds no network of any part."""
        return next((part for part in self.parts if part.macs and part.share >= self.least_share), None)


def compare_subspaces(
    space: Space | str,
    *,
    profile: Board | str | PathLike[str],
    runtime: Runtime | str | None = None,
    sram_budget_bytes: int | None = None,
    flash_budget_bytes: int | None = None,
    max_ms: float | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
    least_share: float = 0.0,
    folder: str = ".",
    what_if: bool = False,
    progress: Progress | None = None,
) -> SubSpaces:
    """The parts of `space` by width and resolution, layer by layer on `profile`.

    runtime: the first that can run the space's first network if None.   sample: networks drawn from each part.
    Raises InputError where the space has neither choice, or an option is wrong.
    """
    resolved = find_space(space, folder) if isinstance(space, str) else space
    if sample < 1:
        raise InputError(f"it is {sample}", where="sample", fix="draw at least one network from each part")
    board = the_board(profile)
    first = resolved.drawn(seed)
    known = {**first.options, **resolved.names}  # a function's choices show when it is asked
    axes = {name: tuple(known[name]) for name in AXES if name in known and name not in resolved.fixed}
    if not axes:
        fix = f"name choices of the whole network {' and '.join(AXES)}"
        raise InputError("it has no parts to compare", where=f"space '{resolved.name}'", fix=fix)
    chosen, _ = chosen_runtime(runtime, first.graph("drawn"), board)
    budgets = the_budgets(board, sram_budget_bytes, flash_budget_bytes, what_if=what_if)

    def parts() -> Iterator[SubSpace]:
        points = list(product(*axes.values()))
        for number, point in enumerate(points):
            values = dict(zip(axes, point, strict=True))
            part = resolved.held(**values)
            macs = []
            for index in range(sample):
                report = simulate(
                    part.drawn(seed * sample + index).graph("drawn"),
                    profile=board,
                    runtime=chosen,
                    sram_budget_bytes=budgets.sram_bytes,
                    flash_budget_bytes=budgets.flash_bytes,
                    max_ms=max_ms,
                    what_if=what_if,
                )
                if report.verdict is not Verdict.DOES_NOT_FIT:
                    macs.append(report.model.macs)
                if progress is not None:
                    progress("drawing networks", number * sample + index + 1, len(points) * sample)
            yield SubSpace(values, sample, tuple(sorted(macs)))

    ordered: Sequence[SubSpace] = sorted(parts(), key=lambda part: part.mean_macs or 0, reverse=True)
    return SubSpaces(
        resolved,
        board,
        chosen,
        budgets.sram_bytes,
        budgets.flash_bytes,
        max_ms,
        sample,
        seed,
        least_share,
        tuple(ordered),
    )


class PartDocument(TypedDict):
    """A part of a space. share: of its networks that fit.   mean_macs, p80_macs: None where none fits."""

    label: str
    values: Mapping[str, object]
    share: float
    mean_macs: float | None
    p80_macs: int | None
    macs: list[int]


class BudgetsDocument(TypedDict):
    """What the networks were held against. ms: None where time was not limited."""

    sram_bytes: int
    flash_bytes: int
    ms: float | None


class SubSpacesDocument(TypedDict):
    """What `mcusim plot space --json` writes. best: the label of the part to search; None where no network fits."""

    schema_version: Literal[1]
    space: str
    profile: str
    runtime: str
    budgets: BudgetsDocument
    sample: int
    seed: int
    best: str | None
    parts: list[PartDocument]


def subspaces_document(compared: SubSpaces) -> SubSpacesDocument:
    """The parts of a space as a document."""
    return {
        "schema_version": 1,
        "space": compared.space.name,
        "profile": compared.board.name,
        "runtime": compared.runtime.name,
        "budgets": {"sram_bytes": compared.sram_bytes, "flash_bytes": compared.flash_bytes, "ms": compared.max_ms},
        "sample": compared.sample,
        "seed": compared.seed,
        "best": None if compared.best is None else compared.best.label,
        "parts": [
            {
                "label": part.label,
                "values": part.values,
                "share": part.share,
                "mean_macs": part.mean_macs,
                "p80_macs": part.quantile(0.8),
                "macs": list(part.macs),
            }
            for part in compared.parts
        ],
    }
