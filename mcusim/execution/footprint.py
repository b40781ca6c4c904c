"""How much memory of the host a run takes, from shapes alone: said before anything of it is allocated.

An upper bound, roughly: what kernels hold besides the arena is counted at its widest, int64 and float64 an element.
"""

from __future__ import annotations

from mcusim.graph import Graph, Signature
from mcusim.memory.placement import Placement
from mcusim.ops import OPS
from mcusim.program import Program, ViewKind
from mcusim.region import Region, Span

__all__ = ["host_bytes", "working_bytes"]

BYTES_A_SUM = 40
"""Of an output element while it is computed: as a sum in float, in int64 twice, and scaled."""
BYTES_AN_INPUT = 16
"""Of an input element, padding included, as a kernel widens it."""
BYTES_A_WEIGHT = 24
"""Of a weight: shifted, in int64 for its bounds, and as a matrix of floats."""
BYTES_A_BOUND_STEP = 4096
"""Of a step of one piece with its views and its command."""


def host_bytes(program: Program, placement: Placement) -> int:
    """Memory that preparing a program, and one call, take at most."""
    graph = program.graph
    outside = sum(graph.tensors[view.tensor].size_bytes for view in program.views if view.kind is ViewKind.OUTSIDE)
    planned = placement.arena_bytes + placement.held_bytes + placement.kept_bytes + outside
    pieces = sum(stage.row_pieces * stage.col_pieces * len(stage.steps) for stage in program.stages)
    # Kernels run one after the other, so the largest of them counts, and every node's prepared weights.
    working = max((working_bytes(step.signature) for step in program.body()), default=0)
    return planned + pieces * BYTES_A_BOUND_STEP + working + _weights(graph) * BYTES_A_WEIGHT


def _weights(graph: Graph) -> int:
    """Elements of learned parameters, counted for every node that reads them: each prepares its own."""
    return sum(
        kind.elements
        for node in graph.nodes
        if (op := OPS.get(node.op)) is not None
        for position, kind in enumerate(node.signature.inputs)
        if kind is not None and kind.is_constant and position in op.parameters
    )


def working_bytes(call: Signature) -> int:
    """What a kernel takes for all of its output at once."""
    outputs = sum(kind.elements for kind in call.outputs)
    inputs = sum(_elements_asked(call, position) for position in range(len(call.inputs)))
    return outputs * BYTES_A_SUM + inputs * BYTES_AN_INPUT


def _elements_asked(call: Signature, position: int) -> int:
    """Elements of an input with the padding around it, as far as the operator reaches."""
    kind, op = call.inputs[position], OPS.get(call.op)
    if kind is None or op is None or len(kind.shape) != 4 or not call.outputs:
        return 0 if kind is None else kind.elements
    asked: Region | None = None
    if not (kind.is_constant and position in op.parameters):
        asked = op.needs(call, position, Span(0, call.output.rows), Span(0, call.output.cols))
    if asked is None:
        return kind.elements
    return max(kind.shape[0] * asked.rows.length * asked.cols.length * kind.shape[3], kind.elements)
