"""CAST: elements converted to another type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Node, Tensor
from mcusim.ops.registry import Call, Drawing, Movement, register
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import dtype_of

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


def _version(node: Node, tensors: Sequence[Tensor]) -> int:
    types = {dtype_of(node.signature, 0), node.signature.output.dtype}
    newest = ((DType.BFLOAT16, 7), (DType.INT4, 6), (DType.FLOAT64, 5), (DType.FLOAT16, 5), (DType.UINT16, 4))
    rest = ((DType.INT8, 3), (DType.UINT32, 2))
    return next((version for dtype, version in (*newest, *rest) if dtype in types), 1)


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
        version=_version,
        drawing=Drawing(spread=same),
    )
)
