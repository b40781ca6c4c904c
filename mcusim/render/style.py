"""How plots look: sizes, colours and fonts in one place, and files that are the same for the same data.

Widths are those of a printed A4 column. Colours are Okabe and Ito's, told apart by every eye and in grey, and always
on white: a plot then reads the same on a dark page. matplotlib is imported when a plot is made, never before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcusim.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "BLACK",
    "BLUE",
    "COLUMN_INCHES",
    "FORMATS",
    "GREEN",
    "GREY",
    "LIGHT",
    "ORANGE",
    "PURPLE",
    "RED",
    "SKY",
    "SMALL_POINTS",
    "TEXT_POINTS",
    "YELLOW",
    "check_format",
    "draw_budget",
    "draw_budget_across",
    "drawn",
    "figure",
    "layer_numbers",
    "note",
    "plain_powers",
    "whole_numbers",
]

COLUMN_INCHES = 6.3
"""Width of the text on A4 with margins of 2.5 cm."""
TEXT_POINTS, SMALL_POINTS = 8.0, 7.0

BLUE, SKY, GREEN, YELLOW = "#0072B2", "#56B4E9", "#009E73", "#F0E442"
ORANGE, RED, PURPLE, BLACK = "#E69F00", "#D55E00", "#CC79A7", "#000000"
GREY, LIGHT = "#666666", "#E4E4E4"

FORMATS = (".svg", ".png", ".pdf")

_SETTINGS: Any = {  # names that matplotlib knows; its types list them all
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": TEXT_POINTS,
    "text.parse_math": False,  # names of tensors are no formulas
    "axes.titlesize": TEXT_POINTS + 1,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": TEXT_POINTS,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.labelsize": SMALL_POINTS,
    "ytick.labelsize": SMALL_POINTS,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": SMALL_POINTS,
    "legend.frameon": False,
    "hatch.linewidth": 0.4,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "mcusim",
    "pdf.fonttype": 42,
    "path.simplify": False,
}


def check_format(target: str) -> str:
    """The format that a file name asks for. Raises InputError for one that is not drawn."""
    suffix = Path(target).suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"'{target}' is no picture", where="--output", fix=f"end it in {', '.join(FORMATS)}")
    return suffix[1:]


def _matplotlib() -> Any:
    """matplotlib, imported in its own folder: elsewhere it obeys a `matplotlibrc` that lies there, whoever wrote it."""
    if "matplotlib" not in sys.modules:
        os.environ.setdefault("MPLBACKEND", "Agg")
        here = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))  # it may be a folder that nobody may list
        try:
            spec = find_spec("matplotlib")
            assert spec is not None
            assert spec.origin is not None
            os.chdir(Path(spec.origin).parent)
            import_module("matplotlib")
        except ValueError as error:
            fix = "correct its settings in the environment, such as MPLBACKEND"
            raise InputError(f"it cannot be loaded ({error!s:.200})", where="matplotlib", fix=fix) from None
        finally:
            os.fchdir(here)
            os.close(here)
    return import_module("matplotlib")


def plain_powers(axis: Axis) -> None:
    """`10`, `100` on a logarithmic axis, instead of formulas: those are off, for the sake of names with dollars."""
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


@contextmanager
def figure(height_inches: float, width_inches: float = COLUMN_INCHES) -> Iterator[Figure]:
    """An empty figure in mcusim's style, laid out so that nothing overlaps when it is drawn."""
    matplotlib = _matplotlib()
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not what the user, or a file in this folder, has set
        matplotlib.rcParams.update(_SETTINGS)
        yield Figure(figsize=(width_inches, height_inches), dpi=200, layout="constrained")


def drawn(made: Figure, kind: str) -> bytes:
    """The figure as a file. The same figure gives the same bytes: no dates, no random names."""
    metadata: dict[str, Any] = {
        "svg": {"Date": None},
        "pdf": {"CreationDate": None, "Producer": None},
        "png": {"Software": None},
    }[kind]
    out = BytesIO()
    made.savefig(out, format=kind, metadata=metadata)
    return out.getvalue()


BUDGET_IN_VIEW = 1.6
"""A budget up to so many times the largest value is drawn; a higher one is told only."""


def note(axes: Axes, text: str, place: tuple[float, float], *, below: bool = False, colour: str = BLACK) -> None:
    """A remark that ends at `place`, above or below it, legible on whatever lies there."""
    axes.annotate(
        text,
        place,
        (0, -2 if below else 3),
        textcoords="offset points",
        ha="right",
        va="top" if below else "bottom",
        color=colour,
        fontsize=SMALL_POINTS,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        zorder=6,
    )


def whole_numbers(axes: Axes) -> None:
    """Ticks of the horizontal axis at whole numbers only: steps and layers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


MOST_TICKS = 12
_STEPS = [factor * 10**power for power in range(6) for factor in (1, 2, 5)]


def layer_numbers(axes: Axes, numbers: Sequence[int]) -> None:
    """Ticks of the horizontal axis, a place for each layer that runs, at round numbers of layers in the network."""
    step = next((step for step in _STEPS if (max(numbers, default=0) + 1) / step <= MOST_TICKS), _STEPS[-1])
    places = [place for place, number in enumerate(numbers) if number % step == 0]
    axes.set_xticks(places, [str(numbers[place]) for place in places])
    axes.set_xlabel("layers that run, by their numbers in the network")


def draw_budget(axes: Axes, whose: str, budget: float, largest: float, right: float) -> float:
    """A line at the budget, or where it is far above all, only its number. Returns the top of what was drawn.

    budget, largest: in the axis' unit, KiB.   right: where the line ends.
    """
    text = f"budget of {whose}: {budget:,.0f} KiB"
    if budget > BUDGET_IN_VIEW * largest:
        axes.text(1, 1, f"{text} ↑", transform=axes.transAxes, ha="right", va="top", color=RED, fontsize=SMALL_POINTS)
        return largest
    axes.axhline(budget, color=RED, linewidth=1.0, linestyle=(0, (4, 2)), zorder=5)
    note(axes, text, (right, budget), colour=RED)
    return max(largest, budget)


def draw_budget_across(axes: Axes, whose: str, budget: float, *, at_top: bool = True) -> None:
    """A line at a budget of the horizontal axis, named at its top or foot."""
    axes.axvline(budget, color=RED, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    axes.annotate(
        f"{whose}: {budget:,.0f} KiB",
        (budget, 1 if at_top else 0),
        (-3, -2 if at_top else 3),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="right",
        va="top" if at_top else "bottom",
        rotation=90,
        color=RED,
        fontsize=SMALL_POINTS,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
        zorder=6,
    )
