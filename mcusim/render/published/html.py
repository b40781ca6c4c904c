"""A document as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from mcusim.published.tables import Claim, Document
from mcusim.render.published.grid import CellText, Grid, Role, best_layout, grid
from mcusim.render.published.wording import claim_figures, legend, verdict

__all__ = ["html"]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #666; --over: #b3261e; --found: #00557f; }
@media (prefers-color-scheme: dark) { :root { --quiet: #aaa; --over: #ff8a80; --found: #7cc7f0; } }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
div.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .5rem; text-align: left; white-space: nowrap; }
th { border-bottom: 1px solid var(--line); font-weight: 600; vertical-align: bottom; }
.number { text-align: right; }
sup { line-height: 0; }
tbody tr.first td { border-top: 1px solid var(--line); padding-top: .35rem; }
td.group { border-top: 2px solid var(--line); font-weight: 600; padding-top: .6rem; }
td.label { font-weight: 600; }
td.about, td.origin, td.which, td.difference, td.interval, td.text { color: var(--quiet); }
td.simulated { color: var(--found); } s { color: var(--over); } tr.grey td { color: #888; }
td.how { color: var(--quiet); white-space: normal; }
footer { color: var(--quiet); font-size: .9rem; margin-top: 2rem; }
"""


def html(document: Document) -> str:
    """All of it."""
    title = escape(document.title)
    parts = [
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>",
    ]
    for table in document.tables:
        laid_out = grid(table, best_layout(table))
        parts += [f"<h2>{escape(table.title)}</h2>", *_grid_lines(laid_out)]
    if document.claims:
        parts += ["<h2>What the text claims</h2>", *_claim_lines(document.claims)]
    notes = ["Struck out: does not fit the board; grey: below eight bits", legend(document), *document.notes]
    notes += [f"Source: {source}" for source in document.sources]
    parts += ["<footer>", *(f"<p>{escape(note)}</p>" for note in notes if note), "</footer>\n</body>\n</html>"]
    return "\n".join(parts) + "\n"


def _grid_lines(laid_out: Grid) -> Iterator[str]:
    yield '<div class="table"><table>\n<thead><tr>'
    yield "".join(f"<th{_number(head.is_number)}>{escape(head.title)}</th>" for head in laid_out.heads)
    yield "</tr></thead>\n<tbody>"
    numbers = [head.is_number for head in laid_out.heads]
    for group in laid_out.groups:
        if group.title:
            yield f'<tr><td class="group" colspan="{len(numbers)}">{escape(group.title)}</td></tr>'
        for row in group.rows:
            for at, line in enumerate(row):
                names = ["first"] * (at == 0 and len(row) > 1) + ["grey"] * line[0].is_grey
                cells = "".join(_cell(piece, number) for piece, number in zip(line, numbers, strict=True))
                yield f"<tr{_class(names)}>{cells}</tr>"
    yield "</tbody></table></div>"


def _number(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _class(names: Sequence[str]) -> str:
    return f' class="{" ".join(names)}"' if names else ""


def _cell(piece: CellText, is_number: bool) -> str:
    text = escape(piece.text)
    if piece.text and piece.is_over:
        text = f'<s title="does not fit the board">{text}</s>'
    if piece.mark:
        text += f"<sup>{piece.mark}</sup>"
    names = [str(piece.role)] * bool(piece.text) + ["number"] * (is_number and piece.role is not Role.LABEL)
    return f"<td{_class(names)}>{text}</td>"


def _claim_lines(claims: Sequence[Claim]) -> Iterator[str]:
    yield '<div class="table"><table>\n<thead><tr><th>claim</th><th class="number">printed</th>'
    yield '<th class="number">printed rows give</th><th class="number">simulated</th><th></th><th>how</th></tr></thead>'
    yield "<tbody>"
    for claim in claims:
        figures = "".join(f'<td class="number">{escape(text)}</td>' for text in claim_figures(claim))
        yield (
            f'<tr class="first"><td>{escape(claim.text)}</td>{figures}<td class="label">{verdict(claim)}</td>'
            f'<td class="how">{escape(claim.how)}</td></tr>'
        )
    yield "</tbody></table></div>"
