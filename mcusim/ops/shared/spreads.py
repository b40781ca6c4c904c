"""How the numbers of each tensor are spread, estimated from the operators alone: what sane quantisation starts from.

Each operator's `OpDef.drawing` has its rule; what several share is here.

Every tensor is described by one mean and one standard deviation, in real numbers, as if its elements were independent
and roughly normal. That holds because seeded networks draw weights of mean zero and biases that centre every channel,
as a batch norm does; functions of one tensor are integrated over the normal density on a fixed grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mcusim.graph import Activation, Node

__all__ = [
    "CENTRES",
    "REACH",
    "Spread",
    "SpreadRule",
    "after",
    "averaged",
    "clamped",
    "constant",
    "fused_activation",
    "larger",
    "maximum_of",
    "of_function",
    "prescribed",
    "product_moments",
    "same",
    "snapped",
    "summed",
    "taken_together",
    "uniform",
    "union",
    "window_taps",
]

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
    """A tensor that holds one number."""
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


SpreadRule = Callable[[Node, Sequence[Spread]], Spread]
"""(node, spreads of its inputs that have one) -> spread of its outputs."""


def fused_activation(node: Node) -> Activation:
    """Of a node; NONE where it has no such attribute."""
    activation = getattr(node.attributes, "fused_activation_function", Activation.NONE)
    return activation if isinstance(activation, Activation) else Activation.NONE


def same(node: Node, inputs: Sequence[Spread]) -> Spread:
    """Of an operator that moves elements, or a few of them."""
    return inputs[0]._replace(fixed=False)


def union(node: Node, inputs: Sequence[Spread]) -> Spread:
    """A mixture of the inputs."""
    mean = math.fsum(x.mean for x in inputs) / len(inputs)
    square = math.fsum(x.std**2 + (x.mean - mean) ** 2 for x in inputs) / len(inputs)
    return _spread(mean, math.sqrt(square), min(x.low for x in inputs), max(x.high for x in inputs))


def summed(sign: int) -> SpreadRule:
    """a + b, or a - b for sign -1, with the fused activation."""

    def rule(node: Node, inputs: Sequence[Spread]) -> Spread:
        a, b = inputs[0], inputs[-1]
        low, high = (b.low, b.high) if sign > 0 else (-b.high, -b.low)
        return after(
            fused_activation(node), a.mean + sign * b.mean, math.hypot(a.std, b.std), a.low + low, a.high + high
        )

    return rule


def product_moments(a: Spread, b: Spread) -> tuple[float, float]:
    """Mean and standard deviation of a product of independent numbers."""
    std = math.sqrt(a.std**2 * b.std**2 + a.std**2 * b.mean**2 + b.std**2 * a.mean**2)
    return a.mean * b.mean, std


def taken_together(node: Node) -> float:
    """Input elements for each output element."""
    return max(node.signature.input(0).elements / node.signature.output.elements, 1.0)


def window_taps(node: Node) -> float:
    """Elements of a pooling window."""
    return float(getattr(node.attributes, "filter_height", 1) * getattr(node.attributes, "filter_width", 1))


def averaged(std: float, count: float) -> float:
    """Neighbours are far from independent (std / sqrt(count)), as they share what their channel differs by from others.

    An eighth root fits seeded MobileNets, with and without squeeze-and-excite, within a factor of 1.5.
    """
    return snapped(std / math.sqrt(math.sqrt(math.sqrt(count))))


def maximum_of(count: float, x: Spread) -> Spread:
    """The expected maximum of so many normal numbers, within 5 % for 2 to 100; channels still differ as before."""
    if count <= 1:
        return x._replace(fixed=False)
    mean = min(x.mean + 0.65 * math.sqrt(2 * math.log(count)) * x.std, x.high)
    return x._replace(mean=snapped(mean), fixed=False)


def of_function(function: Callable[[float], float]) -> SpreadRule:
    """Of an operator that applies a function to each element."""

    def rule(node: Node, inputs: Sequence[Spread]) -> Spread:
        x = inputs[0]
        ends = [function(x.low + (x.high - x.low) * step / 64) for step in range(65)]
        return _spread(*_moments(function, x.mean, x.std), min(ends), max(ends))

    return rule


def clamped(activation: Activation) -> SpreadRule:
    """Of an operator that is nothing but a clamp."""
    return lambda node, inputs: after(activation, inputs[0].mean, inputs[0].std, inputs[0].low, inputs[0].high)


def prescribed(function: Callable[[float], float], low: float, high: float) -> SpreadRule:
    """A function whose output range TFLite fixes."""

    def rule(node: Node, inputs: Sequence[Spread]) -> Spread:
        mean, std = _moments(function, inputs[0].mean, inputs[0].std)
        return Spread(snapped(mean), snapped(std), low, high, fixed=True)

    return rule


def larger(is_largest: bool) -> SpreadRule:
    """The larger (or smaller) of two: half a standard deviation off."""

    def rule(node: Node, inputs: Sequence[Spread]) -> Spread:
        both = union(node, inputs)
        shift = 0.5 * both.std * (1 if is_largest else -1)
        return both._replace(mean=snapped(both.mean + shift), std=snapped(0.8 * both.std))

    return rule
