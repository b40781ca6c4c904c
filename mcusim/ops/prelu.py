"""PRELU: x where it is positive, alpha * x elsewhere; alpha is learned, and broadcasts."""

from collections.abc import Sequence
from dataclasses import replace

from mcusim.arithmetic.quant import dtype_range, scaling
from mcusim.graph import Activation, DType, Node
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.accumulators import per_tensor, per_tensor_to_divide_by, rounding_of, unsupported
from mcusim.ops.shared.arithmetic import Operation, PreparedPlain, PreparedPrelu, operands, plain
from mcusim.ops.shared.elementwise import binary
from mcusim.ops.shared.spreads import Spread, of_function

__all__ = ["PRELU"]


def _prepare(call: Call) -> PreparedPrelu | PreparedPlain:
    """Source: TFLM prelu_common.cc, prelu.cc."""
    source, alpha, output = call.input(0), call.input(1), call.outputs[0]
    dtypes = (source.dtype, alpha.dtype, output.dtype)
    if dtypes == (DType.FLOAT32,) * 3:
        return plain(call, Operation.PRELU, Activation.NONE, (DType.FLOAT32,))
    known = ((DType.INT8,) * 3, (DType.UINT8,) * 3, (DType.INT16, DType.INT8, DType.INT16))
    if dtypes not in known:
        raise unsupported(call, f"{dtypes[0]} and {dtypes[1]} to {dtypes[2]}")
    (scale, zero), (scale_alpha, zero_alpha) = per_tensor(call, source), per_tensor(call, alpha)
    scale_out, zero_out = per_tensor_to_divide_by(call, output)
    rounding = rounding_of(call)
    return PreparedPrelu(
        operands(call),
        (zero, zero_alpha),
        scaling(scale / scale_out, rounding),
        scaling(scale * scale_alpha / scale_out, rounding),
        zero_out,
        *dtype_range(output.dtype),
    )


def _spread(node: Node, inputs: Sequence[Spread]) -> Spread:
    """The slopes are known: the moments are those of their mean, the range is that of all of them."""
    x, alpha = inputs
    spread = of_function(lambda real: real if real >= 0 else alpha.mean * real)(node, [x])
    ends = x.low * alpha.low, x.low * alpha.high
    return spread._replace(low=min(*ends, 0.0), high=max(*ends, x.high))


PRELU = register(
    replace(
        binary(
            "PRELU", "x where it is positive, learned alpha * x elsewhere", options="", overwrites=(0,), parameters=(1,)
        ),
        prepare=_prepare,
        kernel="arithmetic",
        drawing=Drawing(spread=_spread),
    )
)
