"""How the numbers of each tensor are spread, estimated from the operators alone: what sane quantisation starts from.

Every tensor is described by one mean and one standard deviation, in real numbers, as if its elements were independent
and roughly normal. That holds because `synthesis` draws weights of mean zero and biases that centre every channel, as
a batch norm does; functions of one tensor are integrated over the normal density on a fixed grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mcusim.graph import Activation, Node

__all__ = ["CENTRES", "Spread", "after", "constant", "snapped", "spread_of", "uniform"]

REACH = 4.0
"""Standard deviations that a range covers on each side of the mean."""
_GRID = tuple(step / 8 for step in range(-40, 41))
_DENSITY = tuple(math.exp(-z * z / 2) for z in _GRID)


class Spread(NamedTuple):
    """What a tensor holds. low, high: the range to quantise.   fixed: the operator prescribes exactly that range."""

    mean: float
    std: float
    low: float
    high: float
    fixed: bool = False


CENTRES = {
    Activation.NONE: (0.0, 1.0),
    Activation.RELU: (0.5, 1.0),
    Activation.RELU6: (1.0, 2.0),
    Activation.RELU_N1_TO_1: (0.0, 0.5),
}
"""Mean and standard deviation that weights and biases give a layer before its fused activation: a third of a ReLU's
inputs are cut off, and under 1 % of a ReLU6's exceed 6."""

_BOUNDS = {
    Activation.RELU: (0.0, math.inf),
    Activation.RELU6: (0.0, 6.0),
    Activation.RELU_N1_TO_1: (-1.0, 1.0),
}


def snapped(number: float, bits: int = 16) -> float:
    """`number` to so many significant bits, so that libraries' last digits make no difference between platforms."""
    mantissa, exponent = math.frexp(number)
    return math.ldexp(round(math.ldexp(mantissa, bits)), exponent - bits)


def uniform(low: float, high: float) -> Spread:
    """A tensor whose elements are equally likely everywhere in its range: an input of the network."""
    return Spread(snapped((low + high) / 2), snapped((high - low) / math.sqrt(12)), low, high)


def constant(number: float) -> Spread:
    return Spread(number, 0.0, min(number, 0.0), max(number, 0.0))


def after(activation: Activation, mean: float, std: float, low: float = -math.inf, high: float = math.inf) -> Spread:
    """A fused activation on a normal tensor whose elements cannot leave [low, high]."""
    least, most = _BOUNDS.get(activation, (-math.inf, math.inf))
    low = max(low, mean - REACH * std)
    high = min(high, mean + REACH * std)
    if activation is Activation.NONE:
        return _spread(mean, std, low, high)
    mean, std = _moments(lambda x: min(max(x, least), most), mean, std)
    if activation is Activation.RELU6:  # as converters do, so that the clamp is that of the int8 range
        return _spread(mean, std, 0.0, 6.0)
    return _spread(mean, std, max(low, least), min(high, most))


def _spread(mean: float, std: float, low: float, high: float) -> Spread:
    """Ranges hold zero, as TFLite demands, and some more numbers."""
    high = max(high, 0.0)
    low = min(low, 0.0)
    if high - low < 2**-20:
        high = low + 2**-20
    return Spread(snapped(mean), snapped(std), snapped(low, 10), snapped(high, 10))


def _moments(function: Callable[[float], float], mean: float, std: float) -> tuple[float, float]:
    """Mean and standard deviation of a function of a normal number."""
    values = [function(mean + std * z) for z in _GRID]
    weight = math.fsum(_DENSITY)
    first = math.fsum(v * d for v, d in zip(values, _DENSITY, strict=True)) / weight
    second = math.fsum((v - first) ** 2 * d for v, d in zip(values, _DENSITY, strict=True)) / weight
    return first, math.sqrt(second)


def spread_of(node: Node, inputs: Sequence[Spread | None]) -> Spread | None:
    """Spread of a node's outputs, from those of its inputs; None for an operator without an estimate."""
    rule = _RULES.get(node.op)
    return rule(node, [each for each in inputs if each is not None]) if rule is not None else None


Rule = Callable[[Node, Sequence[Spread]], Spread]


def _activation(node: Node) -> Activation:
    found = getattr(node.attributes, "fused_activation_function", Activation.NONE)
    return found if isinstance(found, Activation) else Activation.NONE


def _same(node: Node, inputs: Sequence[Spread]) -> Spread:
    return inputs[0]._replace(fixed=False)


def _union(node: Node, inputs: Sequence[Spread]) -> Spread:
    """A mixture of the inputs."""
    mean = math.fsum(x.mean for x in inputs) / len(inputs)
    square = math.fsum(x.std**2 + (x.mean - mean) ** 2 for x in inputs) / len(inputs)
    return _spread(mean, math.sqrt(square), min(x.low for x in inputs), max(x.high for x in inputs))


def _sum(sign: int) -> Rule:
    def rule(node: Node, inputs: Sequence[Spread]) -> Spread:
        a, b = inputs[0], inputs[-1]
        low, high = (b.low, b.high) if sign > 0 else (-b.high, -b.low)
        return after(_activation(node), a.mean + sign * b.mean, math.hypot(a.std, b.std), a.low + low, a.high + high)

    return rule


def _product(node: Node, inputs: Sequence[Spread]) -> Spread:
    a, b = inputs[0], inputs[-1]
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return after(_activation(node), *_product_moments(a, b), min(corners), max(corners))


def _product_moments(a: Spread, b: Spread) -> tuple[float, float]:
    std = math.sqrt(a.std**2 * b.std**2 + a.std**2 * b.mean**2 + b.std**2 * a.mean**2)
    return a.mean * b.mean, std


def _matmul(node: Node, inputs: Sequence[Spread]) -> Spread:
    first = node.signature.input(0)
    depth = first.shape[-2 if getattr(node.attributes, "adj_x", False) else -1]
    mean, std = _product_moments(inputs[0], inputs[-1])
    return after(Activation.NONE, mean * depth, std * math.sqrt(depth))


def _extreme(node: Node, inputs: Sequence[Spread]) -> Spread:
    """The larger (or smaller) of two: half a standard deviation off."""
    both = _union(node, inputs)
    shift = 0.5 * both.std * (1 if node.op == "MAXIMUM" else -1)
    return both._replace(mean=snapped(both.mean + shift), std=snapped(0.8 * both.std))


def _taken_together(node: Node) -> float:
    """Input elements for each output element."""
    return max(node.signature.input(0).elements / node.signature.output.elements, 1.0)


def _window(node: Node) -> float:
    return float(getattr(node.attributes, "filter_height", 1) * getattr(node.attributes, "filter_width", 1))


def _average_pool(node: Node, inputs: Sequence[Spread]) -> Spread:
    return inputs[0]._replace(std=_averaged(inputs[0].std, _window(node)), fixed=False)


def _averaged(std: float, count: float) -> float:
    """Neighbours are far from independent (std / sqrt(count)), as they share what their channel differs by from others.

    An eighth root fits seeded MobileNets, with and without squeeze-and-excite, within a factor of 1.5.
    """
    return snapped(std / math.sqrt(math.sqrt(math.sqrt(count))))


def _mean(node: Node, inputs: Sequence[Spread]) -> Spread:
    x = inputs[0]
    return after(Activation.NONE, x.mean, _averaged(x.std, _taken_together(node)), x.low, x.high)


def _total(node: Node, inputs: Sequence[Spread]) -> Spread:
    x, count = inputs[0], _taken_together(node)
    return after(Activation.NONE, x.mean * count, _averaged(x.std, count) * count, x.low * count, x.high * count)


def _maximum_of(count: float, x: Spread) -> Spread:
    """The expected maximum of so many normal numbers, within 5 % for 2 to 100; channels still differ as before."""
    if count <= 1:
        return x._replace(fixed=False)
    mean = min(x.mean + 0.65 * math.sqrt(2 * math.log(count)) * x.std, x.high)
    return x._replace(mean=snapped(mean), fixed=False)


def _max_pool(node: Node, inputs: Sequence[Spread]) -> Spread:
    return _maximum_of(_window(node), inputs[0])


def _reduce_max(node: Node, inputs: Sequence[Spread]) -> Spread:
    return _maximum_of(_taken_together(node), inputs[0])


def _function(function: Callable[[float], float]) -> Rule:
    def rule(node: Node, inputs: Sequence[Spread]) -> Spread:
        x = inputs[0]
        ends = [function(x.low + (x.high - x.low) * step / 64) for step in range(65)]
        return _spread(*_moments(function, x.mean, x.std), min(ends), max(ends))

    return rule


def _clamp(activation: Activation) -> Rule:
    return lambda node, inputs: after(activation, inputs[0].mean, inputs[0].std, inputs[0].low, inputs[0].high)


def _leaky(node: Node, inputs: Sequence[Spread]) -> Spread:
    alpha = float(getattr(node.attributes, "alpha", 0.0))
    return _function(lambda x: x if x > 0 else alpha * x)(node, inputs)


def _prescribed(function: Callable[[float], float], low: float, high: float) -> Rule:
    """A function whose output range TFLite fixes."""

    def rule(node: Node, inputs: Sequence[Spread]) -> Spread:
        mean, std = _moments(function, inputs[0].mean, inputs[0].std)
        return Spread(snapped(mean), snapped(std), low, high, fixed=True)

    return rule


def _softmax(node: Node, inputs: Sequence[Spread]) -> Spread:
    share = 1 / node.signature.output.channels
    return Spread(snapped(share), snapped(share), 0.0, 255 / 256, fixed=True)


def _log_softmax(node: Node, inputs: Sequence[Spread]) -> Spread:
    mean = -math.log(node.signature.output.channels)
    return Spread(snapped(mean), inputs[0].std, -255 / 16, 0.0, fixed=True)


_RULES: dict[str, Rule] = {
    **dict.fromkeys(
        (
            "RESHAPE",
            "SQUEEZE",
            "EXPAND_DIMS",
            "PAD",
            "MIRROR_PAD",
            "TRANSPOSE",
            "SLICE",
            "STRIDED_SLICE",
            "SPLIT",
            "SPLIT_V",
            "UNPACK",
            "GATHER",
            "TILE",
            "RESIZE_BILINEAR",
            "RESIZE_NEAREST_NEIGHBOR",
            "DEPTH_TO_SPACE",
            "SPACE_TO_DEPTH",
            "QUANTIZE",
            "DEQUANTIZE",
            "CAST",
            "ARG_MAX",
            "SHAPE",
        ),
        _same,
    ),
    "CONCATENATION": _union,
    "PACK": _union,
    "ADD": _sum(1),
    "SUB": _sum(-1),
    "MUL": _product,
    "BATCH_MATMUL": _matmul,
    "MAXIMUM": _extreme,
    "MINIMUM": _extreme,
    "AVERAGE_POOL_2D": _average_pool,
    "MAX_POOL_2D": _max_pool,
    "MEAN": _mean,
    "SUM": _total,
    "REDUCE_MAX": _reduce_max,
    "RELU": _clamp(Activation.RELU),
    "RELU6": _clamp(Activation.RELU6),
    "LEAKY_RELU": _leaky,
    "HARD_SWISH": _function(lambda x: x * min(max(x + 3, 0), 6) / 6),
    "LOGISTIC": _prescribed(lambda x: 1 / (1 + math.exp(-x)), 0.0, 255 / 256),
    "TANH": _prescribed(math.tanh, -1.0, 127 / 128),
    "SOFTMAX": _softmax,
    "LOG_SOFTMAX": _log_softmax,
}
