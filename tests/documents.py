"""Every report and chart of published tables, made once."""

from __future__ import annotations

from functools import cache

from mcusim.published.tables import DOCUMENTS, Document
from mcusim.published.tables.curves import CHARTS, Chart

__all__ = ["chart", "document"]


@cache
def document(name: str) -> Document:
    return DOCUMENTS[name]()


@cache
def chart(name: str) -> Chart:
    return CHARTS[name]()
