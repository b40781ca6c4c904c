"""Makes small .tflite files with TensorFlow's generated object API, which shares no code with mcusim's reader."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np

from mcusim.frontends.vendored import tflite_schema as schema

_NAMES = ("INT8", "INT32", "FLOAT32", "FLOAT16", "INT16", "UINT8", "INT64")
INT8, INT32, FLOAT32, FLOAT16, INT16, UINT8, INT64 = (getattr(schema.TensorType, name) for name in _NAMES)
NUMPY = {getattr(schema.TensorType, name): np.dtype(name.lower()).type for name in _NAMES}


def make_options(table: str, **fields: object) -> Any:
    """Options `table` (an object of the generated API) with these fields."""
    options = getattr(schema, table + "T")()
    for name, value in fields.items():
        assert hasattr(options, name), name
        setattr(options, name, value)
    return options


class Maker:
    """A model under construction; change `model` freely before `pack`. Tensors are added in order, from index 0."""

    def __init__(self) -> None:
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.graph.name = "main"
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.subgraphs = [self.graph]
        self.model.operatorCodes = []
        self.model.buffers = [schema.BufferT()]

    def subgraph(self, name: str) -> Maker:
        """Add a subgraph to the file: a maker of it. Its number is that of the subgraphs before it."""
        made = Maker.__new__(Maker)
        made.graph, made.model = schema.SubGraphT(), self.model
        made.graph.tensors, made.graph.operators, made.graph.inputs, made.graph.outputs = [], [], [], []
        made.graph.name = name
        self.model.subgraphs.append(made.graph)
        return made

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: int = INT8,
        elements: object = None,
        scales: tuple[float, ...] = (0.5,),
        zero_points: tuple[int, ...] = (0,),
        axis: int = 0,
        bias_scales: tuple[float, ...] = (),
    ) -> int:
        """Add a tensor, constant if it has `elements`. Returns its index.   bias_scales: of one of INT32 or INT64."""
        made = schema.TensorT()
        made.shape, made.type = list(shape), dtype
        made.name = f"tensor_{len(self.graph.tensors)}"
        scales, zero_points = (
            (bias_scales, (0,) * len(bias_scales)) if dtype in (INT32, INT64) else (scales, zero_points)
        )
        if scales:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = list(scales), list(zero_points)
            made.quantization.quantizedDimension = axis
        if elements is not None:
            raw = elements if isinstance(elements, bytes) else np.asarray(elements, NUMPY[dtype]).tobytes()
            made.buffer = self.buffer(raw)
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def buffer(self, content: bytes) -> int:
        made = schema.BufferT()
        made.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(made)
        return len(self.model.buffers) - 1

    def operator(self, op: str, inputs: list[int], outputs: list[int], options: Any = None, custom: str = "") -> Any:
        """Add an operator; returns the object for changes."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, op)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.customCode = custom or None
        self.model.operatorCodes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = len(self.model.operatorCodes) - 1
        made.inputs, made.outputs = inputs, outputs
        if options is not None:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
            made.builtinOptions = options
        self.graph.operators.append(made)
        return made

    def pack(self) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def tiny_network(activations: int = INT8, weights: int = INT8) -> Maker:
    """1x4x4x2 -> PAD to 6x6 -> CONV_2D 3x3 to 3 channels, RELU6 -> RESHAPE to 1x48.

    Tensors: 0 input, 1 paddings, 2 padded, 3 weights (per channel), 4 bias, 5 map, 6 new shape, 7 output.
    """
    made = Maker()
    made.tensor((1, 4, 4, 2), activations)
    made.tensor((4, 2), INT32, [[0, 0], [1, 1], [1, 1], [0, 0]])
    made.tensor((1, 6, 6, 2), activations)
    made.tensor((3, 3, 3, 2), weights, np.arange(54).reshape(3, 3, 3, 2), (0.1, 0.2, 0.3), (0, 0, 0))
    made.tensor((3,), FLOAT32 if activations == FLOAT32 else INT32, [1, 2, 3])
    made.tensor((1, 4, 4, 3), activations, scales=(0.25,), zero_points=(-128,))
    made.tensor((2,), INT32, [1, 48])
    made.tensor((1, 48), activations, scales=(0.25,), zero_points=(-128,))
    made.operator("PAD", [0, 1], [2], make_options("PadOptions"))
    conv = make_options("Conv2DOptions", padding=1, strideW=1, strideH=1, fusedActivationFunction=3)
    made.operator("CONV_2D", [2, 3, 4], [5], conv)
    made.operator("RESHAPE", [5, 6], [7], make_options("ReshapeOptions", newShape=[1, 48]))
    made.graph.inputs, made.graph.outputs = [0], [7]
    return made
