"""Shared by the custom operators: their options as a file stores them, and what those for sound have alike.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, OpDef, WorkKind
from mcusim.ops.shared.elementwise import element_work
from mcusim.ops.shared.tiles import no_needs

__all__ = ["CustomAttributes", "check_ranks", "check_types", "mismatch", "signal"]

Infer = Callable[[Attributes, Sequence[TensorType | None]], tuple[Shape, ...]]


@dataclass(frozen=True, slots=True)
class CustomAttributes(Attributes):
    """Attributes of a custom operator. Fields of a subclass are named as the file's options are.

    stored: all options as they stand in the file, so that it can be written again; b"" of one that no file gave.
    """

    stored: bytes = b""


def mismatch(call: Call, what: str) -> ModelError:
    """The refusal of a node whose shapes and options do not go together."""
    return ModelError(what, where=call.where, fix="export the model again: its options and shapes disagree")


def check_types(call: Call, *combinations: tuple[tuple[DType, ...], tuple[DType, ...]]) -> tuple[DType, ...]:
    """The element types of the inputs. Raises ModelError unless they and the outputs' are one of these."""
    inputs = tuple([tensor.dtype for tensor in call.inputs if tensor is not None])
    outputs = tuple([tensor.dtype for tensor in call.outputs])
    if (inputs, outputs) not in combinations:
        name = call.signature.op.removeprefix("CUSTOM:")
        raise mismatch(call, f"{name} of {', '.join(inputs)} to {', '.join(outputs)} is not supported")
    return inputs


def check_ranks(call: Call, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
    """Raise ModelError unless inputs and outputs have these numbers of dimensions. TFLM asks the same."""
    ranks = tuple([len(tensor.shape) for tensor in call.inputs if tensor is not None])
    if (ranks, tuple([len(tensor.shape) for tensor in call.outputs])) != (inputs, outputs):
        name, shapes = call.signature.op.removeprefix("CUSTOM:"), [t.shape for t in call.inputs if t is not None]
        ranks_shown = ", ".join(map(str, shapes))
        raise mismatch(call, f"{name} takes tensors of {', '.join(map(str, inputs))} dimensions, not {ranks_shown}")


def signal(
    name: str,
    summary: str,
    infer: Infer,
    prepare: Callable[[Call], object],
    *,
    kernel: str,
    attributes: type[CustomAttributes] = CustomAttributes,
    remembers: Callable[[Signature], tuple[TensorType, ...]] | None = None,
) -> OpDef:
    """An operator of TFLM's audio front end. Its file says the shapes, which must be those that `infer` gives."""
    op = f"CUSTOM:{name}"

    def checked(call: Call) -> object:
        prepared = prepare(call)
        inferred = infer(call.signature.attributes, call.signature.inputs)
        if inferred != tuple(output.shape for output in call.outputs):
            shapes = ", ".join(map(str, inferred))
            raise mismatch(call, f"its outputs are not {shapes}, as its inputs and options have it")
        return prepared

    return OpDef(
        name=op,
        summary=summary,
        attributes=attributes,
        infer=infer,
        needs=no_needs,
        work=partial(element_work, WorkKind.ELEMENTWISE),
        prepare=checked,
        kernel=kernel,
        remembers=remembers,
    )
