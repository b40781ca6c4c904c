"""Structured mutations of .tflite files: what is changed is a table of TensorFlow's own object API, never a raw byte.

A mutation keeps the file well formed, so that it gets past the reader and into shapes, plans and kernels. Afterwards
`settled` may let the stored shapes follow the operators again, where a change made them contradict each other.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flatbuffers
import numpy as np

from mcusim.errors import McusimError
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.vendored import tflite_schema

__all__ = ["MUTATIONS", "mutated", "packed", "settled", "unpacked"]

schema: Any = tflite_schema  # generated, untyped
Model = Any
Random = np.random.Generator

SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 32, 63, 64, 65, 127, 128, 255, 256, 1000, 4097, 65536, 1 << 20, 2**31 - 1)
INTEGERS = (0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 100, 255, 256, 65535, 2**31 - 1, -1, -2, -3, -4, -5, -8, -128, -(2**31))
FLOATS = (0.0, 1.0, -1.0, 0.5, 2.0, 6.0, 1e-30, 1e30, 1e-6, 1e6, 3e38, float("nan"), float("inf"), -0.1)
SCALES = (0.0, 1.0, 0.5, 1 / 256, 1 / 128, 2.0**-15, 2.0**-11, 1e-9, 1e-20, 1e-38, 1e5, 1e20, 3e38, -0.5)
TYPES = tuple(
    getattr(schema.TensorType, name)
    for name in ("INT8", "INT16", "INT32", "INT64", "UINT8", "FLOAT32", "FLOAT16", "BOOL", "INT4", "RESOURCE", "UINT32")
)
ITEM_BYTES = {schema.TensorType.INT8: 1, schema.TensorType.UINT8: 1, schema.TensorType.BOOL: 1} | {
    schema.TensorType.INT16: 2,
    schema.TensorType.FLOAT16: 2,
    schema.TensorType.INT32: 4,
    schema.TensorType.UINT32: 4,
    schema.TensorType.FLOAT32: 4,
    schema.TensorType.INT64: 8,
}
NUMPY = {4: np.int32, 8: np.int64, 2: np.int16, 1: np.int8}


def unpacked(content: bytes) -> Model:
    """The file as objects."""
    return schema.ModelT.InitFromPackedBuf(bytearray(content), 0)


def packed(model: Model) -> bytes:
    """The objects as a file."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def mutated(content: bytes, rng: Random) -> bytes:
    """One to four changes, drawn; shapes follow them in most cases. What the object API cannot pack stays as it was."""
    model = unpacked(content)
    names = list(MUTATIONS)
    try:
        for _ in range(int(rng.choice((1, 1, 1, 2, 2, 3, 4)))):
            MUTATIONS[names[int(rng.integers(len(names)))]](model, rng)
        return settled(model) if rng.random() < 0.75 else packed(model)
    except _UNPACKABLE:
        return content


_UNPACKABLE = (TypeError, ValueError, OverflowError, IndexError, AttributeError, struct.error)
"""What the object API raises for numbers that its fields cannot hold, and mutations where one before left nothing."""


# ---------------------------------------------------------------------------------------------------------------------
# Shapes follow

_GIVES = re.compile(r"contradicts the inputs, which give (.*)$")
_NODE = re.compile(r"node (\d+) \(")


def settled(model: Model) -> bytes:
    """The file, its stored output shapes made what the reader says that the inputs give."""
    content = packed(model)
    for _ in range(2 * len(_main(model).operators or ()) + 1):
        try:
            parse_tflite(content, name="case", where="case")
        except McusimError as error:
            gives, node = _GIVES.search(error.what), _NODE.search(error.where)
            if gives is None or node is None or "subgraph" in error.where:
                return content
            _store(model, int(node.group(1)), gives.group(1))
            content = packed(model)
        else:
            return content
    return content


def _store(model: Model, node: int, shapes_text: str) -> None:
    graph = _main(model)
    shapes = [[int(size) for size in re.findall(r"\d+", shape)] for shape in shapes_text.split(", ")]
    for tensor, shape in zip(graph.operators[node].outputs, shapes, strict=False):
        graph.tensors[tensor].shape = shape


# ---------------------------------------------------------------------------------------------------------------------
# What mutations draw


def _main(model: Model) -> Any:
    return model.subgraphs[0]


def _pick(rng: Random, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


def _tensor(model: Model, rng: Random) -> Any:
    return _pick(rng, _main(model).tensors)


def _operator(model: Model, rng: Random) -> Any:
    return _pick(rng, _main(model).operators)


def _constants(model: Model) -> list[Any]:
    return [tensor for tensor in _main(model).tensors if tensor.buffer and _content(model, tensor) is not None]


def _content(model: Model, tensor: Any) -> Any:
    stored = model.buffers[tensor.buffer].data if tensor.buffer < len(model.buffers) else None
    return stored if stored is not None and len(stored) else None


def _set_content(model: Model, tensor: Any, content: bytes) -> None:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1


def _elements(tensor: Any) -> int:
    total = 1
    for size in [] if tensor.shape is None else tensor.shape:
        total *= int(size)
    return total


def _size_bytes(tensor: Any) -> int:
    return _elements(tensor) * ITEM_BYTES.get(tensor.type, 1)


def _garbage(rng: Random, size_bytes: int) -> bytes:
    return rng.integers(0, 256, min(max(size_bytes, 0), 1 << 16), np.uint8).tobytes()


def _shape(tensor: Any) -> list[int]:
    return [] if tensor.shape is None else [int(size) for size in tensor.shape]


def _indices(vector: Any) -> list[int]:
    return [] if vector is None else [int(index) for index in vector]


def _added(model: Model, like: Any) -> int:
    """A tensor as `like`, without elements. Its index."""
    made = schema.TensorT()
    made.shape, made.type, made.name = _shape(like), like.type, f"added{len(_main(model).tensors)}"
    made.quantization, made.buffer = like.quantization, 0
    _main(model).tensors.append(made)
    return len(_main(model).tensors) - 1


# ---------------------------------------------------------------------------------------------------------------------
# Mutations

Mutation = Callable[[Model, Random], None]
MUTATIONS: dict[str, Mutation] = {}


def mutation(change: Mutation) -> Mutation:
    MUTATIONS[change.__name__] = change
    return change


@mutation
def resize_axis(model: Model, rng: Random) -> None:
    tensor = _tensor(model, rng)
    shape = _shape(tensor)
    if not shape:
        return
    axis = int(rng.integers(len(shape)))
    near = (shape[axis] + 1, max(shape[axis] - 1, 0), shape[axis] * 2, 1, 2, 0, int(rng.integers(1, 40)))
    shape[axis] = int(_pick(rng, near if rng.random() < 0.8 else SIZES))
    tensor.shape = shape
    if rng.random() < 0.5 and _content(model, tensor) is not None:
        _set_content(model, tensor, _garbage(rng, _size_bytes(tensor)))


@mutation
def change_rank(model: Model, rng: Random) -> None:
    tensor = _tensor(model, rng)
    shape = _shape(tensor)
    way = int(rng.integers(4))
    if way == 0:
        shape.insert(int(rng.integers(len(shape) + 1)), int(_pick(rng, (1, 1, 1, 2, 3))))
    elif way == 1 and shape:
        shape.pop(int(rng.integers(len(shape))))
    elif way == 2:
        rng.shuffle(shape)
    else:
        shape = [_elements(tensor)]
    tensor.shape = shape


@mutation
def batch(model: Model, rng: Random) -> None:
    """Every map, or every matrix, gets another number of images."""
    size, rank = int(_pick(rng, (2, 2, 3, 4))), int(_pick(rng, (4, 4, 2, 3)))
    for tensor in _main(model).tensors:
        shape = _shape(tensor)
        if len(shape) == rank and shape[0] == 1 and _content(model, tensor) is None:
            tensor.shape = [size, *shape[1:]]


@mutation
def change_type(model: Model, rng: Random) -> None:
    tensor = _tensor(model, rng)
    tensor.type = _pick(rng, TYPES)
    if _content(model, tensor) is not None and rng.random() < 0.7:
        _set_content(model, tensor, _garbage(rng, _size_bytes(tensor)))


@mutation
def change_types(model: Model, rng: Random) -> None:
    """All tensors of one type get another; constants too, now and then."""
    old, new = _tensor(model, rng).type, _pick(rng, TYPES)
    with_constants = rng.random() < 0.3
    for tensor in _main(model).tensors:
        if tensor.type != old:
            continue
        content = _content(model, tensor)
        if content is None:
            tensor.type = new
            if new in (schema.TensorType.INT16, schema.TensorType.INT32) and tensor.quantization is not None:
                tensor.quantization.zeroPoint = [0]
        elif with_constants:
            tensor.type = new
            _set_content(model, tensor, _garbage(rng, _size_bytes(tensor)))


@mutation
def change_content(model: Model, rng: Random) -> None:
    """Other elements: axes, paddings, shapes, positions, weights."""
    constants = _constants(model)
    if not constants:
        return
    tensor = _pick(rng, constants)
    item = ITEM_BYTES.get(tensor.type, 1)
    if tensor.type in (schema.TensorType.INT32, schema.TensorType.INT64):
        elements = np.frombuffer(bytes(_content(model, tensor)), NUMPY[item]).copy()
        for _ in range(int(rng.integers(1, 4)) if elements.size else 0):
            at = int(rng.integers(elements.size))
            near = (int(elements[at]) + 1, int(elements[at]) - 1, -int(elements[at]), int(rng.integers(0, 9)))
            elements[at] = _pick(rng, near if rng.random() < 0.7 else INTEGERS) % (1 << 31)
            if rng.random() < 0.2:
                elements[at] = _pick(rng, INTEGERS)
        _set_content(model, tensor, elements.tobytes())
        return
    way, size_bytes = int(rng.integers(3)), _size_bytes(tensor)
    content = (_garbage(rng, size_bytes), bytes(min(size_bytes, 1 << 16)), b"\x80" * min(size_bytes, 1 << 16))[way]
    _set_content(model, tensor, content)


@mutation
def cut_content(model: Model, rng: Random) -> None:
    constants = _constants(model)
    if constants:
        tensor = _pick(rng, constants)
        content = bytes(_content(model, tensor))
        _set_content(model, tensor, content[:-1] if rng.random() < 0.5 else content + b"\x01" * int(rng.integers(1, 9)))


@mutation
def compute_constant(model: Model, rng: Random) -> None:
    """A constant becomes an input of the network."""
    graph = _main(model)
    held = [index for index, tensor in enumerate(graph.tensors) if _content(model, tensor) is not None]
    if held:
        index = _pick(rng, held)
        graph.tensors[index].buffer = 0
        graph.inputs = [*_indices(graph.inputs), index]


@mutation
def fix_input(model: Model, rng: Random) -> None:
    """An input of the network becomes a constant."""
    graph = _main(model)
    inputs = _indices(graph.inputs)
    if len(inputs) > 1:
        index = inputs.pop(int(rng.integers(len(inputs))))
        _set_content(model, graph.tensors[index], _garbage(rng, _size_bytes(graph.tensors[index])))
        graph.inputs = inputs


@mutation
def flag_variable(model: Model, rng: Random) -> None:
    tensor = _tensor(model, rng)
    tensor.isVariable = not tensor.isVariable


@mutation
def feed_variable(model: Model, rng: Random) -> None:
    """A variable becomes an input of the network, or loses its flag."""
    graph = _main(model)
    variables = [index for index, tensor in enumerate(graph.tensors) if tensor.isVariable]
    if variables:
        index = _pick(rng, variables)
        if rng.random() < 0.5:
            graph.tensors[index].isVariable = False
        graph.inputs = [*_indices(graph.inputs), index]


@mutation
def requantise(model: Model, rng: Random) -> None:
    tensor = _tensor(model, rng)
    if tensor.quantization is None or tensor.quantization.scale is None or rng.random() < 0.1:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.05], [0]
    way = int(rng.integers(5))
    if way == 0:
        tensor.quantization = None
    elif way == 1:
        tensor.quantization.scale = [float(_pick(rng, SCALES)) for _ in tensor.quantization.scale]
    elif way == 2:
        zero_points = (0, -128, 127, 1, -1, 128, -32768, 32767, 300, int(rng.integers(-128, 128)))
        tensor.quantization.zeroPoint = [int(_pick(rng, zero_points)) for _ in tensor.quantization.scale]
    elif way == 3:
        factor = float(np.exp(rng.uniform(-12, 12)))
        tensor.quantization.scale = [float(np.float32(scale * factor)) for scale in tensor.quantization.scale]
    else:
        shape = _shape(tensor) or [1]
        channels = min(int(_pick(rng, shape)), 300)
        tensor.quantization.scale = [float(np.float32(rng.uniform(0.001, 0.5))) for _ in range(channels)]
        tensor.quantization.zeroPoint = [int(rng.integers(-3, 4))] * channels
        tensor.quantization.quantizedDimension = int(rng.integers(-1, len(shape) + 1))


@mutation
def one_quantisation(model: Model, rng: Random) -> None:
    """All activations have the quantisation of one."""
    quantization = _tensor(model, rng).quantization
    for tensor in _main(model).tensors:
        if _content(model, tensor) is None:
            tensor.quantization = quantization


@mutation
def surplus_input(model: Model, rng: Random) -> None:
    operator, graph = _operator(model, rng), _main(model)
    way = int(rng.integers(4))
    if way == 0:
        index = int(rng.integers(len(graph.tensors)))
    elif way == 1:
        index = -1
    else:  # an integer that the network is given at run time
        like = schema.TensorT()
        like.shape, like.type = (
            [int(rng.integers(1, 5))],
            _pick(rng, (schema.TensorType.INT32, schema.TensorType.INT64)),
        )
        if way == 3:
            like.type = schema.TensorType.RESOURCE
        index = _added(model, like)
        graph.inputs = [*_indices(graph.inputs), index]
    operator.inputs = [*_indices(operator.inputs), index]


@mutation
def drop_input(model: Model, rng: Random) -> None:
    operator = _operator(model, rng)
    inputs = _indices(operator.inputs)
    if inputs:
        if rng.random() < 0.5:
            inputs.pop()
        else:
            inputs[int(rng.integers(len(inputs)))] = -1
        operator.inputs = inputs


@mutation
def rewire_input(model: Model, rng: Random) -> None:
    operator, graph = _operator(model, rng), _main(model)
    inputs = _indices(operator.inputs)
    if inputs:
        inputs[int(rng.integers(len(inputs)))] = int(rng.integers(len(graph.tensors)))
        if rng.random() < 0.3:
            rng.shuffle(inputs)
        operator.inputs = inputs


@mutation
def surplus_output(model: Model, rng: Random) -> None:
    operator, graph = _operator(model, rng), _main(model)
    outputs = _indices(operator.outputs)
    if outputs and rng.random() < 0.7:
        index = _added(model, graph.tensors[outputs[0]])
        operator.outputs = [*outputs, index]
        if rng.random() < 0.5:
            graph.outputs = [*_indices(graph.outputs), index]
    else:
        operator.outputs = outputs[:-1]


@mutation
def change_option(model: Model, rng: Random) -> None:
    operator = _operator(model, rng)
    options = operator.builtinOptions
    names = [] if options is None else list(vars(options))
    if not names:
        return
    name = _pick(rng, names)
    old = getattr(options, name)
    if isinstance(old, bool):
        setattr(options, name, not old)
    elif isinstance(old, int):
        small = (0, 1, 2, 3, 4, 5, old + 1, old - 1)
        new = int(_pick(rng, small if rng.random() < 0.8 else INTEGERS))
        _try(model, options, name, new, old)
    elif isinstance(old, float):
        setattr(options, name, float(_pick(rng, FLOATS)))
    elif isinstance(old, list | np.ndarray):
        setattr(options, name, [int(_pick(rng, INTEGERS[:8])) for _ in range(int(rng.integers(0, 5)))])


def _try(model: Model, options: Any, name: str, new: int, old: int) -> None:
    """Set an integer that fits its field: most are 8 bits wide."""
    setattr(options, name, new)
    try:
        packed(model)
    except (TypeError, ValueError, OverflowError):
        setattr(options, name, new % 128)
        try:
            packed(model)
        except (TypeError, ValueError, OverflowError):
            setattr(options, name, old)


@mutation
def drop_options(model: Model, rng: Random) -> None:
    operator = _operator(model, rng)
    operator.builtinOptions, operator.builtinOptionsType = None, 0


@mutation
def change_operator(model: Model, rng: Random) -> None:
    """Another operator, with its options if they have one name."""
    code = _pick(rng, model.operatorCodes)
    kinds = [code for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_" and name != "CUSTOM"]
    code.builtinCode = int(_pick(rng, kinds))
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    if rng.random() < 0.7:
        for operator in _main(model).operators:
            operator.builtinOptions, operator.builtinOptionsType = None, 0


@mutation
def repeat_operator(model: Model, rng: Random) -> None:
    """An operator reads what it wrote: a chain."""
    graph = _main(model)
    operator = _pick(rng, graph.operators)
    outputs = _indices(operator.outputs)
    if not outputs or not _indices(operator.inputs):
        return
    made = schema.OperatorT()
    made.opcodeIndex, made.builtinOptions = operator.opcodeIndex, operator.builtinOptions
    made.builtinOptionsType = operator.builtinOptionsType
    inputs = _indices(operator.inputs)
    activation = [k for k, i in enumerate(inputs) if i >= 0 and _content(model, graph.tensors[i]) is None]
    inputs[activation[0] if activation else 0] = outputs[0]
    made.inputs = inputs
    made.outputs = [_added(model, graph.tensors[index]) for index in outputs]
    graph.operators.append(made)
    graph.outputs = [*_indices(graph.outputs)[: int(rng.integers(2))], *made.outputs]


@mutation
def branch(model: Model, rng: Random) -> None:
    """The sum of an output with itself, or with an input."""
    graph = _main(model)
    outputs = _indices(graph.outputs)
    if not outputs:
        return
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    model.operatorCodes.append(code)
    made = schema.OperatorT()
    made.opcodeIndex = len(model.operatorCodes) - 1
    made.inputs = [outputs[0], _pick(rng, (outputs[0], *_indices(graph.inputs)))]
    made.outputs = [_added(model, graph.tensors[outputs[0]])]
    made.builtinOptions, made.builtinOptionsType = schema.AddOptionsT(), schema.BuiltinOptions.AddOptions
    graph.operators.append(made)
    graph.outputs = made.outputs


@mutation
def change_ends(model: Model, rng: Random) -> None:
    """Other inputs or outputs of the network."""
    graph = _main(model)
    if rng.random() < 0.6:
        graph.outputs = [*_indices(graph.outputs), int(rng.integers(len(graph.tensors)))]
    else:
        graph.inputs = [*_indices(graph.inputs), int(rng.integers(len(graph.tensors)))]


@mutation
def drop_operator(model: Model, rng: Random) -> None:
    """The network ends, or begins, elsewhere."""
    graph = _main(model)
    if len(graph.operators) < 2:
        return
    if rng.random() < 0.5:
        graph.operators.pop()
        graph.outputs = _indices(graph.operators[-1].outputs)
        return
    gone = graph.operators.pop(0)
    graph.inputs = [*_indices(graph.inputs), *_indices(gone.outputs)]


@mutation
def swap_operators(model: Model, rng: Random) -> None:
    operators = _main(model).operators
    if len(operators) > 1:
        at = int(rng.integers(len(operators) - 1))
        operators[at], operators[at + 1] = operators[at + 1], operators[at]


@mutation
def rename(model: Model, rng: Random) -> None:
    names = (
        "",
        "$\\frac$",
        "$x_",
        "=1+1",
        "a" * 5000,
        "\x1b[31mred",
        "{0}",
        "%s%n",
        "[bold]x[/]",
        "é\u202e",
        "a/b\n c",
        "-",
    )
    _tensor(model, rng).name = _pick(rng, names)


def mutations_of(names: Sequence[str]) -> Iterator[Mutation]:
    """Mutations by name."""
    yield from (MUTATIONS[name] for name in names)
