"""Graph -> .tflite: the inverse of the reader, byte for byte the same for the same graph.

Reading what was written gives the graph again: tensors, types, quantisation, constants, attributes, subgraphs. What a
Graph does not hold is not in the file either (signatures, tensor ranges, descriptions).
The file is packed by TensorFlow's generated object API, which shares no code with the reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.packing import pack
from mcusim.errors import ModelError, OutputError
from mcusim.files import not_written, replace_whole
from mcusim.frontends.checks import check_scales
from mcusim.frontends.tflite_options import DTYPE_CODES, stored_options
from mcusim.frontends.tflite_tables import BUILTIN_OPTIONS, BUILTIN_OPTIONS_2, OPERATORS
from mcusim.frontends.vendored import tflite_schema
from mcusim.graph import DType, Graph, Node, Quantization, Tensor
from mcusim.ops import OPS
from mcusim.ops.shared.custom import CustomAttributes

__all__ = ["save_tflite", "write_tflite"]

schema: Any = tflite_schema  # generated, untyped
SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
ALIGNMENT = 16
"""Constants begin at multiples of this in the file, as schema.fbs demands: a microcontroller reads them in place."""
MAX_FILE_BYTES = 2**31 - 1

_CODES = {name: code for code, name in OPERATORS.items()}
_NARROW_CODES = 127
"""Codes up to here are stored in the field that old runtimes read as well; 127 there means "look at the new field"."""


def save_tflite(graph: Graph, path: str | Path, *, metadata: Mapping[str, bytes] | None = None) -> int:
    """Write `graph` to a .tflite file, which then holds all of it or is as it was. Returns its size in bytes.

    Raises ModelError for what cannot be written, OutputError where the file cannot be.
    """
    content = write_tflite(graph, metadata=metadata)
    path = Path(path)
    try:
        replace_whole(path, content)
    except (OSError, ValueError) as error:
        reason, fix = not_written(error)
        raise OutputError(f"cannot be written ({reason})", where=str(path), fix=fix) from error
    return len(content)


def write_tflite(graph: Graph, *, metadata: Mapping[str, bytes] | None = None) -> bytes:
    """The .tflite file of a graph.

    metadata: further buffers by name, such as TFLM's OfflineMemoryAllocation.
    Raises ModelError for a constant without elements, a custom or unknown operator, and padding that lowering folded.
    """
    file = _File(where=f"network '{graph.name}'")
    graphs = (graph, *graph.subgraphs)
    subgraphs = [_subgraph(file, each, is_main=each is graph) for each in graphs]
    model = schema.ModelT()
    model.version = SCHEMA_VERSION
    model.description = "written by mcusim"
    model.subgraphs = subgraphs
    model.metadata = [_metadata(file, name, content) for name, content in sorted((metadata or {}).items())]
    model.operatorCodes = [_operator_code(op, version) for op, version in file.codes]
    model.buffers = file.buffers
    size_bytes = sum(len(buffer.content) for buffer in file.buffers)
    if size_bytes > MAX_FILE_BYTES:
        raise ModelError(f"has {size_bytes:,} bytes of constants", where=file.where, fix="keep it below 2 GiB")
    builder = flatbuffers.Builder(size_bytes + 4096)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


@dataclass(frozen=True, slots=True)
class _Buffer:
    """Stands in for the generated BufferT, which does not align what it writes."""

    content: bytes

    def Pack(self, builder: Any) -> int:
        vector = _aligned_vector(builder, self.content) if self.content else None
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def _aligned_vector(builder: Any, content: bytes) -> int:
    builder.StartVector(1, len(content), ALIGNMENT)
    builder.head = builder.Head() - len(content)
    builder.Bytes[builder.Head() : builder.Head() + len(content)] = content
    return int(builder.EndVector())


@dataclass(slots=True)
class _File:
    """What all subgraphs share, while it grows. Buffer 0 is empty: that of all tensors without elements."""

    where: str
    buffers: list[_Buffer] = field(default_factory=lambda: [_Buffer(b"")])
    codes: dict[tuple[str, int], int] = field(default_factory=dict)
    known: dict[tuple[object, ...], int] = field(default_factory=dict)

    def buffer(self, content: bytes) -> int:
        self.buffers.append(_Buffer(content))
        return len(self.buffers) - 1

    def constant(self, elements: NDArray[Any], dtype: DType) -> int:
        """Buffer of these elements; constants that are the same memory share one."""
        key = (elements.__array_interface__["data"][0], elements.strides, elements.nbytes, dtype.bits)
        buffer = self.known.get(key)
        if buffer is None:
            buffer = self.known[key] = self.buffer(_content(elements, dtype))
        return buffer

    def code(self, op: str, version: int) -> int:
        return self.codes.setdefault((op, version), len(self.codes))


def _content(elements: NDArray[Any], dtype: DType) -> bytes:
    """Little-endian; elements of 4 and 2 bits packed."""
    if dtype.bits >= 8 or dtype is DType.STRING:
        return elements.astype(elements.dtype.newbyteorder("<"), order="C", copy=False).tobytes()
    return pack(elements, dtype).tobytes()


def _subgraph(file: _File, graph: Graph, *, is_main: bool) -> Any:
    made = schema.SubGraphT()
    made.name = graph.name
    where = file.where if is_main else f"{file.where}, subgraph '{graph.name}'"
    made.tensors = [_tensor(file, tensor, where) for tensor in graph.tensors]
    made.inputs, made.outputs = list(graph.inputs), list(graph.outputs)
    made.operators = [_operator(file, graph, index, where) for index in range(len(graph.nodes))]
    return made


def _tensor(file: _File, tensor: Tensor, where: str) -> Any:
    made = schema.TensorT()
    made.name, made.shape, made.type = tensor.name, list(tensor.shape), DTYPE_CODES[tensor.dtype]
    made.isVariable, made.hasRank, made.buffer = tensor.is_variable, True, 0
    elements = tensor.constant
    if elements is None and tensor.is_constant and tensor.dtype.bits:
        raise ModelError(
            "is a constant without elements: the network is known by its architecture only",
            where=f"{where}, tensor '{tensor.name}'",
            fix="draw weights first: `mcusim export NAME FILE` does",
        )
    if elements is not None:
        _check_elements(tensor, elements, where)
        made.buffer = file.constant(elements, tensor.dtype) if elements.size else 0
    if tensor.quantization is not None:
        made.quantization = _quantization(tensor.quantization)
        check_scales(made.quantization.scale.tolist(), tensor.is_constant, f"{where}, tensor '{tensor.name}'")
    return made


def _check_elements(tensor: Tensor, elements: NDArray[Any], where: str) -> None:
    item_bytes = max(tensor.dtype.bits, 8) // 8
    if tensor.dtype is not DType.STRING and (elements.shape != tensor.shape or elements.itemsize != item_bytes):
        raise ModelError(
            f"its elements are {elements.dtype} of shape {elements.shape}, and it is {tensor.dtype} of {tensor.shape}",
            where=f"{where}, tensor '{tensor.name}'",
            fix="give it elements of its own shape and type",
        )


def _quantization(quantization: Quantization) -> Any:
    made = schema.QuantizationParametersT()
    with np.errstate(over="ignore"):  # to infinity, which is refused
        made.scale = np.asarray(quantization.scales, np.float32)
    made.zeroPoint = np.asarray(quantization.zero_points, np.int64)
    made.quantizedDimension = quantization.axis
    return made


def _operator(file: _File, graph: Graph, index: int, where: str) -> Any:
    node = graph.nodes[index]
    at = f"{where}, node {index} ({node.op}, '{node.name}')"
    op = OPS.get(node.op)
    if op is None or not (node.op in _CODES or isinstance(node.attributes, CustomAttributes)):
        kind = "a custom operator" if node.op.startswith("CUSTOM:") else "unknown to mcusim"
        what = f"{node.op} is {kind}: its options were not kept"
        raise ModelError(what, where=at, fix="`mcusim ops` lists what can be written; cut the network before it")
    if getattr(node.attributes, "pads", None) is not None:
        raise ModelError(
            "its padding was folded into it, which a .tflite file cannot say",
            where=at,
            fix="write the graph as it was before lowering",
        )
    made = schema.OperatorT()
    made.opcodeIndex = file.code(node.op, OPS[node.op].version(node, graph.tensors) if node.op in OPS else 1)
    made.inputs, made.outputs = list(node.inputs), list(node.outputs)
    made.intermediates = list(node.intermediates) or None
    _set_options(made, node)
    return made


def _custom_options(attributes: CustomAttributes) -> bytes:
    """As a file stored them; of a graph that no file gave, its fields by name."""
    if attributes.stored:
        return attributes.stored
    from flatbuffers import flexbuffers

    named = {field.name: getattr(attributes, field.name) for field in fields(attributes) if field.name != "stored"}
    return bytes(flexbuffers.Dumps(named)) if named else b""


def _set_options(made: Any, node: Node) -> None:
    op = OPS[node.op]
    if isinstance(node.attributes, CustomAttributes):
        made.customOptions = np.frombuffer(_custom_options(node.attributes), np.uint8)
        return
    if not op.options:
        return
    options = getattr(schema, f"{op.options}T")()
    for stored, value in stored_options(op, node.attributes).items():
        setattr(options, stored[:1].lower() + stored[1:], value)
    for slot, union in (("builtinOptions", BUILTIN_OPTIONS), ("builtinOptions2", BUILTIN_OPTIONS_2)):
        kind = next((kind for kind, name in union.items() if name == op.options), None)
        if kind is not None:
            setattr(made, f"{slot}Type", kind)
            setattr(made, slot, options)


def _operator_code(op: str, version: int) -> Any:
    made = schema.OperatorCodeT()
    name = op.removeprefix("CUSTOM:")
    made.builtinCode, made.version = _CODES["CUSTOM" if name != op else op], version
    made.deprecatedBuiltinCode = min(made.builtinCode, _NARROW_CODES)
    made.customCode = name if name != op else None
    return made


def _metadata(file: _File, name: str, content: bytes) -> Any:
    made = schema.MetadataT()
    made.name, made.buffer = name, file.buffer(content)
    return made
