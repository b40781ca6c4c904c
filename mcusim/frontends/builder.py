"""A small builder that makes a Graph in memory, fast enough for loops that try thousands of networks a second.

    b = GraphBuilder("tiny")
    x = b.input((1, 96, 96, 3))
    x = b.conv_2d(x, 16, kernel=3, stride=2, padding=1, activation=Activation.RELU6)
    x = b.depthwise_conv_2d(x, kernel=3)
    x = b.reshape(b.average_pool_2d(x), (1, -1))
    graph = b.build([b.fully_connected(x, 10)])

Tensors are named by their index, as in the Graph. Weights are constants without elements, and nothing is quantised
unless told so: enough to plan and to price. What depends only on shapes (output shape, types of weights and biases) is
computed once for each distinct layer and found again in a bounded cache.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from functools import lru_cache
from operator import index as plain_int
from typing import TYPE_CHECKING, Any, NoReturn

from mcusim.columns import Kept
from mcusim.errors import ModelError
from mcusim.frontends import signatures
from mcusim.frontends.signatures import LAYERS_KEPT, Size, pair
from mcusim.graph import (
    ABSENT,
    Activation,
    Attributes,
    DType,
    Graph,
    Node,
    Padding,
    Quantization,
    Shape,
    Signature,
    Tensor,
    TensorType,
    signature,
    tensor_type,
)
from mcusim.ops import OPS
from mcusim.source import IN_MEMORY, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Border", "GraphBuilder", "Size"]

Border = Padding | int | tuple[int, int]
"""How a convolution treats its border: SAME, VALID, or a PAD node that adds so many rows and columns on each side."""

VALUES_KEPT = 64
"""Elements of an integer constant up to which its values become part of its type, as when a .tflite file is read."""

_ROLES = ("weights", "bias")

_FUSING = frozenset(
    {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "AVERAGE_POOL_2D", "MAX_POOL_2D"}
)
"""Operators that clamp what they compute, in every runtime."""


MOST_EXTENT = 2**31 - 1
"""Of a dimension: files hold 32 bits."""


class GraphBuilder:
    """Collects tensors and nodes in execution order; `build` returns the immutable Graph.

    dtype: element type of inputs that do not state their own.
    Every method that adds a layer returns the index of the layer's output tensor, takes `name=` for the node, and
    raises ModelError, naming the node, where shapes do not go together.
    """

    def __init__(self, name: str = "network", dtype: DType = DType.INT8) -> None:
        self.name = name
        self.dtype = dtype
        self._tensors: list[Tensor] = []
        self._nodes: list[Node] = []
        self._inputs: list[int] = []
        self._static: dict[TensorType, int] = {}

    # Tensors

    def input(
        self,
        shape: Sequence[int],
        dtype: DType | None = None,
        name: str = "input",
        quantization: Quantization | None = None,
    ) -> int:
        """Add a tensor that the caller provides."""
        type_ = tensor_type(_checked_shape(shape, name), self.dtype if dtype is None else dtype)
        self._inputs.append(len(self._tensors))
        return self._tensor(Tensor(name, type_, quantization))

    def variable(
        self,
        shape: Sequence[int],
        dtype: DType | None = None,
        name: str = "state",
        quantization: Quantization | None = None,
    ) -> int:
        """Add a tensor that keeps its value from one run to the next."""
        type_ = tensor_type(_checked_shape(shape, name), self.dtype if dtype is None else dtype)
        return self._tensor(Tensor(name, type_, quantization, is_variable=True))

    def constant(
        self,
        shape: Sequence[int],
        dtype: DType | None = None,
        values: NDArray[Any] | Sequence[Any] | None = None,
        name: str = "constant",
        quantization: Quantization | None = None,
    ) -> int:
        """Add a constant, with its elements if they are known.

        values: elements in any form that numpy reshapes to `shape`. Small integer constants that an operator reads
        before it runs (axes, paddings, shapes) become part of the tensor's type when it is added.
        """
        dtype = self.dtype if dtype is None else dtype
        checked = _checked_shape(shape, name)
        if values is None:
            return self._tensor(Tensor(name, tensor_type(checked, dtype, True), quantization))
        elements = _elements(values, checked, dtype, name)
        return self._tensor(Tensor(name, tensor_type(checked, dtype, True), quantization, elements))

    def integers(self, values: Sequence[int], shape: Sequence[int] | None = None) -> int:
        """A constant of int32 numbers (axes, paddings, a shape); equal ones share one tensor."""
        known = tuple(map(plain_int, values))
        checked = (len(known),) if shape is None else tuple(shape)
        return self._static_index(tensor_type(checked, DType.INT32, True, known))

    def type_of(self, tensor: int) -> TensorType:
        """Type of a tensor that was added before."""
        if 0 <= tensor < len(self._tensors):
            return self._tensors[tensor].type
        raise ModelError(
            f"there is no tensor {tensor}",
            where=f"network '{self.name}'",
            fix="use the numbers that the builder's methods return",
        )

    # Any operator

    def op(
        self,
        op: str,
        inputs: Sequence[int],
        attributes: Attributes | None = None,
        *,
        name: str | None = None,
        dtype: DType | None = None,
        quantization: Quantization | None = None,
    ) -> int:
        """Add any operator that mcusim knows, with one output.

        op: TFLite's name in capitals.   inputs: in TFLite's order, ABSENT where an optional one is missing.
        dtype: of the output; by default the type of the first input that is not a constant.
        """
        outputs = self.op_outputs(op, inputs, attributes, name=name, dtype=dtype, quantization=quantization)
        if len(outputs) != 1:
            raise ModelError(f"has {len(outputs)} outputs", where=f"{name or op} ({op})", fix="call op_outputs")
        return outputs[0]

    def op_outputs(
        self,
        op: str,
        inputs: Sequence[int],
        attributes: Attributes | None = None,
        *,
        name: str | None = None,
        dtype: DType | None = None,
        quantization: Quantization | None = None,
    ) -> tuple[int, ...]:
        """As `op`, for operators with any number of outputs."""
        op = op if op in OPS else op.upper()
        name = self._name(op, name)
        types = self._types(op, inputs)
        try:
            interned = signatures.infer(op, attributes, types, dtype)
        except ModelError as error:
            _explain(error, name, op)
        outputs = tuple(
            self._tensor(Tensor(name if index == 0 else f"{name}:{index}", type_, quantization))
            for index, type_ in enumerate(interned.outputs)
        )
        self._nodes.append(Node(name, interned, tuple(inputs), outputs))
        return outputs

    # Layers with weights

    def conv_2d(
        self,
        x: int,
        out_c: int,
        kernel: Size,
        stride: Size = 1,
        padding: Border = Padding.SAME,
        activation: Activation = Activation.NONE,
        *,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        name: str | None = None,
    ) -> int:
        """Convolution. A number as `padding` adds a PAD node, also where it is 0, and convolves VALID."""
        name = self._name("CONV_2D", name)
        x, rule = self._border(x, padding, name)
        try:
            interned = signatures.conv_2d(
                self.type_of(x), out_c, pair(kernel), pair(stride), rule, activation, pair(dilation), groups, bias
            )
        except ModelError as error:
            _explain(error, name, "CONV_2D")
        return self._emit(interned, (x,), name)

    def depthwise_conv_2d(
        self,
        x: int,
        kernel: Size,
        stride: Size = 1,
        padding: Border = Padding.SAME,
        activation: Activation = Activation.NONE,
        *,
        multiplier: int = 1,
        dilation: Size = 1,
        bias: bool = True,
        name: str | None = None,
    ) -> int:
        """Depthwise convolution, `multiplier` outputs a channel. A number as `padding` adds a PAD node."""
        name = self._name("DEPTHWISE_CONV_2D", name)
        x, rule = self._border(x, padding, name)
        try:
            interned = signatures.depthwise_conv_2d(
                self.type_of(x), pair(kernel), pair(stride), rule, activation, multiplier, pair(dilation), bias
            )
        except ModelError as error:
            _explain(error, name, "DEPTHWISE_CONV_2D")
        return self._emit(interned, (x,), name)

    def fully_connected(
        self,
        x: int,
        out_c: int,
        activation: Activation = Activation.NONE,
        *,
        bias: bool = True,
        name: str | None = None,
    ) -> int:
        """Every output from every element of a sample (of the last dimension, if the input has rank 2)."""
        name = self._name("FULLY_CONNECTED", name)
        try:
            interned = signatures.fully_connected(self.type_of(x), out_c, activation, bias)
        except ModelError as error:
            _explain(error, name, "FULLY_CONNECTED")
        return self._emit(interned, (x,), name)

    # Layers without weights

    def add(self, a: int, b: int, activation: Activation = Activation.NONE, *, name: str | None = None) -> int:
        return self._simple("ADD", (a, b), signatures.fused("ADD", activation), name)

    def sub(self, a: int, b: int, activation: Activation = Activation.NONE, *, name: str | None = None) -> int:
        return self._simple("SUB", (a, b), signatures.fused("SUB", activation), name)

    def mul(self, a: int, b: int, activation: Activation = Activation.NONE, *, name: str | None = None) -> int:
        return self._simple("MUL", (a, b), signatures.fused("MUL", activation), name)

    def average_pool_2d(
        self,
        x: int,
        size: Size | None = None,
        stride: Size | None = None,
        padding: Padding = Padding.VALID,
        activation: Activation = Activation.NONE,
        *,
        name: str | None = None,
    ) -> int:
        """Average over windows; by default over the whole map, and with a stride of the window's size."""
        return self._pool("AVERAGE_POOL_2D", x, size, stride, padding, activation, name)

    def max_pool_2d(
        self,
        x: int,
        size: Size | None = None,
        stride: Size | None = None,
        padding: Padding = Padding.VALID,
        activation: Activation = Activation.NONE,
        *,
        name: str | None = None,
    ) -> int:
        """Maximum over windows; by default over the whole map, and with a stride of the window's size."""
        return self._pool("MAX_POOL_2D", x, size, stride, padding, activation, name)

    def mean(self, x: int, axes: Sequence[int] = (1, 2), keep_dims: bool = False, *, name: str | None = None) -> int:
        """Mean over some axes: by default over the whole map."""
        attributes = signatures.attributes_for("MEAN", (("keep_dims", keep_dims),))
        return self._simple("MEAN", (x, self.integers(axes)), attributes, name)

    def pad(
        self, x: int, top: int, bottom: int, left: int, right: int, *, channels: int = 0, name: str | None = None
    ) -> int:
        """Zero padding of an NHWC map, as a node of its own.   channels: of zeros, behind its own."""
        name = self._name("PAD", name)
        try:
            interned = signatures.pad(self.type_of(x), (top, bottom, left, right), channels)
        except ModelError as error:
            _explain(error, name, "PAD")
        return self._emit(interned, (x,), name)

    def reshape(self, x: int, shape: Sequence[int], *, name: str | None = None) -> int:
        """The same elements in another shape; one dimension may be -1."""
        attributes = signatures.attributes_for("RESHAPE", (("new_shape", tuple(map(plain_int, shape))),))
        return self._simple("RESHAPE", (x, self.integers(shape)), attributes, name)

    def transpose(self, x: int, order: Sequence[int], *, name: str | None = None) -> int:
        """Output dimension i is input dimension `order[i]`."""
        return self._simple("TRANSPOSE", (x, self.integers(order)), None, name)

    def concatenation(
        self,
        inputs: Sequence[int],
        axis: int = -1,
        activation: Activation = Activation.NONE,
        *,
        name: str | None = None,
    ) -> int:
        attributes = signatures.attributes_for(
            "CONCATENATION", (("axis", axis), ("fused_activation_function", activation))
        )
        return self._simple("CONCATENATION", tuple(inputs), attributes, name)

    def resize_nearest_neighbor(self, x: int, size: tuple[int, int], *, name: str | None = None) -> int:
        """Resize a map to `size` rows and columns."""
        if min(size) < 1:
            raise ModelError(f"size is {size}", where=f"{name or 'resize'}", fix="use 1 or more")
        return self._simple("RESIZE_NEAREST_NEIGHBOR", (x, self.integers(size)), None, name)

    def softmax(self, x: int, beta: float = 1.0, *, name: str | None = None) -> int:
        return self._simple("SOFTMAX", (x,), signatures.attributes_for("SOFTMAX", (("beta", beta),)), name)

    def unary(self, op: str, x: int, *, name: str | None = None) -> int:
        """An operator of one input and no attributes: LOGISTIC, HARD_SWISH, RELU, RELU6, TANH, ..."""
        return self._simple(op, (x,), None, name)

    def fuse(self, tensor: int, activation: Activation, name: str) -> bool:
        """Give the node that computes `tensor` a fused activation, and both a name.

        False where it has one already, or its operator takes none. For the caller to know that nobody reads the tensor
        as it was.
        """
        for index in range(len(self._nodes) - 1, -1, -1):
            node = self._nodes[index]
            if tensor not in node.outputs:
                continue
            if node.op not in _FUSING or getattr(node.attributes, "fused_activation_function", None) != Activation.NONE:
                return False
            fields = {field.name: getattr(node.attributes, field.name) for field in dataclass_fields(node.attributes)}
            fields["fused_activation_function"] = activation
            attributes = signatures.attributes_for(node.op, tuple(fields.items()))
            kind = signature(node.op, attributes, node.signature.inputs, node.signature.outputs)
            self._nodes[index] = replace(node, name=name, signature=kind)
            self._tensors[tensor] = replace(self._tensors[tensor], name=name)
            return True
        return False

    # The result

    def build(self, outputs: Sequence[int], source: Source | None = None) -> Graph:
        """The Graph of everything added so far.   outputs: indices of tensors, in order."""
        where = f"network '{self.name}'"
        if not self._inputs:
            raise ModelError("has no inputs", where=where, fix="add one with input()")
        if not outputs:
            raise ModelError("has no outputs", where=where, fix="name the tensors that come out in build()")
        for tensor in outputs:
            self.type_of(tensor)
        for made in self._tensors:
            if _EXTENTS[made.type] > MOST_EXTENT:
                shown = f"{max(made.shape):.1e}" if max(made.shape) < 1e300 else "too much"
                what = f"has a dimension of {shown}, and TFLite's have 2**31 - 1 at most"
                raise ModelError(what, where=f"{where}, tensor '{made.name}'", fix="make it smaller")
        return Graph(
            name=self.name,
            tensors=tuple(self._tensors),
            nodes=tuple(self._nodes),
            inputs=tuple(self._inputs),
            outputs=tuple(outputs),
            source=IN_MEMORY if source is None else source,
        )

    # Inside

    def _tensor(self, tensor: Tensor) -> int:
        if tensor.quantization is not None:
            tensor = replace(tensor, quantization=_single(tensor.quantization, tensor.name))
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _name(self, op: str, name: str | None) -> str:
        return f"{op.lower()}_{len(self._nodes)}" if name is None else name

    def _types(self, op: str, inputs: Sequence[int]) -> tuple[TensorType | None, ...]:
        """Types of a node's inputs; those of small integer constants that are no parameters get their values."""
        known = OPS.get(op)
        parameters = known.parameters if known else ()
        types: list[TensorType | None] = []
        for position, index in enumerate(inputs):
            type_ = None if index == ABSENT else self.type_of(index)
            if type_ is not None and type_.is_constant and type_.values is None and position not in parameters:
                self._tensors[index] = tensor = _with_values(self._tensors[index])
                type_ = tensor.type
            types.append(type_)
        return tuple(types)

    def _static_index(self, type_: TensorType) -> int:
        index = self._static.get(type_)
        if index is None:
            index = self._static[type_] = self._tensor(_static_tensor(type_))
        return index

    def _border(self, x: int, padding: Border, name: str) -> tuple[int, Padding]:
        if isinstance(padding, str):  # a Padding, or its word, which `signatures.infer` reads
            return x, padding
        rows, cols = pair(padding)
        return self.pad(x, rows, rows, cols, cols, name=f"{name}/pad"), Padding.VALID

    def _emit(self, interned: Signature, activations: tuple[int, ...], name: str) -> int:
        """Add a node whose further inputs are constants: known integers are shared, weights are made."""
        tensors = self._tensors
        inputs = list(activations)
        for role, type_ in zip(_ROLES, interned.inputs[len(activations) :], strict=False):
            if type_ is None:
                inputs.append(ABSENT)
            elif type_.values is not None:
                inputs.append(self._static_index(type_))
            else:
                inputs.append(len(tensors))
                tensors.append(Tensor(f"{name}/{role}", type_))
        output = len(tensors)
        tensors.append(Tensor(name, interned.outputs[0]))
        self._nodes.append(Node(name, interned, tuple(inputs), (output,)))
        return output

    def _simple(self, op: str, inputs: tuple[int, ...], attributes: Attributes | None, name: str | None) -> int:
        return self.op(op, inputs, attributes, name=name)

    def _pool(
        self,
        op: str,
        x: int,
        size: Size | None,
        stride: Size | None,
        padding: Padding,
        activation: Activation,
        name: str | None,
    ) -> int:
        type_ = self.type_of(x)
        window = (type_.rows, type_.cols) if size is None else pair(size)
        step = window if stride is None else pair(stride)
        name = self._name(op, name)
        try:
            attributes = signatures.pool_attributes(op, window, step, padding, activation)
        except ModelError as error:
            _explain(error, name, op)
        return self._simple(op, (x,), attributes, name)


_EXTENTS: Kept[TensorType, int] = Kept(lambda kind: max(kind.shape, default=0))
"""The largest dimension."""


def _explain(error: ModelError, name: str, op: str) -> NoReturn:
    """Raise `error` again, saying which node."""
    raise ModelError(error.what, where=f"{name} ({op})", fix=error.fix) from error


def _single(quantization: Quantization, name: str) -> Quantization:
    """With scales of single precision, as files hold them: a copy that was written and read again computes the same."""
    single = struct.Struct(f"<{len(quantization.scales)}f")
    try:
        scales = single.unpack(single.pack(*quantization.scales))
    except (OverflowError, struct.error) as error:
        raise ModelError(
            f"has a scale that float32 does not hold: {error}",
            where=f"tensor '{name}'",
            fix="give it numbers up to 3e38",
        ) from error
    return quantization if scales == quantization.scales else replace(quantization, scales=scales)


def _checked_shape(shape: Sequence[int], name: str) -> Shape:
    checked = tuple(map(plain_int, shape))
    if any(dimension < 1 for dimension in checked):
        raise ModelError(f"has shape {checked}", where=f"tensor '{name}'", fix="give every dimension 1 or more")
    return checked


def _elements(values: NDArray[Any] | Sequence[Any], shape: Shape, dtype: DType, name: str) -> NDArray[Any]:
    import numpy as np

    # numpy has no 4-bit or 2-bit type: one element a byte.
    stored = {DType.INT4: "int8", DType.INT2: "int8", DType.UINT4: "uint8"}.get(dtype, dtype.value)
    try:
        return np.asarray(values, dtype=stored).reshape(shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError(
            f"its elements are not {shape} numbers of type {dtype}",
            where=f"tensor '{name}'",
            fix="pass an array of that shape and type",
        ) from error


def _with_values(tensor: Tensor) -> Tensor:
    """The same constant with its elements in its type, if they are few integers and known."""
    elements, type_ = tensor.constant, tensor.type
    if elements is None or type_.elements > VALUES_KEPT or type_.dtype not in (DType.INT32, DType.INT64):
        return tensor
    return replace(tensor, type=tensor_type(type_.shape, type_.dtype, True, tuple(elements.ravel().tolist())))


@lru_cache(LAYERS_KEPT)
def _static_tensor(type_: TensorType) -> Tensor:
    import numpy as np

    try:
        elements = np.array(type_.values, dtype=np.int32).reshape(type_.shape)
    except (OverflowError, ValueError) as error:
        raise ModelError(
            f"the numbers {type_.values} do not make an int32 constant of shape {type_.shape}",
            where="constant",
            fix="use numbers below 2**31, as many as the shape holds",
        ) from error
    elements.flags.writeable = False
    return Tensor("x".join(map(str, type_.values or ())), type_, None, elements)
