"""Operators that keep their scales as inputs (QOperator) -> the same between DequantizeLinear and QuantizeLinear.

    QLinearAdd(a, s, z, b, t, y, u, v)   ->   QuantizeLinear(Add(DequantizeLinear(a, s, z), ...), u, v)

Source: ONNX operators QLinearConv and QLinearMatMul; ONNX Runtime, docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from mcusim.frontends.qdq import Step
from mcusim.frontends.qdq.network import REAL, Attribute

__all__ = ["unfolded"]

Unfold = Callable[["_Around"], Iterator[Step]]


def unfolded(step: Step) -> Iterator[Step]:
    """The steps that say what a QOperator step says; any other step as it is."""
    rule = _RULES.get(step.op)
    if rule is None:
        yield step
    else:
        yield from rule(_Around(step))


class _Around:
    """The quantisers around one step, named after it."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.attributes: dict[str, Attribute] = dict(step.attributes)

    def name(self, part: str) -> str:
        return f"{self.step.output}/{part}"

    def real(self, value: int, part: str, axis: int = 0) -> tuple[str, Step]:
        """Input `value` dequantised by the two inputs behind it."""
        return self._dequantized(
            self.step.input(value), self.step.input(value + 1), self.step.input(value + 2), part, axis
        )

    def _dequantized(self, value: str, scale: str, zero_point: str, part: str, axis: int) -> tuple[str, Step]:
        inputs = (value, scale, zero_point) if zero_point else (value, scale)
        name = self.name(part)
        return name, Step(self.step.name, "DequantizeLinear", inputs, (name,), {"axis": axis})

    def bias(self, value: int, scale_a: int, scale_b: int) -> Iterator[Step]:
        """Input `value`, int32 on the product of two scales, dequantised as `bias`."""
        product = self.name("bias_scale")
        yield Step(self.step.name, "Mul", (self.step.input(scale_a), self.step.input(scale_b)), (product,), {})
        yield self._dequantized(self.step.input(value), product, "", "bias", 0)[1]

    def result(
        self, op: str, inputs: tuple[str, ...], attributes: Mapping[str, Attribute], scale: int
    ) -> Iterator[Step]:
        """The operator itself, and its output quantised by inputs `scale` and the next; real where they are missing."""
        if not self.step.has(scale):
            yield Step(self.step.name, op, inputs, self.step.outputs, attributes)
            return
        inner = self.step.output + REAL
        yield Step(self.step.name, op, inputs, (inner,), attributes)
        quantisers = tuple(name for name in (self.step.input(scale), self.step.input(scale + 1)) if name)
        yield Step(self.step.name, "QuantizeLinear", (inner, *quantisers), self.step.outputs, {})


def _conv(around: _Around) -> Iterator[Step]:
    x, first = around.real(0, "x")
    w, second = around.real(3, "w")
    yield first
    yield second
    inputs: tuple[str, ...] = (x, w)
    if around.step.has(8):
        yield from around.bias(8, 1, 4)
        inputs = (*inputs, around.name("bias"))
    yield from around.result("Conv", inputs, around.attributes, 6)


def _matmul(around: _Around) -> Iterator[Step]:
    a, first = around.real(0, "a")
    b, second = around.real(3, "b", axis=-1)
    yield first
    yield second
    yield from around.result("MatMul", (a, b), around.attributes, 6)


def _gemm(around: _Around) -> Iterator[Step]:
    a, first = around.real(0, "a")
    b, second = around.real(3, "b", axis=0 if around.step.integer("transB", 0) else 1)
    yield first
    yield second
    inputs: tuple[str, ...] = (a, b)
    if around.step.has(6):
        yield from around.bias(6, 1, 4)
        inputs = (*inputs, around.name("bias"))
    yield from around.result("Gemm", inputs, around.attributes, 7)


def _binary(op: str) -> Unfold:
    def rule(around: _Around) -> Iterator[Step]:
        a, first = around.real(0, "a")
        b, second = around.real(3, "b")
        yield first
        yield second
        yield from around.result(op, (a, b), {}, 6)

    return rule


def _unary(op: str) -> Unfold:
    """x, its scale and zero point, then the output's; between transposes where channels come last."""

    def rule(around: _Around) -> Iterator[Step]:
        x, first = around.real(0, "x")
        yield first
        if not around.step.integer("channels_last", 0):
            yield from around.result(op, (x,), around.attributes, 3)
            return
        front, back = around.name("front"), around.name("back")
        yield Step(around.step.name, "Transpose", (x,), (front,), {"perm": (0, 3, 1, 2)})
        yield Step(around.step.name, op, (front,), (back,), around.attributes)
        yield from around.result("Transpose", (back,), {"perm": (0, 2, 3, 1)}, 3)

    return rule


def _softmax(around: _Around) -> Iterator[Step]:
    if around.step.integer("opset", 13) < 13:
        around.attributes.update(is_flattening=1)
        around.attributes.setdefault("axis", 1)
    yield from _unary("Softmax")(around)


def _concat(around: _Around) -> Iterator[Step]:
    """The output's scale and zero point, then a value, scale and zero point for each input."""
    step = around.step
    names: list[str] = []
    for index in range(2, len(step.inputs), 3):
        name, each = around.real(index, f"x{len(names)}")
        yield each
        names.append(name)
    moved = _Around(replace(step, inputs=(*step.inputs[:2],)))
    yield from moved.result("Concat", tuple(names), around.attributes, 0)


_RULES: Mapping[str, Unfold] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "QGemm": _gemm,
    "QLinearAdd": _binary("Add"),
    "QLinearMul": _binary("Mul"),
    "QLinearSub": _binary("Sub"),
    "QLinearSigmoid": _unary("Sigmoid"),
    "QLinearLeakyRelu": _unary("LeakyRelu"),
    "QLinearSoftmax": _softmax,
    "QLinearAveragePool": _unary("AveragePool"),
    "QLinearGlobalAveragePool": _unary("GlobalAveragePool"),
    "QLinearReduceMean": _unary("ReduceMean"),
    "QLinearConcat": _concat,
}
