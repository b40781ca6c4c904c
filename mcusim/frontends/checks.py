"""Whether a graph hangs together, and whether it is an integer network. For graphs from files and from memory alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import isfinite, prod

from mcusim.errors import ModelError
from mcusim.frontends.formats import QUANTISE
from mcusim.graph import ABSENT, DType, Flow, Graph, Node, Shape, Signature, TensorType
from mcusim.ops import OPS, Movement, OpDef
from mcusim.ops.registry import StateRole, entered_subgraphs

__all__ = [
    "check_calls",
    "check_flow",
    "check_scales",
    "check_shapes",
    "float_reason",
    "refuse_float",
    "refuse_unwritten",
]

_EXPORT_AGAIN = "export the model again"
_FIXED_SHAPES = "export it with fixed shapes: give the converter a concrete input shape, batch 1"
_SIGNATURES_KEPT = 1 << 16
_ACTIVATIONS = frozenset({DType.INT4, DType.INT8, DType.UINT8, DType.INT16, DType.UINT16})
"""Element types of quantised activations. int32 and wider ones are indices and shapes."""
_KEEPING = frozenset({StateRole.HANDLE, StateRole.READ, StateRole.ASSIGN})
"""What operators with a variable do with it."""


def check_scales(scales: Sequence[float], is_constant: bool, where: str) -> None:
    """Raise ModelError for scales that no file may hold.

    Real weights have channels of scale 0 (no weight differs from 0) and of negative scale (a folded batch norm), but
    activations are divided by theirs.
    """
    # The sum is finite where all are.
    if not isfinite(sum(scales)) or (not is_constant and min(scales) <= 0):
        raise ModelError(f"has an impossible scale among {tuple(scales[:4])}", where=where, fix=_EXPORT_AGAIN)


def check_flow(graph: Graph, where: str) -> None:
    """Raise ModelError unless every tensor is written once at most, and before it is read.

    One that nothing writes at all is planned, as TFLM does; `refuse_unwritten` is for those who want its elements.
    """
    written = {index for index, tensor in enumerate(graph.tensors) if tensor.is_constant}
    for index in graph.inputs:
        if index in written:
            raise _flow_error(graph, index, "is an input of the network twice, or a constant too", where)
        written.add(index)
    kept = {index for index, tensor in enumerate(graph.tensors) if tensor.is_variable} - written
    written |= kept
    written.update(graph.loose.unwritten)
    for position, node in enumerate(graph.nodes):
        at = f"{where}, node {position} ({node.op})"
        for index in node.inputs:
            if index != ABSENT and index not in written:
                raise _flow_error(graph, index, "is read before anything writes it", at)
        for index in node.outputs:
            if index in written and index not in kept:
                raise _flow_error(graph, index, _SECOND_TIME, at, _ONE_EACH)
            kept.discard(index)  # one node may write it, as where a stream's latest rows are kept in it
            written.add(index)


def refuse_unwritten(graph: Graph, where: str) -> None:
    """Raise ModelError where a tensor is read or an output, and nothing writes it: it holds whatever lay there."""
    for index in graph.loose.unwritten:
        what = "is an output of the network" if index in graph.outputs else "is read"
        raise _flow_error(graph, index, f"{what}, but nothing writes it", where)


_SECOND_TIME = "is written a second time: TFLM may run that, and mcusim plans tensors that are written once"
_ONE_EACH = "export the model again, so that each result has a tensor of its own"


def _flow_error(graph: Graph, index: int, what: str, where: str, fix: str = _EXPORT_AGAIN) -> ModelError:
    return ModelError(f"tensor {index} {graph.tensors[index].name[:60]!r} {what}", where=where, fix=fix)


def check_shapes(graph: Graph, where: str) -> None:
    """Raise ModelError where an operator's inputs do not go together or do not give the stored output shape."""
    for position, node in enumerate(graph.nodes):
        op = OPS.get(node.op)
        if op is None:
            continue
        try:
            _check_signature(node.signature)
        except ModelError as error:
            at = f"{where}, node {position} ({node.op}, {node.name[:60]!r})"
            stale = _stale_inputs(graph, node)
            raise ModelError(f"{error.what}{stale}", where=at, fix=_FIXED_SHAPES if stale else error.fix) from error


def _stale_inputs(graph: Graph, node: Node) -> str:
    """Which inputs have a shape that only the file says, and who makes them: it may be that of another run."""
    stale = []
    for place, tensor in enumerate(node.inputs):
        maker = graph.producer.get(tensor)
        if maker is None or not _is_only_stored(graph.nodes[maker].signature):
            continue
        shape = _shown([graph.tensors[tensor].shape])
        stale.append(f"input {place} ({shape}) is made by node {maker} ({graph.nodes[maker].op})")
    return f"; {', '.join(stale)}, whose stored shape nobody could check and may be stale" if stale else ""


def _is_only_stored(signature: Signature) -> bool:
    """Whether the shape of what a node makes cannot be inferred: only the file says it."""
    op = OPS.get(signature.op)
    return op is None or (op.flow is Flow.NONE and _shape_is_computed(op, signature))


def check_calls(graph: Graph, where: str) -> None:
    """Raise ModelError where a node and a subgraph that it enters do not go together, or one enters itself."""
    parts = (graph, *graph.subgraphs)
    for number, part in enumerate(parts):
        for position, node in enumerate(part.nodes):
            at = f"{where}, {f'subgraph {number}, ' if number else ''}node {position} ({node.op})"
            for place, entered in enumerate(entered_subgraphs(node.signature)):
                if not 1 <= entered < len(parts):
                    what = f"it enters subgraph {entered}, and the file has 1 to {len(parts) - 1}"
                    raise ModelError(what, where=at, fix=_EXPORT_AGAIN)
                _check_call(node, place, parts[entered], at)
    _check_recursion(parts, where)


def _check_call(node: Node, place: int, part: Graph, at: str) -> None:
    """Source: TFLM kernels/if.cc and while.cc, Prepare."""
    flow = OPS[node.op].flow
    given, taken = len(node.inputs) - (flow is Flow.CHOOSES), len(node.outputs)
    is_condition = flow is Flow.LOOPS and place == 0
    wanted = 1 if is_condition else taken
    if flow is Flow.ONCE:
        given, wanted = 0, 0
    if (given, wanted) != (len(part.inputs), len(part.outputs)):
        what = f"subgraph '{part.name[:60]}' has {len(part.inputs)} inputs and {len(part.outputs)} outputs, "
        raise ModelError(f"{what}not {given} and {wanted}", where=at, fix=_EXPORT_AGAIN)


def _check_recursion(parts: tuple[Graph, ...], where: str) -> None:
    """Raise ModelError where a subgraph enters itself, if through others."""
    entered = [sorted({n for node in part.nodes for n in entered_subgraphs(node.signature)}) for part in parts]
    left, inside = set(range(len(parts))), [False] * len(parts)
    waiting = [(0, False)]  # a subgraph, and whether all that it enters was seen
    while waiting:
        number, is_done = waiting.pop()
        if is_done:
            inside[number] = False
        elif inside[number]:
            what = f"subgraph {number} ('{parts[number].name[:60]}') enters itself"
            raise ModelError(what, where=where, fix="a microcontroller has no stack for that: unroll it")
        elif number in left:
            left.discard(number)
            inside[number] = True
            waiting += [(number, True), *((each, False) for each in entered[number])]


@lru_cache(_SIGNATURES_KEPT)
def _check_signature(signature: Signature) -> None:
    op = OPS[signature.op]
    if op.flow is not Flow.NONE or signature.op.startswith("CUSTOM:"):  # the subgraphs decide, or it says itself
        return
    _check_operands(op, signature)
    if _shape_is_computed(op, signature):
        _check_stored(op, signature)
        return
    inferred = _inferred(op, signature)
    if inferred != tuple(output.shape for output in signature.outputs):
        raise _contradiction(signature, inferred)


def _check_operands(op: OpDef, signature: Signature) -> None:
    """Raise ModelError where a handle is none or something else is one."""
    if op.state in _KEEPING:
        named = signature.outputs if op.state is StateRole.HANDLE else signature.inputs
        if not named or named[0] is None or named[0].dtype is not DType.RESOURCE:
            raise ModelError("its variable is no resource", where=f"op {op.name}", fix=_EXPORT_AGAIN)
    for kind in (*signature.inputs, *signature.outputs):
        if op.kernel and kind is not None and not kind.dtype.bits:
            raise ModelError(f"{op.name} of {kind.dtype} is not defined", where=f"op {op.name}", fix=_EXPORT_AGAIN)


def _inferred(op: OpDef, signature: Signature) -> tuple[Shape, ...]:
    try:
        return op.infer(signature.attributes, signature.inputs)
    except IndexError as error:
        what = f"it lacks an input: it has {len(signature.inputs)}"
        raise ModelError(what, where=f"op {signature.op}", fix=_EXPORT_AGAIN) from error


def _shape_is_computed(op: OpDef, signature: Signature) -> bool:
    """Whether the network computes what says the output's shape.

    The stored shape counts then: converters store the one for batch 1.
    """
    return any(signature.has(index) and not signature.input(index).is_constant for index in op.shape_inputs)


def _check_stored(op: OpDef, signature: Signature) -> None:
    """What can be said of a stored shape that is not inferred: there is one, and relabelling keeps every element."""
    if len(signature.outputs) != 1:
        what = f"it has {len(signature.outputs)} outputs, and {op.name} has one"
        raise ModelError(what, where=f"op {op.name}", fix=_EXPORT_AGAIN)
    if not all(signature.has(index) for index in range(max(op.shape_inputs) + 1)):
        raise ModelError("it lacks an input", where=f"op {op.name}", fix=_EXPORT_AGAIN)
    if op.movement is not Movement.RELABELS:
        return
    source = signature.input(0)
    if prod(signature.output.shape) != prod(source.shape):
        raise _contradiction(signature, (source.shape,))


def _contradiction(signature: Signature, inferred: tuple[Shape, ...]) -> ModelError:
    stored = _shown(output.shape for output in signature.outputs)
    what = f"the stored output shape {stored} contradicts the inputs, which give {_shown(inferred)}"
    return ModelError(what, where=f"op {signature.op}", fix=_EXPORT_AGAIN)


def _shown(shapes: Iterable[Shape]) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes) or "none"


def float_reason(graph: Graph) -> str:
    """What kind of network computes in floating point, as in "is a float32 network"; "" for an integer one.

    The operators with weights decide (all that compute, where none has weights): it is enough that one of them works on
    integers. Float inputs and outputs around QUANTIZE and DEQUANTIZE, or a float tail, are fine.
    """
    if any(_learns_integers(node.signature) for node in graph.nodes):
        return ""
    nodes = [node for part in (graph, *graph.subgraphs) for node in part.nodes]
    deciding = [node for node in nodes if _learns(node)] or [node for node in nodes if _computes(node)]
    if any(t.dtype in _ACTIVATIONS for node in deciding for t in _activations(node)):
        return ""
    floats = next((t for node in deciding for t in _activations(node) if t.dtype.is_float), None)
    if floats is None:
        return ""
    stored = {weights.dtype for node in deciding for weights in _weights(node)}
    if stored & _ACTIVATIONS:
        return "is a hybrid network: its weights are integers, but it computes on float32 activations"
    # Weights kept as float16 are widened by DEQUANTIZE nodes: the arithmetic is float32.
    half = DType.FLOAT16 in {t.dtype for node in nodes for t in node.signature.inputs if t is not None}
    return f"is a {'float16' if half else floats.dtype} network"


def refuse_float(graph: Graph, where: str = "") -> None:
    """Raise ModelError if the network computes in floating point, for those who want times: only integers have them."""
    reason = float_reason(graph)
    if reason:
        what = f"{reason}, and mcusim knows the times of integer ones"
        raise ModelError(what, where=where or graph.source.description, fix=QUANTISE)


def _learns(node: Node) -> bool:
    """Whether a node may have weights: an operator that mcusim does not know may."""
    op = OPS.get(node.op)
    return op is None or bool(op.parameters)


@lru_cache(_SIGNATURES_KEPT)
def _learns_integers(signature: Signature) -> bool:
    """Whether a node has weights and integer activations: the quick answer for all but float networks."""
    op = OPS.get(signature.op)
    kinds = [*signature.inputs, *signature.outputs]
    activations = [t for t in kinds if t is not None and not t.is_constant]
    return op is not None and bool(op.parameters) and any(t.dtype in _ACTIVATIONS for t in activations)


def _computes(node: Node) -> bool:
    return OPS[node.op].movement is Movement.COMPUTES


def _activations(node: Node) -> Iterator[TensorType]:
    yield from (t for t in node.signature.inputs if t is not None and not t.is_constant)
    yield from node.signature.outputs


def _weights(node: Node) -> Iterator[TensorType]:
    op = OPS.get(node.op)
    for index, kind in enumerate(node.signature.inputs):
        if kind is not None and kind.is_constant and (op is None or index in op.parameters):
            yield kind
