"""The values of a network that outlive an inference: states of recurrent operators, and resources by name.

state      a tensor that the file calls a variable; the operator that reads it also changes it (SVDF, LSTM)
memory     what an operator keeps for itself, as the queues of the audio front end
resource   named by VAR_HANDLE, read by READ_VARIABLE, changed by ASSIGN_VARIABLE; a subgraph may assign it first
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mcusim.graph import ABSENT, DType, Graph, Signature, Tensor
from mcusim.ops import OPS
from mcusim.ops.call_once import CallOnceAttributes
from mcusim.ops.registry import StateRole, attributes_of
from mcusim.ops.var_handle import VarHandleAttributes

__all__ = [
    "ResourceUse",
    "Stored",
    "changed_variables",
    "handles",
    "initialising_nodes",
    "remembered",
    "resource_uses",
    "states",
    "stored_variables",
]


class Stored(NamedTuple):
    """A value that outlives an inference.

    tensors: of the graph that stand for it: the state itself, or the handles of a resource.
    fill: every byte of it at first, as two's complement.
    node: whose operator keeps it for itself; ABSENT for what tensors stand for.
    """

    name: str
    size_bytes: int
    fill: int
    tensors: tuple[int, ...]
    node: int = ABSENT


class ResourceUse(NamedTuple):
    """A node that reads or assigns a resource.   name: of the resource, None where nothing names it."""

    node: int
    role: StateRole
    name: str | None
    value: Tensor


def stored_variables(graph: Graph) -> tuple[Stored, ...]:
    """The variables of a network, resources that only its subgraphs use included.

    A resource starts as bytes of the zero point of what is first assigned to it, a state of int8 as its zero point.
    Source: TFLM micro_resource_variable.cc, micro_interpreter_graph.cc.
    """
    of_layers = states(graph)
    parts = (graph, *graph.subgraphs)
    if not any(_role(op) is not StateRole.NONE for part in parts for op in {node.signature.op for node in part.nodes}):
        return of_layers
    resources: dict[str, Stored] = {}
    named = handles(graph)
    # An assignment says more than a reading: its value has the zero point that the resource is filled with.
    for role in (StateRole.ASSIGN, StateRole.READ):
        for use in [use for part in parts for use in resource_uses(part) if use.role is role]:
            if use.name is not None and use.name not in resources:
                zero_point = use.value.quantization.zero_points[0] if use.value.quantization else 0
                tensors = tuple([tensor for tensor, name in named.items() if name == use.name])
                resources[use.name] = Stored(use.name, use.value.size_bytes, zero_point & 0xFF, tensors)
    return (*of_layers, *resources.values())


def states(graph: Graph) -> tuple[Stored, ...]:
    """The states of one graph, without its subgraphs."""
    variables = []
    for index, tensor in [pair for pair in enumerate(graph.tensors) if pair[1].is_variable]:
        zero_point = tensor.quantization.zero_points[0] if tensor.quantization else 0
        # Only int8 states start at their zero point, which stands for 0.0; int16 states have none, and others are zeros
        # too.
        fill = zero_point & 0xFF if tensor.dtype is DType.INT8 else 0
        variables.append(Stored(tensor.name, tensor.size_bytes, fill, (index,)))
    return tuple(variables)


def remembered(graph: Graph) -> tuple[Stored, ...]:
    """What the operators of one graph keep for themselves, node by node; zeros at first."""
    kept: list[Stored] = []
    for index, node in enumerate(graph.nodes):
        op = OPS.get(node.op)
        kinds = op.remembers(node.signature) if op is not None and op.remembers is not None else ()
        kept += [Stored(f"{node.name} memory", kind.size_bytes, 0, (), index) for kind in kinds]
    return tuple(kept)


def resource_uses(graph: Graph) -> Iterator[ResourceUse]:
    """Every node that reads or assigns a resource."""
    named = handles(graph)
    for index, node in enumerate(graph.nodes):
        role = _role(node.op)
        if role in (StateRole.READ, StateRole.ASSIGN):
            value = graph.tensors[node.outputs[0] if role is StateRole.READ else node.inputs[1]]
            yield ResourceUse(index, role, named.get(node.inputs[0]), value)


def handles(graph: Graph) -> dict[int, str]:
    """Resource tensor -> name of the variable."""
    resource_of = {}
    for node in graph.nodes:
        if _role(node.op) is StateRole.HANDLE:
            attributes = attributes_of(node.signature, VarHandleAttributes)
            resource_of[node.outputs[0]] = f"resource {attributes.container}/{attributes.shared_name}"
    return resource_of


def initialising_nodes(graph: Graph) -> Iterator[tuple[int, int]]:
    """(node, number of the subgraph that it runs before the first inference); subgraph 0 is the network itself."""
    for index, node in enumerate(graph.nodes):
        if _role(node.op) is StateRole.INITIALISE:
            yield index, attributes_of(node.signature, CallOnceAttributes).init_subgraph_index


def changed_variables(call: Signature, reads: Sequence[int], view_of: Mapping[int, int]) -> tuple[int, ...]:
    """The views of the variables that an operator changes, of those that it reads.

    view_of: of the tensors that stand for variables. Of the operators with a part in keeping them, one assigns.
    """
    op = OPS.get(call.op)
    if not view_of or op is None or op.state not in (StateRole.NONE, StateRole.ASSIGN):
        return ()
    return tuple([view_of[tensor] for tensor in reads if tensor in view_of])


def _role(op: str) -> StateRole:
    known = OPS.get(op)
    return known.state if known is not None else StateRole.NONE
