"""Shared by all operators: their operands, checked, and the refusals that say what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.errors import ModelError
from mcusim.graph import DType, Shape, TensorType
from mcusim.ops.registry import Call

__all__ = ["axis_of", "check_positions", "check_states", "constant_int", "constant_ints", "operand", "refusal"]


def refusal(op: str, what: str, fix: str) -> ModelError:
    """The error for a node of `op` whose attributes and inputs do not go together."""
    return ModelError(what, where=f"op {op}", fix=fix)


def operand(op: str, inputs: Sequence[TensorType | None], index: int, name: str = "input") -> TensorType:
    """An input that must be there. Raises ModelError, calling it `name`, where it is absent."""
    kind = inputs[index] if index < len(inputs) else None
    if kind is None:
        raise refusal(op, f"input {index} ({name}) is missing", f"give it {name} as input {index}")
    return kind


def constant_ints(op: str, inputs: Sequence[TensorType | None], index: int, name: str) -> tuple[int, ...]:
    """The integers of a constant operand, flattened. Raises ModelError where it is computed at run time."""
    kind = operand(op, inputs, index, name)
    values = kind.values
    if values is None and kind.is_constant and kind.dtype not in (DType.INT32, DType.INT64):
        what = f"input {index} ({name}) is {kind.dtype}, and says the output's shape"
        raise refusal(op, what, f"store {name} as int32")
    if values is None:
        raise refusal(
            op,
            f"input {index} ({name}) is not a constant, so the output's shape is not known before the network runs",
            f"make {name} a constant integer tensor: export the network with static shapes",
        )
    return values


def constant_int(op: str, inputs: Sequence[TensorType | None], index: int, name: str) -> int:
    """The one integer of a constant operand."""
    values = constant_ints(op, inputs, index, name)
    if len(values) != 1:
        raise refusal(op, f"input {index} ({name}) has {len(values)} elements", f"give {name} exactly one")
    return values[0]


def check_positions(call: Call, *indices: int) -> None:
    """Raise ModelError unless these inputs are int32: TFLM takes the bytes of any other type for it, without a word."""
    for index in indices:
        dtype = call.input(index).dtype
        if dtype is not DType.INT32:
            what = f"input {index} is {dtype}, whose bytes TensorFlow Lite Micro takes for int32"
            raise ModelError(what, where=call.where, fix="store it as int32")


def check_states(call: Call, *indices: int) -> None:
    """Raise ModelError unless these inputs are variables: a state that is none would be written where others lie."""
    for index in indices:
        state = call.input(index)
        if not state.is_variable:
            what = f"state '{state.name[:60]}' (input {index}) is no variable, so it would not outlive an inference"
            raise ModelError(what, where=call.where, fix="flag it as a variable: export the model again")


def axis_of(op: str, axis: int, shape: Shape) -> int:
    """`axis`, counted from the end where negative, as an index into `shape`. Raises ModelError where it is none."""
    rank = len(shape)
    if not -rank <= axis < rank:
        raise refusal(op, f"axis {axis} is not one of a tensor of rank {rank}", f"use {-rank}..{rank - 1}")
    return axis % rank
