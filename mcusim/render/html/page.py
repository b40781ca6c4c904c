"""Dossier -> page: the template filled, style and script inside, nothing allowed but these two."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from mcusim.render.html.drawing import front_view, timeline_view
from mcusim.render.html.rows import bank_rows, flash_items, layer_rows, operators, stage_rows
from mcusim.render.html.sources import basis_rows, board_sources, facts, notes, published_rows
from mcusim.render.html.summary import alive_rows, causes, gauges, parts_rows
from mcusim.render.naming import kind_words
from mcusim.render.text import clean, first_name, kib
from mcusim.render.verdict import VERDICT_WORDS, verdict_reason
from mcusim.simulation.dossier import Dossier
from mcusim.units import format_bytes, format_count, format_percent

__all__ = ["embedded", "html_page", "policy"]


def html_page(dossier: Dossier) -> str:
    """The page: the same text for the same dossier."""
    report = dossier.report
    style, script = _text("style.css"), _text("page.js")
    return _environment().get_template("page.html.j2").render(
        report=report,
        dossier=dossier,
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        document=embedded(report.to_dict()),
        verdict=VERDICT_WORDS[report.verdict],
        reason=verdict_reason(report),
        facts=facts(dossier),
        gauges=gauges(report),
        alive=alive_rows(report),
        parts=parts_rows(report),
        causes=causes(report),
        operators=operators(report),
        timeline=timeline_view(dossier),
        layers=layer_rows(report),
        stages=stage_rows(report),
        banks=bank_rows(report),
        flash=flash_items(dossier),
        front=front_view(dossier),
        published=published_rows(dossier),
        basis=basis_rows(report),
        board_sources=board_sources(dossier.board),
        notes=notes(dossier),
    )  # fmt: skip


def policy(style: str, script: str) -> str:
    """What the browser may do: this style, this script, nothing else, and no address at all."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{_digest(style)}'",
            f"script-src 'sha256-{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def embedded(document: object) -> Markup:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "bytes": format_bytes,
        "count": format_count,
        "first_name": first_name,
        "kind_words": kind_words,
        "kib": kib,
        "percent": format_percent,
        "breakable": _breakable,
    }
    return made


def _printable(value: object) -> object:
    """Control characters and halves of characters, which names in a file may hold, become `?`."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _breakable(name: str) -> Markup:
    """A long name that may break behind each of its parts."""
    parts = re.split("(?<=[/_;:.])", clean(name))
    return Markup("<wbr>").join(escape(part) for part in parts)
