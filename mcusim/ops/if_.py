"""IF: one of two subgraphs, chosen by a boolean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, Flow, Shape, TensorType
from mcusim.ops.registry import OpDef, register
from mcusim.ops.shared.control import no_work
from mcusim.ops.shared.tiles import no_needs

__all__ = ["IF", "IfAttributes"]


@dataclass(frozen=True, slots=True)
class IfAttributes(Attributes):
    """Attributes of IF, under TFLite's names."""

    then_subgraph_index: int = 0
    else_subgraph_index: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    """Nobody asks: the shapes are those of the subgraphs' outputs (`frontends.checks.check_calls`)."""
    return ()


IF = register(
    OpDef(
        name="IF",
        summary="one of two subgraphs, chosen by a boolean",
        attributes=IfAttributes,
        options="IfOptions",
        infer=_infer,
        needs=no_needs,
        work=no_work,
        flow=Flow.CHOOSES,
        enters=("then_subgraph_index", "else_subgraph_index"),
    )
)
