"""The tables of a .tflite file -> Graph.

Slots are the numbers of fields in the schema. Where real files deviate from it, what TFLM accepts counts.
Source: schema.fbs of TensorFlow; tests compare the slots with `tflite_schema.py`, which is generated from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from struct import unpack_from

from mcusim.errors import ModelError
from mcusim.frontends.checks import check_calls, check_flow, check_scales, check_shapes
from mcusim.frontends.constants import ConstantReader
from mcusim.frontends.flatbuffer import BOOL, I8, I32, I64, U32, U64, Flatbuffer, Table
from mcusim.frontends.formats import QUANTISE
from mcusim.frontends.tflite_options import DTYPES, read_attributes
from mcusim.frontends.tflite_tables import ELEMENT_TYPES, OPERATORS
from mcusim.graph import ABSENT, Attributes, DType, Graph, Node, Quantization, Shape, Tensor, signature, tensor_type
from mcusim.ops import OPS
from mcusim.ops.shared.foreign import foreign_operator
from mcusim.source import Source

__all__ = ["OFFLINE_METADATA", "read_model"]

OFFLINE_METADATA = "OfflineMemoryAllocation"
"""The metadata entry under which TFLM looks for a memory plan."""

SCHEMA_VERSION = 3
_PLAN_HEADER = 3
"""Numbers before the offsets of a plan."""
VALUES_KEPT = 64
"""Integer constants of up to this many elements are part of their type: axes, paddings, shapes."""
MAX_RANK = 16
MAX_TENSOR_BYTES = 2**31 - 1
_EXPORT_AGAIN = "download, copy or export the model again"
_FIXED_SHAPES = "export it with fixed shapes: give the converter a concrete input shape, batch 1"
_SCALED = frozenset({DType.INT4, DType.INT8, DType.UINT8, DType.INT16, DType.UINT16, DType.INT2, DType.UINT4})
"""Element types that mean nothing without a scale."""
_VALUE_TYPES = frozenset({DType.INT32, DType.INT64, DType.UINT32})


@dataclass(frozen=True, slots=True)
class _File:
    """What all subgraphs share. buffers: position and size of each.   ops: name of each operator code."""

    flatbuffer: Flatbuffer
    buffers: tuple[tuple[int, int], ...]
    constants: ConstantReader
    ops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Operator:
    """An operator before its tensors are known."""

    op: str
    attributes: Attributes
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]


def read_model(content: bytes, name: str, where: str) -> Graph:
    """The network in the bytes of a .tflite file; see `parse_tflite`."""
    flatbuffer = Flatbuffer(content, where)
    model = flatbuffer.root("the model")
    version = model.number(0, U32)
    if version != SCHEMA_VERSION:
        raise flatbuffer.corrupt(f"it says schema version {version}, not {SCHEMA_VERSION}")
    tables = list(model.tables(2, "subgraph"))
    if not tables:
        raise ModelError("the file holds no network", where=where, fix=_EXPORT_AGAIN)
    file = _File(
        flatbuffer,
        tuple(_buffer(flatbuffer, table) for table in model.tables(4, "buffer")),
        ConstantReader(flatbuffer),
        tuple(_op_name(table) for table in model.tables(1, "operator code")),
    )
    try:
        graphs = [
            _graph(file, table, name if index == 0 else table.text(4) or f"{name}/subgraph{index}", index)
            for index, table in enumerate(tables)
        ]
    except ModelError as error:
        raise _foreign_error(file, error) or error from error
    offsets, refusal = _offline_plan(file, model, sum([len(each.tensors) for each in graphs]))
    source = Source(where, len(content), offline_offsets=offsets, offline_refusal=refusal)
    graph = replace(graphs[0], source=source, subgraphs=tuple(graphs[1:]))
    check_calls(graph, where)
    return graph


def _foreign_error(file: _File, error: ModelError) -> ModelError | None:
    """The reason behind a network that cannot be read: it has operators of an accelerator, or of TensorFlow itself.

    Shapes that are not known, tensors without elements and the like come with those. A damaged file is another matter.
    """
    if error.what.startswith("the file is corrupted"):
        return None
    for op in file.ops:
        foreign = foreign_operator(op)
        if foreign is not None:
            what = f"{op.removeprefix('CUSTOM:')} is {foreign.what} (and {error.where} {error.what})"
            return ModelError(what, where=file.flatbuffer.where, fix=foreign.fix)
    return None


def _offline_plan(file: _File, model: Table, tensors: int) -> tuple[tuple[int, ...], str]:
    """The plan under TFLM's metadata entry, and why TFLM refuses the file for it.

    Its vector is version, subgraph, count, and an offset or -1 for each tensor of all subgraphs. TFLM looks at the
    count only, and takes the last such entry.   Source: micro_allocation_info.cc, GetOfflinePlannedOffsets.
    """
    offsets, refusal = (), ""
    for entry in model.tables(6, "metadata entry"):
        buffer = entry.number(1, U32)
        if entry.text(0) != OFFLINE_METADATA or buffer >= len(file.buffers):
            continue
        start, size_bytes = file.buffers[buffer]
        file.flatbuffer.charge(min(size_bytes, I32.size * (_PLAN_HEADER + tensors)))
        stored = min(size_bytes // I32.size, _PLAN_HEADER + tensors)
        vector = unpack_from(f"<{stored}i", file.flatbuffer.content, start)
        count = vector[_PLAN_HEADER - 1] if stored >= _PLAN_HEADER else 0
        offsets = vector[_PLAN_HEADER:]
        if count != tensors:
            refusal = refusal or f"the plan that it carries has {count:,} offsets for {tensors:,} tensors"
        elif len(offsets) < tensors:
            refusal = refusal or f"the plan that it carries ends after {len(offsets):,} of {count:,} offsets"
        elif min(offsets, default=0) < -1:
            refusal = refusal or f"the plan that it carries has the offset {min(offsets)}"
    if refusal:
        return (), refusal
    return (offsets if max(offsets, default=-1) >= 0 else ()), ""


def _buffer(flatbuffer: Flatbuffer, table: Table) -> tuple[int, int]:
    """Position and size of a buffer; files beyond 2 GB keep it behind the flatbuffer, by offset and size."""
    offset, size = table.number(1, U64), table.number(2, U64)
    if offset <= 1 or size <= 1:  # as TFLite: converters write 1 for "not yet known"
        return table.span(0)
    if offset + size > len(flatbuffer.content):
        raise flatbuffer.corrupt(f"{table.what} reaches past the end of the file")
    return offset, size


def _op_name(table: Table) -> str:
    """The larger of the two codes counts: files older than code 127 have only the first, of 8 bits.

    Source: TFLite schema_utils.cc, GetBuiltinCode.
    """
    code = max(table.number(0, I8), table.number(3, I32))
    if code < 0:
        raise table.buffer.corrupt(f"{table.what} is {code}")
    op = OPERATORS.get(code, f"BUILTIN:{code}")
    return f"CUSTOM:{table.text(1) or 'unnamed'}" if op == "CUSTOM" else op


def _graph(file: _File, table: Table, name: str, number: int) -> Graph:
    prefix = f"subgraph {number}, " if number else ""
    tensor_tables = list(table.tables(0, f"{prefix}tensor"))
    operators = [_operator(file, each, len(tensor_tables)) for each in table.tables(3, f"{prefix}operator")]
    inputs = _indices(table, 1, len(tensor_tables), "input")
    uses = _Uses.of(operators, inputs)
    tensors = tuple(_tensor(file, each, index, uses) for index, each in enumerate(tensor_tables))
    graph = Graph(
        name=name,
        tensors=tensors,
        nodes=_nodes(operators, tensors),
        inputs=inputs,
        outputs=_indices(table, 2, len(tensors), "output"),
        source=Source(file.flatbuffer.where),
    )
    where = f"{file.flatbuffer.where}, subgraph {number}" if number else file.flatbuffer.where
    check_flow(graph, where)
    check_shapes(graph, where)
    return graph


def _operator(file: _File, table: Table, tensors: int) -> _Operator:
    code = table.number(0, U32)
    if code >= len(file.ops):
        raise table.buffer.corrupt(f"{table.what} has operator code {code} of {len(file.ops)}")
    name = file.ops[code]
    op = OPS.get(name)
    attributes = read_attributes(table, op) if op else Attributes()
    inputs = _indices(table, 1, tensors, "input", may_be_absent=True)
    outputs = _indices(table, 2, tensors, "output")
    return _Operator(name, attributes, inputs, outputs, _indices(table, 8, tensors, "intermediate"))


def _indices(table: Table, slot: int, tensors: int, what: str, may_be_absent: bool = False) -> tuple[int, ...]:
    """A vector of tensor indices."""
    indices = table.integers(slot)
    for index in indices:
        if not 0 <= index < tensors and not (may_be_absent and index == ABSENT):
            raise table.buffer.corrupt(f"{table.what} has tensor {index} as {what}, and there are {tensors}")
    return indices


def _nodes(operators: Sequence[_Operator], tensors: Sequence[Tensor]) -> tuple[Node, ...]:
    """Nodes, named after their first output as TFLM does; where that is taken or there is none, by their index too."""
    nodes: list[Node] = []
    names: set[str] = set()
    for index, operator in enumerate(operators):
        name = tensors[operator.outputs[0]].name if operator.outputs else ""
        if not name or name in names:
            name = f"{name or operator.op}#{index}"
        names.add(name)
        kind = signature(
            operator.op,
            operator.attributes,
            tuple(None if tensor == ABSENT else tensors[tensor].type for tensor in operator.inputs),
            tuple(tensors[tensor].type for tensor in operator.outputs),
        )
        nodes.append(Node(name, kind, operator.inputs, operator.outputs, operator.intermediates))
    return tuple(nodes)


@dataclass(frozen=True, slots=True)
class _Uses:
    """What must be known of a tensor's uses before it is read. Indices of tensors.

    inputs: of the network.   written: by operators.   as_values: read by some operator other than as weight or bias.
    """

    inputs: frozenset[int]
    written: frozenset[int]
    as_values: frozenset[int]

    @classmethod
    def of(cls, operators: Sequence[_Operator], inputs: tuple[int, ...]) -> _Uses:
        as_values: set[int] = set()
        for operator in operators:
            op = OPS.get(operator.op)
            parameters = op.parameters if op else ()
            as_values.update(tensor for position, tensor in enumerate(operator.inputs) if position not in parameters)
        written = frozenset(tensor for operator in operators for tensor in operator.outputs)
        return cls(frozenset(inputs), written, frozenset(as_values))


def _tensor(file: _File, table: Table, index: int, uses: _Uses) -> Tensor:
    name = table.text(3)
    where = f"{file.flatbuffer.where}, {table.what} {name[:60]!r}"
    _refuse_unsupported_storage(table, where)
    dtype = _dtype(table, where)
    shape = _shape(table, dtype, where, is_input=index in uses.inputs)
    is_variable = bool(table.number(5, BOOL))
    start, count = _data_span(file, table, where)
    is_computed = is_variable or index in uses.inputs or index in uses.written
    elements = None
    if (count > 0 and not is_variable) or (0 in shape and not is_computed):
        elements = file.constants.read(start, count, shape, dtype, where)
    elif 0 in shape:
        raise ModelError(f"has no elements: its shape is {shape}", where=where, fix=_FIXED_SHAPES)
    values = None
    if elements is not None and index in uses.as_values and dtype in _VALUE_TYPES and elements.size <= VALUES_KEPT:
        signed = elements.view("<i4") if dtype is DType.UINT32 else elements  # kernels read these as int32
        values = tuple(signed.ravel().tolist())
    is_constant = elements is not None
    quantization = _quantization(table, shape, dtype, where, is_constant)
    lacks_zero_point = _lacks_zero_point(table)
    return Tensor(
        name, tensor_type(shape, dtype, is_constant, values), quantization, elements, is_variable, lacks_zero_point
    )


def _refuse_unsupported_storage(table: Table, where: str) -> None:
    if table.offset(6):
        raise ModelError("is stored sparse, which no microcontroller runtime reads", where=where, fix="export it dense")
    if table.number(10, U32):
        raise ModelError("keeps its elements in another file", where=where, fix="export one file that holds everything")


def _dtype(table: Table, where: str) -> DType:
    code = table.number(1, I8)
    dtype = DTYPES.get(code)
    if dtype is None:
        unknown = ELEMENT_TYPES.get(code, f"number {code}")
        raise ModelError(f"has element type {unknown}, which mcusim does not know", where=where, fix=QUANTISE)
    return dtype


def _shape(table: Table, dtype: DType, where: str, *, is_input: bool) -> Shape:
    """The stored shape, which is what TFLM allocates.

    Beside it the file may keep a shape signature with -1 for what may be resized. It is ignored as TFLM does, except
    where it shows that the shape of an input is a placeholder: batches aside, converters put 1 where a size is dynamic.
    """
    shape = table.integers(0)
    if len(shape) > MAX_RANK:
        raise table.buffer.corrupt(f"{table.what} has {len(shape):,} dimensions")
    placeholder = is_input and any(size < 0 for size in table.integers(7)[1:])
    if placeholder or any(size < 0 for size in shape):
        shown = tuple(table.integers(7)) if placeholder else shape
        raise ModelError(f"has a dynamic shape, {shown}", where=where, fix=_FIXED_SHAPES)
    size_bytes = -(-math.prod(shape) * dtype.bits // 8)
    if size_bytes > MAX_TENSOR_BYTES:
        raise ModelError(f"has shape {shape}: {size_bytes:,} bytes", where=where, fix="use tensors below 2 GiB")
    return shape


def _data_span(file: _File, table: Table, where: str) -> tuple[int, int]:
    """Position and size of the tensor's buffer; an empty buffer stands for "no constant"."""
    buffer = table.number(2, U32)
    if buffer < len(file.buffers):
        return file.buffers[buffer]
    raise ModelError(
        f"the file is corrupted: it has buffer {buffer}, and there are {len(file.buffers)}",
        where=where,
        fix=_EXPORT_AGAIN,
    )


def _quantization(table: Table, shape: Shape, dtype: DType, where: str, is_constant: bool) -> Quantization | None:
    stored = table.table(4, f"quantisation of {table.what}")
    scales = stored.floats(2) if stored else ()
    zero_points = stored.integers(3, I64) if stored else ()
    if stored is None or not scales or not zero_points:
        return None
    if dtype not in _SCALED and not any(scales):
        return None  # as some converters write "none"
    if len(zero_points) == 1:
        zero_points *= len(scales)
    if len(zero_points) != len(scales):
        what = f"has {len(scales)} scales and {len(zero_points)} zero points"
        raise ModelError(what, where=where, fix=_EXPORT_AGAIN)
    check_scales(scales, is_constant, where)
    lowest, highest = _stored_range(dtype)
    if min(zero_points) < lowest or max(zero_points) > highest:
        what = f"has a zero point outside {dtype}, among {zero_points[:4]}"
        raise ModelError(what, where=where, fix=_EXPORT_AGAIN)
    return Quantization(scales, zero_points, _axis(stored.number(6, I32), shape, len(scales), where))


def _stored_range(dtype: DType) -> tuple[int, int]:
    """Smallest and largest integer of an element type; of int32 for those that hold no integers."""
    if not dtype.is_integer:
        return -(1 << 31), (1 << 31) - 1
    if dtype.value.startswith("u"):
        return 0, (1 << dtype.bits) - 1
    return -(1 << (dtype.bits - 1)), (1 << (dtype.bits - 1)) - 1


def _axis(stored: int, shape: Shape, channels: int, where: str) -> int:
    """The axis along which the scales lie, as the file says.

    Some converters store that of the weights with the bias, which has one axis only; TFLM does not look there.
    """
    if channels == 1:
        return stored if 0 <= stored < len(shape) else 0
    if channels in shape:
        return stored if len(shape) > 1 else 0
    raise ModelError(f"has {channels} scales, and no axis of its shape {shape} has", where=where, fix=_EXPORT_AGAIN)


def _lacks_zero_point(table: Table) -> bool:
    """Whether there are scales and no zero point: to TFLM no quantisation at all, and what LiteRT refuses.

    Source: micro_allocator.cc, InitializeTfLiteTensorFromFlatbuffer; interpreter_builder.cc, ParseQuantization.
    """
    stored = table.table(4, f"quantisation of {table.what}")
    return stored is not None and bool(stored.floats(2)) and not stored.integers(3, I64)
