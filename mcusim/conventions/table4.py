"""The SRAM of the MCUNet rows of Table 4 (IEEE CAS Magazine 2023), and of the 2020 model zoo's int4 rows."""

from __future__ import annotations

from mcusim.conventions.io import largest_layer
from mcusim.conventions.registry import Convention, register
from mcusim.conventions.shared.layers import held_bytes, shortcut_bytes
from mcusim.graph import Graph
from mcusim.report import Basis
from mcusim.runtimes import LedgerItem
from mcusim.schedule import Schedule

__all__ = ["TABLE4"]


def _parts(graph: Graph, schedule: Schedule) -> tuple[LedgerItem, ...]:
    return (
        largest_layer(graph),
        LedgerItem("shortcut", shortcut_bytes(graph), "the largest block input with a shortcut"),
        LedgerItem("im2col", held_bytes(graph, "im2col"), "two int16 columns, or one padded channel"),
    )


TABLE4 = register(
    Convention(
        name="table4",
        what="io + largest shortcut + im2col",
        basis=Basis.CALIBRATED,
        evidence="Table 4's MCUNet rows and the 2020 zoo's int4 rows: within 0.8 KiB; the form was chosen on them",
        parts=_parts,
    )
)
