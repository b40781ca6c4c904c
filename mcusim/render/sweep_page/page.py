"""Answers -> page: the columns that people filter by, as JSON by column, each text once."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from mcusim.render.html.page import embedded, policy
from mcusim.render.text import clean
from mcusim.schedule import AUTO
from mcusim.sweeping.reading import StoredRow, read_answers
from mcusim.units import BYTES_PER_KIB
from mcusim.version import __version__

__all__ = ["PAGE_COLUMNS", "sweep_page"]


class _Shown(NamedTuple):
    """A column of the page. key: its name in an address.   base: of its unit in the row's; 0 for a text."""

    key: str
    title: str
    column: str
    base: float = 0
    digits: int = 1


PAGE_COLUMNS = (
    _Shown("network", "network", "network"),
    _Shown("board", "board", "board"),
    _Shown("runtime", "runtime", "runtime.name"),
    _Shown("schedule", "schedule", "schedule.spec"),
    _Shown("verdict", "verdict", "verdict"),
    _Shown("sram", "SRAM, KiB", "sram.peak_bytes", BYTES_PER_KIB),
    _Shown("flash", "flash, KiB", "flash.total_bytes", BYTES_PER_KIB),
    _Shown("time", "time, ms", "latency.ms", 1, 2),
    _Shown("energy", "energy, mJ", "energy.uj", 1e3, 2),
    _Shown("macs", "MACs, millions", "model.macs", 1e6, 2),
    _Shown("params", "parameters, thousands", "model.params", 1e3),
    _Shown("clock", "clock, MHz", "profile.clock_hz", 1e6),
    _Shown("error", "why there is no answer", "error"),
)
_ASKED = {"runtime": "asked.runtime", "schedule": "asked.schedule"}
"""What stands for a figure of the answer where there is none."""


def sweep_page(folder: str) -> str:
    """The page of a folder that `mcusim sweep` wrote. Raises InputError for one without answers."""
    columns = dict.fromkeys([column.column for column in PAGE_COLUMNS] + list(_ASKED.values()))
    answers = read_answers(folder, tuple(columns))
    style, script = _text("style.css"), _text("page.js")
    document = {
        "columns": [_column(column, answers.rows) for column in PAGE_COLUMNS],
        "count": len(answers.rows),
    }
    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return made.from_string(_text("page.html.j2")).render(
        title=clean(folder),
        version=__version__,
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        document=embedded(document),
        count=len(answers.rows),
        spec="\n".join(map(clean, answers.spec.splitlines())),
    )


def _column(shown: _Shown, rows: Sequence[StoredRow]) -> dict[str, Any]:
    """A column by value; texts by their places in the list of those that occur."""
    about: dict[str, Any] = {"key": shown.key, "title": shown.title}
    if shown.base:
        values: list[Any] = [row[shown.column] for row in rows]
        about["digits"] = shown.digits
        about["values"] = [None if value is None else round(value / shown.base, 3) for value in values]
        return about
    texts = [clean(_text_of(shown, row)) for row in rows]
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return about | {"texts": list(places), "values": [places[text] for text in texts]}


def _text_of(shown: _Shown, row: StoredRow) -> str:
    """What a row says in a column of texts. A schedule that `auto` chose says so, as it may have been asked for too."""
    answer, asked = row[shown.column], row[_ASKED[shown.key]] if shown.key in _ASKED else None
    if answer and asked == str(AUTO):
        return f"{answer} ({asked})"
    return str(answer or asked or "")


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
