"""Networks that nobody would write: drawn chains of operators, with transposes and reshapes between, each on its grid.

What is imported equals TFLM byte for byte; against ONNX Runtime a chain may add up a few steps, but no layout, axis or
padding may be wrong: that would be far more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from oracles import run_tflm

pytest.importorskip("onnx", reason="the onnx package is not installed (extra `onnx`)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra `onnx`)")

from onnx_networks import run_runtime, stored
from test_onnx_operators import Between

from mcusim.errors import McusimError
from mcusim.execution import execute
from mcusim.frontends.onnx import parse_onnx
from mcusim.frontends.tflite_writer import write_tflite

Shape = list[int]
Drawn = tuple[str, Shape] | None
Move = Callable[[Between, random.Random, str, Shape], Drawn]
MOST_ELEMENTS = 4000
MOST_STEPS = 12


def _conv(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    kernel = r.choice([1, 2, 3])
    if len(s) != 4 or min(s[2:]) < kernel:
        return None
    out_c, pad, stride = r.choice([2, 4, 5]), r.choice([0, kernel // 2]), r.choice([1, 2])
    weights = m.weights((out_c, s[1], kernel, kernel), r.choice([0, None]), r.choice(["int8", "uint8", "asymmetric"]))
    y = m.op("Conv", x, weights, kernel_shape=[kernel, kernel], pads=[pad] * 4, strides=[stride, stride])
    return m.grid(y, 0.02), [1, out_c, *((size + 2 * pad - kernel) // stride + 1 for size in s[2:])]


def _depthwise(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    if len(s) != 4 or s[1] < 2 or min(s[2:]) < 3:
        return None
    weights = m.weights((s[1], 1, 3, 3), 0, r.choice(["int8", "asymmetric"]))
    return m.grid(m.op("Conv", x, weights, kernel_shape=[3, 3], pads=[1] * 4, group=s[1]), 0.02), s


def _matmul(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    return (m.grid(m.op("MatMul", x, m.weights((s[-1], 5), 1)), 0.02), [*s[:-1], 5]) if len(s) > 1 else None


def _gemm(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    weights = m.weights((4, s[-1]), r.choice([0, None]), r.choice(["int8", "asymmetric"]))
    return (m.grid(m.op("Gemm", x, weights, transB=1), 0.02), [s[0], 4]) if len(s) == 2 else None


def _unary(*ops: tuple[str, dict[str, float]]) -> Move:
    def move(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
        op, attributes = r.choice(ops)
        return m.op(op, x, **attributes), s

    return move


def _clip(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    return m.op("Clip", x, m.constant(r.choice([-1.0, 0.0])), m.constant(r.choice([1.0, 6.0, 0.5]))), s


def _transpose(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    order = [0, *r.sample(range(1, len(s)), len(s) - 1)]
    return m.op("Transpose", x, perm=order), [s[axis] for axis in order]


def _reshape(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    asked = r.choice([[1, -1], [1, s[1], -1], [1, -1, s[-1]], [1, s[-1], -1, 1], [1, 2, s[1] // 2 or 1, *s[2:]]])
    known, elements = math.prod(size for size in asked if size > 0), math.prod(s)
    if elements % known or (-1 not in asked and known != elements):
        return None
    return m.op("Reshape", x, m.integers(*asked)), [size if size > 0 else elements // known for size in asked]


def _with_constant(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    shape = r.choice([[1], [s[-1]], [1] * (len(s) - 1) + [s[-1]], [s[1]] + [1] * (len(s) - 2)])
    numbers = m.constant(m.random.normal(0, 1, shape))
    return m.op(r.choice(["Add", "Mul", "Sub"]), x, r.choice([numbers, m.grid(numbers, 0.02)])), s


def _concat(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    axis = r.randrange(1, len(s))
    joined = [size * 2 if i == axis else size for i, size in enumerate(s)]
    return m.op("Concat", x, m.grid(m.op("Relu", x), 0.021), axis=axis), joined


def _pool(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    if len(s) != 4 or min(s[2:]) < 2:
        return None
    y = m.op(r.choice(["MaxPool", "AveragePool"]), x, kernel_shape=[2, 2], strides=[2, 2])
    return y, [*s[:2], s[2] // 2, s[3] // 2]


def _global(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    return (m.op("GlobalAveragePool", x), [*s[:2], 1, 1]) if len(s) == 4 else None


def _slice(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    axis = r.randrange(1, len(s))
    if s[axis] < 3:
        return None
    y = m.op("Slice", x, m.integers(1), m.integers(s[axis]), m.integers(axis))
    return y, [size - (i == axis) for i, size in enumerate(s)]


def _pad(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    y = m.op("Pad", x, m.integers(0, 0, 1, 0, 0, 0, 1, 2)) if len(s) == 4 else ""
    return (y, [*s[:2], s[2] + 2, s[3] + 2]) if y else None


def _softmax(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    return m.op("Softmax", x, axis=r.randrange(1, len(s))), s


def _mean(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    axis, keeps = r.randrange(1, len(s)), r.randrange(2)
    left = [1 if i == axis else size for i, size in enumerate(s) if keeps or i != axis]
    return (m.op("ReduceMean", x, axes=[axis], keepdims=keeps), left) if len(left) > 1 else None


def _resize(m: Between, r: random.Random, x: str, s: Shape) -> Drawn:
    if len(s) != 4:
        return None
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    y = m.op("Resize", x, "", m.constant([1.0, 1.0, 2.0, 2.0]), mode=r.choice(["nearest", "linear"]), **how)
    return y, [*s[:2], 2 * s[2], 2 * s[3]]


MOVES: tuple[Move, ...] = (
    _conv, _conv, _depthwise, _matmul, _gemm, _clip, _transpose, _transpose, _reshape, _with_constant, _concat, _pool,
    _global, _slice, _pad, _softmax, _mean, _resize,
    _unary(("Relu", {}), ("LeakyRelu", {"alpha": 0.1}), ("HardSwish", {}), ("Sigmoid", {}), ("Tanh", {})),
)  # fmt: skip


def drawn(seed: int) -> tuple[Between, str]:
    """A network, and its output."""
    r = random.Random(seed)
    shape = [1, r.choice([1, 3, 4, 6]), r.choice([4, 6, 8]), r.choice([4, 5, 8])]
    m = Between(shape, r.choice(["uint8", "int8"]), 17)
    m.random = np.random.default_rng(seed)
    x, count = m.grid("input", 0.03), 0
    while count < r.randint(2, 7):
        made = r.choice(MOVES)(m, r, x, shape)
        if made is None or math.prod(made[1]) > MOST_ELEMENTS:
            continue
        (x, shape), count = made, count + 1
        if r.random() < 0.85:
            x = m.grid(x, r.choice([0.015, 0.02, 0.03]))
    return m, m.grid(x, 0.02)


def _check(seed: int) -> bool:
    """Whether the network is taken; then it is right."""
    m, output = drawn(seed)
    content = m.model(output).SerializeToString()
    try:
        graph = parse_onnx(content, name="drawn", where="drawn.onnx")
    except McusimError:
        return False
    real = np.random.default_rng(seed).normal(0, 1.2, m.shape).astype(np.float32)
    given = stored(graph, graph.inputs[0], real)
    [answer], [wanted] = execute(graph, [given]), run_runtime(content, {"input": real})
    np.testing.assert_array_equal(answer, run_tflm(write_tflite(graph), [given])[0])
    gap = np.abs(stored(graph, graph.outputs[0], wanted).astype(np.int64) - answer)
    assert gap.max() <= MOST_STEPS, (seed, int(gap.max()), [node.op for node in graph.nodes])
    return True


@pytest.mark.parametrize(
    "seeds", [range(0, 60), pytest.param(range(60, 600), marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_drawn_networks(seeds: range) -> None:
    taken = sum(_check(seed) for seed in seeds)
    assert taken > 0.9 * len(seeds)
