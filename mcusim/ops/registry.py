"""How an operator describes itself, and the one registry of those that mcusim knows.

Each operator lives in one file of this folder, which ends with `register(OpDef(name="CONV_2D", ...))`. Lowering,
planning, pricing, execution and the documentation read `OPS` and never name an operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from mcusim.errors import ModelError
from mcusim.graph import Attributes, Flow, Shape, Signature, Tensor, TensorType
from mcusim.ops.shared.float_forms import FloatForm
from mcusim.ops.shared.spreads import SpreadRule
from mcusim.ops.shared.versions import VersionRule, first
from mcusim.region import Region, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = [
    "OPS",
    "Call",
    "Drawing",
    "Movement",
    "Numerics",
    "OpDef",
    "Pads",
    "Piece",
    "Remembered",
    "Run",
    "StateRole",
    "Weights",
    "Work",
    "WorkKind",
    "attributes_of",
    "entered_subgraphs",
    "op_of",
    "register",
    "taken_inputs",
]


class WorkKind(StrEnum):
    """Which inner loop does the work: what a cost model tells apart before it looks at shapes."""

    POINTWISE = "pointwise"
    CONV = "conv"
    DEPTHWISE = "depthwise"
    FULLY_CONNECTED = "fully_connected"
    RECURRENT = "recurrent"
    POOL = "pool"
    REDUCE = "reduce"
    ELEMENTWISE = "elementwise"
    BROADCAST = "broadcast"
    """Element by element where one input has fewer elements than the output, as where channels are scaled."""
    ACTIVATION = "activation"
    """Hard-swish and its like: several multiplications an element, or a table."""
    LOOKUP = "lookup"
    COPY = "copy"
    CONTROL = "control"


class Work(NamedTuple):
    """What a step does, whoever runs it: pure counts, no hardware. Work adds up over pieces of a tensor.

    macs: multiply-accumulates.   outputs: output elements, each requantised and stored once.
    inputs: input elements read, with every window that reads them counted once a call (not once a tap).
    read_bytes, written_bytes: activations.   weight_bytes: constants streamed from flash, once a call.
    weight_bits, input_bits, output_bits: of one element; below 8 a kernel unpacks what it reads, packs what it writes.
    channels_in, channels_out, taps: the shape that the inner loop sees (reduction depth is channels_in * taps).
    width: columns of the whole output map.   calls: how often the kernel is entered.
    """

    kind: WorkKind
    macs: int = 0
    outputs: int = 0
    inputs: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    weight_bytes: int = 0
    channels_in: int = 1
    channels_out: int = 1
    taps: int = 1
    stride: int = 1
    width: int = 1
    calls: int = 1
    weight_bits: int = 8
    input_bits: int = 8
    output_bits: int = 8


@dataclass(frozen=True, slots=True)
class Pads:
    """Explicit padding with the zero point, in elements."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


class Numerics(StrEnum):
    """Whose arithmetic an execution follows."""

    TFLM = "tflm"
    """TensorFlow Lite Micro's reference kernels, which CMSIS-NN equals: the multiplier rounds twice."""
    LITERT = "litert"
    """LiteRT as Python users run it: XNNPACK's kernels, in float32, and its own for what these lack."""
    TINYENGINE_FLOAT = "tinyengine-float"
    """TinyEngine: the accumulator times a float32 scale, rounded."""

    @classmethod
    def _missing_(cls, value: object) -> Numerics | None:
        """The name that LITERT had before."""
        return cls.LITERT if value == "single-rounding" else None


@dataclass(frozen=True, slots=True)
class Call:
    """A node with its numbers: what `prepare` sees. Everything an execution depends on but the activations.

    inputs: in TFLite's order, None where an optional one is absent.   where: names the node in error messages.
    is_stored: of a file, in which a tensor without a scale has none for TFLM either.
    computed: inputs that look like constants and hold what the network computed in this call (`OpDef.late`).
    """

    signature: Signature
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    where: str
    numerics: Numerics = Numerics.TFLM
    is_stored: bool = False
    computed: tuple[int, ...] = ()

    def input(self, index: int) -> Tensor:
        """An input that must be there. Raises ModelError where it is absent."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        if tensor is None:
            raise ModelError(f"input {index} is missing", where=self.where, fix="export the model again")
        return tensor


class Piece(NamedTuple):
    """Which part of its output a kernel computes, and where the arrays that it is given lie in their tensors.

    rows, cols: the output region; the output arrays have exactly its size.
    origins: for each input, the (row, column) of its array's first element. Arrays hold the clipped region that
    `needs` asks for: what lies outside them is padding. Inputs that are not tileable come whole.
    """

    rows: Span
    cols: Span
    origins: tuple[tuple[int, int], ...]


Run = Callable[[Any, "Sequence[Array]", "Sequence[Array]", Piece], None]
"""A kernel: (prepared, input arrays, output arrays, piece) -> None. It fills the output arrays, bit-exactly.

Constants that it needs in another form come to it through `prepared`; the arrays at their places among the inputs are
the constants themselves, whole and read-only. Arrays are views into the arena: any strides but the innermost, never to
be kept. A kernel may be given an output that lies on top of
input `overwrites`, so it must not write where it has still to read.
"""


class Remembered(NamedTuple):
    """What a kernel that remembers is given in the place of `prepared`.

    prepared: what its `prepare` made.   arrays: of this session, in the order of `remembers`; they keep their values.
    """

    prepared: Any
    arrays: tuple[Array, ...]


class StateRole(StrEnum):
    """What an operator does with the variables of a streaming network; the executor keeps them."""

    NONE = "none"
    HANDLE = "handle"
    """Names a variable (VAR_HANDLE): nothing runs."""
    READ = "read"
    """Input 0 is the variable's array, copied to the output."""
    ASSIGN = "assign"
    """Input 0 is the variable's array, to be overwritten with input 1."""
    INITIALISE = "initialise"
    """Runs a subgraph once, before the first inference (CALL_ONCE)."""


class Movement(StrEnum):
    """Whether an operator computes or only moves bytes. Schedules count computing nodes only."""

    COMPUTES = "computes"
    MOVES = "moves"
    """Copies elements to other places or types (PAD, TRANSPOSE, QUANTIZE)."""
    RELABELS = "relabels"
    """Output holds the same bytes in the same order (RESHAPE): a runtime may give it the same storage."""


def _never(signature: Signature) -> tuple[int, ...]:
    return ()


class Weights(NamedTuple):
    """Where a layer with weights has its tensors, by input, and how its channels lie.

    axis: of the weights, along which each channel has a scale; None for one scale a tensor, as converters do.
    channels: axis of the weights along which the output channels lie.
    """

    source: int
    weights: int
    bias: int
    axis: int | None
    channels: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """How weights and scales are drawn for a network of which only the architecture is known.

    spread: of its outputs, from those of its inputs; None where the layer draws `weights` that give it one.
    alike: inputs as which its outputs must be quantised.
    stands_for: what a constant of one element is taken for: descriptions have them only in relu6(x + 3) / 6.
    """

    spread: SpreadRule | None = None
    alike: slice | None = None
    stands_for: float | None = None
    weights: Weights | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpDef:
    """All that mcusim knows about one operator.

    infer: attributes and input types -> output shapes; raises ModelError where they do not go together.
    needs: (signature, input index, output rows, output cols) -> region of that input, not clipped, or None where an
        output region needs the whole tensor: not tileable. This one function gives halos, patches and streams.
    work: (signature, output rows, output cols, calls) -> Work; rows and cols are sums over the pieces, and work is
        bilinear in them.
    overwrites: inputs of a signature on top of which it may compute its output, in order of preference.
    options: TFLite's options table, whose fields the attribute class names in snake case; "" if it has none.
    parameters: inputs that hold learned parameters (weights, biases); they count as `params` and as model size.
    padding: the rows and columns of zero points that it adds, for an operator that does nothing else; None where a
        signature does more than that.
    with_pads: (signature, pads, unpadded input) -> the same operator doing that padding itself, or None if it cannot.
    prepare: every check and every derived integer of a node, once; raises ModelError, naming `where`, for what the
        kernels cannot do. Its result is what `run` trusts.
    kernel: module of `ops/kernels/` (or `package.module` of one that is elsewhere) whose `run: Run` fills the outputs,
        loaded at first execution; "" if it cannot be executed yet. Where `ops/kernels/fast/` has a module of the same
        name, its `encode` makes compiled commands of a step, or declines.
    late: inputs that `prepare` takes for constants and that a network may compute all the same: such a node is prepared
        anew in each call, with the elements of that call.
    remembers: what its kernel keeps from call to call for itself, at first zeros: its kernel then gets `Remembered`.
    state: its part in keeping the variables of a streaming network.
    flow: how it runs the subgraphs that it enters.   enters: the attributes that number them in the file, in the order
        in which a runtime plans them.
    packs: whether its activations may be int4 or int2: it computes on them as on int8, within their narrower range.
    needs_options: whether a file without its options is refused; else they are as the schema says.
    most_inputs: how many inputs it has at most; None for as many as it is given. Where a runtime does not mind further
        ones, nobody looks at them: they are planned, and neither prepared nor given to a kernel.
    shape_inputs: inputs whose elements say the output's shape. Where one is computed at run time the stored shape
        counts, and an operator that runs all the same must hold it against its inputs in `prepare`.
    is_border_conversion: at the border of a network its caller may do it instead (types and layouts of the input).
    version: which version of the operator a `.tflite` file must name for a node.
    drawing: for networks without weights; where it is empty, none can be drawn.
    in_float: what it computes in real numbers; None where its kernel takes float32 itself, or nothing does.
    """

    name: str
    infer: Callable[[Attributes, Sequence[TensorType | None]], tuple[Shape, ...]]
    needs: Callable[[Signature, int, Span, Span], Region | None]
    work: Callable[[Signature, int, int, int], Work]
    attributes: type[Attributes] = Attributes
    options: str = ""
    overwrites: Callable[[Signature], tuple[int, ...]] = _never
    movement: Movement = Movement.COMPUTES
    parameters: tuple[int, ...] = ()
    late: tuple[int, ...] = ()
    remembers: Callable[[Signature], tuple[TensorType, ...]] | None = None
    summary: str = ""
    padding: Callable[[Signature], Pads | None] | None = None
    with_pads: Callable[[Signature, Pads, TensorType], Signature | None] | None = None
    needs_options: bool = False
    most_inputs: int | None = None
    shape_inputs: tuple[int, ...] = ()
    packs: bool = False
    is_border_conversion: bool = False
    prepare: Callable[[Call], object] | None = None
    kernel: str = ""
    state: StateRole = StateRole.NONE
    flow: Flow = Flow.NONE
    enters: tuple[str, ...] = ()
    version: VersionRule = first
    drawing: Drawing = Drawing()
    in_float: FloatForm | None = None

    @property
    def kernel_module(self) -> str:
        """Where the kernel is, to import; "" if there is none."""
        return self.kernel if not self.kernel or "." in self.kernel else f"mcusim.ops.kernels.{self.kernel}"


OPS: dict[str, OpDef] = {}
"""Every operator by TFLite's name. Written only while `mcusim.ops` is imported."""


def register(op: OpDef) -> OpDef:
    """Add an operator. Raises ModelError if the name is taken."""
    if OPS.setdefault(op.name, op) is not op:
        raise ModelError("registered twice", where=f"op '{op.name}'", fix="rename one of them")
    return op


def entered_subgraphs(signature: Signature) -> tuple[int, ...]:
    """The subgraphs that a node enters, by their number in the file (0 is the network itself), in planning order."""
    op = OPS.get(signature.op)
    return tuple([getattr(signature.attributes, name) for name in op.enters]) if op is not None else ()


def op_of(signature: Signature, where: str) -> OpDef:
    """The operator of a signature. Raises ModelError, naming `where`, if mcusim does not know it."""
    op = OPS.get(signature.op)
    if op is None:
        raise ModelError(
            f"operator {signature.op} is not supported",
            where=where,
            fix="`mcusim ops MODEL` lists what is supported; replace the operator or cut the network before it",
        )
    return op


def taken_inputs(signature: Signature) -> int:
    """How many of a node's inputs its operator looks at: the first ones."""
    op = OPS.get(signature.op)
    most = op.most_inputs if op is not None else None
    return len(signature.inputs) if most is None else min(most, len(signature.inputs))


A = TypeVar("A", bound=Attributes)


def attributes_of(signature: Signature, kind: type[A]) -> A:
    """The attributes, typed. The registry ties each operator to one class, so this only tells the type checker."""
    return cast(A, signature.attributes)
