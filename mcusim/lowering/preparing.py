"""The integers that the steps of a Program compute with: multipliers, shifts, offsets, tables, bounds.

Each operator derives them from a node's constants and scales (`OpDef.prepare`), once. Whoever runs the step or writes
C for it trusts them. No kernel is loaded for it, and nothing is laid out for one.
"""

from __future__ import annotations

from dataclasses import replace

from mcusim.errors import ModelError
from mcusim.graph import ABSENT, DType, Graph, Signature, Tensor, TensorType
from mcusim.graph import signature as signature_of
from mcusim.ops import OPS
from mcusim.ops.registry import Call, Movement, Numerics, StateRole, taken_inputs
from mcusim.ops.shared.late import prepare_late
from mcusim.program import Program, Step

__all__ = ["call_of", "check_elements", "prepared_integers", "prepared_node", "prepared_step", "where_of"]


def prepared_integers(program: Program, numerics: Numerics = Numerics.TFLM) -> tuple[object, ...]:
    """What `OpDef.prepare` derives for each step of the body, in the order of time; None where there is nothing.

    Of a node whose weights the network computes itself it is `ops.shared.late.Late`.
    Raises ModelError, naming the node, for numbers that no kernel can compute with.
    """
    return tuple([prepared_step(program.graph, step, numerics) for step in program.body()])


def prepared_step(graph: Graph, step: Step, numerics: Numerics) -> object:
    """Of one step. A copy that only the runtime makes has no node."""
    if step.node != ABSENT:
        return prepared_node(graph, step.node, step.signature, numerics)
    kinds = step.signature.input(0), step.signature.output
    source, output = (Tensor(step.label, kind) for kind in kinds)
    return _prepared(Call(step.signature, (source,), (output,), f"the {step.label}", numerics))


def prepared_node(graph: Graph, index: int, signature: Signature, numerics: Numerics) -> object:
    """Of one node, which is executed as `signature`: lowering may have folded neighbours into it."""
    node, op = graph.nodes[index], OPS[graph.nodes[index].op]
    where = where_of(graph, index)
    # Constants are converted by the operator itself. Only what is computed in the arena must be of a type with kernels.
    for kind in (*signature.inputs, *signature.outputs):
        if kind is not None and not kind.is_constant and kind.dtype is not DType.RESOURCE:
            check_elements(kind.dtype, where)
            if kind.dtype.is_packed and not op.packs:
                what = f"{node.op} of {kind.dtype} activations is not defined"
                raise ModelError(what, where=where, fix="let the tensors that it reads and writes have 8 bits")
    # States and control flow have no arithmetic of their own: the executor runs them.
    if op.state is not StateRole.NONE or op.enters:
        return None
    try:
        return _prepared(call_of(graph, index, signature, numerics))
    except ModelError as error:
        if error.where.startswith("op "):  # the operator does not know where its node is
            raise ModelError(error.what, where=where, fix=error.fix) from error
        raise


def call_of(graph: Graph, index: int, signature: Signature, numerics: Numerics) -> Call:
    """A node with its numbers, as `OpDef.prepare` takes it."""
    # Behind the inputs that an operator knows, some exporters append more. TFLM looks at none of them.
    node, taken = graph.nodes[index], taken_inputs(signature)
    if taken < len(signature.inputs):
        signature = signature_of(signature.op, signature.attributes, signature.inputs[:taken], signature.outputs)
    return Call(
        signature,
        tuple(
            None if tensor == ABSENT or kind is None else _typed(graph.tensors[tensor], kind)
            for tensor, kind in zip(node.inputs[:taken], signature.inputs, strict=True)
        ),
        tuple(_typed(graph.tensors[t], kind) for t, kind in zip(node.outputs, signature.outputs, strict=True)),
        where_of(graph, index),
        numerics,
        graph.source.file_bytes is not None,
    )


def where_of(graph: Graph, index: int) -> str:
    """How errors name a node."""
    node = graph.nodes[index]
    return f"network '{graph.name}', node {index} ({node.op}, {node.name[:60]!r})"


def check_elements(dtype: DType, where: str) -> None:
    """Raise ModelError for elements that cannot be computed with one by one."""
    if not dtype.bits or dtype in (DType.BFLOAT16, DType.FLOAT16):
        raise ModelError(f"elements of {dtype} cannot be computed with", where=where, fix="quantise to int8")


def _typed(tensor: Tensor, kind: TensorType) -> Tensor:
    """`tensor` as the step sees it: without the padding that was folded into the step."""
    return tensor if tensor.type is kind else replace(tensor, type=kind)


def _prepared(call: Call) -> object:
    op = OPS[call.signature.op]
    if op.movement is Movement.COMPUTES:
        _refuse_shifted_int16(call)
    if op.prepare is None:
        return None
    # Weights that the network computes are no constants: what depends on them must be derived anew in each inference.
    late = tuple([index for index in op.late if call.signature.has(index) and not call.input(index).is_constant])
    return prepare_late(call, op.prepare, late) if late else op.prepare(call)


def _refuse_shifted_int16(call: Call) -> None:
    """Raise ModelError for int16 with a zero point: TFLite's int16 is symmetric, and its kernels look at none."""
    if not any(tensor is not None and tensor.dtype is DType.INT16 for tensor in call.inputs):  # QUANTIZE gives such
        return
    for tensor in (*call.inputs, *call.outputs):
        if tensor is not None and tensor.dtype is DType.INT16 and tensor.quantization is not None:
            zero_point = next((zero for zero in tensor.quantization.zero_points if zero), 0)
            if zero_point:
                what = f"int16 tensor '{tensor.name[:60]}' has the zero point {zero_point}, and int16 has none"
                raise ModelError(what, where=call.where, fix="quantise the network again")
