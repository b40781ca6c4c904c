"""A document as LaTeX tables, to be \\input into a paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mcusim.published.tables import Claim, Document
from mcusim.render.published.grid import CellText, Grid, Role, best_layout, grid
from mcusim.render.published.wording import claim_figures, legend, verdict

__all__ = ["latex"]

PREAMBLE = "% needs \\usepackage{booktabs}, \\usepackage{xcolor} and \\usepackage[normalem]{ulem}"
STRUCK = "Struck out: does not fit the board; grey: below eight bits"
_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)


def latex(document: Document) -> str:
    """All of it: a table environment for each table, and one for the claims."""
    parts = [PREAMBLE]
    last = len(document.tables) - 1
    for at, table in enumerate(document.tables):
        laid_out = grid(table, best_layout(table))
        caption = f"{document.title}: {table.title[:1].lower()}{table.title[1:]}."
        notes = [STRUCK, legend(document), *document.notes] if at == last else []
        parts.append(
            _environment(caption, notes, f"{document.name}-{table.key}", list(_grid_lines(laid_out)), laid_out)
        )
    if document.claims:
        lines = list(_claim_lines(document.claims))
        parts.append(_wrapped(f"{document.title}: claims of the text.", [], f"{document.name}-claims", "lrrrl", lines))
    parts += [f"% source: {source}" for source in document.sources]
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    return text.translate(_SPECIAL)


def _environment(caption: str, notes: Sequence[str], label: str, lines: list[str], laid_out: Grid) -> str:
    return _wrapped(caption, notes, label, "".join("r" if head.is_number else "l" for head in laid_out.heads), lines)


def _wrapped(caption: str, notes: Sequence[str], label: str, spec: str, lines: list[str]) -> str:
    """A short caption above the table; what its signs mean and what stands behind it is set below."""
    remarks = " ".join(_escaped(note if note.endswith(".") else f"{note}.") for note in notes if note)
    below = rf"  \par\smallskip\parbox{{\linewidth}}{{\scriptsize {remarks}}}"
    return "\n".join(
        [
            r"\begin{table*}",
            r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}",
            rf"  \caption{{{_escaped(caption)}}}",
            rf"  \label{{tab:{label}}}",
            rf"  \begin{{tabular}}{{{spec}}}",
            r"    \toprule",
            *(f"    {line}" for line in lines),
            r"    \bottomrule",
            r"  \end{tabular}",
            *([below] if remarks else []),
            r"\end{table*}",
        ]
    )


def _row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _grid_lines(laid_out: Grid) -> Iterator[str]:
    yield _row([_escaped(head.title) for head in laid_out.heads])
    for at, group in enumerate(laid_out.groups):
        yield r"\midrule" if not at or group.title else r"\addlinespace"
        if group.title:
            yield _row([rf"\multicolumn{{{len(laid_out.heads)}}}{{l}}{{\textbf{{{_escaped(group.title)}}}}}"])
        for number, row in enumerate(group.rows):
            if number and len(row) > 1:
                yield r"\addlinespace"
            for line in row:
                yield _row([_piece(piece) for piece in line])


def _piece(piece: CellText) -> str:
    if not piece.text:
        return ""
    text = _escaped(piece.text)
    if piece.role is Role.INTERVAL:
        text = text.replace("-", "--")
    elif piece.role is Role.DIFFERENCE:
        text = text.replace("-", "$-$")
    if piece.is_over:
        text = rf"\sout{{{text}}}"
    if piece.mark:
        text = rf"{text}\textsuperscript{{{piece.mark}}}"
    return rf"\textcolor{{gray}}{{{text}}}" if piece.is_grey else text


def _claim_lines(claims: Sequence[Claim]) -> Iterator[str]:
    yield _row(["claim", "printed", "printed rows", "simulated", ""])
    yield r"\midrule"
    for claim in claims:
        yield _row([_escaped(text) for text in (claim.text, *claim_figures(claim), verdict(claim))])
