"""A lower bound: as `io`, with every tensor kept alive that is still needed, so shortcuts count."""

from __future__ import annotations

from mcusim.conventions.registry import Convention, register
from mcusim.conventions.shared.layers import Layer, in_and_out_bytes, layers
from mcusim.graph import Graph
from mcusim.report import Basis
from mcusim.runtimes import LedgerItem
from mcusim.schedule import Schedule

__all__ = ["LIVE"]


def _alive_bytes(layer: Layer) -> int:
    """Input and output of a layer, in place only where the input is not needed again; an ADD may write over one."""
    if layer.is_add:
        return layer.in_bytes
    if layer.is_depthwise and layer.input_stays:
        return layer.in_bytes + layer.out_bytes
    return in_and_out_bytes(layer)


def _live(graph: Graph, schedule: Schedule) -> tuple[LedgerItem, ...]:
    largest = max(layers(graph), key=lambda layer: _alive_bytes(layer) + layer.beside_bytes, default=None)
    if largest is None:
        return ()
    return (
        LedgerItem("activations", _alive_bytes(largest), f"input and output of '{largest.name}'"),
        LedgerItem("shortcuts", largest.beside_bytes, "tensors needed later, alive beside that layer"),
    )


LIVE = register(
    Convention(
        name="live",
        what="lower bound: as io, with every tensor that is still needed kept alive",
        basis=Basis.DERIVED,
        evidence="equals io on all 26 published architectures",
        parts=_live,
    )
)
