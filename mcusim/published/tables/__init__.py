"""Published tables and curves, regenerated: the printed figure, the simulated one beside it, and their difference."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mcusim.published.tables.document import (
    Claim,
    Column,
    Document,
    Figure,
    Group,
    Inputs,
    Origin,
    Row,
    Table,
)
from mcusim.published.tables.firmware import firmware_document
from mcusim.published.tables.mcunetv2 import mcunetv2_document
from mcusim.published.tables.runtimes import runtimes_document
from mcusim.published.tables.table4 import table4_document
from mcusim.published.tables.voc import voc_document
from mcusim.published.tables.vww import vww_document
from mcusim.published.tables.zoo_2020 import zoo_2020_document

__all__ = [
    "DOCUMENTS",
    "Claim",
    "Column",
    "Document",
    "Figure",
    "Group",
    "Inputs",
    "Origin",
    "Row",
    "Table",
]

DOCUMENTS: Mapping[str, Callable[[], Document]] = MappingProxyType(
    {
        "table4": table4_document,
        "vww": vww_document,
        "voc": voc_document,
        "mcunetv2": mcunetv2_document,
        "runtimes": runtimes_document,
        "zoo": zoo_2020_document,
        "firmware": firmware_document,
    }
)
"""Every document by name."""
