"""L2_NORMALIZATION: each vector along the last axis divided by its length."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcusim.graph import Activation, Attributes, DType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.accumulators import per_tensor, unsupported
from mcusim.ops.shared.reduction import over_channels

__all__ = ["L2_NORMALIZATION", "L2NormalizationAttributes"]


@dataclass(frozen=True, slots=True)
class L2NormalizationAttributes(Attributes):
    """Attributes of L2_NORMALIZATION, under TFLite's names."""

    fused_activation_function: Activation = Activation.NONE


def _prepare(call: Call) -> int | None:
    """The input's zero point; None for floats. The output of int8 has scale 1/128 and zero point 0, whatever it says.

    Source: TFLM l2norm.cc.
    """
    source, output = call.input(0), call.outputs[0]
    if source.dtype is not output.dtype or source.dtype not in (DType.FLOAT32, DType.INT8):
        raise unsupported(call, f"{source.dtype} to {output.dtype}")
    activation = attributes_of(call.signature, L2NormalizationAttributes).fused_activation_function
    if activation is not Activation.NONE:
        raise unsupported(call, f"activation {activation}")
    return None if source.dtype is DType.FLOAT32 else per_tensor(call, source)[1]


L2_NORMALIZATION = register(
    replace(
        over_channels(
            "L2_NORMALIZATION",
            "each vector along the last axis divided by its length",
            attributes=L2NormalizationAttributes,
            options="L2NormOptions",
        ),
        prepare=_prepare,
        kernel="l2_normalization",
    )
)
