"""Small networks in the shapes of well-known ones, as float ONNX, with seeded weights; and ways to quantise them.

Written with `onnx.helper` alone, so that no test depends on another exporter. Weights are drawn so that activations
keep their size from layer to layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Graph

__all__ = [
    "NETWORKS",
    "OPSET",
    "Maker",
    "calibration",
    "float_network",
    "quantised",
    "rewritten",
    "run_runtime",
    "stored",
    "unstored",
]

Array = NDArray[Any]
OPSET = 17


class Maker:
    """Collects an ONNX graph. Every method returns the name of its output."""

    def __init__(self, shape: Sequence[int], seed: int = 0) -> None:
        import onnx

        self.onnx = onnx
        self.random = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.shape = tuple(shape)
        self.channels = {"input": shape[1] if len(shape) > 1 else shape[0]}
        self.kinds: dict[str, int] = {}
        self.count = 0

    def constant(self, values: Any, dtype: str = "float32") -> str:
        self.count += 1
        name = f"c{self.count}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, channels: int | None = None, outputs: int = 1, **attributes: Any) -> Any:
        self.count += 1
        names = [f"{kind.lower()}{self.count}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), names, name=f"n_{names[0]}", **attributes))
        for name in names:
            self.channels[name] = channels or next((self.channels[i] for i in inputs if i in self.channels), 1)
        return names[0] if outputs == 1 else names

    def conv(
        self,
        x: str,
        out_c: int,
        k: int | tuple[int, int] = 3,
        s: int = 1,
        p: Any = None,
        g: int = 1,
        d: int = 1,
        bias: bool = True,
    ) -> str:
        kernel = (k, k) if isinstance(k, int) else k
        in_c = self.channels[x]
        fan = in_c // g * kernel[0] * kernel[1]
        weights = self.random.normal(0, np.sqrt(2 / fan), (out_c, in_c // g, *kernel))
        pads = [d * (k // 2) for k in kernel] * 2 if p is None else p
        inputs = [x, self.constant(weights)]
        if bias:
            inputs.append(self.constant(self.random.normal(0, 0.1, out_c)))
        return self.op(
            "Conv", *inputs, channels=out_c, kernel_shape=kernel, strides=[s, s], pads=pads, group=g, dilations=[d, d]
        )

    def depthwise(self, x: str, k: int = 3, s: int = 1) -> str:
        return self.conv(x, self.channels[x], k, s, g=self.channels[x])

    def norm(self, x: str) -> str:
        c, draw = self.channels[x], self.random
        numbers = [draw.uniform(0.5, 1.5, c), draw.normal(0, 0.2, c), draw.normal(0, 0.2, c), draw.uniform(0.5, 1.5, c)]
        return self.op("BatchNormalization", x, *map(self.constant, numbers))

    def relu(self, x: str) -> str:
        return self.op("Relu", x)

    def relu6(self, x: str) -> str:
        return self.op("Clip", x, self.constant(0.0), self.constant(6.0))

    def dense(self, x: str, out_c: int, in_c: int | None = None) -> str:
        depth = in_c or self.channels[x]
        weights = self.random.normal(0, np.sqrt(1 / depth), (out_c, depth))
        bias = self.constant(self.random.normal(0, 0.1, out_c))
        return self.op("Gemm", x, self.constant(weights), bias, channels=out_c, transB=1)

    def integers(self, *values: int) -> str:
        return self.constant(values, "int64")

    def model(self, *outputs: str, opset: int = OPSET) -> Any:
        helper, kinds = self.onnx.helper, self.onnx.TensorProto
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("input", kinds.FLOAT, self.shape)],
            [helper.make_tensor_value_info(name, self.kinds.get(name, kinds.FLOAT), None) for name in outputs],
            self.constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 21 else 10
        )
        return self.onnx.shape_inference.infer_shapes(model)


def mobilenet_v1() -> Any:
    m = Maker((1, 3, 32, 32), 1)
    x = m.relu6(m.norm(m.conv("input", 8, s=2, bias=False)))
    for out_c, s in ((16, 1), (24, 2), (24, 1), (32, 2)):
        x = m.relu6(m.norm(m.conv(x, m.channels[x], s=s, g=m.channels[x], bias=False)))
        x = m.relu6(m.norm(m.conv(x, out_c, 1, bias=False)))
    return m.model(m.dense(m.op("Flatten", m.op("GlobalAveragePool", x)), 10))


def mobilenet_v2() -> Any:
    m = Maker((1, 3, 32, 32), 2)
    x = m.relu6(m.conv("input", 8, s=2))
    for out_c, s in ((8, 1), (12, 2), (12, 1), (16, 2), (16, 1)):
        y = m.relu6(m.conv(x, m.channels[x] * 4, 1))
        y = m.conv(m.relu6(m.depthwise(y, s=s)), out_c, 1)
        x = m.op("Add", x, y) if s == 1 and out_c == m.channels[x] else y
    x = m.op("ReduceMean", x, axes=[2, 3], keepdims=0)
    return m.model(m.op("Softmax", m.dense(x, 10), axis=-1))


def mobilenet_v3() -> Any:
    """Squeeze and excite with hard sigmoids; hard swish as an operator and as x * relu6(x + 3) / 6."""
    m = Maker((1, 3, 32, 32), 3)
    x = m.op("HardSwish", m.conv("input", 8, s=2))
    for out_c, s in ((12, 2), (12, 1), (16, 2)):
        y = m.conv(m.relu(m.conv(x, m.channels[x] * 3, 1)), m.channels[x] * 3, 5, s, g=m.channels[x] * 3)
        gate = m.relu(m.conv(m.op("GlobalAveragePool", y), 8, 1))
        gate = m.op("HardSigmoid", m.conv(gate, m.channels[y], 1), alpha=1 / 6, beta=0.5)
        y = m.op("Mul", y, gate)
        y = m.conv(m.op("HardSwish", y), out_c, 1)
        x = m.op("Add", x, y) if s == 1 else y
    return m.model(m.dense(m.op("Flatten", m.op("GlobalAveragePool", x)), 10))


def efficientnet_lite() -> Any:
    m = Maker((1, 3, 40, 40), 4)
    x = m.relu6(m.conv("input", 8, s=2, p=[0, 0, 1, 1]))  # TensorFlow's SAME
    for out_c, k, s in ((8, 3, 1), (12, 5, 2), (12, 5, 1)):
        y = m.relu6(m.conv(x, m.channels[x] * 6, 1))
        y = m.conv(m.relu6(m.depthwise(y, k, s)), out_c, 1)
        x = m.op("Add", x, y) if s == 1 and out_c == m.channels[x] else y
    x = m.op("GlobalAveragePool", m.relu6(m.conv(x, 32, 1)))
    return m.model(m.dense(m.op("Reshape", x, m.integers(1, -1)), 7))


def resnet() -> Any:
    m = Maker((1, 3, 32, 32), 5)
    x = m.relu(m.conv("input", 8, 7, 2))
    x = m.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for out_c, s in ((8, 1), (16, 2)):
        y = m.conv(m.relu(m.conv(x, out_c, 3, s)), out_c, 3)
        x = m.relu(m.op("Add", y, x if s == 1 else m.conv(x, out_c, 1, s)))
    return m.model(m.dense(m.op("Flatten", m.op("GlobalAveragePool", x)), 10))


def yolo() -> Any:
    """Leaky ReLU, nearest upsampling, a concatenation; one head is reshaped and transposed, another is a map."""
    m = Maker((1, 3, 32, 32), 6)
    x = m.op("LeakyRelu", m.conv("input", 8, s=2), alpha=0.1)
    fine = m.op("LeakyRelu", m.conv(x, 12, s=2), alpha=0.1)
    x = m.op("LeakyRelu", m.conv(fine, 16, s=2), alpha=0.1)
    up = m.op(
        "Resize", m.conv(x, 12, 1), "", m.constant([1.0, 1.0, 2.0, 2.0]), mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip
    joined = m.op("Concat", fine, up, axis=1, channels=24)
    head = m.op("Sigmoid", m.conv(joined, 18, 1))
    flat = m.op("Transpose", m.op("Reshape", head, m.integers(1, 3, 6, 8, 8)), perm=[0, 1, 3, 4, 2])
    return m.model(m.op("Reshape", flat, m.integers(1, -1, 6)), m.conv(x, 18, 1))


def ds_cnn() -> Any:
    m = Maker((1, 1, 49, 10), 7)
    x = m.relu(m.norm(m.conv("input", 16, (10, 4), 2, p=[4, 1, 5, 1])))
    for _ in range(3):
        x = m.relu(m.norm(m.depthwise(x)))
        x = m.relu(m.norm(m.conv(x, 16, 1)))
    x = m.op("AveragePool", x, kernel_shape=[25, 5], strides=[25, 5])
    return m.model(m.op("Softmax", m.dense(m.op("Flatten", x), 12), axis=1))


def shufflenet() -> Any:
    m = Maker((1, 3, 32, 32), 8)
    x = m.relu(m.conv("input", 16, s=2))
    for _ in range(2):
        left, right = m.op("Split", x, axis=1, outputs=2, channels=8)
        right = m.relu(m.conv(m.depthwise(m.relu(m.conv(right, 8, 1))), 8, 1))
        x = m.op("Concat", left, right, axis=1, channels=16)
        x = m.op("Reshape", x, m.integers(1, 2, 8, 16, 16))
        x = m.op("Transpose", x, perm=[0, 2, 1, 3, 4])
        x = m.op("Reshape", x, m.integers(1, 16, 16, 16))
    x = m.conv(x, 24, 3, 2, g=4)
    return m.model(m.dense(m.op("Flatten", m.op("GlobalAveragePool", x)), 10))


def densenet() -> Any:
    m = Maker((1, 3, 24, 24), 9)
    x = m.conv("input", 8)
    for _ in range(2):
        for _ in range(2):
            y = m.conv(m.relu(m.norm(x)), 6)
            x = m.op("Concat", x, y, axis=1, channels=m.channels[x] + 6)
        x = m.op("AveragePool", m.conv(m.relu(m.norm(x)), 10, 1), kernel_shape=[2, 2], strides=[2, 2])
    return m.model(m.dense(m.op("Flatten", x), 10, 360))


def autoencoder() -> Any:
    m = Maker((1, 64), 10)
    x = "input"
    for out_c in (32, 32, 8, 32):
        x = m.relu(m.dense(x, out_c))
    return m.model(m.dense(x, 64))


def unet() -> Any:
    m = Maker((1, 1, 16, 16), 11)
    skip = m.relu(m.conv("input", 6))
    x = m.relu(m.conv(m.op("MaxPool", skip, kernel_shape=[2, 2], strides=[2, 2]), 12))
    weights = m.constant(m.random.normal(0, 0.2, (12, 6, 2, 2)))
    up = m.op(
        "ConvTranspose",
        x,
        weights,
        m.constant(m.random.normal(0, 0.1, 6)),
        channels=6,
        strides=[2, 2],
        kernel_shape=[2, 2],
    )
    bilinear = m.op(
        "Resize", x, "", m.constant([1.0, 1.0, 2.0, 2.0]), mode="linear", coordinate_transformation_mode="half_pixel"
    )
    x = m.op("Concat", skip, up, bilinear, axis=1, channels=24)
    return m.model(m.op("Sigmoid", m.conv(m.relu(m.conv(x, 8)), 1, 1)))


def audio() -> Any:
    """One-dimensional convolutions over time."""
    m = Maker((1, 4, 40), 12)

    def conv(x: str, out_c: int, k: int, s: int = 1, g: int = 1) -> str:
        weights = m.random.normal(0, np.sqrt(2 / (m.channels[x] // g * k)), (out_c, m.channels[x] // g, k))
        bias = m.constant(m.random.normal(0, 0.1, out_c))
        return str(
            m.op(
                "Conv",
                x,
                m.constant(weights),
                bias,
                channels=out_c,
                kernel_shape=[k],
                strides=[s],
                pads=[k // 2] * 2,
                group=g,
            )
        )

    x = m.relu(conv("input", 8, 5, 2))
    x = m.relu(conv(m.relu(conv(x, 8, 3, g=8)), 12, 1))
    x = m.op("MaxPool", x, kernel_shape=[2], strides=[2])
    return m.model(m.dense(m.op("Flatten", x), 6, 120))


def transformer() -> Any:
    """One block: attention of two heads, layer norms, a feed-forward part, residuals."""
    m = Maker((1, 6, 16), 13)
    m.channels["input"] = 16

    def linear(x: str, out_c: int) -> str:
        weights = m.constant(m.random.normal(0, np.sqrt(1 / m.channels[x]), (m.channels[x], out_c)))
        return str(m.op("Add", m.op("MatMul", x, weights, channels=out_c), m.constant(m.random.normal(0, 0.1, out_c))))

    def heads(x: str, perm: list[int]) -> str:
        return str(m.op("Transpose", m.op("Reshape", x, m.integers(1, 6, 2, 8)), perm=perm))

    q, k, v = (heads(linear("input", 16), perm) for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
    scores = m.op("Mul", m.op("MatMul", q, k), m.constant(8**-0.5))
    mixed = m.op("MatMul", m.op("Softmax", scores, axis=-1), v)
    mixed = m.op("Reshape", m.op("Transpose", mixed, perm=[0, 2, 1, 3]), m.integers(1, 6, 16))
    m.channels[mixed] = 16
    x = m.op("Add", "input", linear(mixed, 16))
    scale, bias = m.constant(m.random.uniform(0.5, 1.5, 16)), m.constant(m.random.normal(0, 0.2, 16))
    x = m.op("LayerNormalization", x, scale, bias, axis=-1, channels=16)
    x = m.op("Add", x, linear(m.relu(linear(x, 32)), 16))
    return m.model(m.op("ReduceMean", x, axes=[1], keepdims=0))


def silu() -> Any:
    m = Maker((1, 3, 16, 16), 14)
    x = m.conv("input", 8, s=2)
    x = m.op("Mul", x, m.op("Sigmoid", x))
    x = m.op("Pad", x, m.integers(0, 0, 1, 1, 0, 0, 2, 2))
    x = m.op("Tanh", m.conv(x, 8, 3, 1, p=[0, 0, 0, 0]))
    x = m.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    return m.model(m.op("GlobalAveragePool", m.op("Slice", x, m.integers(1), m.integers(4), m.integers(2))))


MODES: dict[str, dict[str, Any]] = {
    "qdq-s8": {},
    "qdq-u8s8": {"activations": "QUInt8", "per_channel": False},
    "qdq-u8u8": {"activations": "QUInt8", "weights": "QUInt8", "per_channel": False},
    "qop-u8s8": {"form": "QOperator", "activations": "QUInt8"},
    "qop-s8": {"form": "QOperator", "per_channel": False},
    "qdq-s8-symmetric": {"ActivationSymmetric": True},
    "qdq-s16": {"activations": "QInt16", "ActivationSymmetric": True},
    "qdq-s8-w4": {"weights": "QInt4"},
}
"""Settings of `quantised`."""

NETWORKS: dict[str, Callable[[], Any]] = {
    each.__name__: each
    for each in (
        mobilenet_v1, mobilenet_v2, mobilenet_v3, efficientnet_lite, resnet, yolo, ds_cnn, shufflenet, densenet,
        autoencoder, unet, audio, transformer, silu,
    )
}  # fmt: skip


def float_network(name: str) -> Any:
    return NETWORKS[name]()


def calibration(model: Any, count: int = 8, seed: int = 99) -> list[dict[str, Array]]:
    """Seeded inputs for a float network."""
    random = np.random.default_rng(seed)
    value = model.graph.input[0]
    shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
    return [{value.name: random.normal(0, 1, shape).astype(np.float32)} for _ in range(count)]


@cache
def runtime_saturates() -> bool:
    """Whether ONNX Runtime adds pairs of products of uint8 and int8 in 16 bits, as it does on x86 without VNNI."""
    from onnx import TensorProto, helper

    constants = (
        ("one", TensorProto.FLOAT, 1.0),
        ("large", TensorProto.FLOAT, 1000.0),
        ("zero", TensorProto.UINT8, 0),
        ("none", TensorProto.INT8, 0),
    )
    grid = [helper.make_tensor(name, kind, [], [value]) for name, kind, value in constants]
    weights = helper.make_tensor("w", TensorProto.INT8, [2, 1], [127, 127])
    names = ["x", "one", "zero", "w", "one", "none", "large", "zero"]
    node = helper.make_node("QLinearMatMul", names, ["y"])
    inputs, outputs = (
        helper.make_tensor_value_info(name, TensorProto.UINT8, [1, size]) for name, size in (("x", 2), ("y", 1))
    )
    graph = helper.make_graph([node], "pair", [inputs], [outputs], [*grid, weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (answer,) = run_runtime(model.SerializeToString(), {"x": np.full((1, 2), 255, np.uint8)})
    return int(answer.reshape(-1)[0]) != 65  # 2 * 255 * 127 / 1000


def run_runtime(content: bytes, feed: dict[str, Array]) -> list[Array]:
    """What ONNX Runtime answers, each node by itself."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return [np.asarray(each) for each in session.run(None, feed)]


def stored(graph: Graph, tensor: int, real: Array) -> Array:
    """A value of the ONNX network as the imported one holds it: channels last, on its grid."""
    kind = graph.tensors[tensor]
    moved = real
    if kind.shape != real.shape or real.ndim in (3, 4):
        last = np.moveaxis(real, 1, -1) if real.ndim > 2 else real
        moved = last if last.shape == kind.shape and is_channels_last(graph, tensor) else real
    assert moved.shape == kind.shape, (moved.shape, kind.shape)
    if kind.quantization is None:
        return np.ascontiguousarray(moved.astype(kind.dtype.value))
    limits = np.iinfo(kind.dtype.value)
    steps = np.rint(moved / np.float32(kind.quantization.scales[0])) + kind.quantization.zero_points[0]
    return np.ascontiguousarray(np.clip(steps, limits.min, limits.max).astype(kind.dtype.value))


def is_channels_last(graph: Graph, tensor: int) -> bool:
    """Whether the import says that it turned this input or output."""
    name = graph.tensors[tensor].name
    return any(f"'{name}'" in note and "channels last" in note for note in graph.source.notes)


def unstored(graph: Graph, tensor: int, held: Array) -> Array:
    """The inverse of `stored`, but for the grid."""
    return np.moveaxis(held, -1, 1) if is_channels_last(graph, tensor) else held


def compared(graph: Graph, content: bytes, feeds: Sequence[dict[str, Array]]) -> tuple[float, int]:
    """Against ONNX Runtime: the share of equal output elements, and the largest step between others."""
    from mcusim.execution import execute

    gaps = []
    for feed in feeds:
        answers = execute(graph, [stored(graph, graph.inputs[0], next(iter(feed.values())))])
        for index, answer, wanted in zip(graph.outputs, answers, run_runtime(content, feed), strict=True):
            gaps.append(np.abs(stored(graph, index, wanted).astype(np.float64) - answer).ravel())
    gap = np.concatenate(gaps)
    return float((gap == 0).mean()), int(np.ceil(gap.max()))


def quantised(model: Any, folder: Path, *, form: str = "QDQ", activations: str = "QInt8", weights: str = "QInt8",
              per_channel: bool = True, **extra: Any) -> bytes:  # fmt: skip
    """The network as ONNX Runtime's `quantize_static` leaves it."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.items: Iterator[dict[str, Array]] = iter(calibration(model))

        def get_next(self) -> dict[str, Array] | None:
            return next(self.items, None)

    import onnx

    source, prepared, out = folder / "float.onnx", folder / "prepared.onnx", folder / "quantised.onnx"
    onnx.save(model, source)
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared,
        out,
        Reader(),
        quant_format=quantization.QuantFormat[form],
        activation_type=quantization.QuantType[activations],
        weight_type=quantization.QuantType[weights],
        per_channel=per_channel,
        extra_options=extra,
    )
    return out.read_bytes()


STYLES = ("powers", "clipped")
"""Settings of `rewritten`."""


def rewritten(model: Any, style: str) -> bytes:
    """The network as quantisation-aware tools export it, by a small exporter of our own.

    powers: as Quark for fixed-point hardware. int8 with zero point 0, every scale a power of two, biases int8 as well.
    clipped: as Brevitas. Weights stand as floats before QuantizeLinear, Clip (4 bits in int8, a scale a channel) and
    DequantizeLinear; activations are uint8 clipped to 7 bits; biases are floats.
    """
    import onnx

    ranges = _ranges(model)
    graph, made = model.graph, _Quantisers(style)
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    renamed = {"input": made.activation("input", ranges["input"])}
    nodes = [*made.take()]
    for node in graph.node:
        has_weights = node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
        for i, name in enumerate(node.input):
            if name in constants and has_weights and constants[name].dtype == np.float32:
                axis = 1 if node.op_type in ("ConvTranspose", "MatMul") else 0
                node.input[i] = (
                    made.bias(name, constants[name]) if i == 2 else made.weights(name, constants[name], axis)
                )
            elif name in renamed:
                node.input[i] = renamed[name]
        nodes += [*made.take(), node]
        for name in node.output:
            is_fused = len(readers.get(name, ())) == 1 and readers[name][0].op_type in (
                "Relu",
                "Clip",
                "BatchNormalization",
            )
            if not is_fused and name in ranges:
                renamed[name] = made.activation(name, ranges[name])
                nodes += made.take()
    for output in graph.output:
        output.name = renamed[output.name]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(made.constants)
    return bytes(model.SerializeToString())


def _ranges(model: Any) -> dict[str, tuple[float, float]]:
    """Smallest and largest number of every value on calibration data."""
    import onnx

    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    known = {value.name for value in wide.graph.output}
    names = [name for node in wide.graph.node for name in node.output]
    wide.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    order = [value.name for value in wide.graph.output]
    ranges: dict[str, tuple[float, float]] = {}
    for feed in calibration(model, 4):
        answers = dict(zip(order, run_runtime(wide.SerializeToString(), feed), strict=True))
        for name, array in [*answers.items(), *feed.items()]:
            if array.dtype == np.float32:
                low, high = ranges.get(name, (0.0, 0.0))
                ranges[name] = min(low, float(array.min())), max(high, float(array.max()))
    return ranges


class _Quantisers:
    """Nodes and constants that quantise and dequantise."""

    def __init__(self, style: str) -> None:
        self.style = style
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def take(self) -> list[Any]:
        nodes, self.nodes = self.nodes, []
        return nodes

    def _constant(self, name: str, values: Any, dtype: str) -> str:
        import onnx

        self.constants.append(onnx.numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def _chain(
        self, name: str, x: str, scale: Any, zero: Any, kind: str, clip: tuple[int, int] | None, axis: int
    ) -> str:
        import onnx

        s, z = self._constant(f"{name}_s", scale, "float32"), self._constant(f"{name}_z", zero, kind)
        more = {"axis": axis} if np.ndim(scale) else {}
        self.nodes.append(onnx.helper.make_node("QuantizeLinear", [x, s, z], [f"{name}_q"], **more))
        stored = f"{name}_q"
        if clip is not None:
            bounds = [self._constant(f"{name}_{i}", bound, kind) for i, bound in enumerate(clip)]
            self.nodes.append(onnx.helper.make_node("Clip", [stored, *bounds], [f"{name}_c"]))
            stored = f"{name}_c"
        self.nodes.append(onnx.helper.make_node("DequantizeLinear", [stored, s, z], [f"{name}_d"], **more))
        return f"{name}_d"

    def activation(self, name: str, span: tuple[float, float]) -> str:
        low, high = span
        if self.style == "powers":
            return self._chain(name, name, _power(max(-low, high) / 127), 0, "int8", None, 0)
        scale = max((high - low) / 127, 1e-6)
        return self._chain(name, name, scale, round(-low / scale), "uint8", (0, 127), 0)

    def weights(self, name: str, values: Array, axis: int) -> str:
        if self.style == "powers":
            return self._chain(name, name, _power(float(np.abs(values).max()) / 127), 0, "int8", None, 0)
        others = tuple(i for i in range(values.ndim) if i != axis)
        scales = np.maximum(np.abs(values).max(axis=others), 1e-6) / 7
        return self._chain(name, name, scales, np.zeros(len(scales)), "int8", (-7, 7), axis)

    def bias(self, name: str, values: Array) -> str:
        if self.style == "powers":
            return self._chain(name, name, _power(float(np.abs(values).max()) / 127), 0, "int8", None, 0)
        return name


def _power(scale: float) -> float:
    return float(2.0 ** np.ceil(np.log2(max(scale, 1e-6))))


def agreement_table(count: int = 3) -> str:
    """The table of docs/onnx.md: equal output bytes, and the largest step, for each network and setting."""
    import tempfile
    import warnings

    from mcusim.errors import McusimError
    from mcusim.frontends.onnx import parse_onnx

    warnings.simplefilter("ignore")
    lines = ["| | " + " | ".join(f"`{mode}`" for mode in MODES) + " |", "|---|" + "---|" * len(MODES)]
    for name in NETWORKS:
        model, cells = float_network(name), []
        for setting in MODES.values():
            with tempfile.TemporaryDirectory() as folder:
                content = quantised(model, Path(folder), **setting)
            try:
                graph = parse_onnx(content, name=name, where=name)
            except McusimError:
                cells.append("refused")
                continue
            equal, step = compared(graph, content, calibration(model, count, 7))
            cells.append(f"{100 * equal:.0f} %, {step}")
        lines.append(f"| {name.replace('_', '-')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(agreement_table())
