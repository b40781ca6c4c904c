"""Shared by the operators that only move bytes: copies to other places, and relabelled shapes.

All of them are `MOVES`, not only the five that schedules name (PAD, RESHAPE, TRANSPOSE, QUANTIZE, DEQUANTIZE): a slice
or a concatenation computes nothing either. Those that keep every byte in its order are `RELABELS`.
Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcusim.errors import ModelError
from mcusim.graph import Attributes, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Movement, OpDef
from mcusim.ops.shared.tiles import no_needs, same_region, transfer
from mcusim.region import Region, Span

__all__ = ["Infer", "Needs", "Prepare", "check_movable", "moves", "relabels"]

Infer = Callable[[Attributes, Sequence[TensorType | None]], tuple[Shape, ...]]
Needs = Callable[[Signature, int, Span, Span], Region | None]
Prepare = Callable[[Call], object]


def check_movable(call: Call, *sources: int) -> None:
    """Raise ModelError unless the outputs have the element type of the inputs `sources`."""
    for output in call.outputs:
        for index in sources:
            source = call.input(index).dtype
            if output.dtype is not source or not source.bits:
                raise ModelError(
                    f"it cannot move {source} to {output.dtype}",
                    where=call.where,
                    fix="export the model again: this operator keeps the element type",
                )


def moves(
    name: str,
    summary: str,
    infer: Infer,
    needs: Needs = no_needs,
    *,
    attributes: type[Attributes] = Attributes,
    options: str = "",
    most_inputs: int | None = 1,
    shape_inputs: tuple[int, ...] = (),
    prepare: Prepare | None = None,
    kernel: str = "",
) -> OpDef:
    """An operator that copies elements to other places."""
    return OpDef(
        name=name,
        summary=summary,
        attributes=attributes,
        options=options,
        infer=infer,
        needs=needs,
        work=transfer,
        movement=Movement.MOVES,
        most_inputs=most_inputs,
        shape_inputs=shape_inputs,
        packs=True,
        prepare=prepare,
        kernel=kernel,
    )


def _relabelled(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    """Only where the shape stays as it is do rows stay rows."""
    if signature.input(0).shape != signature.output.shape:
        return None
    return same_region(signature, index, rows, cols)


def _prepare_relabelling(call: Call) -> None:
    check_movable(call, 0)


def relabels(
    name: str,
    summary: str,
    infer: Infer,
    *,
    attributes: type[Attributes] = Attributes,
    options: str = "",
    shape_inputs: tuple[int, ...] = (),
) -> OpDef:
    """An operator whose output holds the bytes of input 0 in the same order under another shape.

    shape_inputs: see `OpDef`; there are no inputs beside them and input 0.
    """
    return OpDef(
        name=name,
        summary=summary,
        attributes=attributes,
        options=options,
        infer=infer,
        needs=_relabelled,
        work=transfer,
        movement=Movement.RELABELS,
        most_inputs=1 + len(shape_inputs),
        shape_inputs=shape_inputs,
        packs=True,
        prepare=_prepare_relabelling,
        kernel="copying",
    )
