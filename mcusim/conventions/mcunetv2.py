"""The analytic counting of the MCUNetV2 paper, layer by layer.

Source: MCUNetV2 (arXiv 2110.15352), Fig. 1 and Table 1.
"""

from __future__ import annotations

from mcusim.conventions.layers import Layer, in_and_out_bytes, layers
from mcusim.conventions.registry import Convention, register
from mcusim.graph import Graph
from mcusim.report import Basis
from mcusim.runtimes import LedgerItem
from mcusim.schedule import Schedule

__all__ = ["MCUNETV2"]


def _bytes(layer: Layer) -> int:
    """A projection's shortcut is folded into its output, an expansion's is its input."""
    return in_and_out_bytes(layer) + (layer.beside_bytes if layer.is_depthwise else 0)


def _parts(graph: Graph, schedule: Schedule) -> tuple[LedgerItem, ...]:
    found = max(layers(graph), key=_bytes, default=None)
    if found is None:
        return ()
    what = "in place, with its shortcut" if found.is_depthwise else "input and output"
    return (LedgerItem("activations", _bytes(found), f"'{found.name}': {what}"),)


MCUNETV2 = register(
    Convention(
        name="mcunetv2",
        what="the largest layer: convolutions input + output, depthwise ones in place beside their shortcut",
        basis=Basis.DERIVED,
        evidence="MobileNetV2 at 224 layer by layer: 1372.0 KiB, published 1372",
        parts=_parts,
    )
)
