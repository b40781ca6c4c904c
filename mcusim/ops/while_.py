"""WHILE: a subgraph, again and again as long as another one answers true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, Flow, Shape, TensorType
from mcusim.ops.registry import OpDef, register
from mcusim.ops.shared.control import no_work
from mcusim.ops.shared.tiles import no_needs

__all__ = ["WHILE", "WhileAttributes"]


@dataclass(frozen=True, slots=True)
class WhileAttributes(Attributes):
    """Attributes of WHILE, under TFLite's names."""

    cond_subgraph_index: int = 0
    body_subgraph_index: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    """Every input comes back as an output of its shape."""
    return tuple(kind.shape for kind in inputs if kind is not None)


WHILE = register(
    OpDef(
        name="WHILE",
        summary="a subgraph, as long as another one answers true",
        attributes=WhileAttributes,
        options="WhileOptions",
        infer=_infer,
        needs=no_needs,
        work=no_work,
        flow=Flow.LOOPS,
        enters=("cond_subgraph_index", "body_subgraph_index"),
    )
)
