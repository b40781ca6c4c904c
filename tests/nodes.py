"""Nodes of one operator, their output shapes inferred, for tests of what operators say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcusim.graph import Attributes, DType, Signature, TensorType, signature, tensor_type
from mcusim.ops import OPS

__all__ = ["constant", "infer", "ints", "node"]


def constant(*shape: int, dtype: DType = DType.INT8) -> TensorType:
    return tensor_type(shape, dtype, True)


def ints(*values: int, shape: tuple[int, ...] | None = None) -> TensorType:
    """A constant operand."""
    return tensor_type((len(values),) if shape is None else shape, DType.INT32, True, values)


def node(op: str, inputs: Sequence[TensorType | None], attributes: Attributes | None = None) -> Signature:
    """A node whose output shapes are inferred."""
    chosen = OPS[op].attributes() if attributes is None else attributes
    shapes = OPS[op].infer(chosen, inputs)
    return signature(op, chosen, tuple(inputs), tuple(tensor_type(shape) for shape in shapes))


def infer(op: str, inputs: Sequence[TensorType | None], attributes: Attributes | None = None) -> Any:
    shapes = OPS[op].infer(OPS[op].attributes() if attributes is None else attributes, inputs)
    return shapes[0] if len(shapes) == 1 else shapes
