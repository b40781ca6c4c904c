"""ZEROS_LIKE: a tensor of the input's shape, all of whose stored elements are 0."""

from __future__ import annotations

from functools import partial

from mcusim.graph import Signature
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.elementwise import infer_same
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.region import Region, Span

__all__ = ["ZEROS_LIKE"]


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    """Nothing but the shape."""
    return Region(Span(0, 0), Span(0, 0))


def _prepare(call: Call) -> None:
    """Source: TFLM zeros_like.cc."""
    check_movable(call, 0)


ZEROS_LIKE = register(
    moves(
        "ZEROS_LIKE",
        "zeros in the shape of the input",
        partial(infer_same, "ZEROS_LIKE"),
        _needs,
        options="ZerosLikeOptions",
        prepare=_prepare,
        kernel="filling",
    )
)
