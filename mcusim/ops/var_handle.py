"""VAR_HANDLE: a name for a variable that outlives an inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, Shape, TensorType
from mcusim.ops.registry import Movement, OpDef, StateRole, register
from mcusim.ops.shared.control import no_work
from mcusim.ops.shared.tiles import no_needs

__all__ = ["VAR_HANDLE", "VarHandleAttributes"]


@dataclass(frozen=True, slots=True)
class VarHandleAttributes(Attributes):
    """Attributes of VAR_HANDLE, under TFLite's names: together they name the variable."""

    container: str = ""
    shared_name: str = ""


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return ((),)


VAR_HANDLE = register(
    OpDef(
        name="VAR_HANDLE",
        summary="a name for a variable that outlives an inference",
        attributes=VarHandleAttributes,
        options="VarHandleOptions",
        infer=_infer,
        needs=no_needs,
        work=no_work,
        movement=Movement.MOVES,
        most_inputs=0,
        state=StateRole.HANDLE,
    )
)
