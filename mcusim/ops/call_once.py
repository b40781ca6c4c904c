"""CALL_ONCE: another subgraph, run before the first inference only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, Flow, Shape, TensorType
from mcusim.ops.registry import Movement, OpDef, StateRole, register
from mcusim.ops.shared.control import no_work
from mcusim.ops.shared.tiles import no_needs

__all__ = ["CALL_ONCE", "CallOnceAttributes"]


@dataclass(frozen=True, slots=True)
class CallOnceAttributes(Attributes):
    """Attributes of CALL_ONCE, under TFLite's names."""

    init_subgraph_index: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return ()


CALL_ONCE = register(
    OpDef(
        name="CALL_ONCE",
        summary="another subgraph, run before the first inference only",
        attributes=CallOnceAttributes,
        options="CallOnceOptions",
        infer=_infer,
        needs=no_needs,
        work=no_work,
        movement=Movement.MOVES,
        most_inputs=0,
        state=StateRole.INITIALISE,
        flow=Flow.ONCE,
        enters=("init_subgraph_index",),
    )
)
