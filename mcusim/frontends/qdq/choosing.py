"""Comparisons, logic on what they give, and the choice between two values."""

from __future__ import annotations

import numpy as np

from mcusim.frontends.qdq.arithmetic import common_order, stretched
from mcusim.frontends.qdq.emitter import Emitter, lowers
from mcusim.frontends.qdq.held import Held
from mcusim.frontends.qdq.network import Step
from mcusim.graph import DType

__all__: list[str] = []

_RELATIONS = {
    "Greater": "GREATER", "GreaterOrEqual": "GREATER_EQUAL", "Less": "LESS", "LessOrEqual": "LESS_EQUAL",
    "Equal": "EQUAL",
}  # fmt: skip


@lowers(*_RELATIONS)
def compare(emitter: Emitter, step: Step) -> None:
    """In floats: TFLite's comparison of integers rescales them, and fine scales fall together on the way."""
    operands = [emitter.get(step.input(index)) for index in (0, 1)]
    if any(held.grid is None and held.dtype is not DType.FLOAT32 for held in operands):
        raise step.refuse("it compares plain integers", "compute shapes and indices when exporting")
    _place(emitter, step, _RELATIONS[step.op], [emitter.on_grid(held, None, step.output) for held in operands])


_LOGIC = {"And": "LOGICAL_AND", "Or": "LOGICAL_OR", "Not": "LOGICAL_NOT"}


@lowers(*_LOGIC)
def logic(emitter: Emitter, step: Step) -> None:
    _place(emitter, step, _LOGIC[step.op], [emitter.get(name) for name in step.inputs])


def _place(emitter: Emitter, step: Step, op: str, operands: list[Held]) -> None:
    """An operator that gives truths."""
    shape = tuple(np.broadcast_shapes(*(held.shape for held in operands)))
    order = common_order(operands, len(shape))
    tensors = [stretched(emitter, held, order, shape, f"{step.output}/{i}") for i, held in enumerate(operands)]
    result = emitter.emit(op, tensors, step.output, grid=None, dtype=DType.BOOL)
    emitter.put(step.output, Held(shape, order, DType.BOOL, None, result))


@lowers("Where")
def where(emitter: Emitter, step: Step) -> None:
    """SELECT_V2 of two values on the output's grid: to choose and to quantise may change places."""
    condition, *values = (emitter.get(step.input(index)) for index in range(3))
    if condition.dtype is not DType.BOOL or any(v.grid is None and v.dtype is not DType.FLOAT32 for v in values):
        raise step.refuse("it chooses between plain integers", "compute shapes and indices when exporting")
    target = emitter.target(step)
    operands = [condition, *(emitter.on_grid(held, target, step.output) for held in values)]
    shape = tuple(np.broadcast_shapes(*(held.shape for held in operands)))
    order = common_order(operands, len(shape))
    tensors = [stretched(emitter, held, order, shape, f"{step.output}/{i}") for i, held in enumerate(operands)]
    dtype = target.dtype if target else DType.FLOAT32
    result = emitter.emit("SELECT_V2", tensors, step.output, grid=target, dtype=dtype)
    emitter.finish(step, Held(shape, order, dtype, target, result))
