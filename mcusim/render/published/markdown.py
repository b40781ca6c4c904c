"""A document as Markdown: what does not fit its board is struck out, rows below eight bits are in italics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mcusim.published.tables import Claim, Document
from mcusim.render.published.grid import CellText, Grid, Role, best_layout, grid
from mcusim.render.published.wording import claim_figures, legend, verdict

__all__ = ["markdown"]

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_|<>~[]"})


def markdown(document: Document) -> str:
    """All of it."""
    parts = [f"# {_escaped(document.title)}"]
    for table in document.tables:
        laid_out = grid(table, best_layout(table))
        parts += [f"## {_escaped(table.title)}", "\n".join(_grid_lines(laid_out))]
    if document.claims:
        parts += ["## What the text claims", "\n".join(_claim_lines(document.claims))]
    struck = "~~struck out~~: does not fit the board; *italics*: below eight bits"
    notes = [*filter(None, (struck, _escaped(legend(document)))), *map(_escaped, document.notes)]
    notes += [f"Source: {_escaped(source)}" for source in document.sources]
    parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    return text.translate(_SPECIAL)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _grid_lines(laid_out: Grid) -> Iterator[str]:
    yield _line([_escaped(head.title) for head in laid_out.heads])
    yield _line(["---:" if head.is_number else "---" for head in laid_out.heads])
    for group in laid_out.groups:
        if group.title:
            yield _line([f"**{_escaped(group.title)}**", *[""] * (len(laid_out.heads) - 1)])
        for row in group.rows:
            for line in row:
                yield _line([_piece(piece) for piece in line])


def _piece(piece: CellText) -> str:
    if not piece.text:
        return ""
    text = _escaped(piece.text)
    if piece.is_over:
        text = f"~~{text}~~"
    if piece.is_grey:
        text = f"*{text}*"
    elif piece.role is Role.LABEL:
        text = f"**{text}**"
    return f"{text} {piece.mark}".rstrip()


def _claim_lines(claims: Sequence[Claim]) -> Iterator[str]:
    yield _line(["claim", "printed", "printed rows give", "simulated", "", "how"])
    yield _line(["---", "---:", "---:", "---:", "---", "---"])
    for claim in claims:
        texts = (claim.text, *claim_figures(claim), verdict(claim), claim.how)
        yield _line([_escaped(text) for text in texts])
