"""CAST: elements converted to another type."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType
from mcusim.ops.registry import Call, Movement, register
from mcusim.ops.shared.elementwise import unary

__all__ = ["CAST", "CastAttributes"]


@dataclass(frozen=True, slots=True)
class CastAttributes(Attributes):
    """Attributes of CAST, under TFLite's names. Files often leave them out: the tensors' types count."""

    in_data_type: DType = DType.FLOAT32
    out_data_type: DType = DType.FLOAT32


_INTEGERS = (DType.INT8, DType.UINT8, DType.INT16, DType.INT32, DType.UINT32, DType.INT64)
_CAST = frozenset({DType.BOOL, DType.FLOAT32, *_INTEGERS})


def _prepare(call: Call) -> None:
    for tensor in (call.input(0), call.outputs[0]):
        if tensor.dtype not in _CAST:
            raise ModelError(
                f"it cannot convert {call.input(0).dtype} to {call.outputs[0].dtype}",
                where=call.where,
                fix=f"use {', '.join(sorted(_CAST))}",
            )


CAST = register(
    replace(
        unary(
            "CAST",
            "elements converted to another type",
            attributes=CastAttributes,
            options="CastOptions",
            movement=Movement.MOVES,
        ),
        prepare=_prepare,
        kernel="casting",
    )
)
