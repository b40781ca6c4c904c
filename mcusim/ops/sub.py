"""SUB: a - b, broadcasting."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcusim.graph import Activation, Attributes, DType
from mcusim.ops.registry import Call, Drawing, attributes_of, register
from mcusim.ops.shared.arithmetic import (
    Operation,
    PreparedFloatSum,
    PreparedPlain,
    PreparedSum,
    PreparedWeightedSum,
    plain,
    prepare_sum,
    same_dtypes,
)
from mcusim.ops.shared.elementwise import binary
from mcusim.ops.shared.spreads import summed
from mcusim.ops.shared.versions import by_type

__all__ = ["SUB", "SubAttributes"]


@dataclass(frozen=True, slots=True)
class SubAttributes(Attributes):
    """Attributes of SUB, under TFLite's names."""

    fused_activation_function: Activation = Activation.NONE
    pot_scale_int16: bool = True


def _prepare(call: Call) -> PreparedSum | PreparedWeightedSum | PreparedFloatSum | PreparedPlain:
    activation = attributes_of(call.signature, SubAttributes).fused_activation_function
    if same_dtypes(call) in (DType.FLOAT32, DType.INT32):
        return plain(call, Operation.SUBTRACT, activation, (DType.FLOAT32, DType.INT32))
    return prepare_sum(call, -1, activation)


SUB = register(
    replace(
        binary("SUB", "a - b, broadcasting", attributes=SubAttributes, options="SubOptions"),
        packs=True,
        prepare=_prepare,
        kernel="arithmetic",
        version=by_type({DType.INT8: 2, DType.INT64: 4, DType.INT16: 5}),
        drawing=Drawing(spread=summed(-1), stands_for=3.0),
    )
)
