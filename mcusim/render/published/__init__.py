"""Reports of published figures in the forms that people paste: Markdown, LaTeX, HTML, CSV, JSON; and the terminal."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from mcusim.published.tables import Document
from mcusim.render.published.html import html
from mcusim.render.published.latex import latex
from mcusim.render.published.machine import csv_text, json_text
from mcusim.render.published.markdown import markdown
from mcusim.render.published.terminal import document_lines

__all__ = ["SUFFIXES", "WRITERS", "Format", "document_lines"]


class Format(StrEnum):
    """How a document is written."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    CSV = "csv"
    LATEX = "latex"
    HTML = "html"
    JSON = "json"


WRITERS: Mapping[Format, Callable[[Document], str]] = MappingProxyType(
    {
        Format.MARKDOWN: markdown,
        Format.CSV: csv_text,
        Format.LATEX: latex,
        Format.HTML: html,
        Format.JSON: json_text,
    }
)
"""All forms that do not depend on a terminal."""

SUFFIXES: Mapping[str, Format] = MappingProxyType(
    {
        ".md": Format.MARKDOWN,
        ".csv": Format.CSV,
        ".tex": Format.LATEX,
        ".html": Format.HTML,
        ".json": Format.JSON,
        ".txt": Format.TERMINAL,
    }
)
"""Of a file name -> the form that it asks for."""
