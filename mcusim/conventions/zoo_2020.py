"""The SRAM of the nine int8 rows of the 2020 MCUNet model zoo."""

from __future__ import annotations

from mcusim.conventions.io import largest_layer
from mcusim.conventions.registry import Convention, register
from mcusim.conventions.shared.layers import held_bytes, shortcut_bytes
from mcusim.graph import Graph
from mcusim.report import Basis
from mcusim.runtimes import LedgerItem
from mcusim.schedule import Schedule

__all__ = ["ZOO_2020"]

REST_BYTES = 2765
"""2.7 KiB that every row has more than its buffers. Calibrated on those rows."""


def _parts(graph: Graph, schedule: Schedule) -> tuple[LedgerItem, ...]:
    return (
        largest_layer(graph),
        LedgerItem("shortcut", shortcut_bytes(graph), "the largest block input with a shortcut"),
        LedgerItem("im2col", held_bytes(graph, "im2col"), "two int16 columns, or one padded channel"),
        LedgerItem("kernel", held_bytes(graph, "kernel"), "int16 weights of a k > 1 convolution"),
        LedgerItem("rest", REST_BYTES, "a constant, calibrated"),
    )


ZOO_2020 = register(
    Convention(
        name="zoo-2020",
        what="io + largest shortcut + im2col + kernel buffer + 2.7 KiB",
        basis=Basis.CALIBRATED,
        evidence="2020 model zoo, int8 rows: 9 of 9 within 0.43 KiB; the constant was chosen on them",
        parts=_parts,
    )
)
