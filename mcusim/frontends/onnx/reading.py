"""An ONNX file -> Network -> Graph: the door. The `onnx` package parses, checks and infers shapes; nothing is guessed.

Bounded, whatever the bytes are: a file up to 2 GiB, so many nodes, no subgraph entered, tensors within the file or in
files beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from mcusim.errors import ModelError
from mcusim.files import content_of, is_file, reason_of
from mcusim.frontends.formats import missing_file, not_a_file, not_onnx
from mcusim.frontends.onnx.malformed import malformed
from mcusim.frontends.onnx.operators import unfolded
from mcusim.frontends.qdq import Network, Step, Value, import_network
from mcusim.frontends.qdq.network import Array, Attribute
from mcusim.graph import DType, Graph
from mcusim.limits import refuse_beyond

__all__ = ["MAX_NODES", "parse_onnx", "read_network", "read_onnx", "self_contained"]

MAX_NODES = 20_000
MAX_FILE_BYTES = 2**31 - 1
OLDEST_OPSET = 10
"""The first with QuantizeLinear."""
RUNTIME_DOMAIN = "com.microsoft"
"""ONNX Runtime's own operators; those that quantise are known."""
_KNOWN_DOMAINS = frozenset({"", "ai.onnx", RUNTIME_DOMAIN})
_INSTALL = "pip install 'mcusim[onnx]'"
_EXPORT_AGAIN = "download, copy or export the model again"
_FIXED = (
    "export it with fixed shapes, or fix them: python -m onnxruntime.tools.make_dynamic_shape_fixed "
    "--dim_param NAME --dim_value N in.onnx out.onnx"
)


def read_onnx(path: str | Path) -> Graph:
    """The network in an .onnx file; the graph is named after the file.

    Raises ModelError where there is no such file, it is of another kind, malformed, or cannot be expressed in
    TFLite's integers.
    """
    path = Path(path)
    return parse_onnx(file_content(path), name=path.stem, where=str(path), folder=path.parent)


def file_content(path: Path) -> bytes:
    """The bytes of a regular file. Raises ModelError."""
    where = str(path)
    try:
        if not path.is_file():
            raise not_a_file(path) if path.exists() else missing_file(path)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(
                f"the file has {path.stat().st_size:,} bytes", where=where, fix="use a network below 2 GiB"
            )
        refuse_beyond(path.stat().st_size, "reading it", where=where)
        return content_of(path, MAX_FILE_BYTES)
    except (OSError, ValueError) as error:
        reason = reason_of(error)
        fix = "check the path and its permissions"
        raise ModelError(f"it cannot be read: {reason}", where=where, fix=fix) from error


def parse_onnx(content: bytes, *, name: str, where: str, folder: Path | None = None) -> Graph:
    """The network in the bytes of an .onnx file.   folder: where external tensors lie."""
    return import_network(read_network(content, name=name, where=where, folder=folder), where)


def read_network(content: bytes, *, name: str, where: str, folder: Path | None = None) -> Network:
    """What the file says, between quantisers: QOperator steps are unfolded, nothing else is changed."""
    other = not_onnx(content, where)
    if other is not None:
        raise other
    onnx = _package(where)
    model = _whole_model(onnx, content, where, folder)
    constants, four_bit = _constants(onnx, model, where)
    steps = [new for node in model.graph.node for new in unfolded(_step(onnx, node, model))]
    inputs = [value for value in model.graph.input if value.name not in constants]
    values = {value.name: _value(onnx, value, where) for value in inputs}
    lists = [Value(each.shape, DType.FLOAT32) for each in constants.values() if each.ndim == 1]
    values |= _inferred(onnx, model, steps, [*values.values(), *lists])
    outputs = tuple(value.name for value in model.graph.output)
    if not inputs or not outputs or not steps:
        lacks = "inputs" if not inputs else "outputs" if not outputs else "operators"
        raise ModelError(f"the network has no {lacks}", where=where, fix="export a whole network")
    names = tuple(value.name for value in inputs)
    return Network(name, tuple(steps), names, outputs, values, constants, frozenset(four_bit))


def self_contained(content: bytes, *, where: str, folder: Path | None) -> bytes:
    """The bytes of an .onnx file, with the tensors in it that lay in other files. Raises ModelError above 2 GiB."""
    onnx = _package(where)
    model = _whole_model(onnx, content, where, folder)
    if model.ByteSize() > MAX_FILE_BYTES:
        raise ModelError("the file and its external data have above 2 GiB", where=where, fix="use a smaller network")
    return bytes(model.SerializeToString())


def _whole_model(onnx: Any, content: bytes, where: str, folder: Path | None) -> Any:
    """The checked model, all its tensors in memory."""
    model = _parsed(onnx, content, where)
    _check_form(model, where)
    _load_external(onnx, model, folder, where)
    _check_model(onnx, model, where)
    return model


def _package(where: str) -> Any:
    try:
        onnx = import_module("onnx")
        for part in ("checker", "helper", "numpy_helper", "shape_inference", "external_data_helper"):
            import_module(f"onnx.{part}")
    except ImportError as error:
        raise ModelError("reading ONNX needs the package `onnx`", where=where, fix=_INSTALL) from error
    return onnx


def _parsed(onnx: Any, content: bytes, where: str) -> Any:
    decode_error = import_module("google.protobuf.message").DecodeError
    try:
        model = onnx.ModelProto.FromString(content)
    except (decode_error, ValueError, RecursionError) as error:
        raise ModelError(
            "the file is no ONNX model: its protobuf cannot be decoded", where=where, fix=_EXPORT_AGAIN
        ) from error
    if not model.HasField("graph"):
        raise ModelError("the file holds no network: it is no ONNX model", where=where, fix=_EXPORT_AGAIN)
    return model


def _check_form(model: Any, where: str) -> None:
    """What bounds the work, and what names whose operators these are."""
    if len(model.graph.node) > MAX_NODES:
        what = f"the network has {len(model.graph.node):,} nodes, and {MAX_NODES:,} are taken at most"
        raise ModelError(what, where=where, fix="use a smaller network")
    newest = int(import_module("onnx.defs").onnx_opset_version())
    opset = _opset(model)
    if not OLDEST_OPSET <= opset <= newest:
        way = "older" if opset < OLDEST_OPSET else "newer"
        what = f"opset {opset} is {way} than those that are read, {OLDEST_OPSET} to {newest}"
        fix = "convert it: onnx.version_converter.convert_version(model, 21)"
        raise ModelError(what, where=where, fix=fix if way == "older" else f"{fix}, or update the package onnx")
    for node in model.graph.node:
        is_quantiser = node.op_type in ("QuantizeLinear", "DequantizeLinear")
        if opset < PER_CHANNEL_OPSET and is_quantiser and any(each.name == "axis" for each in node.attribute):
            at = f"{where}, node '{(node.name or next(iter(node.output), ''))[:80]}'"
            what = f"it has a scale for each channel, which came with opset {PER_CHANNEL_OPSET}; the file has {opset}"
            fix = "convert the float network before quantising it: onnx.version_converter.convert_version(model, 21)"
            raise ModelError(what, where=at, fix=fix)
        if node.domain not in _KNOWN_DOMAINS:
            what = f"operator {node.op_type} belongs to the custom domain '{node.domain[:60]}'"
            at = f"{where}, node '{(node.name or next(iter(node.output), ''))[:80]}'"
            raise ModelError(what, where=at, fix="export it with ONNX's own operators")
    if model.functions:
        raise ModelError("the network calls functions of its own", where=where, fix="inline them: onnx.inliner")


PER_CHANNEL_OPSET = 13
_DIGITS = 20
"""No file is so long that it takes so many."""


def _opset(model: Any) -> int:
    return max((int(each.version) for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)


def _load_external(onnx: Any, model: Any, folder: Path | None, where: str) -> None:
    """Tensors that lie in other files, which must be beside the model."""
    outside = [t for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    asked_bytes = 0
    for tensor in outside:
        named = {entry.key: entry.value for entry in tensor.external_data}
        location = named.get("location", "")
        path = Path(location)
        at = f"{where}, tensor '{tensor.name[:80]}'"
        # A file must not make mcusim read anywhere but beside it.
        if not location or path.is_absolute() or ".." in path.parts or "\0" in location:
            raise ModelError(
                f"its elements lie in '{location[:80]}', outside of the model's folder",
                where=at,
                fix="save the model with its data beside it",
            )
        if folder is None or not is_file(folder / path):
            raise ModelError(
                f"its elements lie in '{location[:80]}', which is not there",
                where=at,
                fix="copy that file beside the model",
            )
        held_bytes, length = (folder / path).stat().st_size, named.get("length", "")
        if held_bytes > MAX_FILE_BYTES:
            raise ModelError(
                f"its elements lie in '{location[:80]}', above 2 GiB", where=at, fix="use a smaller network"
            )
        is_told = length.isascii() and length.isdecimal() and len(length) < _DIGITS
        asked_bytes += min(int(length), held_bytes) if is_told and int(length) else held_bytes
        refuse_beyond(asked_bytes, "reading its external data", where=where)
    if not outside:
        return
    try:
        onnx.external_data_helper.load_external_data_for_model(model, str(folder))
    except (OSError, ValueError, KeyError, OverflowError, MemoryError, onnx.checker.ValidationError) as error:
        why = reason_of(error) if isinstance(error, OSError) else "an offset or a length is beyond the file"
        raise ModelError(f"its external data cannot be read: {why}", where=where, fix=_EXPORT_AGAIN) from error


def _check_model(onnx: Any, model: Any, where: str) -> None:
    """The checker of the onnx package: topological order, attributes, types. Outputs need not say their shapes."""
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            # The checker wants a shape, and takes an empty one.
            value.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, UnicodeError) as error:
        raise ModelError(f"the model is malformed: {malformed(error)}", where=where, fix=_EXPORT_AGAIN) from error


# Steps


def _step(onnx: Any, node: Any, model: Any) -> Step:
    attributes: dict[str, Attribute] = {}
    for each in node.attribute:
        value = _attribute(onnx, each)
        if value is not None:
            attributes[each.name] = value
    name = node.name or next((output for output in node.output if output), node.op_type)
    step = Step(name, node.op_type, tuple(node.input), tuple(node.output), attributes)
    return _normalised(onnx, step, _opset(model))


def _attribute(onnx: Any, attribute: Any) -> Attribute | None:
    kinds = onnx.AttributeProto
    if attribute.type == kinds.TENSOR:
        return _elements(onnx, attribute.t)[0]
    if attribute.type == kinds.STRING:
        return str(attribute.s.decode("utf-8", "replace"))
    if attribute.type == kinds.STRINGS:
        return tuple(each.decode("utf-8", "replace") for each in attribute.strings)
    plain = {kinds.INT: "i", kinds.FLOAT: "f"}.get(attribute.type)
    if plain is not None:
        value: int | float = getattr(attribute, plain)
        return value
    if attribute.type == kinds.INTS:
        return tuple(int(each) for each in attribute.ints)
    return tuple(float(each) for each in attribute.floats) if attribute.type == kinds.FLOATS else None


def _normalised(onnx: Any, step: Step, opset: int) -> Step:
    """Attributes as the importer takes them: one form for what opsets and types say in several."""
    if step.op == "Cast":
        return step.with_attributes(dtype=_dtype_name(onnx, step.integer("to", 0)))
    if step.op == "Softmax" and opset < 13:
        # Before opset 13 a softmax went over all axes from `axis` on at once.
        return step.with_attributes(axis=step.integer("axis", 1), is_flattening=1)
    if step.op in ("QuantizeLinear", "DequantizeLinear"):
        stored = _dtype_name(onnx, step.integer("output_dtype", 0)) if step.op == "QuantizeLinear" else ""
        return step.with_attributes(stored=stored) if stored and not step.has(2) else step
    if step.op == "Constant" and "value" not in step.attributes:
        for name, kind in (
            ("value_float", "float32"),
            ("value_floats", "float32"),
            ("value_int", "int64"),
            ("value_ints", "int64"),
        ):
            if name in step.attributes:
                return step.with_attributes(value=np.array(step.attributes[name], kind))
    return step


def _dtype_name(onnx: Any, code: int) -> str:
    """numpy's name of an element type, or ONNX's in small letters where numpy has none; "" for none."""
    name = onnx.TensorProto.DataType.Name(code).lower() if code in onnx.TensorProto.DataType.values() else ""
    return {"float": "float32", "double": "float64", "undefined": "", "string": ""}.get(name, name)


# Constants


def _constants(onnx: Any, model: Any, where: str) -> tuple[dict[str, Array], set[str]]:
    if model.graph.sparse_initializer:
        raise ModelError(
            "it holds sparse tensors, which no microcontroller runtime reads", where=where, fix="export it dense"
        )
    constants: dict[str, Array] = {}
    four_bit = set()
    for tensor in model.graph.initializer:
        try:
            elements, is_four_bit = _elements(onnx, tensor)
        except (ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
            at = f"{where}, tensor '{tensor.name[:80]}'"
            is_text = tensor.data_type == onnx.TensorProto.STRING
            what = "its elements are texts" if is_text else "its elements do not go with its shape or type"
            raise ModelError(what, where=at, fix=_EXPORT_AGAIN) from error
        constants[tensor.name] = elements
        if is_four_bit:
            four_bit.add(tensor.name)
    return constants, four_bit


def _elements(onnx: Any, tensor: Any) -> tuple[Array, bool]:
    """Elements of a tensor, and whether they are 4 bits wide: then they are held as 8."""
    kinds = onnx.TensorProto
    if tensor.data_type == kinds.STRING:
        raise ValueError("they are texts")
    elements = onnx.numpy_helper.to_array(tensor)
    if tensor.data_type in (kinds.INT4, kinds.UINT4):
        return elements.astype(np.int8 if tensor.data_type == kinds.INT4 else np.uint8), True
    return elements, False


# Shapes


def _value(onnx: Any, value: Any, where: str) -> Value:
    """Shape and type of an input. A batch that is left open is 1; any other open dimension is refused."""
    kind = value.type.tensor_type
    at = f"{where}, input '{value.name[:80]}'"
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise ModelError("has no fixed shape", where=at, fix=_FIXED)
    shape = []
    for axis, dimension in enumerate(kind.shape.dim):
        is_known = dimension.HasField("dim_value") and dimension.dim_value > 0
        if not is_known and axis > 0:
            named = dimension.dim_param or "?"
            raise ModelError(f"has a dynamic axis: axis {axis} is '{named[:40]}'", where=at, fix=_FIXED)
        shape.append(int(dimension.dim_value) if is_known else 1)
    if float(np.prod(np.array(shape, np.float64))) > MAX_FILE_BYTES:
        raise ModelError(f"has shape {tuple(shape)}", where=at, fix="use a smaller input")
    return Value(tuple(shape), _dtype(onnx, kind.elem_type, at))


def _dtype(onnx: Any, code: int, where: str) -> DType:
    name = _dtype_name(onnx, code)
    if name not in set(DType):
        raise ModelError(f"has elements of type {name or code}", where=where, fix="use float32 or int8")
    return DType(name)


def _inferred(onnx: Any, model: Any, steps: Sequence[Step], given: Sequence[Value]) -> dict[str, Value]:
    """Shapes of all values, by the onnx package, on a twin of the network with fixed inputs.   given: what goes in.

    In the twin quantisers are casts, which every opset knows for every type.
    """
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    del twin.graph.node[:], twin.graph.value_info[:]
    for value in twin.graph.input:
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if axis == 0 and not (dimension.HasField("dim_value") and dimension.dim_value > 0):
                dimension.dim_value = 1
    for value in twin.graph.output:
        value.type.tensor_type.ClearField("shape")
    for step in steps:
        twin.graph.node.append(_twin_node(onnx, step))
    plain = _shapes(onnx, twin, follows_numbers=False)
    longest = max((value.shape[0] for value in [*plain.values(), *given] if len(value.shape) == 1), default=0)
    # Following numbers (shapes that the network computes) costs time and memory: only where it is needed.
    if longest > MAX_FOLLOWED or all(name in plain for step in steps for name in step.outputs if name):
        return plain
    return _shapes(onnx, twin, follows_numbers=True) or plain


MAX_FOLLOWED = 1 << 16
"""Elements of a list above which the onnx package is not asked to follow numbers: it takes 140 bytes for each."""


def _shapes(onnx: Any, twin: Any, *, follows_numbers: bool) -> dict[str, Value]:
    """What the onnx package infers.   follows_numbers: whether shapes that the network computes are computed too."""
    try:
        with_shapes = onnx.shape_inference.infer_shapes(twin, data_prop=follows_numbers)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError, onnx.checker.ValidationError):
        return {}
    values = {}
    for value in [*with_shapes.graph.value_info, *with_shapes.graph.output]:
        shape = _known_shape(value)
        name = _dtype_name(onnx, value.type.tensor_type.elem_type)
        if shape is not None and name in set(DType):
            values[value.name] = Value(shape, DType(name))
    return values


def _known_shape(value: Any) -> tuple[int, ...] | None:
    kind = value.type.tensor_type
    if not kind.HasField("shape") or any(not d.HasField("dim_value") or d.dim_value < 0 for d in kind.shape.dim):
        return None
    return tuple(int(d.dim_value) for d in kind.shape.dim)


def _twin_node(onnx: Any, step: Step) -> Any:
    if step.op in ("QuantizeLinear", "DequantizeLinear"):
        kind = onnx.TensorProto.FLOAT if step.op == "DequantizeLinear" else onnx.TensorProto.INT8
        return onnx.helper.make_node("Cast", [step.input(0)], list(step.outputs), to=kind)
    attributes = {
        name: onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in step.attributes.items()
        if name not in _OWN and not (isinstance(value, tuple) and not value)
    }
    if step.op == "Constant":
        attributes = {"value": attributes["value"]} if "value" in attributes else attributes
    return onnx.helper.make_node(step.op, list(step.inputs), list(step.outputs), **attributes)


_OWN = frozenset({"stored", "dtype", "is_flattening", "channels_last"})
"""Attributes that only the importer knows."""
