"""`Act`, the activation column of the 2020 MCUNet model zoo."""

from __future__ import annotations

from mcusim.conventions.registry import Convention, register
from mcusim.conventions.shared.layers import Layer, layers
from mcusim.graph import Graph
from mcusim.report import Basis
from mcusim.runtimes import LedgerItem
from mcusim.schedule import Schedule

__all__ = ["ACT"]


def _bytes(layer: Layer) -> int:
    both = 0 if layer.is_add else layer.in_bytes + layer.out_bytes
    return both + layer.beside_bytes if layer.is_depthwise else both


def _parts(graph: Graph, schedule: Schedule) -> tuple[LedgerItem, ...]:
    largest = max(layers(graph), key=_bytes, default=None)
    if largest is None:
        return ()
    beside = " and shortcut" if largest.is_depthwise and largest.beside_bytes else ""
    return (LedgerItem("activations", _bytes(largest), f"input, output{beside} of '{largest.name}'"),)


ACT = register(
    Convention(
        name="act",
        what="the largest input + output of any convolution, with the shortcut at a depthwise one; nothing in place",
        basis=Basis.DERIVED,
        evidence="2020 model zoo, column Act: 11 of 12 when rounded (mbv2-w0.35-r144 counts 303.75 KiB, printed 303)",
        parts=_parts,
    )
)
