"""MINIMUM: the smaller of a and b, broadcasting."""

from dataclasses import replace

from mcusim.graph import Activation, DType
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.arithmetic import Operation, PreparedPlain, plain
from mcusim.ops.shared.elementwise import binary
from mcusim.ops.shared.spreads import larger
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = ["MINIMUM"]


def _prepare(call: Call) -> PreparedPlain:
    """Compares stored values: scales are not looked at.   Source: TFLM maximum_minimum.cc."""
    dtypes = (DType.FLOAT32, DType.INT8, DType.UINT8, DType.INT16, DType.INT32, DType.INT64)
    return plain(call, Operation.MINIMUM, Activation.NONE, dtypes)


MINIMUM = register(
    replace(
        binary("MINIMUM", "the smaller of a and b, broadcasting", options="MaximumMinimumOptions"),
        prepare=_prepare,
        kernel="arithmetic",
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=larger(False), alike=slice(None)),
    )
)
