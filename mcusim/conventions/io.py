"""The bound that most published figures come down to: the largest layer."""

from __future__ import annotations

from mcusim.conventions.registry import Convention, register
from mcusim.conventions.shared.layers import in_and_out_bytes, layers
from mcusim.graph import Graph
from mcusim.report import Basis
from mcusim.runtimes import LedgerItem
from mcusim.schedule import Schedule

__all__ = ["IO", "largest_layer"]


def largest_layer(graph: Graph) -> LedgerItem:
    """Input and output of the layer with most of them; depthwise convolutions in place, ADD left out."""
    largest = max(layers(graph), key=in_and_out_bytes, default=None)
    if largest is None:
        return LedgerItem("activations", 0, "no layer")
    return LedgerItem("activations", in_and_out_bytes(largest), f"input and output of '{largest.name}'")


def _io(graph: Graph, schedule: Schedule) -> tuple[LedgerItem, ...]:
    return (largest_layer(graph),)


IO = register(
    Convention(
        name="io",
        what="the largest input + output of any layer; depthwise convolutions in place, ADD left out",
        basis=Basis.DERIVED,
        evidence="figure of TinyEngine's 2022 release on STM32F746: 4 of 4 to the printed digit",
        parts=_io,
    )
)
