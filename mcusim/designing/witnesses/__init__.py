"""A network of MCUNetV2's published search space for stated figures, or for a board: `mcusim.search_net`.

A network found for a published row is its *witness*: it shows that the row's figures can be met, by a network that is
here to be counted, run and drawn. It is not the row's own network, and its accuracy is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, NamedTuple

from mcusim.boards import load_board
from mcusim.boards.board import Board
from mcusim.designing.spaces.mcunetv2 import GRIDS, RESOLUTIONS, Task
from mcusim.designing.witnesses.counting import Figures, exact_figures
from mcusim.designing.witnesses.moves import Space
from mcusim.designing.witnesses.rows import UnreleasedRow, find_row
from mcusim.designing.witnesses.search import EFFORT, Answer, Progress, find
from mcusim.designing.witnesses.wishes import Wish, budget, excess, target
from mcusim.errors import InputError
from mcusim.frontends.description import graph_from_dict
from mcusim.graph import Graph
from mcusim.question.arguments import the_budgets
from mcusim.schedule import Schedule
from mcusim.source import Source

__all__ = ["MOST_OVERHEAD", "TOLERANCE", "FoundNetwork", "Judged", "Progress", "search_net"]

TOLERANCE = 0.01
MOST_OVERHEAD = 0.17
"""What patches may compute again: the most that MCUNetV2 reports (arXiv 2110.15352, section 3.1 and Fig. 5)."""


class Judged(NamedTuple):
    """One figure against what was asked. aim: the figure asked for, or the limit.   off: 0.01 is one percent above.

    low, high: the range that it had to be in.
    """

    of: str
    value: float
    aim: float
    low: float
    high: float
    is_target: bool

    @property
    def off(self) -> float:
        return self.value / self.aim - 1.0

    @property
    def is_met(self) -> bool:
        return self.low <= self.value <= self.high


@dataclass(frozen=True, slots=True)
class FoundNetwork:
    """What a search found.

    network: its description, as `load` takes it.   meets: whether all that was asked is met; else it is the nearest.
    row: of which it is a witness, or "".   misses_flash: why it cannot keep the board's flash, or "".
    steps, counted: networks tried, and those whose SRAM was counted.
    """

    network: dict[str, Any]
    task: Task
    schedule: Schedule
    board: Board
    figures: Figures
    judged: tuple[Judged, ...]
    meets: bool
    row: str
    misses_flash: str
    seed: int
    steps: int
    counted: int

    @property
    def graph(self) -> Graph:
        """The network, built. Its accuracy is not known to anybody."""
        return graph_from_dict(self.network, source=Source(description="found by mcusim search-net, accuracy unknown"))

    def __repr__(self) -> str:
        name = str(self.network.get("name", ""))[:60]
        outcome = "meets all that was asked" if self.meets else "the nearest"
        return f"<FoundNetwork {name!r} on {self.board.name!r}: {outcome}, {self.steps} networks tried>"


def search_net(
    *,
    row: str | None = None,
    profile: Board | str | PathLike[str] | None = None,
    task: Task | str | None = None,
    macs: float | None = None,
    sram_bytes: int | None = None,
    flash_bytes: int | None = None,
    params: float | None = None,
    most_macs: bool = False,
    sram_budget_bytes: int | None = None,
    flash_budget_bytes: int | None = None,
    what_if: bool = False,
    tolerance: float = TOLERANCE,
    most_overhead: float | None = None,
    resolutions: Iterable[int] | None = None,
    grids: Iterable[int] | None = None,
    seed: int = 0,
    effort: int = EFFORT,
    progress: Progress | None = None,
) -> FoundNetwork:
    """A network of MCUNetV2's search space with its schedule, for a published row or for figures of one's own.

    row: a row without a released network (`mcusim.designing.witnesses.rows`): its board, task and figures count.
    macs, sram_bytes, flash_bytes, params: figures to meet within `tolerance`, and never above the board's budgets.
    sram_budget_bytes, flash_budget_bytes: replace the board's own.   what_if: they may be more than it has.
    most_macs: as many MACs as possible of what is asked otherwise.   most_overhead: what patches may compute again, in
    parts of the MACs.   resolutions, grids: of the space, that are allowed; a grid of 1 is layer by layer.
    seed: another seed finds another network; the same one finds the same.   effort: steps of one walk; more finds more.
    Raises McusimError where an option is wrong or nothing is asked for.
    """
    known = find_row(row) if row is not None else None
    asked = {"macs": macs, "sram_bytes": sram_bytes, "flash_bytes": flash_bytes, "params": params}
    if known is not None:
        _refuse_beside_row(profile, task, grids, [*asked.values()])
        asked = {of: getattr(known, of) for of in asked}
    elif not most_macs and not any(asked.values()):
        fix = "name a row (--row), a figure such as its MACs (--macs 50M), or ask for as many MACs as fit (--max-macs)"
        raise InputError("nothing is asked of the network", where="search-net", fix=fix)
    board = _board(profile, known)
    space = _space(task, resolutions, grids, known)
    budgets = the_budgets(board, sram_budget_bytes, flash_budget_bytes, what_if=what_if)
    limits = {"sram_bytes": budgets.sram_bytes, "flash_bytes": budgets.flash_bytes}
    if known is not None and known.flash_limit_bytes is not None:
        limits["flash_bytes"] = known.flash_limit_bytes
    wishes = _wishes(asked, limits, _ratio(tolerance, "tolerance"), _overhead(most_overhead, known))
    if known is not None and known.printed.sram.is_bound:
        wishes = tuple(_below(wish) for wish in wishes)
    answer = find(
        space,
        wishes,
        _whole(seed, 0, "seed"),
        most_macs=most_macs,
        effort=_whole(effort, 1, "effort"),
        progress=progress,
    )
    return _found(answer, wishes, board, row, known, seed)


def _found(
    answer: Answer, wishes: Sequence[Wish], board: Board, name: str | None, row: UnreleasedRow | None, seed: int
) -> FoundNetwork:
    """The answer, counted again on its graph by the functions that reports use."""
    choice, network, schedule = answer.choice, answer.choice.network(), answer.choice.schedule()
    figures = exact_figures(graph_from_dict(network), schedule)
    judged = [Judged(w.of, getattr(figures, w.of), w.aim, w.low, w.high, w.is_target) for w in wishes]
    return FoundNetwork(
        network=network,
        task=choice.task,
        schedule=schedule,
        board=board,
        figures=figures,
        judged=tuple(judged),
        meets=excess(wishes, figures) == 0,
        row=name.strip().lower() if name is not None else "",
        misses_flash=row.notes.misses_flash if row is not None else "",
        seed=seed,
        steps=answer.steps,
        counted=answer.counted,
    )


def _wishes(
    asked: dict[str, float | None], limits: dict[str, int], tolerance: float, overhead: float
) -> tuple[Wish, ...]:
    """Figures to meet, then budgets to keep."""
    wishes = [target(of, aim, tolerance, limits.get(of)) for of, aim in asked.items() if aim is not None]
    wishes += [budget(of, limit) for of, limit in limits.items() if asked[of] is None]
    for wish in wishes:
        if wish.low > wish.high:
            name, _, unit = wish.of.partition("_")
            what = f"{name} of {wish.aim:,.0f} {unit} is above the budget of {wish.high:,.0f}".replace("  ", " ")
            raise InputError(what, where="search_net", fix="ask for less, or raise the budget")
    return (*wishes, budget("placed_bytes", limits["sram_bytes"]), budget("overhead", overhead, 1.0))


def _below(wish: Wish) -> Wish:
    """A row that prints a bound is met below it only."""
    return wish._replace(high=min(wish.high, wish.aim)) if wish.of == "sram_bytes" else wish


# ---------------------------------------------------------------------------------------------------------------------
# What a caller may ask


def _refuse_beside_row(profile: object, task: object, grids: object, figures: Sequence[float | None]) -> None:
    if profile is not None or task is not None or grids is not None or any(f is not None for f in figures):
        fix = "leave the board, the task, patches and the figures out, or leave the row out"
        raise InputError("the row says that already", where="row", fix=fix)


def _board(profile: Board | str | PathLike[str] | None, row: UnreleasedRow | None) -> Board:
    if row is not None:
        return load_board(row.printed.profile)
    if profile is None:
        raise InputError("for which board?", where="profile", fix='name one, as in "stm32f412"')
    return profile if isinstance(profile, Board) else load_board(profile)


def _space(
    task: Task | str | None, resolutions: Iterable[int] | None, grids: Iterable[int] | None, row: UnreleasedRow | None
) -> Space:
    if row is not None:
        chosen, allowed = row.notes.task, [grid for grid in GRIDS if (grid > 1) == row.notes.patched]
    else:
        try:
            chosen = Task(task or Task.IMAGENET)
        except ValueError:
            raise InputError(f"'{task}' is no task", where="task", fix=f"use {', '.join(Task)}") from None
        allowed = list(GRIDS if grids is None else grids)
    sides = _among(RESOLUTIONS if resolutions is None else resolutions, RESOLUTIONS, "resolutions")
    space = Space(chosen, sides, _among(allowed, GRIDS, "grids"))
    if not any(space.islands()):
        fix = f"allow others: resolutions {_listed(RESOLUTIONS)}, grids {_listed(GRIDS)}"
        raise InputError("no map of these resolutions divides into these grids", where="search_net", fix=fix)
    return space


def _among(wanted: Iterable[int], known: Sequence[int], where: str) -> tuple[int, ...]:
    values = set(wanted)
    foreign = sorted(values - set(known))
    if foreign or not values:
        what = f"{foreign[0]} is not in the space" if foreign else "there are none"
        raise InputError(what, where=where, fix=f"use {_listed(known)}")
    return tuple(sorted(values))


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _ratio(value: float, where: str) -> float:
    if not 0 <= value < 1:
        raise InputError(f"{value!r} is not a ratio", where=where, fix="use 0 or more and less than 1; 0.01 is 1 %")
    return value


def _overhead(wanted: float | None, row: UnreleasedRow | None) -> float:
    """What patches may compute again: as asked, else the row's own, else what the paper reports."""
    usual = MOST_OVERHEAD if row is None or row.notes.most_overhead is None else row.notes.most_overhead
    return usual if wanted is None else _ratio(wanted, "most_overhead")


def _whole(number: int, least: int, where: str) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise InputError(f"{where} is {number!r}", where="search_net", fix=f"use a whole number, {least} or more")
    return number
