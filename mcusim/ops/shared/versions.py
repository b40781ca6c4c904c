"""Which version of an operator a .tflite file must name: the oldest that does what the node asks for.

A runtime refuses versions that it does not know, so a file must not claim a newer one than it needs. TFLM ignores them.
Each operator's `OpDef.version` is a rule; what several share is here.
Source: TensorFlow, lite/tools/versioning/op_version.cc (GetBuiltinOperatorVersion), for the types that mcusim knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mcusim.graph import DType, Node, Signature, Tensor

__all__ = [
    "INT8",
    "INT8_AND_INT16",
    "VersionRule",
    "by_type",
    "dtype_of",
    "first",
    "of_type",
    "resized",
    "weighted",
    "wide",
]

VersionRule = Callable[[Node, Sequence[Tensor]], int]
"""(node, tensors of its graph) -> version."""

_FOUR_DIMENSIONS = 4

INT8 = {DType.INT8: 2}
INT8_AND_INT16 = {DType.INT8: 2, DType.INT16: 3}
"""Version by the element type of the first input, as most operators have them; 1 for all others."""


def first(node: Node, tensors: Sequence[Tensor]) -> int:
    """Of an operator that has one version only."""
    return 1


def by_type(versions: Mapping[DType, int], others: int = 1) -> VersionRule:
    """The version is told by the element type of the first input.   others: for a type that is not named."""
    return lambda node, tensors: of_type(versions, dtype_of(node.signature, 0), others)


def of_type(versions: Mapping[DType, int], dtype: DType | None, others: int = 1) -> int:
    """The version for an element type.   others: for a type that is not named, or no type."""
    return versions.get(dtype, others) if dtype is not None else others


def dtype_of(signature: Signature, index: int) -> DType | None:
    """Element type of an input; None for an absent one."""
    operand = signature.inputs[index] if index < len(signature.inputs) else None
    return operand.dtype if operand is not None else None


def weighted(node: Node, on_int8: int, on_int4: int) -> int:
    """int16 activations take int8 weights, and files name the version of int8 for them."""
    return {DType.INT8: on_int8, DType.INT4: on_int4}.get(dtype_of(node.signature, 1) or DType.FLOAT32, 1)


def resized(*moving: str) -> VersionRule:
    """Of a resizer: attributes of these names need version 3, where they are set."""

    def rule(node: Node, tensors: Sequence[Tensor]) -> int:
        moved = any(getattr(node.attributes, name, False) for name in moving)
        return max(of_type({DType.INT8: 2, DType.INT16: 4}, dtype_of(node.signature, 0)), 3 if moved else 1)

    return rule


def wide(versions: Mapping[DType, int], more_dimensions: int) -> VersionRule:
    """More than four dimensions take a version of their own."""

    def rule(node: Node, tensors: Sequence[Tensor]) -> int:
        source = node.signature.input(0)
        version = of_type(versions, source.dtype)
        return version if len(source.shape) <= _FOUR_DIMENSIONS else max(version, more_dimensions)

    return rule
