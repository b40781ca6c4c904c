"""What is computed: tensors, nodes and the graph that joins them. Immutable; knows no hardware and no schedule.

Layout, said once: activations are NHWC, convolution weights OHWI, every interval is half-open.

Two values are interned, so that equal means identical: `TensorType` (shape, dtype, and the small integers that
an operator must know before it runs) and `Signature` (operator, attributes, types of its inputs and outputs).
Whatever depends only on those - work, halos, scratch, kernel choice - is computed once for each signature and found
again by identity. This is what makes whole answers for a stream of similar networks cheap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import chain, compress, count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary

from mcusim.errors import ModelError
from mcusim.source import IN_MEMORY, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "ABSENT",
    "STORED",
    "Activation",
    "Attributes",
    "DType",
    "Flow",
    "Graph",
    "Loose",
    "Node",
    "Padding",
    "Quantization",
    "Shape",
    "Signature",
    "Tensor",
    "TensorType",
    "Wiring",
    "retyped",
    "signature",
    "tensor_type",
]

Shape = tuple[int, ...]

ABSENT = -1
"""Index of an optional input that a node does not have."""


_CONSTANT, _VARIABLE, STORED, _NOTHING = b"cvs-"
_IS_STORED = bytes([role == STORED for role in range(256)])


class DType(StrEnum):
    """Element types that model files use."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    FLOAT64 = "float64"
    BFLOAT16 = "bfloat16"
    INT64 = "int64"
    INT32 = "int32"
    INT16 = "int16"
    INT8 = "int8"
    INT4 = "int4"
    INT2 = "int2"
    UINT64 = "uint64"
    UINT32 = "uint32"
    UINT16 = "uint16"
    UINT8 = "uint8"
    UINT4 = "uint4"
    BOOL = "bool"
    COMPLEX64 = "complex64"
    COMPLEX128 = "complex128"
    STRING = "string"
    RESOURCE = "resource"
    VARIANT = "variant"

    @property
    def bits(self) -> int:
        """Bits of one element; 0 for types without storage of their own (string, resource, variant)."""
        return _BITS[self]

    @property
    def is_packed(self) -> bool:
        """Whether several elements share a byte: int4, int2 and uint4."""
        return 0 < _BITS[self] < 8

    @property
    def unpacked(self) -> DType:
        """The type of an element that stands by itself: int8 for int4 and int2, uint8 for uint4, else the type."""
        return _UNPACKED.get(self, self)

    @property
    def is_integer(self) -> bool:
        return "int" in self.value

    @property
    def is_float(self) -> bool:
        return "float" in self.value


_BITS: Mapping[DType, int] = MappingProxyType(
    {dtype: 8 if dtype is DType.BOOL else int("".join(c for c in dtype.value if c.isdigit()) or "0") for dtype in DType}
)

_UNPACKED: Mapping[DType, DType] = MappingProxyType(
    {DType.INT4: DType.INT8, DType.INT2: DType.INT8, DType.UINT4: DType.UINT8}
)


class Padding(StrEnum):
    """How a window operator treats the border, in TFLite's words."""

    SAME = "same"
    VALID = "valid"


class Activation(StrEnum):
    """Activation fused into an operator."""

    NONE = "none"
    RELU = "relu"
    RELU_N1_TO_1 = "relu_n1_to_1"
    RELU6 = "relu6"
    TANH = "tanh"
    SIGN_BIT = "sign_bit"


class Flow(StrEnum):
    """How an operator runs the subgraphs that it enters. What they hold is planned with the network."""

    NONE = "none"
    ONCE = "once"
    """Before the first inference only (CALL_ONCE)."""
    CHOOSES = "chooses"
    """One of them (IF)."""
    LOOPS = "loops"
    """The second as long as the first answers true (WHILE). Nothing tells how often."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Base of each operator's attributes. Also the attributes of an operator that has none.

    Subclasses live beside their operator in `ops/` and name their fields as TFLite's options do, in snake case.
    """


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class TensorType:
    """Shape and element type of a tensor, interned: make one with `tensor_type()`.

    size_bytes: elements of int4 and int2 are packed over the whole tensor, as .tflite files pack constants: the first
    in the lowest bits of the first byte, no gap between rows or channels, the last byte filled up (assumption A35).
    values: the elements of a small integer constant (axes, paddings, target shapes), which operators need to know
    before they run; None for everything else.
    """

    shape: Shape
    dtype: DType
    is_constant: bool
    values: tuple[int, ...] | None
    elements: int = field(init=False)
    size_bytes: int = field(init=False)
    rows: int = field(init=False)
    """Height of an NHWC tensor; 1 for any other rank, which cannot be cut into rows."""
    cols: int = field(init=False)
    """Width of an NHWC tensor; 1 for any other rank."""
    role: int = field(init=False)
    """See `Graph.roles`."""

    def __post_init__(self) -> None:
        # A dimension of 0 counts as 1, as in TFLM's ElementCount for scalars and unknown sizes.
        elements = math.prod(d or 1 for d in self.shape)
        spatial = len(self.shape) == 4
        object.__setattr__(self, "elements", elements)
        object.__setattr__(self, "size_bytes", -(-elements * _BITS[self.dtype] // 8))
        object.__setattr__(self, "rows", self.shape[1] if spatial else 1)
        object.__setattr__(self, "cols", self.shape[2] if spatial else 1)
        role = _CONSTANT if self.is_constant else STORED if self.size_bytes else _NOTHING
        object.__setattr__(self, "role", role)

    def __reduce__(self) -> tuple[object, ...]:
        return tensor_type, (self.shape, self.dtype, self.is_constant, self.values)

    def row_bytes(self, cols: int) -> int:
        """Bytes of `cols` pixels of a row that is held by itself, as in a patch or a line buffer: whole bytes."""
        pixel_elements = self.elements // ((self.rows * self.cols) or 1)
        return -(-cols * pixel_elements * _BITS[self.dtype] // 8)

    @property
    def channels(self) -> int:
        """Size of the innermost dimension; 1 for a scalar."""
        return self.shape[-1] if self.shape else 1


_TYPES: WeakValueDictionary[tuple[object, ...], TensorType] = WeakValueDictionary()


def tensor_type(
    shape: Shape, dtype: DType = DType.INT8, is_constant: bool = False, values: tuple[int, ...] | None = None
) -> TensorType:
    """The one `TensorType` with these properties."""
    key = (shape, dtype, is_constant, values)
    known = _TYPES.get(key)
    if known is None:
        known = _TYPES[key] = TensorType(shape, dtype, is_constant, values)
    return known


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Signature:
    """Everything about a node but its place in the graph and its numbers, interned: make one with `signature()`.

    op: TFLite's name in capitals (`CONV_2D`), or `CUSTOM:name`.
    inputs: types in TFLite's order; None where an optional input is absent.
    """

    op: str
    attributes: Attributes
    inputs: tuple[TensorType | None, ...]
    outputs: tuple[TensorType, ...]

    def __reduce__(self) -> tuple[object, ...]:
        return signature, (self.op, self.attributes, self.inputs, self.outputs)

    def input(self, index: int) -> TensorType:
        """Type of an input that must be there. Raises ModelError where it is absent."""
        kind = self.inputs[index] if index < len(self.inputs) else None
        if kind is None:
            raise _lacking(self.op, f"input {index}")
        return kind

    def has(self, index: int) -> bool:
        """Whether optional input `index` is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    @property
    def output(self) -> TensorType:
        """Type of the first output. Raises ModelError where there is none."""
        if not self.outputs:
            raise _lacking(self.op, "output")
        return self.outputs[0]


def _lacking(op: str, what: str) -> ModelError:
    return ModelError(f"{op} lacks its {what}", where=f"op {op}", fix="export the model again")


_SIGNATURES: WeakValueDictionary[tuple[object, ...], Signature] = WeakValueDictionary()


def signature(
    op: str, attributes: Attributes, inputs: tuple[TensorType | None, ...], outputs: tuple[TensorType, ...]
) -> Signature:
    """The one `Signature` with these properties."""
    key = (op, attributes, inputs, outputs)
    known = _SIGNATURES.get(key)
    if known is None:
        known = _SIGNATURES[key] = Signature(op, attributes, inputs, outputs)
    return known


@dataclass(frozen=True, slots=True)
class Quantization:
    """Affine quantisation: real = scale * (stored - zero_point).

    scales, zero_points: one element, or one a channel along `axis`.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    @property
    def is_per_channel(self) -> bool:
        return len(self.scales) > 1


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of the graph.

    constant: its elements, for weights and other constants that are known. A constant without them (`type.is_constant`
    with `constant` None) belongs to a network described by its architecture only: it can be planned and priced, and
    run once weights were drawn for it.
    is_variable: keeps its value from one run to the next (state of a streaming network).
    lacks_zero_point: its file gives it scales and no zero point: it is not quantised then, to TFLM.
    """

    name: str
    type: TensorType
    quantization: Quantization | None = None
    constant: NDArray[Any] | None = None
    is_variable: bool = False
    lacks_zero_point: bool = False

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def size_bytes(self) -> int:
        return self.type.size_bytes

    @property
    def is_constant(self) -> bool:
        return self.type.is_constant

    @property
    def without_scale(self) -> str:
        """What a sentence says of it where it has no quantisation."""
        if self.lacks_zero_point:
            return f"'{self.name}' has scales and no zero point: TFLM takes it as not quantised"
        return f"'{self.name}' has no scale"

    def with_constant(self, elements: np.ndarray[Any, Any]) -> Tensor:
        """This tensor with its elements known."""
        return replace(self, constant=elements)


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of the graph.

    inputs: tensor indices in TFLite's order, ABSENT where an optional one is missing.   outputs: tensor indices.
    intermediates: tensors of which only the quantisation counts (an LSTM's inner ones).
    """

    name: str
    signature: Signature
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...] = ()

    @property
    def op(self) -> str:
        return self.signature.op

    @property
    def attributes(self) -> Attributes:
        return self.signature.attributes


def retyped(node: Node, tensors: Sequence[Tensor], inputs: tuple[int, ...] | None = None) -> Node:
    """`node` with the types that `tensors` have.   inputs: the tensors it reads, if others than before."""
    reads = node.inputs if inputs is None else inputs
    types = tuple([None if index == ABSENT else tensors[index].type for index in reads])
    interned = signature(node.op, node.attributes, types, tuple([tensors[index].type for index in node.outputs]))
    return replace(node, inputs=reads, signature=interned)


class Loose(NamedTuple):
    """Tensors that have storage and no ordinary life. Indices.

    untouched: neither an input, an output nor of any node.   unread: inputs that nobody reads.
    unwritten: read, or an output, and nobody writes them.
    """

    untouched: tuple[int, ...]
    unread: tuple[int, ...]
    unwritten: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class WiringKey:
    """How nodes are joined: one object for all networks that are wired alike.

    ops: of each node.   reads, writes: ordinals of the tensors of all nodes, one after the other; ABSENT for what takes
    no bytes.   read_counts, write_counts: how many of these are a node's.   inputs, outputs: ordinals.
    stored: tensors with an ordinal; some runtimes plan those that no node touches, too.
    """

    ops: tuple[str, ...]
    reads: tuple[int, ...]
    read_counts: tuple[int, ...]
    writes: tuple[int, ...]
    write_counts: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    stored: int


_WIRINGS_KEPT = 1024
"""A search space has hundreds of depths and shortcuts, and they come in no order."""

_wiring_key = lru_cache(_WIRINGS_KEPT)(WiringKey)


class Wiring(NamedTuple):
    """How tensors that take bytes of an arena join nodes, whatever constants stand between them.

    stored: ordinal -> tensor.   ordinals: tensor -> ordinal; one more entry at the end stands for an absent tensor.
    reads: tensors of all nodes, one after the other.
    """

    key: WiringKey
    stored: list[int]
    ordinals: list[int]
    reads: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: tensors, nodes in execution order, and what goes in and out.

    subgraphs: further graphs of the file, which nodes of this one or of each other enter by their number there: that
        of `subgraphs[i]` is i + 1. They have none themselves.
    """

    name: str
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    source: Source = IN_MEMORY
    subgraphs: tuple[Graph, ...] = ()

    @cached_property
    def producer(self) -> Mapping[int, int]:
        """Tensor index -> index of the node that writes it."""
        return {tensor: index for index, node in enumerate(self.nodes) for tensor in node.outputs}

    @cached_property
    def consumers(self) -> Mapping[int, tuple[int, ...]]:
        """Tensor index -> indices of the nodes that read it, in order; tensors nobody reads are left out."""
        readers_of: dict[int, list[int]] = {}
        for index, node in enumerate(self.nodes):
            for tensor in node.inputs:
                if tensor != ABSENT:
                    # A node that reads a tensor twice (x * x) is one reader.
                    readers = readers_of.setdefault(tensor, [])
                    if not readers or readers[-1] != index:
                        readers.append(index)
        return {tensor: tuple(readers) for tensor, readers in readers_of.items()}

    @cached_property
    def roles(self) -> bytes:
        """A letter a tensor: `c` of a constant, `v` of a variable, `s` of one that takes bytes, `-` of any other."""
        roles = bytes([kind.role for kind in self.types])
        if True in [tensor.is_variable for tensor in self.tensors]:
            return bytes([_VARIABLE if t.is_variable else role for t, role in zip(self.tensors, roles, strict=True)])
        return roles

    @cached_property
    def stored(self) -> tuple[bool, ...]:
        """Of each tensor whether it takes bytes of an arena: constants and variables do not."""
        return tuple([role == STORED for role in self.roles])

    @cached_property
    def types(self) -> tuple[TensorType, ...]:
        """Of each tensor."""
        return tuple([tensor.type for tensor in self.tensors])

    @cached_property
    def quantizations(self) -> tuple[Quantization, ...]:
        """Of those tensors that have scales."""
        return tuple([tensor.quantization for tensor in self.tensors if tensor.quantization is not None])

    @property
    def has_variables(self) -> bool:
        """Whether a tensor keeps its value from one run to the next."""
        return _VARIABLE in self.roles

    @cached_property
    def calls(self) -> tuple[Signature, ...]:
        """Of each node."""
        return tuple([node.signature for node in self.nodes])

    @property
    def has_plain_tensors(self) -> bool:
        """Whether all tensors take bytes or are constants."""
        return _VARIABLE not in self.roles and _NOTHING not in self.roles

    @cached_property
    def wiring(self) -> Wiring:
        """What is equal for networks that differ in shapes, attributes, numbers, names and constants only."""
        stored = list(compress(count(), self.roles.translate(_IS_STORED)))
        ordinals = [ABSENT] * (len(self.tensors) + 1)  # the last stands for inputs that are absent
        for ordinal, index in enumerate(stored):
            ordinals[index] = ordinal
        ordinal_of = ordinals.__getitem__
        reads, writes = [node.inputs for node in self.nodes], [node.outputs for node in self.nodes]
        flat = tuple(chain.from_iterable(reads))
        # Shapes and attributes are left out on purpose: networks of one search differ in those, and plan alike.
        key = _wiring_key(
            tuple([call.op for call in self.calls]),
            tuple(map(ordinal_of, flat)),
            tuple(map(len, reads)),
            tuple(map(ordinal_of, chain.from_iterable(writes))),
            tuple(map(len, writes)),
            tuple(map(ordinal_of, self.inputs)),
            tuple(map(ordinal_of, self.outputs)),
            len(stored),
        )
        return Wiring(key, stored, ordinals, flat)

    @cached_property
    def stored_types(self) -> tuple[TensorType, ...]:
        """By ordinal of the wiring."""
        return tuple(compress(self.types, self.roles.translate(_IS_STORED)))

    @cached_property
    def operators(self) -> frozenset[str]:
        """Names of the operators of all its nodes, those of its subgraphs too."""
        return frozenset([call.op for part in (self, *self.subgraphs) for call in part.calls])

    @cached_property
    def loose(self) -> Loose:
        """Tensors with storage that the network does not use as others."""
        read = {tensor for node in self.nodes for tensor in node.inputs}
        written = {tensor for node in self.nodes for tensor in node.outputs}
        known = read | written | set(self.inputs) | set(self.outputs)
        stored = [index for index, is_stored in enumerate(self.stored) if is_stored]
        given = written | set(self.inputs)
        # An input that is an output too is read by the caller, if by nobody else.
        ends = read | set(self.outputs) if self.nodes else set[int]()
        return Loose(
            tuple([i for i in stored if i not in known]),
            tuple([i for i in dict.fromkeys(self.inputs) if i in stored and i not in ends]),
            tuple([i for i in stored if i in known and i not in given]),
        )

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __repr__(self) -> str:
        inner, outer = self._shapes(self.inputs), self._shapes(self.outputs)
        return f"<Graph {self.name[:60]!r}: {len(self.nodes)} nodes, {inner} -> {outer}>"

    def _shapes(self, tensors: tuple[int, ...]) -> str:
        types = [self.tensors[index].type for index in tensors[:4]]
        shown = [f"{'x'.join(map(str, kind.shape)) or 'scalar'} {kind.dtype}" for kind in types]
        return ", ".join(shown + ["..."] * (len(tensors) > len(types))) or "nothing"
