"""A network made ready to run: lowered, placed, and every node prepared once. Refuses before anything runs.

Graph + schedule + runtime + numerics -> Preparation -> any number of Sessions
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import InputError, MemoryLimitError, ModelError
from mcusim.execution.footprint import host_bytes, working_bytes
from mcusim.frontends.checks import refuse_unwritten
from mcusim.graph import ABSENT, DType, Graph, Node, Signature
from mcusim.limits import refuse_beyond
from mcusim.lowering.borders import clashes
from mcusim.lowering.entering import entered_parts
from mcusim.lowering.lower import lower
from mcusim.lowering.preparing import check_elements, prepared_node, prepared_step, where_of
from mcusim.lowering.rules import InputPlace
from mcusim.lowering.variables import initialising_nodes, resource_uses
from mcusim.memory.placement import Placement, place_for, refuse_shared_bytes
from mcusim.ops import OPS
from mcusim.ops.registry import Numerics, OpDef, Run, StateRole
from mcusim.ops.shared.late import Late, late_run
from mcusim.program import Program, Step
from mcusim.runtimes import Runtime
from mcusim.schedule import Schedule

__all__ = [
    "Array",
    "Preparation",
    "PreparedNode",
    "cannot_execute",
    "numerics_of",
    "prepare",
    "storage_type",
    "where_of",
]

Array = NDArray[Any]

_NAMED = 3
"""So many unsupported nodes of one operator are named; the others are counted."""


class PreparedNode(NamedTuple):
    """A node with all its checks done.   run, prepared: see `OpDef`.   state: its part in keeping variables."""

    run: Run
    prepared: object
    state: StateRole


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """Everything about running a network that its inputs do not change.

    steps: for each step of the body, in the order of time.   nodes: those that no step carries out, by index: the
        caller's, folded and relabelling ones.   initialisers: subgraphs that CALL_ONCE runs, and their nodes.
    """

    program: Program
    placement: Placement
    steps: tuple[PreparedNode, ...]
    nodes: Mapping[int, PreparedNode]
    initialisers: tuple[tuple[Graph, tuple[PreparedNode, ...]], ...]

    @property
    def graph(self) -> Graph:
        return self.program.graph

    @property
    def keeps_state(self) -> bool:
        """Whether one call may change what the next one answers."""
        remembering = any(OPS[step.signature.op].remembers for step in self.program.body())
        return remembering or bool(self.program.variables)


def numerics_of(name: Numerics | str) -> Numerics:
    """The numeric mode called `name`. Raises InputError."""
    try:
        return Numerics(name)
    except ValueError:
        fix = f"use {', '.join(Numerics)}"
        raise InputError(f"there is no numeric mode '{name}'", where="numerics", fix=fix) from None


def prepare(
    graph: Graph, schedule: Schedule, runtime: Runtime, numerics: Numerics, input_place: InputPlace | None = None
) -> Preparation:
    """The network made ready.

    input_place: the runtime's own choice if None.
    Raises ModelError for what cannot be run, naming every node, ScheduleError, and PlanError where
    the plan that the model carries lets tensors overlap.
    """
    # Refusals in this order: cheap and general ones first, so that a large network fails before it is lowered.
    initialising = [each for part in _entered(graph) for each in _initialisers(part, graph)]
    initialisers = tuple({id(each): each for each in initialising}.values())  # once, however many nodes run it
    for part in _entered(graph):
        refuse_unwritten(part, f"network '{part.name}'")
        _refuse_unsupported(part)
        _refuse_without_weights(part)
    _refuse_unclear_resources((graph, *graph.subgraphs))
    _refuse_late_initialisers(graph)
    _refuse_packed_variables((graph, *graph.subgraphs))
    _refuse_unheld_ends(graph)
    program = lower(graph, schedule, runtime.rules, input_place or runtime.rules.default_input_place(schedule))
    _refuse_clashes(program)
    placement = place_for(program, runtime)
    refuse_shared_bytes(program, runtime, placement)
    refuse_beyond(host_bytes(program, placement), "running it", where=f"network '{graph.name}'")
    idle = program.idle_nodes
    steps = tuple([_IDLE if step.node in idle else _step(program.graph, step, numerics) for step in program.body()])
    # Folded and relabelled nodes have no step, and a trace shows what they would have computed all the same.
    outside = set(range(len(graph.nodes))) - {step.node for step in program.body()}
    return Preparation(
        program,
        placement,
        steps,
        {index: _node(graph, index, graph.nodes[index].signature, numerics) for index in sorted(outside)},
        tuple(
            (part, tuple(_node(part, index, node.signature, numerics) for index, node in enumerate(part.nodes)))
            for part in initialisers
        ),
    )


def _refuse_clashes(program: Program) -> None:
    """Raise ModelError where a node and a subgraph that it enters hold different numbers of bytes."""
    for clash in clashes(program):
        raise ModelError(clash.why, where=where_of(program.graph, clash.node), fix="export the model again")


def _refuse_late_initialisers(graph: Graph) -> None:
    """Raise ModelError where a variable is used before CALL_ONCE: TFLM's first answer has not its first value yet."""
    first: dict[int, int] = {}  # what runs a subgraph again does nothing: it was run once
    for index, number in initialising_nodes(graph):
        first.setdefault(number, index)
    last = max(first.values(), default=-1)
    early = next((use for use in resource_uses(graph) if use.node < last), None)
    if early is not None:
        what = "a variable is used before the subgraph that sets it at first is called"
        raise ModelError(what, where=where_of(graph, early.node), fix="export the model again")


def _refuse_packed_variables(parts: Sequence[Graph]) -> None:
    """Raise ModelError for a variable whose elements share bytes: no kernel of TFLM keeps one."""
    for part in parts:
        kept = [tensor for tensor in part.tensors if tensor.is_variable]
        for tensor in (*kept, *(use.value for use in resource_uses(part))):
            if tensor.dtype.is_packed:
                where = f"network '{part.name}', variable '{tensor.name[:60]}'"
                raise ModelError(f"elements of {tensor.dtype} are not kept", where=where, fix="keep them as int8")


def storage_type(dtype: DType, where: str) -> np.dtype[Any]:
    """How numpy holds elements of a tensor, one by one. Raises ModelError for those that it cannot hold one by one."""
    check_elements(dtype, where)
    return np.dtype(dtype.unpacked.value)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals


def _refuse_unsupported(graph: Graph) -> None:
    """Raise one ModelError that names every node whose operator cannot be run."""
    missing: dict[str, list[str]] = {}
    for node in graph.nodes:
        if not _can_run(OPS.get(node.op)):
            missing.setdefault(node.op, []).append(node.name[:60])
    if not missing:
        return
    reasons = [
        f"{op} ({', '.join(map(repr, names[:_NAMED]))}{f' and {len(names) - _NAMED} more' if names[_NAMED:] else ''})"
        for op, names in missing.items()
    ]
    raise ModelError(
        f"it has operators that mcusim cannot run: {'; '.join(reasons)}",
        where=graph.source.description if graph.source.file_bytes else f"network '{graph.name}'",
        fix="replace them, or cut the network before them (`mcusim ops MODEL` lists what is supported)",
    )


def _can_run(op: OpDef | None) -> bool:
    return op is not None and bool(op.kernel or op.state is not StateRole.NONE or op.enters)


def cannot_execute(graph: Graph) -> dict[int, str]:
    """Nodes that mcusim cannot execute yet, by index, and why. No kernel is loaded.

    Of a network that is known by its shapes only, operators that are missing altogether.
    """
    reasons: dict[int, str] = {}
    has_numbers = not any(_lacks_elements(graph, node) for node in graph.nodes)
    for index, node in enumerate(graph.nodes):
        op = OPS.get(node.op)
        if op is None or not _can_run(op):
            reasons[index] = f"mcusim has no kernel for {node.op.removeprefix('CUSTOM:')} yet"
        elif has_numbers:
            try:
                # Too large to compute here is no fault of the network, and named like one that mcusim cannot compute.
                refuse_beyond(working_bytes(node.signature), "running it", where=node.op)
                prepared_node(graph, index, node.signature, Numerics.TFLM)
            except (ModelError, MemoryLimitError) as error:
                reasons[index] = error.what
    return reasons


def _lacks_elements(graph: Graph, node: Node) -> bool:
    """Whether it reads a constant that is known by its shape only."""
    read = [graph.tensors[index] for index in node.inputs if index != ABSENT]
    return any(tensor.is_constant and tensor.constant is None for tensor in read)


def _refuse_without_weights(graph: Graph) -> None:
    for node in graph.nodes:
        for index in node.inputs:
            if index != ABSENT and graph.tensors[index].is_constant and graph.tensors[index].constant is None:
                raise ModelError(
                    f"it has no weights: '{graph.tensors[index].name}' is known by its shape only",
                    where=f"network '{graph.name}'",
                    fix="draw some: `mcusim exec ... --seed 0`, or `mcusim export NAME FILE`",
                )


def _refuse_unheld_ends(graph: Graph) -> None:
    """Raise ModelError where an input or output of the network has elements that nobody can give or be given."""
    for kind, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            name = graph.tensors[index].name[:60]
            check_elements(graph.tensors[index].dtype, f"network '{graph.name}', {kind} '{name}'")


# ---------------------------------------------------------------------------------------------------------------------
# Nodes


def _step(graph: Graph, step: Step, numerics: Numerics) -> PreparedNode:
    return _loaded(OPS[step.signature.op], prepared_step(graph, step, numerics))


def _node(graph: Graph, index: int, signature: Signature, numerics: Numerics) -> PreparedNode:
    return _loaded(OPS[graph.nodes[index].op], prepared_node(graph, index, signature, numerics))


def _loaded(op: OpDef, prepared: object) -> PreparedNode:
    """With the kernel, which is loaded by name: so nothing but an execution ever imports one."""
    if op.state is not StateRole.NONE:
        return PreparedNode(_STATEFUL[op.state], None, op.state)
    if op.enters:
        return PreparedNode(_nothing, None, StateRole.NONE)
    run = cast(Run, import_module(op.kernel_module).run)
    return PreparedNode(late_run(run) if isinstance(prepared, Late) else run, prepared, StateRole.NONE)


# ---------------------------------------------------------------------------------------------------------------------
# Variables


def _read(prepared: object, inputs: Sequence[Array], outputs: Sequence[Array], piece: object) -> None:
    outputs[0][...] = inputs[0]


def _assign(prepared: object, inputs: Sequence[Array], outputs: Sequence[Array], piece: object) -> None:
    inputs[0][...] = inputs[1]


def _nothing(prepared: object, inputs: Sequence[Array], outputs: Sequence[Array], piece: object) -> None:
    """The session knows handles, initialises at its start, and runs what a step enters (`control_flow.py`)."""


_IDLE = PreparedNode(_nothing, None, StateRole.NONE)
"""Of a node that no inference comes to."""

_STATEFUL: Mapping[StateRole, Callable[..., None]] = {
    StateRole.HANDLE: _nothing,
    StateRole.READ: _read,
    StateRole.ASSIGN: _assign,
    StateRole.INITIALISE: _nothing,
}


def _entered(graph: Graph) -> list[Graph]:
    """The network, and every subgraph that it may come to."""
    parts = (graph, *graph.subgraphs)
    return [parts[number] for number in sorted(entered_parts(graph))]


def _initialisers(part: Graph, graph: Graph) -> Iterator[Graph]:
    """The subgraphs of `graph` that initialise before `part` runs."""
    for index, number in initialising_nodes(part):
        if not 1 <= number <= len(graph.subgraphs):
            what = f"it initialises by subgraph {number}, and there are {len(graph.subgraphs)} beside the network"
            raise ModelError(what, where=where_of(part, index), fix="export the model again")
        yield graph.subgraphs[number - 1]


def _refuse_unclear_resources(parts: Sequence[Graph]) -> None:
    """Raise where nothing names a resource, or where two nodes take it for values of different sizes."""
    size_bytes: dict[str, int] = {}
    uses = [(part, use) for part in parts for use in resource_uses(part)]
    assigned = {use.name for _, use in uses if use.role is StateRole.ASSIGN}
    for part, use in uses:
        if use.name is None:
            what = "nothing in this graph names the variable that it is given"
            raise ModelError(what, where=where_of(part, use.node), fix="export the model again")
        if use.name not in assigned:
            what = f"variable '{use.name[:60]}' is read, and nothing assigns it: its bytes are nobody's"
            raise ModelError(what, where=where_of(part, use.node), fix="export the model again")
        known_bytes = size_bytes.setdefault(use.name, use.value.size_bytes)
        if known_bytes != use.value.size_bytes:
            what = f"variable '{use.name[:60]}' has {known_bytes} bytes, and here it has {use.value.size_bytes}"
            raise ModelError(what, where=where_of(part, use.node), fix="export the model again")
